#!/usr/bin/env bash
# Ranks in two network namespaces, as torchrun would start them on two machines: the losses of one process; a
# rank that is killed; a machine that falls off the network, which closes no connection; going on alone.
#   tests/cluster/namespaces.sh VOLANT_TRAIN TOKENIZER_FOLDER
# Exit status 77 with a word where it may not run (root, network namespaces).
set -euo pipefail
program=$(realpath "$1")
TOKENIZER=$(realpath "$2")
SHARD=parameters
source "$(dirname "$0")/two_nodes.sh"
set_up
work=$(mktemp -d)
stop_all() { rm -rf "$work"; }

# start NODE RANK SIZE NAME
start() {
  (exec ip netns exec "$(netns "$1")" env RANK="$2" WORLD_SIZE="$3" LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 \
    MASTER_ADDR=10.77.0.11 MASTER_PORT=29511 OMP_WAIT_POLICY=passive "$program" \
    --job "$work/$4/job.json" 2>"$work/$4/stderr.$2") &
}
both() {
  start node1 0 2 "$1"
  first=$!
  start node2 1 2 "$1"
  second=$!
}

echo "one process, and one in each of two namespaces:"
write_job "$work" one 60
"$program" --job "$work/one/job.json" 2>"$work/one/stderr"
write_job "$work" two 60
both two
wait $first
wait $second
same_curve "$work/one/events.jsonl" "$work/two/events.jsonl"

# gone NAME WHO PID: PID ends by itself with a word about WHO.
gone() {
  local began=$SECONDS status=0 guard
  (sleep 40 && kill -9 "$3") 2>/dev/null &
  guard=$!
  wait "$3" || status=$?
  kill $guard 2>/dev/null || true
  echo "  the other one ended after $((SECONDS - began)) s with status $status: $(grep -h 'is gone' "$work/$1"/stderr.* | head -1)"
  [ "$status" -eq 5 ] && [ $((SECONDS - began)) -le 15 ] && grep -qh "$2" "$work/$1"/stderr.*
}

echo "rank 1 is killed:"
write_job "$work" killed 60
both killed
wait_for_steps "$work/killed/events.jsonl" 12
kill -9 $second
gone killed 'rank 1 on' $first
wait $second || true

echo "the machine of rank 1 falls off the network:"
rm -f "$work"/killed/stderr.*
both killed
wait_for_steps "$work/killed/events.jsonl" 16 2
ip link set v-node2 down
gone killed 'rank' $first
gone killed 'rank 0 on' $second
ip link set v-node2 up

echo "and it goes on with one process:"
"$program" --job "$work/killed/job.json" 2>"$work/killed/stderr"
same_curve "$work/one/events.jsonl" "$work/killed/events.jsonl"
echo PASSED
