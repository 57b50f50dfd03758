#!/bin/bash
# The examples as a newcomer runs them: each is copied into a scratch folder, `volant run` turns the wheel on it once.
#   MNIST=FOLDER ADULT=FOLDER SST2=FOLDER MINILM=FOLDER WAIMAI=FOLDER MODEL=FOLDER TEXT=FILE bench/examples/run.sh [NAME ...]
#   BUILD=folder of the build (default build/release), WORK=folder that keeps the workspaces (default: a temporary one)
# Without names: digits digits-plain income hours reviews reviews-zh finetune. Prints a row of a table for each, with the
# figure that decides on the test rows and its 95 % interval, and writes bench/examples/result.json.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build/release}
for program in volant volant-train; do
  [ -x "$build/$program" ] || { echo "expected $build/$program; build it: ninja -C $build $program" >&2; exit 1; }
done
work=${WORK:-}
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
[ $# -gt 0 ] || set -- digits-plain digits income hours reviews reviews-zh finetune
/usr/bin/python3 "$here/examples.py" "$build/volant" "$root/examples" "$work" "$here/result.json" "$@"
