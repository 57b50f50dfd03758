"""Trains and predicts with volant and peer.py in turns and compares; called by run.sh."""
import glob
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import tomllib

from rows import read_rows


def call(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def prepare(volant, example, root, scratch, most_rows):
    """The rows and the job of an example, whose training is only begun; with at most so many rows to learn from, 0: all."""
    workspace = os.path.join(scratch, example)
    shutil.copytree(os.path.join(root, "examples", example), workspace, ignore=shutil.ignore_patterns(".volant", "node_modules"))
    with open(workspace + "/volant.toml") as file:
        config = file.read()
    epochs = tomllib.loads(config)["train"]["epochs"]
    with open(workspace + "/volant.toml", "w") as file:
        file.write(re.sub(r"(?m)^epochs = .*$", "steps = 1", config))
    call([volant, "run", workspace, "--until", "train"])
    with open(glob.glob(workspace + "/.volant/runs/train-*/job.json")[0]) as file:
        job = json.load(file)
    del job["steps"]
    job["epochs"] = epochs
    rows = read_rows(job["data"]["train_rows"])
    if 0 < most_rows < len(rows):
        some = [rows[i * len(rows) // most_rows] for i in range(most_rows)]
        job["data"]["train_rows"] = workspace + "/some.jsonl.zst"
        lines = "".join(json.dumps(row) + "\n" for row in some)
        subprocess.run(["zstd", "-q", "-o", job["data"]["train_rows"]], input=lines.encode(), check=True)
    return job, os.path.join(os.path.dirname(job["encoder"]), "test.jsonl.zst")


def train_ours(programs, job, test_file, first_row, seed, threads, folder):
    os.makedirs(folder)
    with open(folder + "/job.json", "w") as file:
        json.dump({**job, "seed": seed, "n_threads": threads, "finish_with": "last"}, file)
    begun = time.perf_counter()
    call([programs["volant-train"], "--job", folder + "/job.json"])
    whole = time.perf_counter() - begun
    with open(folder + "/events.jsonl") as file:
        end = [json.loads(line) for line in file][-1]
    predict = lambda file: call([programs["volant"], "predict", "--model", folder + "/model", "--threads", str(threads), file])
    begun = time.perf_counter()
    predict(first_row)
    start = time.perf_counter() - begun
    begun = time.perf_counter()
    labels = [json.loads(line)["label"] for line in predict(test_file).splitlines()]
    return {"seconds": end["seconds"], "seconds_of_program": whole, "labels": labels,
            "rows_per_second": (len(labels) - 1) / (time.perf_counter() - begun - start)}


def mean_and_interval(values):
    """Of one number a row: mean and 1.96 standard errors."""
    mean = statistics.fmean(values)
    return mean, 1.96 * math.sqrt(statistics.variance(values) / len(values))


def compare(example, runs, truth):
    """Correctness is averaged over the seeds, row by row; the intervals are over the rows."""
    right = {who: [statistics.fmean(run["labels"][i] == label for run in all_runs) for i, label in enumerate(truth)]
             for who, all_runs in runs.items()}
    row = {"example": example, "test_rows": len(truth), "seeds": len(runs["volant"]), "dtype_of_peer": runs["pytorch"][0]["dtype"]}
    for who, values in right.items():
        row[who] = {"accuracy": mean_and_interval(values),
                    "accuracy_by_seed": [statistics.fmean(a == b for a, b in zip(run["labels"], truth)) for run in runs[who]]}
        for key in ("seconds", "seconds_of_program", "rows_per_second"):
            row[who][key] = statistics.median(run[key] for run in runs[who])
    row["pytorch"]["rows_per_second_forward"] = statistics.median(r["rows_per_second_forward"] for r in runs["pytorch"])
    row["difference"] = mean_and_interval([a - b for a, b in zip(right["volant"], right["pytorch"])])
    row["times_as_fast"] = {key: statistics.median(b[key] / a[key] for a, b in zip(runs["volant"], runs["pytorch"]))
                            for key in ("seconds", "seconds_of_program")}
    return row


def show(row):
    percent = lambda pair: f"{100 * pair[0]:.2f} ± {100 * pair[1]:.2f} %"
    print(f"\n{row['example']}: {row['test_rows']} test rows, {row['seeds']} seeds, medians of times, PyTorch in {row['dtype_of_peer']}")
    print(f"{'':10}{'accuracy (95 %)':>20}{'steps':>10}{'program':>10}{'rows/s':>12}")
    for who in ("volant", "pytorch"):
        one = row[who]
        print(f"{who:10}{percent(one['accuracy']):>20}{one['seconds']:>8.1f} s{one['seconds_of_program']:>8.1f} s"
              f"{one['rows_per_second']:>12,.0f}" +
              (f"  ({one['rows_per_second_forward']:,.0f} the network alone)" if who == "pytorch" else ""))
    by_seed = "; ".join(who + " " + ", ".join(f"{100 * a:.2f}" for a in row[who]["accuracy_by_seed"])
                        for who in ("volant", "pytorch"))
    print(f"by seed: {by_seed} %")
    speed = row["times_as_fast"]
    print(f"difference of accuracy, paired: {percent(row['difference'])}; volant is {speed['seconds']:.2f} times as fast in "
          f"its steps, {speed['seconds_of_program']:.2f} times as a whole", flush=True)


def main():
    build, root, scratch, rounds, threads, tuned, most_rows, *examples = sys.argv[1:]
    programs = {name: os.path.join(build, name) for name in ("volant", "volant-train")}
    here = os.path.dirname(os.path.abspath(__file__))
    results, torch = [], None
    for example in examples:
        job, test_file = prepare(programs["volant"], example, root, scratch, int(most_rows))
        test = read_rows(test_file)
        first_row = os.path.join(scratch, "first.jsonl")
        with open(first_row, "w") as file:
            file.write(json.dumps(test[0]) + "\n")
        job_file = os.path.join(scratch, "job.json")
        with open(job_file, "w") as file:
            json.dump(job, file)
        runs = {"volant": [], "pytorch": []}
        for seed in range(1, int(rounds) + 1):
            runs["volant"].append(train_ours(programs, job, test_file, first_row, seed, int(threads),
                                             os.path.join(scratch, f"{example}-{seed}")))
            out = call(["/usr/bin/python3", os.path.join(here, "peer.py"), job_file, test_file, str(seed), threads],
                       env={**os.environ, "GLIBC_TUNABLES": tuned})
            runs["pytorch"].append(json.loads(out))
            torch = runs["pytorch"][-1]["torch"]
        results.append(compare(example, runs, [row["label"] for row in test]))
        show(results[-1])
    load = os.getloadavg()
    path = os.path.join(here, "result.json")
    with open(path, "w") as file:
        json.dump({"torch": torch, "threads": int(threads), "load_average": load, "results": results}, file, indent=1)
    print(f"wrote {path}; load average {load[0]:.1f} (a quiet machine has about {threads})")


if __name__ == "__main__":
    main()
