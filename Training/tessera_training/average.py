"""The mean of several checkpoints' weights: `python3 -m tessera_training.average --checkpoints runs/a/checkpoint runs/b/checkpoint --out DIR`.

For runs that went on from the same weights with different seeds: what each learned by chance cancels (Wortsman et al., "Model soups", ICML 2022, arXiv 2203.05482). Runs from
scratch have nothing in common that a mean would keep. Tokenizer and description are the first checkpoint's, without its evaluation rows: these were another model's. `--recipe` gives
another name, version, description and limits.
"""
from __future__ import annotations

import argparse
import json
import os

import torch

from . import checkpoint, files
from . import config as recipes
from .model import TesseraLlama
from .tokenizer import Tokenizer


def average(folders: list[str]) -> tuple[TesseraLlama, Tokenizer]:
    """The model with the mean of the weights of all `folders`, and the tokenizer that they share."""
    if len(folders) < 2:
        raise ValueError(f"--checkpoints: expected two or more, found {len(folders)}")
    first, tokenizer = checkpoint.load(folders[0])
    sums = {name: value.double() for name, value in checkpoint.to_tensors(first).items()}
    for folder in folders[1:]:
        model, other = checkpoint.load(folder)
        if model.shape != first.shape or other.description != tokenizer.description:
            raise ValueError(f"{folder}: another shape or vocabulary than {folders[0]}")
        for name, value in checkpoint.to_tensors(model).items():
            sums[name] += value
    return checkpoint.from_tensors(first.shape, {name: (value / len(folders)).float() for name, value in sums.items()}), tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", required=True, nargs="+")
    parser.add_argument("--recipe", help="whose name, version, description and limits the result has; the first checkpoint's when not given")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = average(args.checkpoints)
    with open(os.path.join(args.checkpoints[0], "tessera.json"), encoding="utf-8") as file:
        description = json.load(file) | {"evaluation": []}
    if args.recipe:
        recipe = recipes.load(args.recipe)
        description |= {"name": recipe.name, "version": recipe.version, "description": recipe.description, "limits": recipe.limits}
    checkpoint.save(args.out, model, tokenizer, description)


if __name__ == "__main__":
    files.run(main)
