"""A small reader and writer of .safetensors files (8-byte header length, JSON header, raw little-endian tensors).

Reading maps the file, so that a tensor costs memory when it is used. List one: `python3 -m tessera_training.safetensors_file model.safetensors`.
"""
from __future__ import annotations

import json
import math
import os
import struct
import sys

import numpy as np
import torch

# Names of the format -> (type of PyTorch, type under which numpy carries the bytes; it has no bfloat16).
_TYPES = {"F32": (torch.float32, np.dtype("<f4")), "I64": (torch.int64, np.dtype("<i8")), "F16": (torch.float16, np.dtype("<f2")),
          "BF16": (torch.bfloat16, np.dtype("<i2"))}
_NAMES = {kind: name for name, (kind, _) in _TYPES.items()}
_MAX_HEADER = 100_000_000


def write(path: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes float32, float16, bfloat16 and int64 tensors, in the order given."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise ValueError(f"{path}: {name} is {tensor.dtype}, expected one of {', '.join(map(str, _NAMES))}")
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in tensors.values():
            plain = tensor.detach().cpu().contiguous()
            file.write((plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy().tobytes())
    os.replace(path + ".part", path)  # an older file of this name may still be mapped by a reader


def read(path: str) -> dict[str, torch.Tensor]:
    """All tensors of a file; changing one does not change the file."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", (file.read(8) + bytes(8))[:8])
        if length > min(size - 8, _MAX_HEADER):
            raise ValueError(f"{path}: header: expected at most {size - 8} bytes, found {length}")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError(f"{path}: header: expected JSON, found {error}") from None
    data = np.memmap(path, dtype=np.uint8, mode="c", offset=8 + length) if size > 8 + length else np.zeros(0, np.uint8)
    return {name: _tensor(path, name, entry, data) for name, entry in header.items() if name != "__metadata__"}


def _tensor(path: str, name: str, entry: dict, data: np.ndarray) -> torch.Tensor:
    dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in _TYPES or not 0 <= start <= end <= len(data) or end - start != math.prod(shape) * _TYPES[dtype][1].itemsize:
        raise ValueError(f"{path}: {name}: bad type {dtype}, shape {shape} or offsets {start}..{end} in {len(data)} bytes")
    kind, carrier = _TYPES[dtype]
    tensor = torch.from_numpy(data[start:end].view(carrier).reshape(shape))
    return tensor.view(torch.bfloat16) if kind == torch.bfloat16 else tensor


if __name__ == "__main__":
    for tensor_name, value in read(sys.argv[1]).items():
        print(tensor_name, tuple(value.shape), value.dtype)
