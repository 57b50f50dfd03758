"""Runs bench_train and peer.py in turns and compares; called by run.sh."""
import json
import os
import statistics
import subprocess
import sys

MODELS = {  # layers width heads kv_heads ffn vocab sequences length
    "4 layers, 256 wide, vocabulary 8,192": (4, 256, 4, 2, 704, 8192, 16, 256),
    "6 layers, 288 wide, vocabulary 32,000": (6, 288, 6, 6, 768, 32000, 16, 256),
}


def flops_per_token(layers, width, heads, kv_heads, ffn, vocab, sequences, length):
    kv = width // heads * kv_heads
    matrices = layers * width * (2 * width + 2 * kv + 3 * ffn) + vocab * width
    return 6 * matrices + 6 * layers * width * (length + 1)  # attention: the causal half


def main():
    ours, peer, rounds, threads, steps, tuned = sys.argv[1:7]
    results = []
    for name, model in MODELS.items():
        for dtype in ("bf16", "f32"):
            arguments = [str(n) for n in model] + [dtype, threads, steps]
            runs = {"volant": [], "pytorch": []}
            for _ in range(int(rounds)):
                for who, command, extra in (("volant", [ours], {}),
                                            ("pytorch", ["/usr/bin/python3", peer], {"GLIBC_TUNABLES": tuned})):
                    out = subprocess.run(command + arguments, env={**os.environ, **extra}, check=True, capture_output=True)
                    runs[who].append(json.loads(out.stdout))
            speed = {who: statistics.median(r["tokens_per_second"] for r in all_runs) for who, all_runs in runs.items()}
            peak = max(r["peak_gflops"] for r in runs["volant"])
            flops = flops_per_token(*model)
            row = {"model": name, "dtype": dtype, "batch": f"{model[6]} x {model[7]}", "threads": int(threads),
                   "rounds": int(rounds), "peak_gflops": peak,
                   "volant_tokens_per_second": speed["volant"], "pytorch_tokens_per_second": speed["pytorch"],
                   "volant_mfu": round(speed["volant"] * flops / peak / 1e9, 3),
                   "pytorch_mfu": round(speed["pytorch"] * flops / peak / 1e9, 3),
                   "ratio": round(speed["volant"] / speed["pytorch"], 2), "runs": runs}
            results.append(row)
            print(f"{name}, {dtype}: volant {speed['volant']:,.0f} tokens/s (MFU {row['volant_mfu']:.2f}), "
                  f"PyTorch {speed['pytorch']:,.0f} (MFU {row['pytorch_mfu']:.2f}), ratio {row['ratio']:.2f}", flush=True)
    load = os.getloadavg()
    path = os.path.join(os.path.dirname(os.path.abspath(peer)), "result.json")
    with open(path, "w") as file:
        json.dump({"torch": results[0]["runs"]["pytorch"][0]["torch"], "load_average": load, "results": results}, file, indent=1)
    print(f"wrote {path}; load average {load[0]:.1f} (a quiet machine has about {threads})")


if __name__ == "__main__":
    main()
