"""The same recipe under several settings, one run after the other, and a table of what came out:
`python3 -m tessera_training.ablation --recipe recipes/prosqa.toml --codebook runs/prosqa/codebook --out runs/prosqa/mixing --prosqa FILE`.

A recipe's `mix.strategy` is varied unless `--vary KEY=A,B,C` names another key; `--vary seed=0,1,2` repeats a recipe, and the table then ends with mean and spread
over the seeds. With `--weights CHECKPOINT` every run goes on from that checkpoint instead of from scratch. A run that is there already is taken as it is, one that was
interrupted goes on. Writes `ablation.json` and `ablation.md` into the folder, and the measured rows into each checkpoint's tessera.json and evaluation.json.
"""
from __future__ import annotations

import argparse
import dataclasses
import os

import torch

from . import checkpoint, evaluate_maze, files, suites
from . import config as recipes
from .config import Recipe
from .evaluate import evaluate, write
from .generate import Mode
from .suites import Suite
from .train import Run, train
from .vqvae import Codebook

STRATEGIES = "mix.strategy=leading,all,curriculum,poisson"
MODES = (Mode.LATENT, Mode.TEXT)


def run_of(recipe: Recipe, setting: str, codebook: Codebook, folder: str, weights: str | None = None) -> Run:
    """The run of one setting, trained to its end; a new one starts from the checkpoint `weights` if there is one. A run that is there must be of the same recipe."""
    changed = recipes.changed(recipe, [setting])
    changed.codebook.codes = codebook.config.codes
    if os.path.exists(os.path.join(folder, "state.pt")):
        run = Run.open(folder)
        if others := differences(run.recipe, changed):
            raise ValueError(f"{folder}: there is a run of another recipe: {'; '.join(others)}")
    else:
        run = Run(changed, codebook, folder)
        if weights is not None:
            run.take_weights(weights)
    if run.progress < 1:
        train(run)
    return run


def differences(found: Recipe, wanted: Recipe) -> list[str]:
    """What would make another model of the same codebook: `train.length is 4.0, expected 12.0`."""
    lines = []
    for part in ("tasks", "model", "mix", "train"):
        one, other = (dataclasses.asdict(getattr(recipe, part)) for recipe in (found, wanted))
        lines += [f"{part}.{key} is {one[key]!r}, expected {other[key]!r}" for key in one if one[key] != other[key] and key not in ("log_every", "checkpoint_minutes")]
    return lines + ([f"seed is {found.seed}, expected {wanted.seed}"] if found.seed != wanted.seed else [])


def measured_of(recipe: Recipe, prosqa: str | None, count: int) -> list[Suite]:
    """The suites of the recipe's tasks; the maze has its own measure (`row`)."""
    tasks = tuple(dict.fromkeys(recipe.tasks.names))
    if "prosqa" in tasks and prosqa is None:
        raise ValueError("--prosqa: the recipe has ProsQA, which is measured on the released file")
    return suites.standard(prosqa, count, tasks)


def row(setting: str, run: Run, measured: list[Suite], modes: tuple[Mode, ...] = MODES, maze_count: int = 100) -> dict:
    """What one run reached: its tokens, and the evaluator's rows; of a recipe with the maze, 1-Feasible-10 on `maze_count` mazes too. Also writes them into the checkpoint."""
    folder = os.path.join(run.folder, "checkpoint")
    result = evaluate(folder, measured, list(modes), False, 1, 50)
    rows = result["rows"]
    if "maze" in run.recipe.tasks.names:
        rows += evaluate_maze.evaluate(folder, maze_count, list(modes))
    write(folder, result)
    return {"setting": setting, "tokens": run.tokens, "steps": run.step, "seed": run.recipe.seed, "rows": rows}


def table(rows: list[dict]) -> str:
    """Markdown: one line per setting and task, accuracy with its interval and mean generated tokens by mode."""
    modes = [mode.value for mode in MODES]
    lines = ["| setting | trained on (M tokens) | task | " + " | ".join(f"{mode}, % | tokens" for mode in modes) + " |",
             "|---|---|---|" + "---|---|" * len(modes)]
    for entry in rows:
        for task in dict.fromkeys(found["task"] for found in entry["rows"]):
            cells = []
            for mode in modes:
                found = next(found for found in entry["rows"] if (found["task"], found["mode"]) == (task, mode))
                cells.append(f"{100 * found['accuracy']:.1f} ({100 * found['low']:.1f} - {100 * found['high']:.1f}) | {found['mean_tokens']:.1f}")
            lines.append(f"| {entry['setting']} | {entry['tokens'] / 1e6:.1f} | {task} | " + " | ".join(cells) + " |")
    return "\n".join(lines + spreads(rows)) + "\n"


def spreads(rows: list[dict]) -> list[str]:
    """Lines with the mean over seeds of each task and mode, smallest and largest in brackets; none where something else was varied."""
    if len(rows) < 2 or not all(entry["setting"].startswith("seed=") for entry in rows):
        return []
    lines = []
    for task in dict.fromkeys(found["task"] for found in rows[0]["rows"]):
        cells = []
        for mode in MODES:
            found = [row for entry in rows for row in entry["rows"] if (row["task"], row["mode"]) == (task, mode.value)]
            accuracies = [100 * row["accuracy"] for row in found]
            cells.append(f"{sum(accuracies) / len(found):.1f} ({min(accuracies):.1f} to {max(accuracies):.1f}) | {sum(row['mean_tokens'] for row in found) / len(found):.1f}")
        lines.append(f"| mean of {len(rows)} seeds | {sum(entry['tokens'] for entry in rows) / len(rows) / 1e6:.1f} | {task} | " + " | ".join(cells) + " |")
    return lines


def settings_of(vary: str) -> list[str]:
    """`key=a,b` -> [`key=a`, `key=b`]."""
    key, found, values = vary.partition("=")
    if not found or not values:
        raise ValueError(f"--vary {vary!r}: expected KEY=A,B,C")
    return [f"{key}={value}" for value in values.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--codebook", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--vary", default=STRATEGIES, metavar="KEY=A,B,C")
    parser.add_argument("--length", type=files.positive(float), help="overrides train.length (minutes, steps or millions of tokens)")
    parser.add_argument("--weights", help="checkpoint folder, latents included, that every run starts from")
    parser.add_argument("--prosqa", help="released ProsQA file (JSON)")
    parser.add_argument("--count", type=files.positive(int), default=300, help="cases of each task")
    args = parser.parse_args()
    recipe, codebook = recipes.load(args.recipe), Codebook.load(args.codebook)
    recipe.train.length = args.length or recipe.train.length
    measured = measured_of(recipe, args.prosqa, args.count)
    torch.set_num_threads(recipe.threads)
    rows = []
    for setting in settings_of(args.vary):
        print(f"{setting}, seed {recipe.seed}", flush=True)
        run = run_of(recipe, setting, codebook, os.path.join(args.out, setting.replace("=", "-")), args.weights)
        rows.append(row(setting, run, measured))
        checkpoint.write_json(os.path.join(args.out, "ablation.json"), {"recipe": args.recipe, "rows": rows})
    with open(os.path.join(args.out, "ablation.md"), "w", encoding="utf-8") as file:
        file.write(table(rows))
    print(table(rows))


if __name__ == "__main__":
    files.run(main)
