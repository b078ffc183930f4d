"""Accuracy by reasoning mode: `python3 -m tessera_training.evaluate --checkpoint DIR --prosqa prosqa_valid.json --count 300`.

Greedy decoding with a KV cache in fp32. Per task and mode: accuracy with its 95 % Wilson interval, the mean count of generated tokens
(everything after `<think>`, delimiters, answer and `<eos>` included) by kind, and the answer's probability. `--dial` adds latent budgets,
`--generalisation` what training never shows, `--scope` answers' probabilities on questions outside the tasks. The ablations keep a
trace's length and replace its latents: by their own in another order, by random ones, by those of another problem.
Writes evaluation.json into the checkpoint, and the rows into its tessera.json, from where the exporter takes manifest and model card.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import random
import time

import torch

from . import checkpoint, devices, files, suites
from .generate import Generated, Mode, generate
from .model import GenerationState, TesseraLlama
from .suites import Case, Suite
from .tokenizer import Tokenizer

ROW_KEYS = ("task", "mode", "n", "accuracy", "low", "high", "mean_tokens", "note")
KINDS = ("latent", "control", "reasoning_text", "answer")


def wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share."""
    share = right / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)


def token_kinds(tokenizer: Tokenizer, ids: list[int]) -> dict[str, int]:
    """Generated ids by kind; `<eos>` counts with the answer. The sum is the length."""
    counts, answering = dict.fromkeys(KINDS, 0), False
    for token in ids:
        if tokenizer.is_latent(token):
            counts["latent"] += 1
        elif token in (tokenizer.think, tokenizer.end_think, tokenizer.bo_latent, tokenizer.eo_latent):
            counts["control"] += 1
            answering |= token == tokenizer.end_think
        else:
            counts["answer" if answering else "reasoning_text"] += 1
    return counts


class Evaluator:
    """Prompts are computed once and serve every mode."""

    def __init__(self, model: TesseraLlama, tokenizer: Tokenizer, batch: int = 50, limit: int = 160, bf16: bool = False) -> None:
        self.model, self.tokenizer, self.batch, self.limit, self.bf16 = model, tokenizer, batch, limit, bf16
        self._prompts: dict[tuple[str, ...], GenerationState] = {}

    @torch.no_grad()
    def _state(self, part: list[Case], prompts: list[list[int]]) -> GenerationState:
        key = tuple(case.prompt for case in part)
        if key not in self._prompts:
            self._prompts[key] = GenerationState(self.model, prompts, self.limit)
        return self._prompts[key].fork()

    def forget(self) -> None:
        """Frees the prompts' caches."""
        self._prompts.clear()

    def run(self, cases: list[Case], mode: Mode, forced: list[list[int]] | None = None, latent_budget: int | None = None) -> list[Generated]:
        results = []
        for start in range(0, len(cases), self.batch):
            part = cases[start:start + self.batch]
            prompts = [self.tokenizer.encode(case.prompt) + [self.tokenizer.think] for case in part]
            given = forced[start:start + self.batch] if forced else None
            with devices.autocast(self.model.embed.weight.device, self.bf16):
                results += generate(self.model, self.tokenizer, prompts, mode, self.limit, given, self._state(part, prompts), latent_budget)
        return results

    def row(self, task: str, cases: list[Case], results: list[Generated], mode: str, note: str) -> dict:
        """One evaluation row."""
        count = len(cases)
        right = sum(result.answer(self.tokenizer) == case.answer for case, result in zip(cases, results))
        low, high = wilson(right, count)
        kinds = [token_kinds(self.tokenizer, result.ids) for result in results]
        return {"task": task, "mode": mode, "n": count, "accuracy": round(right / count, 4), "low": round(low, 4), "high": round(high, 4),
                "mean_tokens": round(sum(len(result.ids) for result in results) / count, 2),
                "tokens": {kind: round(sum(counts[kind] for counts in kinds) / count, 2) for kind in KINDS},
                "confidence": round(sum(result.confidence for result in results) / count, 4),
                "unfinished": sum(not result.finished for result in results), "note": note}

    def ablations(self, task: str, cases: list[Case], results: list[Generated], seed: int) -> list[dict]:
        """Only the answer is the model's own: its latents put back (the control), and three ways of replacing them."""
        rng, tokenizer = random.Random(seed), self.tokenizer
        own = [result.latents(tokenizer) for result in results]
        others = own[1:] + own[:1]
        replaced = (
            ("latent, own latents replayed", "control of the next rows", own),
            ("latent, own latents shuffled", f"ablation, seed {seed}", [rng.sample(codes, len(codes)) for codes in own]),
            ("latent, random latents", f"ablation, seed {seed}", [[rng.randrange(tokenizer.first_latent, tokenizer.size) for _ in codes] for codes in own]),
            ("latent, foreign latents", "ablation: latents of the next problem", [fitted(other, len(codes)) for codes, other in zip(own, others)]),
        )
        rows = []
        for mode, note, latents in replaced:
            forced = [[tokenizer.bo_latent, *codes, tokenizer.eo_latent, tokenizer.end_think] for codes in latents]
            rows.append(self.row(task, cases, self.run(cases, Mode.LATENT, forced), mode, note))
        return rows


