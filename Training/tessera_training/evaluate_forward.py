"""How far ahead a model of the released step order sees: `python3 -m tessera_training.evaluate_forward --run runs/forward/seeds/seed-0`.

Gives the model a question of ProsQA and the right steps up to one, and asks for that one: right is every sentence of the prompt that goes on from where the steps are and
leads one hop closer to the answer. Counted by the hops that are left, for latents and text, beside the share that a choice at random among the sentences that go on would
have. Graphs are generated, with a seed of their own.
"""
from __future__ import annotations

import argparse
import dataclasses
import os
import random

import torch

from . import checkpoint, files
from .generate import Mode
from .mix import StepCoder, first_token, leading, planned_row
from .model import TesseraLlama
from .tasks import Question, prosqa
from .tasks.common import PERSONS
from .tokenizer import Tokenizer
from .vqvae import Codebook

SEED = 555_001


@dataclasses.dataclass
class Count:
    """Steps asked for, those right, and the sum of what a random choice has."""

    asked: int = 0
    right: int = 0
    by_chance: float = 0.0


@torch.no_grad()
def add(counts: dict[tuple[Mode, int], Count], model: TesseraLlama, tokenizer: Tokenizer, coder: StepCoder, facts: str, question: Question) -> None:
    """Asks for every step of one question in both modes."""
    children: dict[str, list[str]] = {}
    for parent, child in prosqa.edges_of(facts):
        children.setdefault(parent, []).append(child)
    (_, target), = prosqa.edges_of(question.answer.strip())
    hops = dict(question.behind)[target]
    parents = [parent for step in question.steps for parent, _ in prosqa.edges_of(step.strip())]
    closer = [[child for child in children[parent] if hops.get(child) == hops[parent] - 1] for parent in parents]
    asked = [dataclasses.replace(question, steps=tuple(" " + prosqa.sentence_of(parent, child, parent in PERSONS) for child in names))
             for parent, names in zip(parents, closer)]
    coder.prepare([question, *asked])
    latents, prompt = coder.latents(question), tokenizer.encode(facts)
    for mode in (Mode.LATENT, Mode.TEXT):
        ids, places = planned_row(tokenizer, question, coder.chunks(question), latents, leading(len(latents) if mode == Mode.LATENT else 0, len(latents)))
        guesses = model(torch.tensor([prompt + ids]))[0].argmax(-1).tolist()
        for index, (first, end) in enumerate(places):
            if mode == Mode.LATENT:
                position, right = first, set(coder.latents(asked[index]))
            else:
                position, right = end - 2, {first_token(tokenizer, child) for child in closer[index]}  # the name before the full stop
            count = counts.setdefault((mode, len(places) - index), Count())
            count.asked += 1
            count.right += guesses[len(prompt) + position - 1] in right
            count.by_chance += len(closer[index]) / len(children[parents[index]])


def measure(run: str, graphs: int, seed: int = SEED) -> dict[tuple[Mode, int], Count]:
    """(mode, hops left) -> counts over the first question of fresh graphs; `run` holds checkpoint/ and codebook/."""
    model, tokenizer = checkpoint.load(os.path.join(run, "checkpoint"))
    codebook = Codebook.load(os.path.join(run, "codebook"))
    if codebook.config.chunking != "step":
        raise ValueError(f"{run}: codebook.chunking is {codebook.config.chunking!r}, expected a latent for each step")
    coder, rng, maker = StepCoder(codebook, tokenizer), random.Random(seed), prosqa.ProblemMaker("forward")
    counts: dict[tuple[Mode, int], Count] = {}
    for _ in range(graphs):
        problem = maker.make(rng, 1, False)
        add(counts, model, tokenizer, coder, problem.facts, problem.questions[0])
    return counts


def table(counts: dict[tuple[Mode, int], Count]) -> str:
    """Markdown: one line per number of hops left."""
    lines = ["| hops left | steps | latent, % | text, % | at random, % |", "|---|---|---|---|---|"]
    for left in sorted({left for _, left in counts}):
        latent, text = counts[Mode.LATENT, left], counts[Mode.TEXT, left]
        lines.append(f"| {left} | {text.asked} | {100 * latent.right / latent.asked:.1f} | {100 * text.right / text.asked:.1f} | {100 * text.by_chance / text.asked:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder of a run, with checkpoint and codebook")
    parser.add_argument("--graphs", type=files.positive(int), default=300)
    args = parser.parse_args()
    print(table(measure(args.run, args.graphs)))


if __name__ == "__main__":
    files.run(main)
