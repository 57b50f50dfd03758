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

# What is said of our own files counts. libtorch's headers keep a vector of a class that is not complete yet, which g++
# takes in C++20 and clang does not: those errors lie outside the repository.
findings=$(printf '%s\n' "${files[@]}" |
  xargs -P 2 -n 4 clang-tidy -p build/tidy --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-ferror-limit=0 2>/dev/null |
  awk -v here="$PWD/" '/: (error|warning|note): / { ours = index($0, here) == 1 } ours')
[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }
printf 'tidy: %d files, nothing found\n' ${#files[@]}