def fitted(codes: list[int], length: int) -> list[int]:
    """`codes` repeated or cut to a length."""
    return [codes[index % len(codes)] for index in range(length)] if codes else []


def dial(evaluator: Evaluator, suite: Suite, most: int) -> list[dict]:
    """Latent budgets 0..most: after so many latents the model goes on in text. Budget 0 is text mode."""
    rows, cases = [], list(suite.cases)
    for budget in range(most + 1):
        results = evaluator.run(cases, Mode.LATENT if budget else Mode.TEXT, latent_budget=budget or None)
        rows.append(evaluator.row(suite.task, cases, results, f"latent, budget {budget}", "budget 0 is mode text" if not budget else ""))
    return rows


def scope(evaluator: Evaluator, inside: list[Suite], mode: Mode = Mode.AUTO) -> dict:
    """How far the answer's probability tells questions outside the tasks from those inside (AUROC and a threshold)."""
    outside = sorted(result.confidence for result in evaluator.run([Case(text, "") for text in suites.OUT_OF_SCOPE], mode))
    known = sorted(result.confidence for suite in inside for result in evaluator.run(list(suite.cases), mode))
    above = sum((a > b) + 0.5 * (a == b) for a in known for b in outside) / (len(known) * len(outside))
    threshold = known[len(known) // 20]
    return {"inside": len(known), "outside": len(outside), "auroc": round(above, 4), "threshold": round(threshold, 4),
            "outside_below_threshold": round(sum(value < threshold for value in outside) / len(outside), 4),
            "median_inside": round(known[len(known) // 2], 4), "median_outside": round(outside[len(outside) // 2], 4),
            "note": "probability of the answer, mode auto; 95 % of inside answers are at or above the threshold"}


def package_rows(rows: list[dict]) -> list[dict]:
    """The rows of tessera.json: the four modes and the ablations, without dial and generalisation."""
    wanted = [mode.value for mode in Mode]
    return [{key: row[key] for key in ROW_KEYS} for row in rows if "," not in row["task"] and (row["mode"] in wanted or " latents" in row["mode"])]


def evaluate(folder: str, measured: list[Suite], modes: list[Mode], ablation: bool, seed: int, batch: int, bf16: bool = False, dial_to: int = 0,
             beyond: list[Suite] | None = None, with_scope: bool = False, device: torch.device = devices.CPU) -> dict:
    """evaluation.json's object, rows printed as they come."""
    model, tokenizer = checkpoint.load(folder)
    evaluator, rows, dials = Evaluator(model.to(device), tokenizer, batch, bf16=bf16), [], []

    def add(row: dict, to: list[dict]) -> None:
        to.append(row)
        print(json.dumps(row), flush=True)

    for suite in measured:
        for mode in modes:
            results = evaluator.run(list(suite.cases), mode)
            add(evaluator.row(suite.task, suite.cases, results, mode.value, suite.note), rows)
            if mode is Mode.LATENT and ablation:
                for row in evaluator.ablations(suite.task, list(suite.cases), results, seed):
                    add(row, rows)
        for row in dial(evaluator, suite, dial_to) if dial_to else []:
            add(row, dials)
        evaluator.forget()
    for suite in beyond or []:
        for mode in (Mode.LATENT, Mode.TEXT):
            add(evaluator.row(suite.task, suite.cases, evaluator.run(list(suite.cases), mode), mode.value, suite.note), rows)
        evaluator.forget()
    result = {"seed": seed, "decoding": "greedy", "precision": "bf16" if bf16 else "fp32",
              "shortcuts": {suite.task: round(suite.shortcut, 4) for suite in measured if suite.shortcut is not None}, "rows": rows, "dial": dials}
    if with_scope:
        result["scope"] = scope(evaluator, measured)
        print(json.dumps(result["scope"]), flush=True)
    return result


def write(folder: str, result: dict) -> None:
    """evaluation.json, and the rows of tessera.json."""
    checkpoint.write_json(os.path.join(folder, "evaluation.json"), result)
    path = os.path.join(folder, "tessera.json")
    with open(path, encoding="utf-8") as file:
        description = json.load(file)
    description["evaluation"] = package_rows(result["rows"]) + [row for row in description["evaluation"] if row["mode"] == ANSWER_ONLY]
    checkpoint.write_json(path, description)


ANSWER_ONLY = "answer-only model"


def add_answer_only(folder: str, other: str, recipe: str = "recipes/answer_only.toml") -> None:
    """Adds the `none` rows of another checkpoint's evaluation.json to this one's tessera.json, as those of a separate model of the recipe."""
    with open(os.path.join(other, "evaluation.json"), encoding="utf-8") as file:
        found = [row for row in json.load(file)["rows"] if row["mode"] == Mode.NONE.value and "," not in row["task"]]
    path = os.path.join(folder, "tessera.json")
    with open(path, encoding="utf-8") as file:
        description = json.load(file)
    description["evaluation"] = [row for row in description["evaluation"] if row["mode"] != ANSWER_ONLY]
    description["evaluation"] += [{key: row[key] for key in ROW_KEYS} | {"mode": ANSWER_ONLY, "note": f"separate model ({recipe})"}
                                  for row in found]
    checkpoint.write_json(path, description)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--prosqa", help="released ProsQA file (JSON)")
    parser.add_argument("--tasks", default="prosqa,prontoqa,arithmetic", help="of the standard rows; none: only what other options ask for")
    parser.add_argument("--count", type=int, default=300, help="cases of each task")
    parser.add_argument("--modes", default="latent,text,none,auto")
    parser.add_argument("--dial", type=int, default=0, help="latent budgets from 0 to this one (0: none)")
    parser.add_argument("--generalisation", type=int, default=0, help="cases of each set that training never shows (0: none)")
    parser.add_argument("--scope", action="store_true", help="answers' probabilities on questions outside the tasks")
    parser.add_argument("--answer-only", help="checkpoint folder of the separate answer-only model, evaluated before: only adds its rows")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the ablations")
    parser.add_argument("--no-ablation", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="bf16 autocast: faster, for a look in between")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    args = parser.parse_args()
    if args.answer_only:
        add_answer_only(args.checkpoint, args.answer_only)
        return
    tasks = tuple(args.tasks.split(","))
    if unknown := sorted(set(tasks) - {"prosqa", "prontoqa", "arithmetic", "none"}):
        raise ValueError(f"--tasks: unknown {unknown}, known are prosqa, prontoqa, arithmetic and none")
    if args.scope and "none" in tasks:
        raise ValueError("--scope: compares with answers inside the tasks, so --tasks must name some")
    torch.set_num_threads(args.threads)
    print(f"seed {args.seed}, problems' seed {suites.HELD_OUT_SEED}", flush=True)
    started = time.time()
    measured = suites.standard(args.prosqa, args.count, tasks)
    beyond = suites.generalisation(args.generalisation) if args.generalisation else []
    result = evaluate(args.checkpoint, measured, [Mode(mode) for mode in args.modes.split(",")], not args.no_ablation, args.seed, args.batch,
                      args.bf16, args.dial, beyond, args.scope, devices.choose(args.device))
    result["seconds"] = round(time.time() - started)
    print(f"{result['seconds']} s")
    if not args.dry:
        write(args.checkpoint, result)


if __name__ == "__main__":
    files.run(main)
