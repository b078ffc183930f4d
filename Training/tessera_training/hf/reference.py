"""Recorded outputs of a fine-tuned checkpoint, for the exporter's verification: `python3 -m tessera_training.hf.reference --run RUN`.

Writes reference.safetensors into RUN/checkpoint: logits in single precision of two mixed rows, and the codebook's results for them. `finetune` does it at its end.
"""
from __future__ import annotations

import argparse
import copy
import dataclasses
import os

import torch

from .. import devices, safetensors_file
from . import codebook as codebooks
from .model import HfDecoder
from .prepare import Prepared, opened
from .traces import row
from .weights import load_model

MAX_TEXT_LOGITS = 4_000_000  # of one trace, so that files of large vocabularies stay small


@torch.no_grad()
def record(prepared: Prepared, model: HfDecoder, case_count: int = 2, row_count: int = 16) -> dict[str, torch.Tensor]:
    """Tensors of reference.safetensors: the last rows of a row with all its latents, and of one with half of them."""
    recorded, pad, codebook = {}, prepared.tokenizer.pad, copy.deepcopy(prepared.codebook).cpu()
    size = codebook.config.chunk_tokens * codebook.text_size
    traces = [found for found in prepared.validation + prepared.training if found.chunks][:case_count]
    for index, found in enumerate(traces):
        codes = codebooks.codes_of(codebook, [found], pad)[0]
        ids = torch.tensor(row(prepared.tokenizer, found, codes, len(codes) // (index + 1))[0])
        rows = torch.arange(max(0, len(ids) - row_count), len(ids))
        kept = torch.zeros(1, len(ids), dtype=torch.bool)
        kept[0, rows] = True
        short = dataclasses.replace(found, chunks=found.chunks[:max(1, MAX_TEXT_LOGITS // size)])
        chunks = codebooks.ChunkBatch([short], codebook.config, pad, devices.CPU)
        given = torch.tensor([codes[:len(short.chunks)]])
        recorded |= {
            f"case_{index}.input_ids": ids, f"case_{index}.logits": model(ids[None], kept), f"case_{index}.rows": rows,
            f"codebook_{index}.codes": given, f"codebook_{index}.prompt_ids": chunks.prompt,
            f"codebook_{index}.text_logits": codebook.decode(given, chunks.prompt), f"codebook_{index}.text_ids": chunks.text.flatten(1),
            f"codebook_{index}.encoded": given.clone()}
    return recorded


def write_reference(prepared: Prepared, run: str) -> str:
    folder = os.path.join(run, "checkpoint")
    path = os.path.join(folder, "reference.safetensors")
    safetensors_file.write(path, record(prepared, load_model(folder)))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    args = parser.parse_args()
    print(write_reference(opened(args.run), args.run))


if __name__ == "__main__":
    main()
