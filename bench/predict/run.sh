#!/bin/bash
# Predictions beside eager PyTorch: the same network, rows, seeds and epochs, in turns.
#   MNIST=FOLDER ADULT=FOLDER bench/predict/run.sh [ROUNDS]
#   EXAMPLES="digits-plain income", also "reviews reviews-zh" (SST2, MINILM, WAIMAI), ROWS=at most so many to learn from,
#   TEXT_DTYPE=f32 (of the peer's texts; bf16, as Volant trains them), BUILD=folder of the build (build/release), THREADS=n
# Prints a table and writes bench/predict/result.json. Needs python3-torch, python3-pil, zstd and, for reviews-zh,
# python3-icu of Debian; a quiet machine gives fair times.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build/release}
rounds=${1:-3} threads=${THREADS:-$(nproc)}
/usr/bin/python3 -c 'import torch, PIL' 2>/dev/null ||
  { echo "needs python3-torch and python3-pil: apt-get install python3-torch python3-pil" >&2; exit 1; }
command -v zstdcat >/dev/null || { echo "needs zstdcat: apt-get install zstd" >&2; exit 1; }
for program in volant volant-train; do
  [ -x "$build/$program" ] || { echo "expected $build/$program; build it: ninja -C $build $program" >&2; exit 1; }
done
# What makes the peer fastest here: OpenMP threads, its AVX512 kernels, big blocks kept by malloc on huge pages.
export TEXT_DTYPE=${TEXT_DTYPE:-bf16} OMP_NUM_THREADS=$threads ATEN_CPU_CAPABILITY=avx512
tuned=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
/usr/bin/python3 "$here/compare.py" "$build" "$root" "$scratch" "$rounds" "$threads" "$tuned" "${ROWS:-0}" ${EXAMPLES:-digits-plain income}
