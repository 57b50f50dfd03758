# Two virtual machines for tests of training in several processes: network namespaces node1 and node2 of their
# own, joined by a bridge at which this machine is 10.77.0.1. Sourced; needs root. What it makes goes away when
# the caller ends.

nodes=(node1 node2)
netns() { echo "volant-$1"; }
address() { echo "10.77.0.1${1#node}"; }

skip() {
  printf 'SKIPPED: %s\n' "$*" >&2
  exit 77
}

# Calls the caller's `stop_all` too, if there is one.
take_down() {
  trap - EXIT
  if declare -F stop_all >/dev/null; then stop_all; fi
  local node
  for node in "${nodes[@]}"; do
    ip netns pids "$(netns "$node")" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del "$(netns "$node")" 2>/dev/null || true
    # Sockets that nobody has answered keep a namespace alive, and with it its link.
    ip link del "v-$node" 2>/dev/null || true
    rm -rf "/etc/netns/$(netns "$node")"
  done
  ip link del volant-br 2>/dev/null || true
}

set_up() {
  [ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
  command -v ip >/dev/null || skip "expected the program 'ip' (iproute2)"
  ip netns add volant-probe 2>/dev/null || skip "this machine allows no network namespaces"
  ip netns del volant-probe
  ! ip link show volant-br >/dev/null 2>&1 || skip "a test like this one is running (the bridge volant-br is there)"
  trap take_down EXIT
  ip link add volant-br type bridge || skip "this machine allows no network bridges"
  ip addr add 10.77.0.1/24 dev volant-br
  ip link set volant-br up
  local node ns
  for node in "${nodes[@]}"; do
    ns=$(netns "$node")
    ip netns add "$ns"
    ip link add "v-$node" type veth peer name eth0 netns "$ns"
    ip link set "v-$node" master volant-br up
    ip -n "$ns" addr add "$(address "$node")/24" dev eth0
    ip -n "$ns" link set eth0 up
    ip -n "$ns" link set lo up
    # What ip netns exec puts in the place of /etc/hosts.
    mkdir -p "/etc/netns/$ns"
    printf '127.0.0.1 localhost\n10.77.0.1 controller\n10.77.0.11 node1\n10.77.0.12 node2\n' >"/etc/netns/$ns/hosts"
  done
}

# on NODE COMMAND...: there.
on() {
  local node=$1
  shift
  ip netns exec "$(netns "$node")" "$@"
}

# write_job FOLDER NAME STEPS: a small model on rows that are made here; TOKENIZER is the folder of one.
write_job() {
  mkdir -p "$1/$2"
  local i
  for i in $(seq 200); do
    printf '{"text": "Once upon a time there were %d cats, and they ran away from the dog of number %d."}\n' "$i" $((i * i))
  done >"$1/rows.jsonl"
  cat >"$1/$2/job.json" <<JOB
{"objective": "sft",
 "model": {"config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4,
                      "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": true}},
 "tokenizer": "$TOKENIZER",
 "data": {"train_rows": "$1/rows.jsonl", "validation_rows": "$1/rows.jsonl"},
 "max_seq_len": 64, "tokens_per_step": 512, "micro_batch_tokens": 128, "steps": $3, "lr": 0.003, "warmup_steps": 5,
 "evaluate_every": 20, "checkpoint_every": 10, "n_threads": 1, "dtype": "f32", "shard": "${SHARD:-none}"}
JOB
}

# losses EVENTS: "step loss", one line each.
losses() {
  python3 -c '
import json, sys
for line in open(sys.argv[1]):
    e = json.loads(line)
    if e["type"] == "step": print(e["step"], e["loss"])' "$1"
}

# same_curve A B: fails when any two losses are more than 2e-4 apart (the order of f32 sums).
same_curve() {
  python3 - "$1" "$2" <<'CHECK'
import json, sys
def losses(file):
    return {e["step"]: e["loss"] for e in map(json.loads, open(file)) if e["type"] == "step"}
a, b = (losses(f) for f in sys.argv[1:])
worst = max(abs(a[s] - b[s]) for s in a) if a.keys() == b.keys() else float("inf")
print(f"  {len(a)} and {len(b)} steps, losses at most {worst:.1e} apart")
sys.exit(worst > 2e-4)
CHECK
}

# wait_for_steps EVENTS N [STARTS]: N steps, of a run that has begun so many times (default 1). One that goes on
# finds the steps from before in its events until it has begun.
wait_for_steps() {
  local i
  for i in $(seq 600); do
    [ "$(count_events 'start|resume' "$1")" -ge "${3:-1}" ] && [ "$(count_events step "$1")" -ge "$2" ] && return 0
    sleep 0.1
  done
  echo "no step $2 within a minute: $1" >&2
  return 1
}
count_events() { cat "$2" 2>/dev/null | grep -cE "\"type\":\"($1)\"" || true; }
