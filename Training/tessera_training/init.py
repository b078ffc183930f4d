"""Structured initialisation: a prior "look up the sentence about x", tied to sentences of four tokens `X rel Y end`.

Every token has a code of dim/4 numbers; the token embedding and the tables of 1, 2 and 3 tokens back hold it in their own
quarter, so the end of a sentence knows all of it. Heads start as rotations that match one quarter of the query with one of the
key; in the copying layers the value starts as the other end of the found sentence. Everything stays trainable.

A latent starts at the code of the text token with which its own code has the highest mutual information over the chunks
of VQ training (`latent_aliases`). Show that table: `python3 -m tessera_training.init --recipe R --codebook DIR`.
"""
from __future__ import annotations

import argparse
import random

import torch

from .config import Recipe
from .model import TesseraLlama
from .tasks import sources_of
from .tokenizer import Tokenizer, build, synonyms
from .vqvae import Codebook

QUARTER_PAIRS = ((3, 1), (0, 1), (1, 3), (0, 3))  # (quarter of the query, quarter of the key), one per head


def matching_layers(layers: int) -> range:
    """Layers whose heads start as lookups: all but the first, which sees no sentence yet as a whole, and the last."""
    return range(1, max(4, layers - 1))


def copying_layers(layers: int) -> range:
    """Layers that also copy what they found, so that the next one looks that up: a hop of a graph each."""
    return range(1, max(3, layers - 2))


def spelling_aliases(tokenizer: Tokenizer) -> dict[int, int]:
    """Variants of one word share a code: `Tom` and ` Tom`, `Lemp` and ` Lemp` and ` lemp`."""
    by_text = {tokenizer.decode([token]): token for token in range(2, tokenizer.text_size)}
    aliases = {}
    for text, token in by_text.items():
        spaced = " " + text.strip()
        for candidate in (spaced.lower(), spaced):
            found = by_text.get(candidate)
            if found is not None and found != token and len(text.strip()) > 1:
                aliases[token] = found
                break
    for text, source in synonyms().items():
        if text in by_text and source in by_text:
            aliases[by_text[text]] = by_text[source]
            aliases.pop(by_text[source], None)
    return aliases


@torch.no_grad()
def latent_aliases(codebook: Codebook, tokenizer: Tokenizer, recipe: Recipe, count: int = 800) -> dict[int, int]:
    """Latent id -> the text token whose presence in a chunk says most about the code."""
    from .train_vqvae import TraceBatch, draw_traces

    rng = random.Random(recipe.seed + 7)
    sources = sources_of(recipe.tasks)
    batch = TraceBatch(draw_traces(rng, sources, count), tokenizer, recipe)
    codes = codebook.encode(batch.text.flatten(1), batch.prompt)[batch.valid]
    present = torch.zeros(len(codes), tokenizer.text_size).scatter_(1, batch.text[batch.valid], 1.0)
    present[:, tokenizer.pad] = 0
    chosen = torch.nn.functional.one_hot(codes, codebook.config.codes).float()
    total = len(codes)
    both = chosen.t() @ present / total  # P(code and token), [codes, text]
    p_code, p_token = chosen.mean(0)[:, None], present.mean(0)[None]
    information = torch.zeros_like(both)
    for joint, a, b in ((both, p_code, p_token), (p_code - both, p_code, 1 - p_token), (p_token - both, 1 - p_code, p_token),
                        (1 - p_code - p_token + both, 1 - p_code, 1 - p_token)):
        information += torch.where(joint > 1e-9, joint * (joint.clamp(min=1e-9) / (a * b).clamp(min=1e-12)).log(), torch.zeros_like(joint))
    information[both <= p_code * p_token] = -1.0  # only tokens that come with the code
    best = information.argmax(1)
    return {tokenizer.first_latent + code: int(best[code]) for code in range(codebook.config.codes) if p_code[code] > 0}


@torch.no_grad()
def structured_init(model: TesseraLlama, aliases: dict[int, int], scale: float, copy_scale: float) -> None:
    """Overwrites embeddings and parts of the attention weights; `aliases` maps a token to the token whose code it shares."""
    shape = model.shape
    if shape.ngrams != 3:
        raise ValueError(f"structured initialisation needs 3 n-gram tables, the model has {shape.ngrams}")
    dim, width, head_dim = shape.dim, shape.dim // 4, shape.head_dim
    codes = torch.randn(shape.vocab_size, width)
    for token, source in sorted(aliases.items()):
        codes[token] = 0.9 * codes[source] + 0.3 * torch.randn(width)
    for quarter, table in enumerate((model.embed, *model.ngram)):
        weight = 0.15 * torch.randn(shape.vocab_size, dim)
        weight[:, quarter * width:(quarter + 1) * width] = codes
        table.weight.copy_(weight * dim ** -0.5)
    rank = min(head_dim, width)
    for layer, block in enumerate(model.blocks):
        if layer not in matching_layers(shape.layers):
            continue
        query, key, value = block.qkv.weight.view(3, shape.heads, head_dim, dim)
        query.mul_(0.3)
        key.mul_(0.3)
        for head in range(shape.heads):
            q_quarter, k_quarter = QUARTER_PAIRS[head % len(QUARTER_PAIRS)]
            # a random rotation spreads the code over slow and fast rope dimensions
            rotation = torch.linalg.qr(torch.randn(head_dim, head_dim))[0][:, :rank]
            query[head][:, q_quarter * width:q_quarter * width + rank] += scale * rotation
            key[head][:, k_quarter * width:k_quarter * width + rank] += scale * rotation
            if copy_scale and layer in copying_layers(shape.layers):
                source = 4 - k_quarter  # quarter 1 (Y) reads quarter 3 (X), and the reverse
                rotation = torch.linalg.qr(torch.randn(head_dim, head_dim))[0][:, :rank]
                value[head].mul_(0.3)
                value[head][:, source * width:source * width + rank] += rotation
                block.o.weight[:rank, head * head_dim:(head + 1) * head_dim] += copy_scale * rotation.t()


def main() -> None:
    from . import config as recipes

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--codebook", required=True)
    args = parser.parse_args()
    recipe, codebook = recipes.load(args.recipe), Codebook.load(args.codebook)
    tokenizer = Tokenizer(build(codebook.config.codes, recipe.tasks.names))
    for latent, source in sorted(latent_aliases(codebook, tokenizer, recipe).items()):
        print(tokenizer.token(latent), repr(tokenizer.decode([source])))


if __name__ == "__main__":
    main()
