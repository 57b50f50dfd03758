#!/usr/bin/env bash
# Volant's server beside llama.cpp's and its like, on the same GGUF files, in turns, with 1, 4 and 16 clients.
#   bench/serve/run.sh [--peer NAME=PATH-OF-LLAMA-SERVER]... [--rounds N] [--clients 1,4,16] [--requests N] [--prompt N]
#     [--generate N] [--beside N] [--json FILE] FILE.gguf...
#   bench/serve/run.sh --server NAME=URL [--server NAME=URL]... [--key KEY]   servers that run already
#   BUILD=folder of the build (default build/release), THREADS=n, VOLANT_FLAGS=further flags of `volant serve`
# A peer is any program with llama-server's options; "NAME=PATH --more options" adds some. Each server is started for
# each pass, with as many slots as clients. --beside N: one more client reads prompts of N tokens meanwhile, for the
# gaps between the others' tokens. A quiet machine gives fair figures.
set -euo pipefail
if [ $# -lt 1 ]; then
  sed -n '2,9s/^# //p' "$0"
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
volant=${BUILD:-$root/build/release}/volant
[ -x "$volant" ] || { echo "expected $volant; build it: ninja -C $(dirname "$volant") volant" >&2; exit 1; }
exec node "$here/compare.mjs" --ours "$volant ${VOLANT_FLAGS:-}" --threads "${THREADS:-$(nproc)}" "$@"
