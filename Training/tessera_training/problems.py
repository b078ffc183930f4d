"""Held-out problems as JSON lines with `prompt` and `answer`, for load tests:
`python3 -m tessera_training.problems --task arithmetic --count 300 --out arithmetic.jsonl`.

The problems are those that `evaluate` measures: five-hop ProntoQA, or arithmetic in held-out wordings, of the held-out seed.
"""
from __future__ import annotations

import argparse
import json

from . import files
from .suites import HELD_OUT_SEED, arithmetic_cases, pronto_cases

MAKERS = {"prontoqa": pronto_cases, "arithmetic": arithmetic_cases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=sorted(MAKERS), default="prontoqa")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    print(f"seed {args.seed}")
    with open(args.out, "w", encoding="utf-8") as file:
        for case in MAKERS[args.task](args.count, args.seed):
            file.write(json.dumps({"prompt": case.prompt, "answer": case.answer.strip()}) + "\n")


if __name__ == "__main__":
    files.run(main)
