#!/usr/bin/python3
"""The peer: the network or BERT of a job.json in eager PyTorch (Debian's python3-torch), trained as the job says.

peer.py JOB TEST_ROWS SEED THREADS prints one JSON line: seconds of the steps and the evaluations between them (as
volant-train counts them), of the whole program, predicted labels of the test rows, and rows predicted in a second.
With TEXT_DTYPE=bf16 a BERT learns and predicts in torch.autocast, as PyTorch's documentation says to.
"""
import json
import math
import os
import sys
import time

started = time.perf_counter()
import torch
import torch.nn.functional as F

from bert import Bert, load
from rows import features_of, read_rows
from texts import WordPiece

DEFAULTS = {"lr": 1e-3, "min_lr_ratio": 0.1, "warmup_steps": 20, "schedule": "cosine", "weight_decay": 0.1, "beta1": 0.9,
            "beta2": 0.95, "eps": 1e-8, "grad_clip": 1.0, "evaluate_every": 100,
            "optimizer": "adamw"}


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


class Numbers:
    """Inputs [rows, ...] as a network reads them."""

    def __init__(self, features):
        self.x = torch.from_numpy(features)

    def __len__(self):
        return len(self.x)

    def take(self, rows):
        return (self.x[rows],)

    def parts(self):
        return torch.arange(len(self)).split(256)


class Texts:
    """Ids as a BERT reads them, padded to the longest of a batch."""

    def __init__(self, ids, n_vocab):
        self.n_vocab = n_vocab
        self.ids, self.lengths = [torch.tensor(one) for one in ids], torch.tensor([len(one) for one in ids])

    def __len__(self):
        return len(self.ids)

    def take(self, rows):
        ids = torch.nn.utils.rnn.pad_sequence([self.ids[row] for row in rows.tolist()], batch_first=True)
        return ids, self.lengths[rows]

    def parts(self):
        """Texts of about one length together, so that little is padded."""
        return self.lengths.argsort().split(64)


def rate(job, step, steps):
    if step < job["warmup_steps"]:
        return job["lr"] * (step + 1) / job["warmup_steps"]
    if job["schedule"] == "constant":
        return job["lr"]
    warm = min(job["warmup_steps"] / steps, 0.999)
    p = min(max((step / steps - warm) / (1 - warm), 0), 1)
    low = job["lr"] * job["min_lr_ratio"]
    return low + (job["lr"] - low) * 0.5 * (1 + math.cos(math.pi * p))


def outputs_of(model, inputs, bf16):
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        parts = inputs.parts()
        out = torch.cat([model(*inputs.take(rows)).float() for rows in parts])
        out = out[torch.cat(parts).argsort()]
    model.train()
    return out


def make_model(job, inputs, outputs):
    """With the groups of its parameters: vectors of a BERT do not decay."""
    if isinstance(inputs, Numbers):
        model = network(job["model"]["config"]["layers"], inputs.x.shape[1:], outputs)
        return model, [{"params": list(model.parameters()), "weight_decay": job["weight_decay"]}]
    start = job["model"].get("init_from")
    config = job["model"].get("config")
    if start:
        with open(start + "/config.json") as file:
            config = json.load(file)
    model = Bert({"vocab_size": inputs.n_vocab, **config}, outputs)
    if start:
        load(model, start)
    matrices, vectors = ([p for p in model.parameters() if (p.dim() > 1) == many] for many in (True, False))
    return model, [{"params": matrices, "weight_decay": job["weight_decay"]}, {"params": vectors, "weight_decay": 0}]


def main():
    job_file, test_file, seed, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with open(job_file) as file:
        source = json.load(file)
    job = {**DEFAULTS, **source}
    with open(job["encoder"] + "/encoder.json") as file:
        encoder = json.load(file)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    if encoder["task"] == "text":
        words = WordPiece(job["encoder"])
        inputs_of = lambda rows: Texts([words.encode(row["input"]["text"]) for row in rows], len(words.ids))
    else:
        inputs_of = lambda rows: Numbers(features_of(rows, encoder))
    bf16 = encoder["task"] == "text" and os.environ.get("TEXT_DTYPE") == "bf16"
    train, validation = read_rows(job["data"]["train_rows"]), read_rows(job["data"]["validation_rows"])
    labels = sorted({row["label"] for row in train})
    number = {label: i for i, label in enumerate(labels)}
    binary = job.get("predict", {}).get("loss") == "binary_cross_entropy"
    truth = lambda rows: torch.tensor([number[row["label"]] for row in rows])
    x, y = inputs_of(train), truth(train)
    x_validation, y_validation = inputs_of(validation), truth(validation)
    model, groups = make_model(job, x, 1 if binary else len(labels))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[job["optimizer"]]
    optimiser = kind(groups, lr=job["lr"], betas=(job["beta1"], job["beta2"]), eps=job["eps"], foreach=True)

    def loss_of(out, target):
        if binary:
            return F.binary_cross_entropy_with_logits(out[:, 0], target.float())
        return F.cross_entropy(out, target)

    batch = job["predict"]["batch_size"]
    steps = math.ceil(len(train) / batch) * int(job["epochs"])
    job["warmup_steps"] = min(job["warmup_steps"], steps // 10)  # as volant-train, where epochs say how long
    begun, step = time.perf_counter(), 0
    for _ in range(int(job["epochs"])):
        for rows in torch.randperm(len(train)).split(batch):
            for group in optimiser.param_groups:
                group["lr"] = rate(job, step, steps)
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                out = model(*x.take(rows))
            loss_of(out.float(), y[rows]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), job["grad_clip"])
            optimiser.step()
            step += 1
            if step % job["evaluate_every"] == 0 or step == steps:
                loss_of(outputs_of(model, x_validation, bf16), y_validation).item()
    seconds = time.perf_counter() - begun

    begun = time.perf_counter()
    test = read_rows(test_file)
    x_test = inputs_of(test)
    read = time.perf_counter()
    out = outputs_of(model, x_test, bf16)
    answered = time.perf_counter()
    said = (out[:, 0] > 0).long() if binary else out.argmax(1)
    print(json.dumps({"torch": torch.__version__, "seconds": seconds, "seconds_of_program": time.perf_counter() - started,
                      "dtype": "bf16" if bf16 else "f32",
                      "rows_per_second": len(test) / (answered - begun), "rows_per_second_forward": len(test) / (answered - read),
                      "labels": [labels[i] for i in said.tolist()]}))


if __name__ == "__main__":
    main()
