#!/bin/bash
# Reading prompts and writing tokens beside llama.cpp and its like, on the same GGUF files, in turns, medians of the
# rounds: 512 tokens read, 128 written after none.
#   bench/infer/run.sh [--peer NAME=PATH-OF-LLAMA-BENCH]... [--rounds N] [--prompt N] [--generate N] FILE.gguf...
#   BUILD=folder of the build (default build/release), THREADS=n
# Prints a table and writes bench/infer/result.json. A peer is any program with the options and the JSON of llama.cpp's
# llama-bench; "PATH --more options" adds some. A quiet machine gives fair figures.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build/release}
[ -x "$build/bench_infer" ] || { echo "expected $build/bench_infer; build it: ninja -C $build bench_infer" >&2; exit 1; }
exec python3 "$here/compare.py" --ours "$build/bench_infer" --threads "${THREADS:-$(nproc)}" "$@"
