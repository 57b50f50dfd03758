"""A BERT that classifies (Devlin et al. 2018) in eager PyTorch, as people write it: rows padded to the longest of their
batch, one fused product for query, key and value. Reads and starts as Hugging Face's files and their config.json say; no dropout.
"""
import json
import math
import struct

import numpy as np
import torch
import torch.nn.functional as F

DTYPES = {"F32": np.float32, "F16": np.float16}


class Layer(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner, eps = config["hidden_size"], config["intermediate_size"], config.get("layer_norm_eps", 1e-12)
        self.heads = config["num_attention_heads"]
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, inner), torch.nn.Linear(inner, width)
        self.norm1, self.norm2 = torch.nn.LayerNorm(width, eps), torch.nn.LayerNorm(width, eps)

    def forward(self, x, mask):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(c, -1))
        scores = (q @ k.transpose(2, 3)) / math.sqrt(q.shape[-1]) + mask
        seen = (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.out(seen))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Bert(torch.nn.Module):
    def __init__(self, config, n_labels):
        super().__init__()
        width = config["hidden_size"]
        self.words = torch.nn.Embedding(config["vocab_size"], width)
        self.places = torch.nn.Embedding(config["max_position_embeddings"], width)
        self.types = torch.nn.Embedding(config.get("type_vocab_size", 2), width)
        self.norm = torch.nn.LayerNorm(width, config.get("layer_norm_eps", 1e-12))
        self.layers = torch.nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.pooler, self.classifier = torch.nn.Linear(width, width), torch.nn.Linear(width, n_labels)
        for module in self.modules():
            if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
                torch.nn.init.normal_(module.weight, 0, config.get("initializer_range", 0.02))
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.zeros_(module.bias)

    def forward(self, ids, lengths):
        """ids [rows, longest], padded with anything; lengths [rows]."""
        places = torch.arange(ids.shape[1])
        x = self.norm(self.words(ids) + self.types.weight[0] + self.places.weight[: ids.shape[1]])
        mask = torch.zeros(ids.shape).masked_fill_(places >= lengths[:, None], float("-inf"))[:, None, None]
        for layer in self.layers:
            x = layer(x, mask)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, one in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and one["dtype"] in DTYPES:
            begin, end = (8 + size + offset for offset in one["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], DTYPES[one["dtype"]]).reshape(one["shape"]).astype(np.float32)
    return tensors


def load(model, folder):
    """The encoder's weights from a Hugging Face folder; the classifier keeps those it starts with."""
    files = {name.removeprefix("bert."): torch.from_numpy(x) for name, x in read_safetensors(folder + "/model.safetensors").items()}

    def of(module, name):
        with torch.no_grad():
            for part in ("weight", "bias"):
                if hasattr(module, part):
                    getattr(module, part).copy_(files[f"{name}.{part}"])

    for module, name in ((model.words, "word_embeddings"), (model.places, "position_embeddings"),
                         (model.types, "token_type_embeddings"), (model.norm, "LayerNorm")):
        of(module, "embeddings." + name)
    for i, layer in enumerate(model.layers):
        root = f"encoder.layer.{i}."
        for part in ("weight", "bias"):
            files[root + "qkv." + part] = torch.cat([files[f"{root}attention.self.{name}.{part}"] for name in ("query", "key", "value")])
        for module, name in ((layer.qkv, "qkv"), (layer.out, "attention.output.dense"), (layer.norm1, "attention.output.LayerNorm"),
                             (layer.up, "intermediate.dense"), (layer.down, "output.dense"), (layer.norm2, "output.LayerNorm")):
            of(module, root + name)
    if "pooler.dense.weight" in files:
        of(model.pooler, "pooler.dense")
