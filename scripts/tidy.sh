#!/usr/bin/env bash
# clang-tidy on the C++ sources that changed: since REVISION (default: the last commit), and not yet committed.
#
#   scripts/tidy.sh [REVISION | --all]
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
since=${1:-HEAD~1}
if [ "$since" = --all ]; then
  mapfile -t files < <(git ls-files 'src/*.cc')
else
  git rev-parse -q --verify "$since" >/dev/null || since=HEAD
  mapfile -t files < <(git diff --name-only --diff-filter=d "$since" -- 'src/*.cc')
fi
[ ${#files[@]} -gt 0 ] || { echo "tidy: no C++ source changed since $since"; exit 0; }
# A build description without precompiled headers, which clang cannot read.
cmake --preset release -B build/tidy -DVOLANT_PCH=OFF -DVOLANT_TESTS=ON -DVOLANT_CONSOLE=OFF >build/tidy.log 2>&1 ||
  { tail -5 build/tidy.log; exit 1; }
printf '%s\n' "${files[@]}" | xargs -P 2 -n 4 clang-tidy -p build/tidy --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null
