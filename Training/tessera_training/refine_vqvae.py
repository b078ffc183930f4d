"""Train a codebook's decoder longer: `python3 -m tessera_training.refine_vqvae --recipe R --codebook DIR --out DIR --steps 800`.

Encoder and codes stay as they are, so a language model trained on them is not touched: only the readable hints get better. A task that the recipe
names several times is drawn as often (`--set 'tasks.names=["prosqa", "prosqa", "arithmetic"]'`).
"""
from __future__ import annotations

import argparse
import json
import random
import time

import torch
import torch.nn.functional as F

from . import devices, files
from . import config as recipes
from .config import Recipe
from .tasks import sources_of
from .tokenizer import Tokenizer, build
from .train_vqvae import TraceBatch, draw_traces, measure_tasks
from .vqvae import Codebook


def focused(errors: torch.Tensor) -> torch.Tensor:
    """Mean of the errors [tokens] in which those that are known already hardly count: by far the most, they hide the few that are not."""
    weights = (1 - torch.exp(-errors.detach())) ** 2 + 0.02
    return (errors * weights).sum() / weights.sum()


def refine(recipe: Recipe, source_folder: str, folder: str, steps: int, lr: float) -> Codebook:
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    print(f"seed {recipe.seed}, steps {steps}", flush=True)
    rng = random.Random(recipe.seed + 77)
    codebook = Codebook.load(source_folder).train()
    codebook.freeze_codes()
    recipe.codebook.codes = codebook.config.codes
    tokenizer = Tokenizer(build(codebook.config.codes, recipe.tasks.names))
    sources = sources_of(recipe.tasks)
    optimizer = torch.optim.AdamW([p for p in codebook.parameters() if p.requires_grad], lr=lr, weight_decay=0.01, betas=(0.9, 0.95))
    started = time.time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 30) * min(1.0, 2 * (1 - step / steps) + 0.02)
        batch = TraceBatch(draw_traces(rng, sources, recipe.codebook.batch), tokenizer, recipe)
        with torch.no_grad(), devices.autocast(devices.CPU):
            vectors = codebook.latent_vectors(batch.text, batch.prompt[:, -1])
        with torch.no_grad():
            quantized = codebook.codes[codebook.nearest(vectors)]
        with devices.autocast(devices.CPU):
            logits = codebook.decode_vectors(quantized, batch.prompt, batch.valid)
        targets = batch.text[batch.valid]
        loss = focused(F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none"))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codebook.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0:
            exact = (logits.argmax(-1) == targets).all(-1).float().mean()
            print(f"[{step + 1}/{steps}] loss {loss.item():.4f} step exact {exact:.3f} {time.time() - started:.0f} s", flush=True)
    codebook.eval()
    seed, count = recipe.seed + 1_000_003, recipe.codebook.measured_traces
    measured = measure_tasks(codebook, tokenizer, recipe, seed, count)
    print(json.dumps(measured), flush=True)
    codebook.save(folder, {"measured": measured, "seed": recipe.seed, "decoder_steps_added": steps})
    return codebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--codebook", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="changes a key of the recipe")
    args = parser.parse_args()
    refine(recipes.changed(recipes.load(args.recipe), args.settings), args.codebook, args.out, args.steps, args.lr)


if __name__ == "__main__":
    files.run(main)
