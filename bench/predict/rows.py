"""Rows as `volant run` prepares them (JSON Lines, zstd), and their features by the encoder.json beside them."""
import base64
import io
import json
import subprocess

import numpy as np


def read_rows(file):
    out = subprocess.run(["zstdcat", file], check=True, capture_output=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def image_features(rows, encoder):
    from PIL import Image

    pictures = [Image.open(io.BytesIO(base64.b64decode(row["input"]["image"].split(",", 1)[1]))) for row in rows]
    pixels = np.stack([np.asarray(picture, np.float32) for picture in pictures])[:, None] / 255
    return (pixels - np.float32(encoder["mean"][0])) / np.float32(encoder["deviation"][0])


def table_features(rows, encoder):
    columns = []
    for field in encoder["fields"]:
        values = [row["input"].get(field["name"]) for row in rows]
        missing = np.array([value is None for value in values], np.float32)
        if field["type"] == "number":
            x = np.array([field["median"] if value is None else value for value in values], np.float64)
            columns.append(((x - field["mean"]) / field["deviation"]).astype(np.float32)[:, None])
        else:
            index = {value: i for i, value in enumerate(field["values"])}
            one_hot = np.zeros((len(rows), len(index) + 1), np.float32)  # the last: rare or unknown
            for i, value in enumerate(values):
                if value is not None or not field["gaps"]:
                    one_hot[i, index.get(value, len(index))] = 1
            columns.append(one_hot)
        if field["gaps"]:
            columns.append(missing[:, None])
    return np.concatenate(columns, 1)


def features_of(rows, encoder):
    return image_features(rows, encoder) if encoder["task"] == "image" else table_features(rows, encoder)
