"""Tiny random checkpoints of every family, with reference logits: `python3 -m tessera_training.hf.fixtures --out DIR [--only NAME]`.

One folder per variant in the real layout: config.json, model.safetensors (or shards), tokenizer.json, and reference.safetensors with logits of a short
sequence and of one that goes past the rope scaling's original length or the sliding window. Folders that end in `-base` are as their families publish them;
the others were extended by delimiters and latents and have a tessera.json.

The bytes are the same on every machine: weights are small fractions drawn as whole numbers, and logits are computed in double precision and rounded to
single. Rotary angles are single precision, as in training.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import torch

from .. import safetensors_file
from . import bpe, extend
from .config import HfConfig, parse
from .model import HfDecoder
from .tokenizer import FILE, BpeTokenizer
from .weights import stored_dtype, to_model, write_json, write_tensors

LATENTS = 8
CORPUS = """Every lempus is a numpus. Tom is a lempus. Is Tom a numpus or a vumpus? Tom is a numpus, because every lempus is one.
Natalia sold 48 clips in April and half as many in May: 48 / 2 = 24. How many did she sell? She sold 48 + 24 = 72 clips.
The river runs under the bridge; the bridge isn't old. They're walking there, we've been there in 1999 and 2024.
"""


@dataclass(frozen=True)
class Variant:
    """One fixture; `config` goes over the defaults of `_config`."""

    name: str
    style: str  # of the tokenizer
    config: dict
    dtype: str = "float32"
    long: int = 150  # positions of the long sequence
    shard_bytes: int | None = None
    extended: bool = True
    padding: int = 0  # rows beyond the tokenizer's ids
    merges: int = 24
    special: list[str] = field(default_factory=lambda: ["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>"])


_QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_LLAMA2 = ["<unk>", "<s>", "</s>"]
_LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}

VARIANTS = (
    Variant("llama2", "llama3", {"model_type": "llama", "num_key_value_heads": 2, "rms_norm_eps": 1e-5}, dtype="float16", long=80),
    Variant("llama3-rope-llama3", "llama3", {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": _LLAMA3, "rms_norm_eps": 1e-5}),
    Variant("llama32-tied", "llama3", {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": _LLAMA3 | {"factor": 8.0, "original_max_position_embeddings": 32},
                                       "tie_word_embeddings": True, "rms_norm_eps": 1e-5}, dtype="bfloat16"),
    Variant("llama-linear", "llama3", {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}}),
    Variant("llama-yarn", "llama3", {"model_type": "llama", "rope_scaling": _YARN}),
    Variant("llama-biases", "llama3", {"model_type": "llama", "attention_bias": True, "mlp_bias": True}, long=60),
    Variant("qwen2-tied-bias", "qwen2", {"model_type": "qwen2", "rope_theta": 1000000.0, "tie_word_embeddings": True, "use_sliding_window": False,
                                         "sliding_window": 64, "max_window_layers": 1}, special=_QWEN, long=80),
    Variant("qwen2-yarn-untied", "qwen2", {"model_type": "qwen2", "rope_scaling": _YARN | {"beta_fast": 32.0, "beta_slow": 1.0}}, dtype="bfloat16", special=_QWEN),
    Variant("qwen3", "qwen2", {"model_type": "qwen3", "head_dim": 32, "rope_theta": 1000000.0, "attention_bias": False}, special=_QWEN, long=80),
    Variant("mistral-window", "llama3", {"model_type": "mistral", "sliding_window": 24, "rms_norm_eps": 1e-5}, long=100),
    Variant("smollm2-tied-bf16-sharded", "smollm2", {"model_type": "llama", "tie_word_embeddings": True, "rope_theta": 100000.0, "rms_norm_eps": 1e-5},
            dtype="bfloat16", shard_bytes=16_000, special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], long=80),
    Variant("padded-vocabulary", "qwen2", {"model_type": "qwen2"}, dtype="bfloat16", padding=40, special=_QWEN, long=60),
    Variant("llama3-base", "llama3", {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": _LLAMA3}, dtype="bfloat16", extended=False, long=60),
    Variant("qwen2-padded-base", "qwen2", {"model_type": "qwen2", "tie_word_embeddings": True}, dtype="bfloat16", extended=False, padding=20, special=_QWEN,
            long=60),
    Variant("llama2-sentencepiece", "llama2", {"model_type": "llama", "num_key_value_heads": 2, "rms_norm_eps": 1e-5}, dtype="float16", merges=100,
            special=_LLAMA2, long=60),
    Variant("mistral-sentencepiece-base", "llama2", {"model_type": "mistral", "sliding_window": None, "rms_norm_eps": 1e-5}, dtype="bfloat16", merges=100,
            special=_LLAMA2, extended=False, long=60),
)
_ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def _config(variant: Variant, tokenizer: BpeTokenizer) -> HfConfig:
    """config.json with the names and the order of the published ones."""
    # Llama 3 ends with its second special token, Qwen with its third and pads with its first; Llama 2 has nothing to pad with.
    begin, end, pad = (0, 2, 0) if variant.special == _QWEN else (1, 2, None) if variant.special == _LLAMA2 else (0, 1, len(variant.special) - 1)
    own = {"architectures": [_ARCHITECTURES[variant.config["model_type"]]], "bos_token_id": tokenizer.added[variant.special[begin]],
           "eos_token_id": tokenizer.added[variant.special[end]], "pad_token_id": None if pad is None else tokenizer.added[variant.special[pad]]}
    shape = {"hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 256, "num_attention_heads": 2,
             "num_hidden_layers": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "rope_scaling": None, "rope_theta": 10000.0,
             "tie_word_embeddings": False, "torch_dtype": variant.dtype, "use_cache": True, "vocab_size": tokenizer.size + variant.padding}
    return parse(own | shape | variant.config)


def _draw(generator: np.random.RandomState, shape: torch.Size, scale: float, centre: float = 0.0) -> torch.Tensor:
    """Whole numbers from -31 to 31 times a power of two: exact in every stored type."""
    return centre + torch.from_numpy(generator.randint(-31, 32, tuple(shape)).astype(np.float64)) * (scale / 32)


def random_tensors(config: HfConfig, seed: int) -> dict[str, torch.Tensor]:
    """Weights whose scores and activations are large enough for a wrong position or window to show."""
    generator, tensors = np.random.RandomState(seed), {}
    for name, parameter in HfDecoder(config).named_parameters():
        if name.endswith("norm.weight"):
            values = _draw(generator, parameter.shape, 0.5, 1.0)
        elif name.endswith("bias"):
            values = _draw(generator, parameter.shape, 0.5)
        else:
            values = _draw(generator, parameter.shape, {"q_proj": 0.5, "k_proj": 0.5, "embed_tokens": 1.0}.get(name.split(".")[-2], 0.25))
        tensors[name] = values.to(stored_dtype(config))
    return tensors


@torch.no_grad()
def record(model: HfDecoder, long: int, seed: int, vocabulary: int) -> dict[str, torch.Tensor]:
    """Tensors of reference.safetensors: a short sequence with all its rows, and a long one with its last sixteen."""
    generator, tensors = np.random.RandomState(seed), {}
    for index, (length, rows) in enumerate(((16, 16), (long, 16))):
        ids = torch.from_numpy(generator.randint(0, vocabulary, length).astype(np.int64))
        logits = model(ids[None])[0]
        kept = torch.arange(length - rows, length)
        tensors |= {f"case_{index}.input_ids": ids, f"case_{index}.logits": logits[kept].float(), f"case_{index}.rows": kept}
    return tensors


def write_variant(variant: Variant, folder: str, seed: int) -> None:
    """One checkpoint with its reference."""
    os.makedirs(folder, exist_ok=True)
    tokenizer = bpe.describe(variant.style, CORPUS, variant.merges, variant.special)
    config = _config(variant, BpeTokenizer(tokenizer))
    tensors = random_tensors(config, seed)
    if variant.extended:
        closing, pad = extend.closing_tokens(BpeTokenizer(tokenizer), config, extend.beginning_of_text(tokenizer))
        strips = BpeTokenizer(tokenizer).adds_leading_space
        tokenizer, vocabulary = extend.extend_tokenizer(tokenizer, LATENTS, pad=pad)
        config = extend.extend_config(config, vocabulary)
        tensors = extend.extend_tensors(tensors, config, vocabulary, seed)
        write_json(os.path.join(folder, "tessera.json"), extend.description(
            vocabulary, closing, 5.0, strips, name=variant.name, license="MIT", description="Random weights: a fixture for tests."))
    write_json(os.path.join(folder, "config.json"), config.raw)
    write_json(os.path.join(folder, FILE), tokenizer)
    write_tensors(folder, tensors, variant.shard_bytes)
    model = to_model(config, tensors, torch.float64).eval()
    safetensors_file.write(os.path.join(folder, "reference.safetensors"), record(model, variant.long, seed, BpeTokenizer(tokenizer).size))


_FRAGMENTS = (*CORPUS.split(), " sold", "I'LL", "we've", "12345", " 99", "½", "Ⅷ", "\r\n", "\n\n", "\t", "   ", "\u00a0", "\u0085", "\u001c", "\u2028", "e\u0301", "\u212b",
              "ß", "İ", "漢字", "🙂", "👩‍👩‍👧", "𝒜𝓑", "<think>", "<|im_start|>", "!!\n", "...", " //", "\u200b", "\ufeff")
_RANGES = ((0x00, 0x7F), (0x80, 0xFF), (0x300, 0x36F), (0x370, 0x5FF), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0x10000, 0x103FF), (0x1F300, 0x1F6FF))
TOKENIZER_REFERENCE, REFERENCE_STYLES = "tokenizer-reference.jsonl", ("llama2", "qwen3", "smollm2-tied-bf16-sharded", "llama2-sentencepiece")


def random_text(rng: random.Random) -> str:
    """Words, look-alikes of special tokens, spaces of all kinds and random characters that every Unicode version knows."""
    parts = []
    for _ in range(rng.randint(1, 8)):
        low, high = rng.choice(_RANGES)
        drawn = [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 4))]
        parts += [rng.choice(_FRAGMENTS), rng.choice(("", " "))] if rng.random() < 0.6 else [one for one in drawn if unicodedata.category(one) != "Cn"]
    return "".join(parts)


def write_tokenizer_reference(folder: str, seed: int, count: int = 150) -> None:
    """Lines {"tokenizer", "text", "ids"} for other implementations of these tokenizers; special tokens' text is characters like any other."""
    rng = random.Random(seed)
    with open(os.path.join(folder, TOKENIZER_REFERENCE), "w", encoding="utf-8", newline="\n") as file:
        for name in REFERENCE_STYLES:
            tokenizer = BpeTokenizer.load(os.path.join(folder, name, FILE))
            for _ in range(count):
                text = random_text(rng)
                file.write(json.dumps({"tokenizer": name, "text": text, "ids": tokenizer.encode(text)}, separators=(",", ":")) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", help="name of one variant")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"seed {args.seed}")
    for index, variant in enumerate(VARIANTS):
        if args.only in (None, variant.name):
            folder = os.path.join(args.out, variant.name)
            shutil.rmtree(folder, ignore_errors=True)
            write_variant(variant, folder, args.seed + index)
            print(f"{folder}: {sum(entry.stat().st_size for entry in os.scandir(folder))} bytes")
    if args.only is None:
        write_tokenizer_reference(args.out, args.seed)


if __name__ == "__main__":
    main()
