#!/usr/bin/env bash
# Ranks on this machine, started by those who start them elsewhere: mpirun by `volant train --launch mpi`, and a
# real torchrun. The losses of one process, with parameters divided; a rank that is killed; going on without it.
#   tests/cluster/one_machine.sh FOLDER_OF_VOLANT TOKENIZER_FOLDER
# Needs Open MPI's mpirun and Debian's python3-torch; who is not there is left out with a word, and exit status 77
# when nobody is. No root.
set -euo pipefail
volant=$(realpath "$1")/volant
TOKENIZER=$(realpath "$2")
SHARD=parameters
source "$(dirname "$0")/two_nodes.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# mpirun asks for these where root calls it, and where there are fewer cores than processes.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMP_WAIT_POLICY=passive
python=
for candidate in /usr/bin/python3 python3; do
  [ -n "$python" ] || ! "$candidate" -c 'import torch.distributed.run' 2>/dev/null || python=$candidate
done

by_mpi() { "$volant" train --job "$work/$1/job.json" --launch "mpi:$2"; }
# torchrun 1.13 with Python 3.11 stumbles over its own defaults of --redirects and --tee.
by_torchrun() {
  "$python" -m torch.distributed.run --nproc_per_node "$2" --master_port 29513 --redirects 1 --tee 1 --log_dir "$work/log" --no_python "${volant}-train" --job "$work/$1/job.json"
}

# ranks NAME: process ids of those that train it.
ranks() { pgrep -f "volant-train --job $work/$1/job.json" | while read -r pid; do
  [ "$(ps -o comm= -p "$pid")" != volant-train ] || echo "$pid"; done; }

# starts_and_survives STARTER
starts_and_survives() {
  echo "two ranks by $1:"
  write_job "$work" "$1" 60
  "by_$1" "$1" 2 >"$work/$1/out" 2>&1 || { tail "$work/$1/out"; return 1; }
  grep -h 'in each of 2 processes' "$work/$1/out" | head -1
  same_curve "$work/one/events.jsonl" "$work/$1/events.jsonl"

  echo "a rank by $1 is killed:"
  write_job "$work" "$1-killed" 60
  "by_$1" "$1-killed" 2 >"$work/$1-killed/out" 2>&1 &
  local job=$! began status=0
  wait_for_steps "$work/$1-killed/events.jsonl" 12
  kill -9 "$(ranks "$1-killed" | tail -1)"
  began=$SECONDS
  wait $job || status=$?
  echo "  $1 ended after $((SECONDS - began)) s with status $status; $(ranks "$1-killed" | wc -l) ranks are left"
  [ "$status" -ne 0 ] && [ $((SECONDS - began)) -le 45 ] && [ -z "$(ranks "$1-killed")" ]
  "by_$1" "$1-killed" 1 >"$work/$1-killed/out" 2>&1 || { tail "$work/$1-killed/out"; return 1; }
  echo "  and with one rank:"
  same_curve "$work/one/events.jsonl" "$work/$1-killed/events.jsonl"
}

command -v mpirun >/dev/null || echo "left out: mpirun (Open MPI)"
[ -n "$python" ] || echo "left out: torchrun (python3-torch)"
command -v mpirun >/dev/null || [ -n "$python" ] || skip "expected mpirun or torchrun"
echo "one process:"
write_job "$work" one 60
"$volant" train --job "$work/one/job.json" 2>"$work/one/stderr" >/dev/null
! command -v mpirun >/dev/null || starts_and_survives mpi
[ -z "$python" ] || starts_and_survives torchrun
echo PASSED
