"""Checkpoints in the Hugging Face layout: config.json, model.safetensors, tokenizer.json, tessera.json.

Written weights are plain: the training-time embedding scale is folded in and lm_head is its own matrix.
Write one from a training state: `python3 -m tessera_training.checkpoint --run runs/walkback`.
"""
from __future__ import annotations

import argparse
import json
import os

import torch

from . import files, safetensors_file
from .config import Recipe
from .model import ModelShape, TesseraLlama
from .tokenizer import BO_LATENT, END_THINK, EO_LATENT, EOS, PAD, THINK, Tokenizer


def model_config(shape: ModelShape) -> dict:
    plain = shape.ngrams == 0
    config = {
        "architectures": ["LlamaForCausalLM" if plain else "TesseraLlamaForCausalLM"], "model_type": "llama" if plain else "tessera_llama",
        "hidden_size": shape.dim, "intermediate_size": shape.mlp_dim, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.heads, "head_dim": shape.head_dim,
        "vocab_size": shape.vocab_size, "max_position_embeddings": shape.max_positions, "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta, "hidden_act": "silu", "tie_word_embeddings": False, "pad_token_id": 0, "eos_token_id": 1,
        "torch_dtype": "float32",
    }
    return config if plain else config | {"ngram_embeddings": shape.ngrams}


def shape_of(config: dict) -> ModelShape:
    return ModelShape(vocab_size=config["vocab_size"], dim=config["hidden_size"], layers=config["num_hidden_layers"],
                      heads=config["num_attention_heads"], mlp_dim=config["intermediate_size"], ngrams=config.get("ngram_embeddings", 0),
                      rope_theta=config["rope_theta"], max_positions=config["max_position_embeddings"], norm_eps=config["rms_norm_eps"])


def to_tensors(model: TesseraLlama) -> dict[str, torch.Tensor]:
    """Hugging Face names -> float32 tensors."""
    scale = model.embedding_scale
    tensors = {"model.embed_tokens.weight": model.embed.weight * scale}
    for back, table in enumerate(model.ngram, 1):
        tensors[f"model.ngram_embeddings.{back}.weight"] = table.weight * scale
    for index, block in enumerate(model.blocks):
        prefix = f"model.layers.{index}."
        q, k, v = block.qkv.weight.chunk(3)
        gate, up = block.gate_up.weight.chunk(2)
        tensors |= {prefix + name: value for name, value in (
            ("input_layernorm.weight", block.norm1.weight), ("self_attn.q_proj.weight", q), ("self_attn.k_proj.weight", k),
            ("self_attn.v_proj.weight", v), ("self_attn.o_proj.weight", block.o.weight), ("post_attention_layernorm.weight", block.norm2.weight),
            ("mlp.gate_proj.weight", gate), ("mlp.up_proj.weight", up), ("mlp.down_proj.weight", block.down.weight))}
    tensors["model.norm.weight"] = model.norm.weight
    tensors["lm_head.weight"] = model.embed.weight if model.head is None else model.head.weight
    return {name: value.detach().float() for name, value in tensors.items()}


@torch.no_grad()
def from_tensors(shape: ModelShape, tensors: dict[str, torch.Tensor]) -> TesseraLlama:
    model = TesseraLlama(shape, tied=False)
    model.embed.weight.copy_(tensors["model.embed_tokens.weight"])
    for back, table in enumerate(model.ngram, 1):
        table.weight.copy_(tensors[f"model.ngram_embeddings.{back}.weight"])
    for index, block in enumerate(model.blocks):
        prefix = f"model.layers.{index}."
        block.norm1.weight.copy_(tensors[prefix + "input_layernorm.weight"])
        block.norm2.weight.copy_(tensors[prefix + "post_attention_layernorm.weight"])
        block.qkv.weight.copy_(torch.cat([tensors[f"{prefix}self_attn.{name}_proj.weight"] for name in "qkv"]))
        block.o.weight.copy_(tensors[prefix + "self_attn.o_proj.weight"])
        block.gate_up.weight.copy_(torch.cat([tensors[f"{prefix}mlp.{name}_proj.weight"] for name in ("gate", "up")]))
        block.down.weight.copy_(tensors[prefix + "mlp.down_proj.weight"])
    model.norm.weight.copy_(tensors["model.norm.weight"])
    model.head.weight.copy_(tensors["lm_head.weight"])
    return model.eval()


def package_description(recipe: Recipe, tokenizer: Tokenizer, text_tokens_per_latent: float) -> dict:
    """tessera.json: what the exporter needs beside the weights; `evaluate` fills its evaluation rows."""
    nothing = {"prefix": "", "suffix": ""}
    return {
        "name": recipe.name, "version": recipe.version, "license": "MIT", "description": recipe.description, "limits": recipe.limits,
        "special_tokens": {"pad": PAD, "eos": EOS, "think": THINK, "end_think": END_THINK, "bo_latent": BO_LATENT, "eo_latent": EO_LATENT},
        "latents": {"first_id": tokenizer.first_latent, "count": tokenizer.latent_count, "text_tokens_per_latent": text_tokens_per_latent},
        "chat": {"user": nothing, "assistant": nothing, "system": {"prefix": "", "suffix": "\n"}, "strip_leading_space": True},
        "sampling": {"temperature": 0.0},
        "evaluation": [],
    }


def save(folder: str, model: TesseraLlama, tokenizer: Tokenizer, description: dict) -> None:
    """Writes the four files; evaluation rows already in the folder's tessera.json stay."""
    existing = os.path.join(folder, "tessera.json")
    if os.path.exists(existing) and not description["evaluation"]:
        with open(existing, encoding="utf-8") as file:
            description = description | {"evaluation": json.load(file)["evaluation"]}
    with files.written_together(folder) as temporary:
        write_json(os.path.join(temporary, "config.json"), model_config(model.shape))
        safetensors_file.write(os.path.join(temporary, "model.safetensors"), to_tensors(model), {"format": "pt"})
        tokenizer.save(os.path.join(temporary, "tokenizer.json"))
        write_json(os.path.join(temporary, "tessera.json"), description)


def check_tensors(path: str, shape: ModelShape, tensors: dict[str, torch.Tensor]) -> None:
    """Refuses a file whose tensors are not those of the shape."""
    expected = {name: tuple(value.shape) for name, value in to_tensors(TesseraLlama(shape, tied=False)).items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{path}: {name}: expected shape {expected.get(name, 'none')}, found {found.get(name, 'none')}")


def load(folder: str) -> tuple[TesseraLlama, Tokenizer]:
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        shape = shape_of(json.load(file))
    path = os.path.join(folder, "model.safetensors")
    tensors = safetensors_file.read(path)
    check_tensors(path, shape, tensors)
    model = from_tensors(shape, tensors)
    tokenizer = Tokenizer.load(os.path.join(folder, "tokenizer.json"))
    if tokenizer.size != shape.vocab_size:
        raise ValueError(f"{folder}: tokenizer has {tokenizer.size} tokens, the model {shape.vocab_size}")
    return model, tokenizer


def write_json(path: str, value: object) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def main() -> None:
    from .train import Run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder of a training run (state.pt, recipe.json)")
    args = parser.parse_args()
    print(Run.open(args.run).write_checkpoint())


if __name__ == "__main__":
    files.run(main)
