"""Gives a codebook the decoder of another one: `python3 -m tessera_training.graft_vqvae --codebook NEW --donor OLD --donor-tokenizer FILE --recipe R --out DIR`.

A decoder learns late, or not at all, where a walk starts again; one that has learned it keeps that under another encoder: its weights are taken as they are, and its
inputs (embeddings of question tokens, code vectors) are fitted to the new ones by least squares. Then `refine_vqvae`. Encoder and codes stay as they are.
"""
from __future__ import annotations

import argparse
import random

import torch

from . import config as recipes
from . import files
from .carry_over import shares, text_rows
from .config import Recipe
from .tokenizer import Tokenizer, build
from .train_vqvae import draw_traces, equal_sources
from .vqvae import Codebook

ABSENT = -5.0  # bias of a word that the donor does not know
PARTS = ("step_blocks", "expand_norm", "expand", "position_blocks", "norm", "question_out")


def question_tokens(recipe: Recipe, tokenizer: Tokenizer, count: int, trace_count: int = 3000) -> list[int]:
    """Tokens that the end of a question has."""
    traces = draw_traces(random.Random(recipe.seed + 1), equal_sources(recipe), trace_count)
    return sorted({token for _, prompt, _ in traces for token in tokenizer.encode(prompt)[-count:]})


@torch.no_grad()
def graft(new: Codebook, donor: Codebook, rows: list[int | None], share: torch.Tensor, used: list[int]) -> None:
    """Changes `new`. `rows`: of every text token the donor's id of it; `share` [new codes, donor's codes]; `used`: tokens whose embeddings must fit."""
    for name in PARTS:
        getattr(new, name).load_state_dict(getattr(donor, name).state_dict())
    new.step_position.copy_(donor.step_position)
    for token, row in enumerate(rows):
        new.head.weight[token] = 0.0 if row is None else donor.head.weight[row]
        new.head.bias[token] = ABSENT if row is None else donor.head.bias[row]
    known = [token for token in used if rows[token] is not None]
    have, want = new.embed.weight[known], donor.embed.weight[[rows[token] for token in known]]
    ridge = 1e-5 * len(known) * have.pow(2).mean() * torch.eye(have.shape[1])
    turn = torch.linalg.solve(have.t() @ have + ridge, have.t() @ want)  # have @ turn is close to want
    positions = donor.question_in.weight.unflatten(1, (donor.config.question_tokens, -1))  # [out, position, dim]
    new.question_in.weight.copy_((positions @ turn.t()).flatten(1))
    new.question_in.bias.copy_(donor.question_in.bias)
    size, (sure, best) = donor.config.code_dim, share.max(1)
    of_code, of_question = donor.decoder_in.weight[:, :size], donor.decoder_in.weight[:, size:]
    codes = torch.cat([new.codes, torch.ones(len(new.codes), 1)], 1)
    fitted = torch.linalg.lstsq(codes * sure[:, None], donor.codes[best] @ of_code.t() * sure[:, None]).solution
    new.decoder_in.weight.copy_(torch.cat([fitted[:-1].t(), of_question], 1))
    new.decoder_in.bias.copy_(donor.decoder_in.bias + fitted[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codebook", required=True, help="whose encoder and codes stay")
    parser.add_argument("--donor", required=True, help="whose decoder is taken")
    parser.add_argument("--donor-tokenizer", required=True, help="tokenizer.json of the donor's checkpoint")
    parser.add_argument("--recipe", required=True, help="for its tasks")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    recipe, new, donor = recipes.load(args.recipe), Codebook.load(args.codebook), Codebook.load(args.donor)
    known, tokenizer = Tokenizer.load(args.donor_tokenizer), Tokenizer(build(new.config.codes, recipe.tasks.names))
    if (known.text_size, tokenizer.text_size) != (donor.text_size, new.text_size):
        raise ValueError(f"text vocabularies: {args.donor} has {donor.text_size}, its tokenizer {known.text_size}; {args.codebook} has {new.text_size}, the recipe {tokenizer.text_size}")
    recipe.codebook = new.config
    graft(new, donor, text_rows(known, tokenizer)[:tokenizer.text_size], shares(donor, new, recipe, known, tokenizer),
          question_tokens(recipe, tokenizer, new.config.question_tokens))
    new.save(args.out, {"grafted_from": args.donor, "seed": recipe.seed})


if __name__ == "__main__":
    files.run(main)
