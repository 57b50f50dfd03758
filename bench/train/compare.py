"""Runs bench_train and peer.py in turns and compares; called by run.sh (CPU) and cuda.sh (GPU)."""
import json
import os
import statistics
import subprocess
import sys

MODELS = {  # family layers width heads kv_heads ffn vocab sequences length
    "GPT-2 124M": ("gpt2", 12, 768, 12, 12, 3072, 50257, 2, 512),
    "GPT-2, 6 layers, 384 wide, vocabulary 65": ("gpt2", 6, 384, 6, 6, 1536, 65, 32, 256),
    "Llama, 6 layers, 288 wide, vocabulary 32,000": ("llama", 6, 288, 6, 6, 768, 32000, 16, 256),
    "GPT-2, 4 layers, 128 wide, vocabulary 65": ("gpt2", 4, 128, 4, 4, 512, 65, 12, 64),
}


MODELS_OF_A_GPU = {
    "GPT-2 124M": ("gpt2", 12, 768, 12, 12, 3072, 50304, 16, 1024),
    "GPT-2 1.5B": ("gpt2", 48, 1600, 25, 25, 6400, 50304, 4, 1024),
}
MODELS_TO_TRY = {"GPT-2, 2 layers, 64 wide": ("gpt2", 2, 64, 4, 4, 256, 65, 4, 64)}
NAMES = {"volant": "Volant", "pytorch": "PyTorch", "compiled": "torch.compile"}


def flops_per_token(model, whole_attention):
    """Of training; a causal model needs half of attention, the usual convention (6 N and attention) counts it whole."""
    family, layers, width, heads, kv_heads, ffn, vocab, _, length = model
    kv = width // heads * kv_heads
    in_mlp = 3 if family == "llama" else 2  # matrices
    matrices = layers * width * (2 * width + 2 * kv + in_mlp * ffn) + vocab * width
    return 6 * matrices + 6 * layers * width * (2 * length if whole_attention else length + 1)


def measure(ours, peer, model, dtype, rounds, threads, steps, tuned):
    """Runs of all, in turns. DEVICE: cpu or cuda; COMPILED=1: torch.compile too; PYTHON: whose torch it is."""
    arguments = [str(n) for n in model] + [dtype, threads, str(steps), os.environ.get("DEVICE", "cpu")]
    python = [os.environ.get("PYTHON", "/usr/bin/python3"), peer]
    sides = [("volant", [ours] + arguments, {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}),
             ("pytorch", python + arguments, {"GLIBC_TUNABLES": tuned})]
    if os.environ.get("COMPILED") == "1":
        sides.append(("compiled", python + arguments + ["compiled"], {"GLIBC_TUNABLES": tuned}))
    runs = {who: [] for who, _, _ in sides}
    for _ in range(rounds):
        for who, command, extra in sides:
            out = subprocess.run(command, env={**os.environ, **extra}, stdout=subprocess.PIPE, check=True)
            runs[who].append(json.loads(out.stdout))
    return runs


def compare(name, model, dtype, runs):
    speed = {who: [r["tokens_per_second"] for r in all_runs] for who, all_runs in runs.items()}
    middle = {who: statistics.median(values) for who, values in speed.items()}
    peak = max(r["peak_gflops"] for r in runs["volant"])
    flops, usual = flops_per_token(model, False), flops_per_token(model, True)
    row = {"model": name, "dtype": dtype, "batch": f"{model[7]} x {model[8]}", "rounds": len(runs["volant"]),
           "peak_gflops": peak, "ratio": round(middle["volant"] / middle["pytorch"], 2)}
    for who in runs:
        row[who] = {"tokens_per_second": middle[who], "least": min(speed[who]), "most": max(speed[who]),
                    "gflops": round(middle[who] * flops / 1e9, 1), "mfu": round(middle[who] * flops / peak / 1e9, 3),
                    "mfu_whole_attention": round(middle[who] * usual / peak / 1e9, 3),
                    "peak_memory_mb": max(r["peak_memory_mb"] for r in runs[who])}
    return row


def line(row):
    sides = [f"{name} {row[who]['tokens_per_second']:,.0f} tokens/s ({row[who]['least']:,.0f} to {row[who]['most']:,.0f}; "
             f"MFU {row[who]['mfu']:.2f}, with attention counted whole {row[who]['mfu_whole_attention']:.2f}, "
             f"{row[who]['peak_memory_mb']:,.0f} MB)"
             for who, name in NAMES.items() if who in row]
    return f"{row['model']}, {row['batch']}, {row['dtype']}: {', '.join(sides)}, ratio {row['ratio']:.2f}"


def main():
    ours, peer, rounds, threads, steps, tuned = sys.argv[1:7]
    models = {"": MODELS, "gpu": MODELS_OF_A_GPU, "try": MODELS_TO_TRY}[os.environ.get("SHAPES", "")]
    only, dtypes = os.environ.get("MODELS", ""), os.environ.get("DTYPES", "bf16").split()
    results = []
    for name, model in models.items():
        if only not in name:
            continue
        for dtype in dtypes:
            small = model[7] * model[8] < 1024
            runs = measure(ours, peer, model, dtype, int(rounds), threads, int(steps) * (25 if small else 1), tuned)
            results.append(compare(name, model, dtype, runs) | {"threads": int(threads), "runs": runs})
            print(line(results[-1]), flush=True)
    if not results:
        sys.exit(f"MODELS={only!r} is in no name of: {', '.join(models)}")
    load = os.getloadavg()
    path = os.environ.get("RESULT", os.path.join(os.path.dirname(os.path.abspath(peer)), "result.json"))
    with open(path, "w") as file:
        json.dump({"torch": results[0]["runs"]["pytorch"][0]["torch"], "load_average": load, "results": results}, file, indent=1)
    print(f"wrote {path}; load average {load[0]:.1f} (a quiet machine has about {threads})")


if __name__ == "__main__":
    main()
