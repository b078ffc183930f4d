"""One command from a recipe to its measured rows:
`python3 -m tessera_training.reproduce --recipe recipes/prosqa.toml --out runs/prosqa --seeds 0,1,2 --prosqa FILE`.

Trains the codebook into OUT/codebook, a model for each seed into OUT/seeds and, with `--answer-only`, the baseline without reasoning into OUT/answer-only; measures them on
what `evaluate` and `evaluate_maze` measure and writes OUT/results.json and OUT/results.md. What is there already is taken as it is and what was interrupted goes
on (a codebook begins anew), so after an interruption the same command ends what is left. All seeds share the codebook. The rows are also in each checkpoint's tessera.json, so that an
exported package carries them.
"""
from __future__ import annotations

import argparse
import dataclasses
import json
import os

import torch

from . import ablation, checkpoint, files
from . import config as recipes
from .config import Recipe
from .evaluate import add_answer_only
from .generate import Mode
from .suites import Suite
from .train_vqvae import train as train_codebook
from .vqvae import Codebook


def ready_codebook(recipe: Recipe, folder: str) -> Codebook:
    """The codebook in `folder`, trained first unless it is there with its measurements."""
    path = os.path.join(folder, "codebook.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
        if "measured" in description:
            for key, wanted in dataclasses.asdict(recipe.codebook).items():
                if description.get(key, wanted) != wanted:
                    raise ValueError(f"{folder}: a codebook of another recipe: codebook.{key} is {description[key]!r}, expected {wanted!r}")
            return Codebook.load(folder)
    return train_codebook(recipe, folder)


def reproduce(recipe: Recipe, folder: str, seeds: list[int], measured: list[Suite], answer_only: bool = False, maze_count: int = 100) -> dict:
    """Trains what is missing and measures all of it; results.json's object."""
    codebook = ready_codebook(recipe, os.path.join(folder, "codebook"))
    result: dict = {"recipe": recipe.name, "rows": []}
    for seed in seeds:
        setting = f"seed={seed}"
        print(setting, flush=True)
        run = ablation.run_of(recipe, setting, codebook, os.path.join(folder, "seeds", f"seed-{seed}"))
        result["rows"].append(ablation.row(setting, run, measured, maze_count=maze_count))
    if answer_only:
        print("answer-only", flush=True)
        run = ablation.run_of(recipe, "mix.answer_only=true", codebook, os.path.join(folder, "answer-only"))
        result["answer_only"] = ablation.row("answer-only model", run, measured, (Mode.NONE,), maze_count)
        for seed in seeds:
            add_answer_only(os.path.join(folder, "seeds", f"seed-{seed}", "checkpoint"), os.path.join(run.folder, "checkpoint"), f"recipe {recipe.name}, answer-only")
    return result


def report(result: dict) -> str:
    """Markdown: the table of the seeds, and a line per task of the answer-only model."""
    lines = [ablation.table(result["rows"])]
    if "answer_only" in result:
        entry = result["answer_only"]
        lines += [f"Answer-only model, trained on {entry['tokens'] / 1e6:.1f} M tokens: {row['task']} {100 * row['accuracy']:.1f} % ({100 * row['low']:.1f} - "
                  f"{100 * row['high']:.1f}), {row['mean_tokens']:.1f} tokens." for row in entry["rows"]]
    return "\n".join(lines).rstrip() + "\n"


def seeds_of(text: str) -> list[int]:
    """`0,1,2` -> [0, 1, 2]."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds {text!r}: expected numbers with commas between, such as 0,1,2") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--length", type=files.positive(float), help="overrides train.length (minutes, steps or millions of tokens)")
    parser.add_argument("--seeds", help="such as 0,1,2; the recipe's own alone unless given")
    parser.add_argument("--answer-only", action="store_true", help="also trains and measures the same recipe without reasoning")
    parser.add_argument("--prosqa", help="released ProsQA file (JSON)")
    parser.add_argument("--count", type=files.positive(int), default=300, help="cases of each task")
    parser.add_argument("--maze-count", type=files.positive(int), default=100, help="mazes, ten samples each")
    args = parser.parse_args()
    recipe = recipes.load(args.recipe)
    recipe.train.length = args.length or recipe.train.length
    seeds = seeds_of(args.seeds) if args.seeds else [recipe.seed]
    measured = ablation.measured_of(recipe, args.prosqa, args.count)
    torch.set_num_threads(recipe.threads)
    result = reproduce(recipe, args.out, seeds, measured, args.answer_only, args.maze_count)
    checkpoint.write_json(os.path.join(args.out, "results.json"), result)
    with open(os.path.join(args.out, "results.md"), "w", encoding="utf-8") as file:
        file.write(report(result))
    print(report(result))


if __name__ == "__main__":
    files.run(main)
