#!/usr/bin/env bash
# A real Slurm (slurmctld here, one slurmd in each of two network namespaces, munge) runs `volant train
# --launch slurm`: the losses of one process, a task that is killed, scancel, and going on with other numbers.
#   tests/cluster/slurm.sh FOLDER_OF_VOLANT TOKENIZER_FOLDER
# Needs root and Debian's slurmctld, slurmd, slurm-client and munge (none of them running); exit status 77 with
# a word where it may not run.
set -euo pipefail
volant=$(realpath "$1")/volant
TOKENIZER=$(realpath "$2")
SHARD=optimizer
source "$(dirname "$0")/two_nodes.sh"
for program in slurmctld slurmd srun scancel munged; do
  command -v $program >/dev/null || skip "expected the program '$program' (slurmctld slurmd slurm-client munge)"
done
set_up
work=$(mktemp -d /tmp/volant-slurm.XXXXXX)
pids=()
stop_all() {
  [ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}

mkdir -p "$work"/{state,log,munge}
chmod 755 "$work"
chmod 700 "$work/munge"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge.socket" --pid-file="$work/munge/pid" \
  --seed-file="$work/munge/seed" --log-file="$work/munge/log" >"$work/log/munged" 2>&1 &
pids+=($!)

cat >"$work/slurm.conf" <<CONF
ClusterName=volant
SlurmctldHost=$(hostname -s)(10.77.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool.%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.%n.pid
SlurmctldLogFile=$work/log/slurmctld
SlurmdLogFile=$work/log/slurmd.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=30
NodeName=node1 NodeAddr=10.77.0.11 CPUs=2 RealMemory=1000
NodeName=node2 NodeAddr=10.77.0.12 CPUs=2 RealMemory=1000
PartitionName=all Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
CONF
export SLURM_CONF="$work/slurm.conf"
touch "$work/cgroup.conf"
slurmctld -D >"$work/log/slurmctld.out" 2>&1 &
pids+=($!)
for node in "${nodes[@]}"; do
  mkdir -p "$work/spool.$node"
  # Not by ip netns exec, which hides the control groups that slurmd asks for.
  nsenter --net="/run/netns/$(netns "$node")" unshare --mount sh -c 'mount --bind "$1" /etc/hosts && exec slurmd -D -N "$2"' \
    - "/etc/netns/$(netns "$node")/hosts" "$node" >"$work/log/slurmd.$node.out" 2>&1 &
  pids+=($!)
done
for i in $(seq 60); do
  [ "$(sinfo -h -N -o %T 2>/dev/null | grep -c idle)" -ge 2 ] && break
  [ "$i" -lt 60 ] || { tail -n 5 "$work"/log/*; skip "Slurm did not come up within a minute"; }
  sleep 1
done
sinfo -N -o '%N %T %c'

echo "one process, and two tasks on two nodes:"
write_job "$work" one 30
"$volant" train --job "$work/one/job.json" 2>"$work/one/stderr" >/dev/null
write_job "$work" two 30
salloc -Q -N 2 --ntasks-per-node=1 "$volant" train --job "$work/two/job.json" --launch slurm 2>"$work/two/stderr" >/dev/null
grep -h 'in each of' "$work/two/stderr"
same_curve "$work/one/events.jsonl" "$work/two/events.jsonl"

# trainers NODE: process ids there.
trainers() {
  ip netns pids "$(netns "$1")" | xargs -r ps -o pid=,comm= -p | awk '$2 == "volant-train" {print $1}'
}

echo "a task on node2 is killed:"
write_job "$work" killed 60
salloc -Q -N 2 --ntasks-per-node=1 "$volant" train --job "$work/killed/job.json" --launch slurm 2>"$work/killed/stderr" >/dev/null &
job=$!
wait_for_steps "$work/killed/events.jsonl" 12
kill -9 $(trainers node2)
began=$SECONDS status=0
wait $job || status=$?
echo "  the job ended after $((SECONDS - began)) s with status $status"
grep -hE 'is gone|signal|error' "$work/killed/stderr" | head -4 | sed 's/^/    /'
[ "$status" -ne 0 ] && [ $((SECONDS - began)) -le 20 ]

echo "it goes on with two tasks on one node, and is told to end by Slurm (SIGTERM to the steps):"
salloc -Q -N 1 -n 2 "$volant" train --job "$work/killed/job.json" --launch slurm 2>"$work/killed/stderr" >/dev/null &
job=$!
wait_for_steps "$work/killed/events.jsonl" 30 2
scancel --signal=TERM "$(squeue -h -o %A | head -1)"
status=0
wait $job || status=$?
echo "  ended with status $status: $(tail -1 "$work/killed/events.jsonl" | cut -c1-60)"
grep -q '"status":"stopped"' "$work/killed/events.jsonl"

echo "and finishes with one process:"
"$volant" train --job "$work/killed/job.json" 2>"$work/killed/stderr" >/dev/null
write_job "$work" whole 60
"$volant" train --job "$work/whole/job.json" 2>"$work/whole/stderr" >/dev/null
same_curve "$work/whole/events.jsonl" "$work/killed/events.jsonl"
echo PASSED
