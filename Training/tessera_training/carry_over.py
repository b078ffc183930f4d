"""Takes a checkpoint over to another codebook: `python3 -m tessera_training.carry_over --checkpoint DIR --codebook OLD --to NEW --recipe R --out DIR`.

Text keeps its weights: a token that the checkpoint's tokenizer knows has its row, a new one that of the word it spells (` tom has` that of ` Tom`), any other the mean row. A latent of the new codebook starts at the mean of the old latents that stood for the same chunks of fresh traces,
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
from .init import spelling_aliases
from .tokenizer import Tokenizer, build
from .train_vqvae import TraceBatch, draw_traces, equal_sources
from .vqvae import Codebook

TABLES = ("model.embed_tokens.weight", "lm_head.weight")


def text_rows(known: Tokenizer, tokenizer: Tokenizer) -> list[int | None]:
    """For every text token and delimiter of `tokenizer` the id that has its row in `known`; None where there is none."""
    by_token = {known.token(index): index for index in range(known.first_latent)}
    aliases = spelling_aliases(tokenizer)
    return [by_token.get(tokenizer.token(index), by_token.get(tokenizer.token(aliases.get(index, index)))) for index in range(tokenizer.first_latent)]


@torch.no_grad()
def shares(old: Codebook, new: Codebook, recipe: Recipe, known: Tokenizer, tokenizer: Tokenizer, trace_count: int = 4000) -> torch.Tensor:
    """[new codes, old codes]: of the chunks with a new code, the share that each old code had; rows add up to one."""
    traces = draw_traces(random.Random(recipe.seed + 11), equal_sources(recipe), trace_count)
    counts = torch.zeros(new.config.codes, old.config.codes)
    before, after = (codebook.encode(batch.text.flatten(1), batch.prompt)[batch.valid]
                     for codebook, batch in ((old, TraceBatch(traces, known, recipe)), (new, TraceBatch(traces, tokenizer, recipe))))
    counts.index_put_((after, before), torch.ones(len(after)), accumulate=True)
    counts[counts.sum(1) == 0] = counts.sum(0)
    return counts / counts.sum(1, keepdim=True)


def carry_over(tensors: dict[str, torch.Tensor], rows: list[int | None], share: torch.Tensor, first_latent: int) -> dict[str, torch.Tensor]:
    """The tensors with the vocabulary's tables made anew: `rows` of their text part, whose end `first_latent` is, then latents by their shares."""
    def table(value: torch.Tensor) -> torch.Tensor:
        text, mean = value[:first_latent], value[:first_latent].mean(0)
        return torch.cat([torch.stack([mean if row is None else text[row] for row in rows]), share @ value[first_latent:]])

    return {name: table(value) if name in TABLES or ".ngram_embeddings." in name else value for name, value in tensors.items()}


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
    if old.text_size != known.text_size or old.config.chunk_tokens != new.config.chunk_tokens:
        raise ValueError(f"{args.codebook}: its text vocabulary is not that of {args.checkpoint}, or its chunk size not that of {args.to}")
    tokenizer = Tokenizer(build(new.config.codes, recipe.tasks.names))
    if tokenizer.text_size != new.text_size:
        raise ValueError(f"{args.recipe}: its tasks have {tokenizer.text_size} text tokens, {args.to} has {new.text_size}")
    recipe.codebook = new.config
    tensors = carry_over(checkpoint.to_tensors(model), text_rows(known, tokenizer), shares(old, new, recipe, known, tokenizer), known.first_latent)
    shape = dataclasses.replace(model.shape, vocab_size=tokenizer.size)
    checkpoint.save(args.out, checkpoint.from_tensors(shape, tensors), tokenizer, checkpoint.package_description(recipe, tokenizer, 0.0))


if __name__ == "__main__":
    files.run(main)
