"""A small reader and writer of .safetensors files (8-byte header length, JSON header, raw little-endian tensors).

List one: `python3 -m tessera_training.safetensors_file model.safetensors`.
"""
from __future__ import annotations

import json
import struct
import sys

import numpy as np
import torch

_TYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
_NAMES = {np.dtype("<f4"): "F32", np.dtype("<i8"): "I64"}


def write(path: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes float32 and int64 tensors, in the order given."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    blobs, offset = [], 0
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.detach().cpu().numpy())
        if array.dtype not in _NAMES:
            raise ValueError(f"{path}: {name} is {array.dtype}, expected float32 or int64")
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + array.nbytes]}
        blobs.append(array)
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for array in blobs:
            file.write(array.tobytes())


def read(path: str) -> dict[str, torch.Tensor]:
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        if entry["dtype"] not in _TYPES or 8 + length + end > len(data):
            raise ValueError(f"{path}: {name}: bad type {entry['dtype']} or offsets {start}..{end}")
        array = np.frombuffer(data[8 + length + start:8 + length + end], dtype=_TYPES[entry["dtype"]])
        tensors[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return tensors


if __name__ == "__main__":
    for tensor_name, value in read(sys.argv[1]).items():
        print(tensor_name, tuple(value.shape), value.dtype)
