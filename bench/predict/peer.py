#!/usr/bin/python3
"""The peer: the network of a job.json in eager PyTorch (Debian's python3-torch), trained as the job says.

peer.py JOB TEST_ROWS SEED THREADS prints one JSON line: seconds of the steps and the evaluations between them (as
volant-train counts them), of the whole program, predicted labels of the test rows, and rows predicted in a second.
"""
import json
import math
import sys
import time

started = time.perf_counter()
import torch
import torch.nn.functional as F

from rows import features_of, read_rows

DEFAULTS = {"lr": 1e-3, "min_lr_ratio": 0.1, "warmup_steps": 20, "schedule": "cosine", "weight_decay": 0.1, "beta1": 0.9,
            "beta2": 0.95, "eps": 1e-8, "grad_clip": 1.0, "evaluate_every": 100}


def network(layers, shape, outputs):
    """torch.nn's own layers with their own starting weights; `shape` of one input."""
    modules, x = [], torch.zeros(1, *shape)
    for layer in layers:
        kind = layer["type"]
        if kind == "conv":
            module = torch.nn.Conv2d(x.shape[1], layer["channels"], layer["kernel"])
        elif kind == "relu":
            module = torch.nn.ReLU()
        elif kind == "max_pool":
            module = torch.nn.MaxPool2d(layer["size"])
        elif kind == "dropout":
            module = torch.nn.Dropout(layer["p"])
        elif kind == "dense":
            if x.dim() > 2:
                modules.append(torch.nn.Flatten())
                x = x.flatten(1)
            module = torch.nn.Linear(x.shape[1], layer["units"])
        else:
            sys.exit(f"the peer has no layer '{kind}'")
        modules.append(module)
        x = module(x)
    modules.append(torch.nn.Linear(x.shape[1], outputs))
    return torch.nn.Sequential(*modules)


def rate(job, step, steps):
    if step < job["warmup_steps"]:
        return job["lr"] * (step + 1) / job["warmup_steps"]
    if job["schedule"] == "constant":
        return job["lr"]
    warm = min(job["warmup_steps"] / steps, 0.999)
    p = min(max((step / steps - warm) / (1 - warm), 0), 1)
    low = job["lr"] * job["min_lr_ratio"]
    return low + (job["lr"] - low) * 0.5 * (1 + math.cos(math.pi * p))


def outputs_of(model, x, batch=256):
    model.eval()
    with torch.inference_mode():
        out = torch.cat([model(part) for part in x.split(batch)])
    model.train()
    return out


def main():
    job_file, test_file, seed, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with open(job_file) as file:
        source = json.load(file)
    job = {**DEFAULTS, **source}
    with open(job["encoder"] + "/encoder.json") as file:
        encoder = json.load(file)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    train, validation = read_rows(job["data"]["train_rows"]), read_rows(job["data"]["validation_rows"])
    labels = sorted({row["label"] for row in train})
    number = {label: i for i, label in enumerate(labels)}
    binary = job.get("predict", {}).get("loss") == "binary_cross_entropy"
    truth = lambda rows: torch.tensor([number[row["label"]] for row in rows])
    x, y = torch.from_numpy(features_of(train, encoder)), truth(train)
    x_validation, y_validation = torch.from_numpy(features_of(validation, encoder)), truth(validation)
    model = network(job["model"]["config"]["layers"], x.shape[1:], 1 if binary else len(labels))
    optimiser = torch.optim.Adam(model.parameters(), lr=job["lr"], betas=(job["beta1"], job["beta2"]), eps=job["eps"],
                                 weight_decay=job["weight_decay"], foreach=True)

    def loss_of(out, target):
        if binary:
            return F.binary_cross_entropy_with_logits(out[:, 0], target.float())
        return F.cross_entropy(out, target)

    batch = job["predict"]["batch_size"]
    steps = math.ceil(len(train) / batch) * int(job["epochs"])
    begun, step = time.perf_counter(), 0
    for _ in range(int(job["epochs"])):
        for rows in torch.randperm(len(train)).split(batch):
            for group in optimiser.param_groups:
                group["lr"] = rate(job, step, steps)
            optimiser.zero_grad(set_to_none=True)
            loss_of(model(x[rows]), y[rows]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), job["grad_clip"])
            optimiser.step()
            step += 1
            if step % job["evaluate_every"] == 0 or step == steps:
                loss_of(outputs_of(model, x_validation), y_validation).item()
    seconds = time.perf_counter() - begun

    begun = time.perf_counter()
    test = read_rows(test_file)
    x_test = torch.from_numpy(features_of(test, encoder))
    read = time.perf_counter()
    out = outputs_of(model, x_test)
    answered = time.perf_counter()
    said = (out[:, 0] > 0).long() if binary else out.argmax(1)
    print(json.dumps({"torch": torch.__version__, "seconds": seconds, "seconds_of_program": time.perf_counter() - started,
                      "rows_per_second": len(test) / (answered - begun), "rows_per_second_forward": len(test) / (answered - read),
                      "labels": [labels[i] for i in said.tolist()]}))


if __name__ == "__main__":
    main()
