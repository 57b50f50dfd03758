"""Runs bench_infer and programs like llama-bench in turns and compares; called by run.sh."""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile


def ours(program, file, args):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([program, file, "--threads", str(args.threads), "--prompt", str(args.prompt), "--generate",
                        str(args.generate), "--depth", "0", "--repeat", "1", "--json", out.name],
                       check=True, capture_output=True)
        run = json.load(open(out.name))
    return {"prefill": run["prefill_tokens_per_second"], "decode": run["decode_tokens_per_second"],
            "bound": run["decode_bound_tokens_per_second"], "read": run["read_gb_per_second"],
            "bytes": run["weight_bytes"]}


def peer(command, file, args):
    out = subprocess.run(shlex.split(command) + ["-m", file, "-t", str(args.threads), "-p", str(args.prompt), "-n",
                                                 str(args.generate), "-r", "1", "-o", "json"],
                         check=True, capture_output=True, text=True).stdout
    rows = json.loads(out[out.index("["):])
    return {"prefill": next(r["avg_ts"] for r in rows if r["n_prompt"] > 0 and r["n_gen"] == 0),
            "decode": next(r["avg_ts"] for r in rows if r["n_gen"] > 0 and r["n_prompt"] == 0)}


def measure(file, peers, args):
    runs = {name: [] for name in ["volant", *peers]}
    for _ in range(args.rounds):
        runs["volant"].append(ours(args.ours, file, args))
        for name, command in peers.items():
            try:
                runs[name].append(peer(command, file, args))
            except (subprocess.CalledProcessError, ValueError, StopIteration) as error:
                print(f"{name} does not run {file}: {error}", file=sys.stderr)
    return {name: found for name, found in runs.items() if found}


def middle(runs, what):
    return statistics.median(run[what] for run in runs)


def row_of(file, runs):
    row = {"file": os.path.basename(file), "rounds": len(runs["volant"]),
           "of_bound": round(statistics.median(r["decode"] / r["bound"] for r in runs["volant"]), 3),
           "read_gb_per_second": round(middle(runs["volant"], "read"), 1)}
    for name, found in runs.items():
        row[name] = {what: {"median": round(middle(found, what), 1), "least": round(min(r[what] for r in found), 1),
                            "most": round(max(r[what] for r in found), 1)} for what in ("prefill", "decode")}
    others = [name for name in runs if name != "volant"]
    for what in ("prefill", "decode"):
        if others:
            best = max(row[name][what]["median"] for name in others)
            row[f"{what}_ratio"] = round(row["volant"][what]["median"] / best, 2)
    return row


def line(row):
    cells = [f"{row['file']:<22}"]
    for name, value in row.items():
        if isinstance(value, dict):
            cells.append(f"{name} {value['prefill']['median']:,.0f} / {value['decode']['median']:,.1f} "
                         f"({value['decode']['least']:,.1f} to {value['decode']['most']:,.1f})")
    cells.append(f"{row['of_bound']:.2f} of the bound at {row['read_gb_per_second']} GB/s")
    if "decode_ratio" in row:
        cells.append(f"prefill x {row['prefill_ratio']:.2f}, decode x {row['decode_ratio']:.2f}")
    return "  ".join(cells)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    peers = dict(text.split("=", 1) for text in args.peer)
    rows = []
    for file in args.files:
        runs = measure(file, peers, args)
        rows.append(row_of(file, runs))
        print(line(rows[-1]), flush=True)
        rows[-1]["runs"] = runs
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "result.json")
    with open(path, "w") as file:
        json.dump({"threads": args.threads, "prompt": args.prompt, "generate": args.generate, "peers": peers,
                   "load_average": os.getloadavg(), "results": rows}, file, indent=1)
    print(f"tokens/s, prefill / decode; ratios to the best peer. wrote {path}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
