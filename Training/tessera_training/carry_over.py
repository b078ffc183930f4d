"""Takes a checkpoint over to another codebook: `python3 -m tessera_training.carry_over --checkpoint DIR --codebook OLD --to NEW --recipe R --out DIR`.

Text keeps its weights. A latent of the new codebook starts at the mean of the old latents that stood for the same chunks of fresh traces,
weighted by how often; one that no chunk has starts at the mean of all. Then `train --codebook NEW --weights DIR`.
"""
from __future__ import annotations

import argparse
import dataclasses
import random

import torch

from . import checkpoint, files
from . import config as recipes
from .config import Recipe
from .tokenizer import Tokenizer, build
from .train_vqvae import TraceBatch, draw_traces, equal_sources
from .vqvae import Codebook

TABLES = ("model.embed_tokens.weight", "lm_head.weight")


@torch.no_grad()
def shares(old: Codebook, new: Codebook, recipe: Recipe, tokenizer: Tokenizer, trace_count: int = 4000) -> torch.Tensor:
    """[new codes, old codes]: of the chunks with a new code, the share that each old code had; rows add up to one."""
    rng = random.Random(recipe.seed + 11)
    counts = torch.zeros(new.config.codes, old.config.codes)
    batch = TraceBatch(draw_traces(rng, equal_sources(recipe), trace_count), tokenizer, recipe)
    before, after = (codebook.encode(batch.text.flatten(1), batch.prompt)[batch.valid] for codebook in (old, new))
    counts.index_put_((after, before), torch.ones(len(after)), accumulate=True)
    counts[counts.sum(1) == 0] = counts.sum(0)
    return counts / counts.sum(1, keepdim=True)


def carry_over(tensors: dict[str, torch.Tensor], share: torch.Tensor, first_latent: int) -> dict[str, torch.Tensor]:
    """The tensors with their latents' rows replaced; every table of the vocabulary has them at the end."""
    return {name: torch.cat([value[:first_latent], share @ value[first_latent:]]) if name in TABLES or ".ngram_embeddings." in name else value
            for name, value in tensors.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--codebook", required=True, help="the codebook that the checkpoint was trained with")
    parser.add_argument("--to", required=True, help="the codebook to go on with")
    parser.add_argument("--recipe", required=True, help="for its tasks")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    recipe, old, new = recipes.load(args.recipe), Codebook.load(args.codebook), Codebook.load(args.to)
    model, known = checkpoint.load(args.checkpoint)
    if known.latent_count != old.config.codes:
        raise ValueError(f"{args.codebook}: has {old.config.codes} codes, {args.checkpoint} has {known.latent_count} latents")
    if (old.text_size, old.config.chunk_tokens) != (new.text_size, new.config.chunk_tokens):
        raise ValueError(f"{args.to}: text vocabulary or chunk size are not those of {args.codebook}")
    tokenizer = Tokenizer(build(new.config.codes, recipe.tasks.names))
    if tokenizer.first_latent != known.first_latent:
        raise ValueError(f"{args.recipe}: its tasks have {tokenizer.first_latent} text tokens and delimiters, {args.checkpoint} has {known.first_latent}")
    recipe.codebook = new.config
    tensors = carry_over(checkpoint.to_tensors(model), shares(old, new, recipe, tokenizer), tokenizer.first_latent)
    shape = dataclasses.replace(model.shape, vocab_size=tokenizer.size)
    checkpoint.save(args.out, checkpoint.from_tensors(shape, tensors), tokenizer, checkpoint.package_description(recipe, tokenizer, 0.0))


if __name__ == "__main__":
    files.run(main)
