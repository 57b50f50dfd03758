#!/bin/bash
# Training speed on a GPU beside PyTorch, eager and with torch.compile: GPT-2 of 124M and 1.5B parameters in bf16, flash
# attention and fused AdamW on all sides, the same batch, in turns, medians of the rounds. THE ONE COMMAND FOR A GPU:
#   bench/train/cuda.sh [ROUNDS]     PYTHON=a python3 with torch, MODELS=part of a model's name, STEPS=n,
#                                    BUILD=folder of the build (default build/cuda); what is not there is built first,
#                                    against the libtorch inside of PYTHON's torch: build_cuda.sh
#   DEVICE=cpu bench/train/cuda.sh   tries the script itself: a tiny model, by the same operations, on the CPU
# Prints a table and writes bench/train/result-cuda.json. MFU is by the fastest 8192 x 8192 product in bf16 seen here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export DEVICE=${DEVICE:-cuda} PYTHON=${PYTHON:-python3}
rounds=${1:-5} threads=${THREADS:-$(nproc)} steps=${STEPS:-20}
case $DEVICE in
  cuda) build=${BUILD:-$root/build/cuda}; export SHAPES=gpu ;;
  cpu) build=${BUILD:-$root/build/release}; export SHAPES=try VOLANT_TRAIN_ISA=aten; rounds=${1:-2} steps=${STEPS:-5} ;;
  *) echo "DEVICE: expected cuda or cpu, got '$DEVICE'" >&2; exit 2 ;;
esac
case $rounds in *[!0-9]* | '' | 0) sed -n '2,9s/^# \{0,1\}//p' "$0"; [ "$rounds" = --help ] && exit 0; exit 2 ;; esac
export RESULT=${RESULT:-$here/result-$DEVICE.json}
"$PYTHON" -c "import sys, torch; sys.exit(0 if '$DEVICE' == 'cpu' or torch.cuda.is_available() else 1)" || {
  echo "$PYTHON has no torch that sees a GPU; PYTHON names another one" >&2; exit 1; }
[ "$DEVICE" = cpu ] || [ -x "$build/bench_train" ] || BUILD=$build "$here/build_cuda.sh" bench_train
[ -x "$build/bench_train" ] || { echo "expected $build/bench_train; build it: ninja -C $build bench_train" >&2; exit 1; }
export COMPILED=0
if "$PYTHON" -c 'import sys, torch; sys.exit(0 if hasattr(torch, "compile") else 1)'; then
  COMPILED=1
else
  echo "$PYTHON's torch has no torch.compile (before 2.0): only the eager one is compared"
fi
exec "$PYTHON" "$here/compare.py" "$build/bench_train" "$here/peer.py" "$rounds" "$threads" "$steps" ""
