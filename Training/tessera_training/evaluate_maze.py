"""Keys-Finding Maze, 1-Feasible-10: `python3 -m tessera_training.evaluate_maze --checkpoint runs/maze/checkpoint`.

A problem counts when one of ten sampled answers is a feasible way to the goal. Also the share of feasible samples and the mean tokens.
"""
from __future__ import annotations

import argparse
import json
import os
import random

import torch

from . import checkpoint, files
from .evaluate import wilson
from .generate import Mode, generate
from .model import GenerationState
from .suites import HELD_OUT_SEED
from .tasks import maze


@torch.no_grad()
def evaluate(folder: str, count: int, modes: list[Mode], samples: int = 10, temperature: float = 1.0, seed: int = HELD_OUT_SEED,
             limit: int = 480, batch: int = 20) -> list[dict]:
    """A row per mode."""
    model, tokenizer = checkpoint.load(folder)
    rng, rows = random.Random(seed), []
    problems = [maze.make_problem(rng, 1, False) for _ in range(count)]
    prompts = [problem.facts + problem.questions[0].text for problem in problems]
    for mode in modes:
        generator = torch.Generator().manual_seed(seed)
        feasible, tokens = [0] * count, 0
        for start in range(0, count, batch):
            part = prompts[start:start + batch]
            ids = [tokenizer.encode(prompt) + [tokenizer.think] for prompt in part]
            state = GenerationState(model, ids, limit)
            for _ in range(samples):
                for index, result in enumerate(generate(model, tokenizer, ids, mode, limit, state=state.fork(), temperature=temperature,
                                                        generator=generator)):
                    tokens += len(result.ids)
                    answer = result.answer(tokenizer)
                    feasible[start + index] += answer is not None and maze.feasible(part[index], answer)
        solved = sum(found > 0 for found in feasible)
        low, high = wilson(solved, count)
        rows.append({"task": "maze", "mode": mode.value, "n": count, "accuracy": round(solved / count, 4), "low": round(low, 4), "high": round(high, 4),
                     "mean_tokens": round(tokens / count / samples, 2), "feasible_samples": round(sum(feasible) / count / samples, 4),
                     "note": f"1-Feasible-{samples}, temperature {temperature}, seed {seed}"})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--count", type=files.positive(int), default=100)
    parser.add_argument("--samples", type=files.positive(int), default=10)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--modes", default="latent,text,none")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"seed {HELD_OUT_SEED}")
    rows = evaluate(args.checkpoint, args.count, [Mode(mode) for mode in args.modes.split(",")], args.samples, args.temperature)
    checkpoint.write_json(os.path.join(args.checkpoint, "evaluation.json"), {"rows": rows})


if __name__ == "__main__":
    files.run(main)
