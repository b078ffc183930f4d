"""A tiny random checkpoint with codebook and reference, for tests of other parts: `python3 -m tessera_training.fixture --out DIR --seed 0`.

Untrained: it shows formats and parity, nothing else.
"""
from __future__ import annotations

import argparse
import os

import torch

from . import checkpoint, files, safetensors_file
from .config import CodebookConfig, Recipe
from .model import ModelShape, TesseraLlama
from .reference import record
from .tokenizer import Tokenizer, build
from .vqvae import Codebook


@torch.no_grad()
def write(folder: str, seed: int, codes: int = 16) -> None:
    """Files of a checkpoint, `codebook/` in it, and reference.safetensors."""
    torch.manual_seed(seed)
    tokenizer = Tokenizer(build(codes))
    model = TesseraLlama(ModelShape(tokenizer.size, dim=32, layers=2, heads=2, mlp_dim=64, ngrams=3, max_positions=512))
    for block in model.blocks:  # a trained model's output matrices are not zero
        torch.nn.init.normal_(block.o.weight, std=0.2)
        torch.nn.init.normal_(block.down.weight, std=0.2)
    codebook = Codebook(CodebookConfig(codes=codes, dim=16, code_dim=8, heads=2), tokenizer.text_size).eval()
    recipe = Recipe(name="tessera-fixture", version="0.0.1", description="Random weights: a fixture for tests.")
    checkpoint.save(folder, model, tokenizer, checkpoint.package_description(recipe, tokenizer, 5.0))
    codebook.save(os.path.join(folder, "codebook"))
    plain, _ = checkpoint.load(folder)
    reference = record(plain, tokenizer, codebook, seed, case_count=2, row_count=16, easy=True)
    safetensors_file.write(os.path.join(folder, "reference.safetensors"), reference)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"seed {args.seed}")
    write(args.out, args.seed)


if __name__ == "__main__":
    files.run(main)
