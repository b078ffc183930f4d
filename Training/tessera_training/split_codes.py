"""Divides codes that stand for two things: `python3 -m tessera_training.split_codes --codebook DIR --recipe R --out DIR`.

Merging cells by distance can leave two near groups of steps under one code; the language model then cannot say which it means. Such a code shows in the decoder: it cannot tell its steps'
new words apart, however long it trains. The encoder's vectors of such a code's steps are divided in two along the line on which they lie furthest apart; where the halves are
apart by `--gap` times their spread (a single round group stays under 3.5, as a test shows), the code keeps one half and a new code gets the other. Then `refine_vqvae` for the decoder, and `carry_over` and more
training for the language model, which both have to learn the difference.
"""
from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random

import torch
import torch.nn.functional as F

from . import config as recipes
from . import files
from .config import Recipe
from .tokenizer import Tokenizer, build
from .train_vqvae import TraceBatch, canonical_ids, draw_traces, equal_sources, new_word_weights
from .vqvae import Codebook

LEAST = 20  # distinct steps of a code that can be divided
DIRECTIONS = 200
ROUNDS = 4


@torch.no_grad()
def confusion(codebook: Codebook, batch: TraceBatch, canonical: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of every code: the decoder's mean error on its steps' new words (nats), and how many steps it has."""
    codes = codebook.encode(batch.text.flatten(1), batch.prompt)
    logits = codebook.decode_vectors(codebook.codes[codes], batch.prompt, batch.valid)
    targets = batch.text[batch.valid]
    errors = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
    new = (new_word_weights(batch, 2.0, canonical)[batch.valid] > 1).float()
    of_step = (errors * new).sum(1) / new.sum(1).clamp(min=1)
    flat, count = codes[batch.valid], codebook.config.codes
    steps = torch.bincount(flat, minlength=count)
    return torch.zeros(count).index_add_(0, flat, of_step) / steps.clamp(min=1), steps


@torch.no_grad()
def distinct_vectors(codebook: Codebook, batch: TraceBatch) -> dict[int, torch.Tensor]:
    """By code: the encoder's vectors [n, code_dim] of its distinct steps."""
    codes = codebook.encode(batch.text.flatten(1), batch.prompt)
    vectors = codebook.latent_vectors(batch.text, batch.prompt[:, -1])
    found: dict[int, dict[str, torch.Tensor]] = {}
    for row, steps in enumerate(batch.steps):
        for column, step in enumerate(steps):
            found.setdefault(int(codes[row, column]), {})[step] = vectors[row, column]
    return {code: torch.stack(list(of.values())) for code, of in found.items()}


def best_cut(along: torch.Tensor) -> torch.Tensor:
    """Mask of the upper part of values [n], cut where the variance between the parts is largest."""
    values, order = along.sort()
    count = len(values)
    size = torch.arange(1, count)
    low, total = values.cumsum(0)[:-1], values.sum()
    between = size * (count - size) * (low / size - (total - low) / (count - size)) ** 2
    mask = torch.zeros(count, dtype=torch.bool)
    mask[order[int(between.argmax()) + 1:]] = True
    return mask


def gap_of(along: torch.Tensor, mask: torch.Tensor) -> float:
    """Distance of the two parts' means in parts of their spread around them."""
    upper, lower = along[mask], along[~mask]
    spread = (((upper - upper.mean()) ** 2).sum() + ((lower - lower.mean()) ** 2).sum()) / len(along)
    return float((upper.mean() - lower.mean()).abs() / (spread.sqrt() + 1e-6))


def divided(vectors: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, float]:
    """The widest division of vectors [n, dim] in two that is found: a mask and its gap. Lines between two of the vectors are tried, each turned to tell the halves apart best (LDA)."""
    best, widest = torch.zeros(len(vectors), dtype=torch.bool), 0.0
    least = max(2, len(vectors) // 8)
    for _ in range(DIRECTIONS):
        one, other = torch.randint(0, len(vectors), (2,), generator=generator).tolist()
        line = vectors[one] - vectors[other]
        if one == other or line.norm() < 1e-6:
            continue
        for _ in range(ROUNDS):
            along = vectors @ (line / line.norm())
            mask = best_cut(along)
            if min(int(mask.sum()), int((~mask).sum())) < least:
                break
            gap = gap_of(along, mask)
            if gap > widest:
                best, widest = mask, gap
            means = vectors[mask].mean(0), vectors[~mask].mean(0)
            around = torch.where(mask[:, None], vectors - means[0], vectors - means[1])
            within = around.t() @ around / len(vectors)
            ridge = 0.1 * within.diagonal().mean() * torch.eye(len(within))
            line = torch.linalg.solve(within + ridge, means[0] - means[1])
    return best, widest


@torch.no_grad()
def split(codebook: Codebook, batch: TraceBatch, canonical: torch.Tensor, error: float, gap: float, seed: int) -> tuple[Codebook, list[dict]]:
    """A codebook with the codes divided, those that it has no step for taken first and the others appended; and what was divided."""
    errors, steps = confusion(codebook, batch, canonical)
    vectors, generator = distinct_vectors(codebook, batch), torch.Generator().manual_seed(seed)
    codes, unused, done = codebook.codes.clone(), (steps == 0).nonzero()[:, 0].tolist(), []
    for code in (errors * (steps > 0)).argsort(descending=True).tolist():
        if errors[code] < error or len(vectors.get(code, ())) < LEAST:
            continue
        mask, found = divided(vectors[code], generator)
        if found < gap:
            continue
        other = unused.pop(0) if unused else len(codes)
        if other == len(codes):
            codes = torch.cat([codes, codes[:1]])
        codes[code], codes[other] = vectors[code][~mask].mean(0), vectors[code][mask].mean(0)
        done.append({"code": code, "other": other, "error": round(float(errors[code]), 3), "gap": round(found, 2), "steps": [int((~mask).sum()), int(mask.sum())]})
    made = Codebook(dataclasses.replace(codebook.config, codes=len(codes)), codebook.text_size)
    made.load_state_dict(codebook.state_dict() | {"codes": codes})
    return made.eval(), done


def traces(recipe: Recipe, tokenizer: Tokenizer, count: int) -> TraceBatch:
    """As many of every task."""
    rng = random.Random(recipe.seed + 5)
    drawn = [trace for source in equal_sources(recipe) for trace in draw_traces(rng, [source], count)]
    return TraceBatch(drawn, tokenizer, recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codebook", required=True)
    parser.add_argument("--recipe", required=True, help="for its tasks")
    parser.add_argument("--error", type=float, default=0.15, help="nats on new words from which on a code is looked at")
    parser.add_argument("--gap", type=float, default=5.0)
    parser.add_argument("--traces", type=int, default=3000, help="drawn of each task")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    recipe, codebook = recipes.load(args.recipe), Codebook.load(args.codebook)
    recipe.codebook = codebook.config
    torch.set_num_threads(recipe.threads)
    tokenizer = Tokenizer(build(codebook.config.codes, recipe.tasks.names))
    made, done = split(codebook, traces(recipe, tokenizer, args.traces), canonical_ids(tokenizer), args.error, args.gap, recipe.seed)
    for one in done:
        print(json.dumps(one))
    print(f"{len(done)} codes divided, {codebook.config.codes} -> {made.config.codes}")
    with open(os.path.join(args.codebook, "codebook.json"), encoding="utf-8") as file:
        measured = json.load(file).get("measured", {})
    # How much text a code stands for does not change; what else was measured does.
    kept = {key: measured[key] for key in ("text_tokens_per_latent",) if key in measured}
    made.save(args.out, {"split_from": os.path.basename(os.path.normpath(args.codebook)), "seed": recipe.seed, "measured": kept})


if __name__ == "__main__":
    files.run(main)
