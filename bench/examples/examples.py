"""Runs examples and says what came out; called by run.sh."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

# The figure that decides, and how it is shown: times 100 as a percentage, or as it is.
FIGURES = (("accuracy", 100, "accuracy {:.1f} % ({:.1f} to {:.1f})"), ("r_squared", 1, "R2 {:.3f} ({:.3f} to {:.3f})"),
           ("bits_per_byte", 1, "{:.3f} bits per byte ({:.3f} to {:.3f})"))


def call(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def seconds_of(command):
    begun = time.perf_counter()
    call(command)
    return time.perf_counter() - begun


def rows_per_second(volant, workspace, test_file, is_language):
    """Of the whole test part, less the time that one row takes, which is the start of the program."""
    lines = subprocess.run(["zstdcat", test_file], check=True, capture_output=True).stdout.splitlines(keepends=True)
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("first.jsonl", "all.jsonl")]
        for file, some in zip(files, (lines[:1], lines)):
            with open(file, "wb") as out:
                out.writelines(some)
        command = [volant, "eval", "-w", workspace, "--model", "production", "--json", "--data"] if is_language else \
                  [volant, "predict", "-w", workspace]
        start, whole = (seconds_of([*command, file]) for file in files)
    return len(lines), (len(lines) - 1) / (whole - start)


def run(volant, examples, work, name):
    workspace = os.path.join(work, name)
    if not os.path.exists(workspace):
        ignore = shutil.ignore_patterns(".volant", "node_modules")
        shutil.copytree(os.path.join(examples, name), workspace, ignore=ignore)
    whole = seconds_of([volant, "run", workspace])
    versions = json.loads(call([volant, "models", "--workspace", workspace, "--json"]))["versions"]
    metrics = next(v for v in versions if "production" in v["aliases"])["metrics"]
    key, scale, text = next(figure for figure in FIGURES if figure[0] in metrics)
    figure = [scale * x for x in (metrics[key]["value"], *metrics[key]["ci95"])]
    with open(sorted(glob.glob(workspace + "/.volant/runs/train-*/events.jsonl"))[-1]) as file:
        events = [json.loads(line) for line in file]
    test_file = glob.glob(workspace + "/.volant/artifacts/*/rows/test.jsonl.zst")[0]
    rows, speed = rows_per_second(volant, workspace, test_file, key == "bits_per_byte")
    return {"example": name, "figure": key, "value": figure[0], "ci95": figure[1:], "text": text.format(*figure),
            "train_seconds": events[-1]["seconds"], "steps": events[-1]["step"], "run_seconds": whole, "test_rows": metrics.get("documents", rows),
            "rows_per_second": speed}


def main():
    volant, examples, work, result_file, *names = sys.argv[1:]
    results = []
    print("| example | figure (95 %) | test rows | training | whole `volant run` | rows judged a second |\n| --- | --- | --- | --- | --- | --- |")
    for name in names:
        one = run(volant, examples, work, name)
        results.append(one)
        print(f"| `{name}` | {one['text']} | {one['test_rows']:,} | {one['train_seconds']:.1f} s, {one['steps']:,} steps | "
              f"{one['run_seconds']:.1f} s | {one['rows_per_second']:,.0f} |", flush=True)
    load = os.getloadavg()
    with open(result_file, "w") as file:
        json.dump({"load_average": load, "cores": os.cpu_count(), "results": results}, file, indent=1)
    print(f"wrote {result_file}; load average {load[0]:.1f} (a quiet machine has about {os.cpu_count()})")


if __name__ == "__main__":
    main()
