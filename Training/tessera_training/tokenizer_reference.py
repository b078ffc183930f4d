"""Lines {"text", "ids"} for equality tests of other tokenizer implementations:
`python3 -m tessera_training.tokenizer_reference --tokenizer tokenizer.json --n 10000 --seed 1 --out tokenizer_reference.jsonl`.

Ids are those of ordinary text: special tokens' text is characters like any other.
"""
from __future__ import annotations

import argparse
import json
import random

from .tasks import load_sources
from .tokenizer import Tokenizer

_FRAGMENTS = (
    " lempus", "us is a", "uses are not", "us.", " Every",
    "Wumpuses", " True or false:", "True or false: ", " us", "pus", "puses are", " is an",
    " is amenable", " Tom has", "Zoe owns", " Zed has 4", " keeps 4", " 4 fewer than", " 14 more than", " half as many as", " 3 times as many", " have?", " How many", " depends on", " tom", " are an", "us or", " or", " Tom", "Tomas", "99", " 100", "007", "<eos>", "<think>", "</think>", "<boLatent>", "<latent_3>", "<latent_", "<pad>",
    "\r\n", "\n\n", "\t", "  ", "\u00a0", "\u2003", "\u200b", "e\u0301", "\u0301", "\ufeff",
    "\u0000", "\u001f", "\u007f", "\u0085", "ß", "İ", "漢字", "🙂", "👩‍👩‍👧", "🇩🇪", "\U0001f600lempus",
)
_RANGES = ((0x20, 0x7E), (0x00, 0x1F), (0x7F, 0xFF), (0x300, 0x36F), (0x370, 0x5FF), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xE000, 0xE0FF),
           (0xFFF0, 0xFFFD), (0x10000, 0x10FFF), (0x1F300, 0x1F6FF), (0x10FF00, 0x10FFFD))


def random_text(rng: random.Random) -> str:
    """Fragments of task text, look-alikes of special tokens and random Unicode (no lone surrogates)."""
    parts = []
    for _ in range(rng.randint(1, 12)):
        if rng.random() < 0.55:
            parts.append(rng.choice(_FRAGMENTS))
        else:
            low, high = rng.choice(_RANGES)
            parts += [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))]
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    print(f"seed {args.seed}")
    rng, tokenizer = random.Random(args.seed), Tokenizer.load(args.tokenizer)
    sources = load_sources(["prosqa", "prontoqa", "arithmetic"], variant_rate=0.3)
    with open(args.out, "w", encoding="utf-8") as file:
        for index in range(args.n):
            text = random_text(rng)
            if index % 20 == 0:
                problem = rng.choice(sources).make(rng, 1, True)
                text = problem.facts + problem.questions[0].text + "".join(problem.questions[0].steps) + problem.questions[0].answer
            file.write(json.dumps({"text": text, "ids": tokenizer.encode(text)}) + "\n")


if __name__ == "__main__":
    main()
