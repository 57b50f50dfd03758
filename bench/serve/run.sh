#!/usr/bin/env bash
# Volant's server, and llama.cpp's when LLAMA_SERVER names its program, with 1, 4 and 16 clients in turns.
#   bench/serve/run.sh MODEL [options of load.mjs]
#   LLAMA_SERVER=~/llama.cpp/build/bin/llama-server bench/serve/run.sh model-q8_0.gguf --json serve.json
# MODEL is a .gguf file when the peer runs too. VOLANT names the program, VOLANT_FLAGS further flags of `volant serve`.
set -euo pipefail
if [ $# -lt 1 ]; then
  sed -n '2,5s/^# //p' "$0"
  exit 2
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
model=$1
shift
started=()
trap 'for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done' EXIT

wait_for() {  # URL
  for _ in $(seq 300); do
    if curl -sf "$1" > /dev/null; then return; fi
    sleep 0.1
  done
  echo "nobody answers at $1" >&2
  exit 1
}

port=${PORT:-18431}
# shellcheck disable=SC2086
"${VOLANT:-$root/build/release/volant}" serve --model "$model" --port "$port" --n-slots 16 --log-level error \
  ${VOLANT_FLAGS:-} > /dev/null &
started+=($!)
wait_for "http://127.0.0.1:$port/v1/models"
servers=(--server "volant=http://127.0.0.1:$port")
if [ -n "${LLAMA_SERVER:-}" ]; then
  peer=$((port + 1))
  "$LLAMA_SERVER" -m "$model" --port "$peer" -np 16 -c 4096 -t "$(nproc)" > /dev/null 2>&1 &
  started+=($!)
  wait_for "http://127.0.0.1:$peer/health"
  servers+=(--server "llama-server=http://127.0.0.1:$peer")
fi
node "$root/bench/serve/load.mjs" "${servers[@]}" "$@"
