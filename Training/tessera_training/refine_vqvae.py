"""Repair steps whose code does not tell their new words: `python3 -m tessera_training.refine_vqvae --recipe R --codebook DIR --out DIR`.

Code vectors stay. A (kind of question, code) pair whose new words decode well is held: its steps keep their code. Steps of
the other pairs may move to codes that say more (kinds of steps that are rare in training can end up on shared codes). The
decoder learns on. Writes a new codebook folder; a language model trained on the old codes needs some steps to adapt.
"""
from __future__ import annotations

import argparse
import copy
import json
import os
import random
import time

import torch
import torch.nn.functional as F

from . import config as recipes
from .config import Recipe
from .tasks import TaskSource, load_sources
from .tokenizer import Tokenizer, build
from .train_vqvae import TraceBatch, draw_traces, measure, new_word_weights
from .vqvae import Codebook

HELD_FROM = 0.9  # share of steps with all new words right
FREE_WEIGHT = 4.0  # of free steps in the loss, against 1 for held ones
HELD_WEIGHT = 4.0  # of the distance between a held step's vector and its code
ENCODER_SHARE = 0.3  # of the learning rate


def pair_index(batch: TraceBatch, codes: torch.Tensor, code_count: int) -> torch.Tensor:
    """One number per (last prompt token, code), [N, S]."""
    return batch.prompt[:, -1:] * code_count + codes


@torch.no_grad()
def held_pairs(codebook: Codebook, tokenizer: Tokenizer, sources: list[TaskSource], recipe: Recipe, count: int = 1200) -> torch.Tensor:
    """bool [text_size * codes]: pairs whose new words decode; pairs without new words, or not met, are held too."""
    batch = TraceBatch(draw_traces(random.Random(recipe.seed + 31), sources, count), tokenizer, recipe)
    codes = codebook.encode(batch.text.flatten(1), batch.prompt)
    right = codebook.decode_vectors(codebook.codes[codes], batch.prompt, batch.valid).argmax(-1) == batch.text[batch.valid]
    new = new_word_weights(batch, 2.0)[batch.valid] > 1
    telling = new.any(-1)
    good = (right | ~new).all(-1).float()[telling]
    pairs = pair_index(batch, codes, codebook.config.codes)[batch.valid][telling]
    size = codebook.text_size * codebook.config.codes
    total, sums = torch.zeros(size).index_add_(0, pairs, torch.ones(len(pairs))), torch.zeros(size).index_add_(0, pairs, good)
    return (total == 0) | (sums / total.clamp(min=1) >= HELD_FROM)


def refine(recipe: Recipe, source_folder: str, folder: str, steps: int, lr: float) -> Codebook:
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    print(f"seed {recipe.seed}, steps {steps}", flush=True)
    settings, rng = recipe.codebook, random.Random(recipe.seed + 77)
    codebook = Codebook.load(source_folder).train()
    recipe.codebook.codes = codebook.config.codes
    teacher = copy.deepcopy(codebook).eval()
    codebook.embed.requires_grad_(False)
    tokenizer = Tokenizer(build(codebook.config.codes))
    sources = load_sources(recipe.tasks.names, recipe.tasks.step_order, recipe.tasks.exclude_prosqa)
    held = held_pairs(teacher, tokenizer, sources, recipe)
    print(f"{int((~held).sum())} pairs of question kind and code are free", flush=True)
    encoder = [*codebook.encoder_in.parameters(), *codebook.encoder_out.parameters()]
    decoder = [p for name, p in codebook.named_parameters() if p.requires_grad and not name.startswith("encoder")]
    optimizer = torch.optim.AdamW([{"params": decoder, "share": 1.0}, {"params": encoder, "share": ENCODER_SHARE}], lr=lr, weight_decay=0.01,
                                  betas=(0.9, 0.95))
    started = time.time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * lr * min(1.0, (step + 1) / 50) * min(1.0, 2 * (1 - step / steps) + 0.02)
        batch = TraceBatch(draw_traces(rng, sources, settings.batch), tokenizer, recipe)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            vectors = codebook.latent_vectors(batch.text, batch.prompt[:, -1])
            with torch.no_grad():
                old = teacher.nearest(teacher.latent_vectors(batch.text, batch.prompt[:, -1]))
        keep = held[pair_index(batch, old, settings.codes)] & batch.valid
        free = ~keep & batch.valid
        codes = torch.where(keep, old, codebook.nearest(vectors.detach()))
        quantized = codebook.codes[codes]
        distance = ((vectors - quantized) ** 2).mean(-1)
        commitment = HELD_WEIGHT * distance[keep].mean() + settings.commitment * (distance[free].mean() if free.any() else 0.0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = codebook.decode_vectors(vectors + (quantized - vectors).detach(), batch.prompt, batch.valid)
        targets = batch.text[batch.valid]
        errors = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        weights = torch.where(free[batch.valid], FREE_WEIGHT, 1.0)[:, None].expand_as(errors)
        loss = (errors * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        (loss + commitment).backward()
        torch.nn.utils.clip_grad_norm_(codebook.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 25 == 0:
            exact = (logits.argmax(-1) == targets).all(-1).float()
            of_free = exact[free[batch.valid]].mean().item()
            kept = (codebook.nearest(vectors.detach())[keep] == old[keep]).float().mean().item()
            print(f"[{step + 1}/{steps}] loss {loss.item():.4f} step exact {exact.mean():.3f}, of free steps {of_free:.3f}, "
                  f"held codes kept {kept:.4f}, {time.time() - started:.0f} s", flush=True)
    codebook.eval()
    measured = measure(codebook, tokenizer, sources, recipe, recipe.seed + 1_000_003)
    print(json.dumps(measured), flush=True)
    codebook.save(folder, {"measured": measured, "seed": recipe.seed, "refined_from": os.path.basename(os.path.normpath(source_folder))})
    return codebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--codebook", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    refine(recipes.load(args.recipe), args.codebook, args.out, args.steps, args.lr)


if __name__ == "__main__":
    main()
