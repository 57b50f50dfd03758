#!/bin/bash
# Training speed beside eager PyTorch: the same Llama or GPT-2, batch and optimiser, in turns, medians of the rounds.
#   bench/train/run.sh [ROUNDS]     BUILD=folder of the build (default build/release), THREADS=n, STEPS=n,
#                                   MODELS=part of a model's name, DTYPES="bf16 f32"
# Prints a table and writes bench/train/result.json. Needs Debian's python3-torch; a quiet machine gives fair figures.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build/release}
rounds=${1:-5} threads=${THREADS:-$(nproc)} steps=${STEPS:-8}
/usr/bin/python3 -c 'import torch' 2>/dev/null || { echo "needs python3-torch: apt-get install python3-torch" >&2; exit 1; }
[ -x "$build/bench_train" ] || { echo "expected $build/bench_train; build it: ninja -C $build bench_train" >&2; exit 1; }
# What makes the peer fastest here: OpenMP threads, its AVX512 kernels, big blocks kept by malloc on huge pages.
unset OMP_WAIT_POLICY GOMP_SPINCOUNT  # compare.py gives ours what volant gives its trainer
export OMP_NUM_THREADS=$threads ATEN_CPU_CAPABILITY=avx512
tuned=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456
exec /usr/bin/python3 "$here/compare.py" "$build/bench_train" "$here/peer.py" "$rounds" "$threads" "$steps" "$tuned"
