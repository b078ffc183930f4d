"""Recorded outputs for the exporter's verification: `python3 -m tessera_training.reference --checkpoint DIR --codebook DIR`.

Writes reference.safetensors into the checkpoint: fp32 logits of whole sequences (the last rows of each) and codebook results.
"""
from __future__ import annotations

import argparse
import os
import random

import torch

from . import checkpoint, files, safetensors_file
from .mix import StepCoder, leading, planned_row
from .model import TesseraLlama
from .tasks import load_sources
from .tokenizer import Tokenizer
from .vqvae import Codebook, padded


@torch.no_grad()
def record(model: TesseraLlama, tokenizer: Tokenizer, codebook: Codebook, seed: int, case_count: int = 3, row_count: int = 32,
           tasks: tuple[str, ...] = ("prosqa", "prontoqa", "arithmetic"), easy: bool = False) -> dict[str, torch.Tensor]:
    """Tensors of reference.safetensors; latents, partly latent and text sequences take turns."""
    rng, tensors, coder = random.Random(seed), {}, StepCoder(codebook, tokenizer)
    sources = load_sources(list(tasks))
    length = codebook.config.chunk_tokens
    for index in range(case_count):
        problem = sources[index % len(sources)].make(rng, 1, easy)
        question = problem.questions[0]
        coder.prepare([question])
        latents = coder.latents(question)
        replaced = (len(latents), len(latents) // 2, 0)[index % 3]
        continued, _ = planned_row(tokenizer, question, coder.chunks(question), latents, leading(replaced, len(latents)))
        ids = torch.tensor(tokenizer.encode(problem.facts) + continued)
        logits = model(ids[None])[0]
        rows = torch.arange(max(0, len(ids) - row_count), len(ids))
        tensors |= {f"case_{index}.input_ids": ids, f"case_{index}.logits": logits[rows].clone(), f"case_{index}.rows": rows}
        prompt = torch.tensor([tokenizer.encode(problem.facts + question.text)])
        text = torch.tensor([[token for ids in coder.chunks(question) for token in padded(ids, length)]])
        codes = codebook.encode(text, prompt)
        decoded = codebook.decode(codes, prompt)
        tensors |= {f"codebook_{index}.codes": codes, f"codebook_{index}.prompt_ids": prompt, f"codebook_{index}.text_logits": decoded,
                    f"codebook_{index}.text_ids": text, f"codebook_{index}.encoded": codes.clone()}
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--codebook", required=True)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--cases", type=int, default=3)
    args = parser.parse_args()
    print(f"seed {args.seed}")
    model, tokenizer = checkpoint.load(args.checkpoint)
    path = os.path.join(args.checkpoint, "reference.safetensors")
    safetensors_file.write(path, record(model, tokenizer, Codebook.load(args.codebook), args.seed, args.cases))
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    files.run(main)
