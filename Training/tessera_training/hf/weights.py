"""Weights of a checkpoint: model.safetensors, or shards with model.safetensors.index.json; and the whole folder as a model."""
from __future__ import annotations

import json
import os

import torch

from .. import safetensors_file
from .config import DTYPES, HfConfig, load, read_json
from .errors import CheckpointError
from .model import HfDecoder

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_tensors(folder: str) -> dict[str, torch.Tensor]:
    """Tensors of all files, mapped: each costs memory when it is used."""
    single = os.path.join(folder, SINGLE)
    if os.path.exists(single):
        return _read_file(single)
    if not os.path.exists(os.path.join(folder, INDEX)):
        raise CheckpointError(folder, "weights", f"{SINGLE} or {INDEX}", "neither")
    places = read_json(os.path.join(folder, INDEX)).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(INDEX, "weight_map", "an object that is not empty", places)
    tensors: dict[str, torch.Tensor] = {}
    for shard in dict.fromkeys(places.values()):
        if not isinstance(shard, str) or os.path.basename(shard) != shard or not os.path.exists(os.path.join(folder, shard)):
            raise CheckpointError(INDEX, "weight_map", "names of files beside it", repr(shard))
        found = _read_file(os.path.join(folder, shard))
        missing = [name for name, place in places.items() if place == shard and name not in found]
        if missing:
            raise CheckpointError(shard, missing[0], f"the tensor that {INDEX} says is there", "none")
        tensors |= {name: tensor for name, tensor in found.items() if places.get(name) == shard}
    return tensors


def _read_file(path: str) -> dict[str, torch.Tensor]:
    try:
        return safetensors_file.read(path)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(os.path.basename(path), "the file", "a safetensors file", error) from None


def write_tensors(folder: str, tensors: dict[str, torch.Tensor], shard_bytes: int | None = None) -> None:
    """Writes model.safetensors, or shards of at most `shard_bytes` (at least one tensor each) with their index."""
    shards: list[dict[str, torch.Tensor]] = [{}]
    used = total = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if shard_bytes is not None and shards[-1] and used + size > shard_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += size
        total += size
    if len(shards) == 1:
        safetensors_file.write(os.path.join(folder, SINGLE), tensors, {"format": "pt"})
        return
    places = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        safetensors_file.write(os.path.join(folder, file), shard, {"format": "pt"})
        places |= dict.fromkeys(shard, file)
    write_json(os.path.join(folder, INDEX), {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))})


def write_json(path: str, value: object) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def check_tensors(config: HfConfig, tensors: dict[str, torch.Tensor], source: str = SINGLE) -> HfDecoder:
    """The model's modules without memory, after a check that each parameter is there in its shape, and nothing else.

    Old files' rotary buffers, and the copy of a tied head, may be there.
    """
    model = HfDecoder(config, torch.device("meta"))
    known = dict(model.named_parameters())
    for name, parameter in known.items():
        if name not in tensors:
            raise CheckpointError(source, name, f"a tensor {list(parameter.shape)}", "none")
        found = tensors[name]
        if found.shape != parameter.shape:
            raise CheckpointError(source, name, f"shape {list(parameter.shape)} (config.json)", list(found.shape))
        if not found.dtype.is_floating_point:
            raise CheckpointError(source, name, "floating point", found.dtype)
    unknown = [name for name in tensors if name not in known and not name.endswith("rotary_emb.inv_freq") and not (config.tied and name == "lm_head.weight")]
    if unknown:
        raise CheckpointError(source, unknown[0], "tensors of this architecture alone", "another one")
    return model


def to_model(config: HfConfig, tensors: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32, source: str = SINGLE) -> HfDecoder:
    """A model with copies of these weights in another type."""
    model = check_tensors(config, tensors, source)
    for name in [name for name, _ in model.named_parameters()]:
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, torch.nn.Parameter(tensors[name].to(dtype, copy=True)))
    return model


def load_model(folder: str, dtype: torch.dtype = torch.float32) -> HfDecoder:
    """The model of a checkpoint folder, ready for evaluation."""
    config = load(folder)
    return to_model(config, read_tensors(folder), dtype).eval()


def stored_dtype(config: HfConfig) -> torch.dtype:
    return dict(zip(DTYPES, (torch.float32, torch.float16, torch.bfloat16)))[config.dtype]


def model_tensors(model: HfDecoder, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Tensors as they are stored: names of the layout, this dtype."""
    return {name: parameter.detach().to(dtype) for name, parameter in model.named_parameters()}
