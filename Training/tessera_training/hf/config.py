"""config.json of the Hugging Face decoder families. Show what one asks for: `python3 -m tessera_training.hf.config DIR`.

| family | model_type | what differs from Llama |
|---|---|---|
| Llama 2, 3, 3.1, 3.2, SmolLM2 | llama | `attention_bias`, `mlp_bias` add biases; rope scaling |
| Mistral | mistral | sliding window |
| Qwen2, Qwen2.5 | qwen2 | biases on q, k, v; a window on the layers from `max_window_layers` on, where `use_sliding_window` says so |
| Qwen3 | qwen3 | RMS norm on each head's query and key; `head_dim` apart from hidden / heads |
"""
from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field

from .errors import CheckpointError
from .rope import Rope, read_rope

CONFIG = "config.json"
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
DTYPES = ("float32", "float16", "bfloat16")
_MISSING = object()


@dataclass(frozen=True)
class HfConfig:
    """What the model needs; `raw` is the document, kept for writing."""

    family: str
    hidden: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    max_positions: int
    norm_eps: float
    rope: Rope
    tied: bool
    qkv_bias: bool
    o_bias: bool
    mlp_bias: bool
    qk_norm: bool
    windows: tuple[int | None, ...]  # per layer: how many positions a query sees, itself included
    dtype: str
    raw: dict = field(repr=False, compare=False)


class _Reader:
    """Typed access to a JSON object; errors name file and key."""

    def __init__(self, file: str, values: dict) -> None:
        self.file, self.values = file, values

    def get(self, name: str, kinds: tuple[type, ...], expected: str, otherwise: object = _MISSING) -> object:
        value = self.values.get(name)
        if value is None:
            if otherwise is _MISSING:
                raise CheckpointError(self.file, name, expected, "null" if name in self.values else "nothing")
            return otherwise
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise CheckpointError(self.file, name, expected, repr(value))
        return value

    def count(self, name: str, otherwise: object = _MISSING) -> int:
        value = self.get(name, (int,), "a positive whole number", otherwise)
        if value < 1:
            raise CheckpointError(self.file, name, "a positive whole number", value)
        return value

    def positive(self, name: str, otherwise: object = _MISSING) -> float:
        value = self.get(name, (int, float), "a positive number", otherwise)
        if not 0 < value < float("inf"):
            raise CheckpointError(self.file, name, "a positive number", value)
        return float(value)

    def flag(self, name: str, otherwise: bool) -> bool:
        return self.get(name, (bool,), "true or false", otherwise)


def parse(values: dict, file: str = CONFIG) -> HfConfig:
    """Checks a parsed config.json."""
    reader = _Reader(file, values)
    family = reader.get("model_type", (str,), f"one of {', '.join(FAMILIES)}")
    if family not in FAMILIES:
        raise CheckpointError(file, "model_type", f"one of {', '.join(FAMILIES)}", repr(family))
    if values.get("quantization_config") is not None:
        raise CheckpointError(file, "quantization_config", "null (weights in floating point)", "a quantized checkpoint")
    activation = reader.get("hidden_act", (str,), '"silu"', "silu")
    if activation != "silu":
        raise CheckpointError(file, "hidden_act", '"silu"', repr(activation))
    hidden, heads, layers = reader.count("hidden_size"), reader.count("num_attention_heads"), reader.count("num_hidden_layers")
    kv_heads = reader.count("num_key_value_heads", heads)
    if heads % kv_heads:
        raise CheckpointError(file, "num_key_value_heads", f"a divisor of num_attention_heads ({heads})", kv_heads)
    head_dim = reader.count("head_dim", 128 if family == "qwen3" else hidden // heads)
    if head_dim % 2:
        raise CheckpointError(file, "head_dim", "an even number", head_dim)
    max_positions = reader.count("max_position_embeddings")
    biased = family in ("llama", "qwen3") and reader.flag("attention_bias", False)
    dtype = reader.get("torch_dtype", (str,), f"one of {', '.join(DTYPES)}", reader.get("dtype", (str,), "a name", "float32"))
    if dtype not in DTYPES:
        raise CheckpointError(file, "torch_dtype", f"one of {', '.join(DTYPES)}", repr(dtype))
    return HfConfig(
        family=family, hidden=hidden, mlp=reader.count("intermediate_size"), layers=layers, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        vocab_size=reader.count("vocab_size"), max_positions=max_positions, norm_eps=reader.positive("rms_norm_eps", 1e-6),
        rope=read_rope(values, file, head_dim, max_positions), tied=reader.flag("tie_word_embeddings", False),
        qkv_bias=family == "qwen2" or biased, o_bias=biased, mlp_bias=family == "llama" and reader.flag("mlp_bias", False),
        qk_norm=family == "qwen3", windows=_windows(reader, family, layers), dtype=dtype, raw=values)


def _windows(reader: _Reader, family: str, layers: int) -> tuple[int | None, ...]:
    """Sliding windows by layer; `layer_types`, where it is there, has the last word."""
    if family == "llama":
        return (None,) * layers
    if family == "mistral":
        absent = "sliding_window" not in reader.values
        window = 4096 if absent else reader.get("sliding_window", (int,), "a number or null", None)
        wanted = [window is not None] * layers
    else:
        window = reader.get("sliding_window", (int,), "a number or null", 4096)
        first = reader.get("max_window_layers", (int,), "a number", 28)
        used = reader.flag("use_sliding_window", False)
        wanted = [used and layer >= first for layer in range(layers)]
    kinds = reader.get("layer_types", (list,), "a list", None)
    if kinds is not None:
        if len(kinds) != layers or not set(kinds) <= {"full_attention", "sliding_attention"}:
            raise CheckpointError(reader.file, "layer_types", f"{layers} of full_attention, sliding_attention", kinds)
        wanted = [kind == "sliding_attention" for kind in kinds]
    if any(wanted) and (window is None or window < 1):
        raise CheckpointError(reader.file, "sliding_window", "a positive number", window)
    return tuple(window if use else None for use in wanted)


def load(folder: str) -> HfConfig:
    return parse(read_json(os.path.join(folder, CONFIG)))


def read_json(path: str) -> dict:
    """A JSON object; errors name the file."""
    name = os.path.basename(path)
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    except FileNotFoundError:
        raise CheckpointError(path, "the file", "a file", "none") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(name, "the document", "JSON", error) from None
    if not isinstance(values, dict):
        raise CheckpointError(name, "the document", "an object", type(values).__name__)
    return values


if __name__ == "__main__":
    print(load(sys.argv[1]))
