#!/usr/bin/python3
"""The peer of bench_train: the same Llama or GPT-2, batch and optimiser in PyTorch, eager or with torch.compile.

Same arguments as bench_train; a last one, "compiled", asks for torch.compile. Prints one JSON line. bf16 is
torch.autocast, as its documentation says to train. Attention is PyTorch's own where it has it (2.0 on), AdamW its
fused one on a GPU. Threads, the AVX512 kernels and glibc's malloc are tuned by run.sh, so that the peer is at its
best on a CPU.
"""
import json
import math
import resource
import sys
import time

import torch
import torch.nn.functional as F


def attention(q, k, v, mask):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    scores = (q @ k.transpose(2, 3)) / math.sqrt(q.shape[-1]) + mask
    return (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)


class LlamaLayer(torch.nn.Module):
    def __init__(self, width, heads, kv_heads, ffn):
        super().__init__()
        self.heads, self.kv_heads, self.dim = heads, kv_heads, width // heads
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.q, self.k, self.v = linear(width, width), linear(width, kv_heads * self.dim), linear(width, kv_heads * self.dim)
        self.o, self.gate, self.up, self.down = linear(width, width), linear(width, ffn), linear(width, ffn), linear(ffn, width)
        self.norm1, self.norm2 = torch.nn.Parameter(torch.ones(width)), torch.nn.Parameter(torch.ones(width))

    def forward(self, x, cos, sin, mask):
        b, t, c = x.shape
        h = rms_norm(x, self.norm1)
        heads = lambda y, n: y.view(b, t, n, self.dim).transpose(1, 2)
        q, k, v = heads(self.q(h), self.heads), heads(self.k(h), self.kv_heads), heads(self.v(h), self.kv_heads)
        q, k = rope(q, cos, sin), rope(k, cos, sin)
        if self.kv_heads != self.heads:
            k = k.repeat_interleave(self.heads // self.kv_heads, 1)
            v = v.repeat_interleave(self.heads // self.kv_heads, 1)
        x = x + self.o(attention(q, k, v, mask))
        h = rms_norm(x, self.norm2)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


def rms_norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def rope(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Llama(torch.nn.Module):
    def __init__(self, layers, width, heads, kv_heads, ffn, vocab, length):
        super().__init__()
        self.embed = torch.nn.Embedding(vocab, width)
        self.layers = torch.nn.ModuleList(LlamaLayer(width, heads, kv_heads, ffn) for _ in range(layers))
        self.norm = torch.nn.Parameter(torch.ones(width))
        dim = width // heads
        angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, dim, 2) / dim)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        self.register_buffer("mask", torch.full((length, length), float("-inf")).triu(1))

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin, self.mask)
        return rms_norm(x, self.norm) @ self.embed.weight.t()


class Gpt2Layer(torch.nn.Module):
    def __init__(self, width, heads, ffn):
        super().__init__()
        self.heads = heads
        self.qkv, self.o = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, ffn), torch.nn.Linear(ffn, width)
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)

    def forward(self, x, mask):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(c, -1))
        x = x + self.o(attention(q, k, v, mask))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(torch.nn.Module):
    def __init__(self, layers, width, heads, ffn, vocab, length):
        super().__init__()
        self.embed, self.places = torch.nn.Embedding(vocab, width), torch.nn.Embedding(length, width)
        self.layers = torch.nn.ModuleList(Gpt2Layer(width, heads, ffn) for _ in range(layers))
        self.norm = torch.nn.LayerNorm(width)
        self.register_buffer("mask", torch.full((length, length), float("-inf")).triu(1))

    def forward(self, ids):
        x = self.embed(ids) + self.places.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, self.mask)
        return F.linear(self.norm(x), self.embed.weight)


def main():
    layers, width, heads, kv_heads, ffn, vocab, batch, length = map(int, sys.argv[2:10])
    bf16, threads, steps = sys.argv[10] == "bf16", int(sys.argv[11]), int(sys.argv[12])
    device, compiled = sys.argv[13] if len(sys.argv) > 13 else "cpu", sys.argv[14:] == ["compiled"]
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if sys.argv[1] == "llama":
        model = Llama(layers, width, heads, kv_heads, ffn, vocab, length)
    else:
        model = Gpt2(layers, width, heads, ffn, vocab, length)
    for p in model.parameters():
        if p.dim() > 1:
            torch.nn.init.normal_(p, 0, 0.02)
    model.to(device)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    how = {"fused": True} if device == "cuda" else {"foreach": True}
    optimiser = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), **how)
    ids = torch.randint(0, vocab, (batch, length)).to(device)
    targets = torch.randint(0, vocab, (batch, length)).to(device)
    forward = torch.compile(model) if compiled else model
    warm_up = 5 if compiled else 2  # steps
    seconds = []
    for step in range(steps + warm_up):
        begin = time.perf_counter()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
            logits = forward(ids)
            loss = F.cross_entropy(logits.view(-1, vocab).float(), targets.view(-1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        wait()
        if step >= warm_up:
            seconds.append(time.perf_counter() - begin)
    seconds.sort()
    median = seconds[len(seconds) // 2]
    print(json.dumps({"tokens_per_second": round(batch * length / median, 1), "seconds": round(median, 5),
                      "best_seconds": round(seconds[0], 5), "loss": round(loss.item(), 4),
                      "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
