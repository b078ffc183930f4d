"""Accuracy by reasoning mode: `python3 -m tessera_training.evaluate --checkpoint DIR --prosqa prosqa_valid.json --pronto 300`.

Greedy decoding with a KV cache in fp32. Reports, per task and mode, accuracy with its 95 % Wilson interval and the mean count of
generated tokens (everything after `<think>`, delimiters, answer and `<eos>` included); the shortcut "smaller in-degree" on
the same ProsQA file; and the shuffle ablation, in which the model answers after its latents were replaced by random ones.
Writes evaluation.json into the checkpoint and the rows of the modes into tessera.json.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from dataclasses import dataclass

import torch

from . import checkpoint
from .generate import Generated, Mode, generate
from .model import GenerationState, TesseraLlama
from .tasks import prontoqa, prosqa
from .tokenizer import Tokenizer

HELD_OUT_SEED = 20_250_203  # ProntoQA evaluation problems; training seeds are small numbers


@dataclass(frozen=True)
class Case:
    prompt: str
    answer: str


def wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share."""
    share = right / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)


def pronto_cases(count: int, seed: int = HELD_OUT_SEED) -> list[Case]:
    """Five-hop questions, one per problem."""
    rng, cases = random.Random(seed), []
    for _ in range(count):
        problem = prontoqa.make_problem(rng, 1, False, only_full=True)
        cases.append(Case(problem.facts + problem.questions[0].text, problem.questions[0].answer))
    return cases


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

    def run(self, cases: list[Case], mode: Mode, forced: list[list[int]] | None = None) -> list[Generated]:
        results = []
        for start in range(0, len(cases), self.batch):
            part = cases[start:start + self.batch]
            prompts = [self.tokenizer.encode(case.prompt) + [self.tokenizer.think] for case in part]
            given = forced[start:start + self.batch] if forced else None
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
                results += generate(self.model, self.tokenizer, prompts, mode, self.limit, given, self._state(part, prompts))
        return results

    def row(self, task: str, cases: list[Case], results: list[Generated], mode: str, note: str) -> dict:
        """One evaluation row."""
        right = sum(result.answer(self.tokenizer) == case.answer for case, result in zip(cases, results))
        low, high = wilson(right, len(cases))
        return {"task": task, "mode": mode, "n": len(cases), "accuracy": round(right / len(cases), 4), "low": round(low, 4), "high": round(high, 4),
                "mean_tokens": round(sum(len(result.ids) for result in results) / len(cases), 2),
                "unfinished": sum(not result.finished for result in results), "note": note}

    def shuffled(self, cases: list[Case], latent_results: list[Generated], rng: random.Random) -> list[Generated]:
        """As many random latents as the model had written, then `<eoLatent>` and `</think>`: only the answer is the model's own."""
        return self._answer_after(cases, [[rng.randrange(self.tokenizer.first_latent, self.tokenizer.size) for _ in result.latents(self.tokenizer)]
                                          for result in latent_results])

    def replayed(self, cases: list[Case], latent_results: list[Generated]) -> list[Generated]:
        """The model's own latents put back the same way: the control of `shuffled`."""
        return self._answer_after(cases, [result.latents(self.tokenizer) for result in latent_results])

    def _answer_after(self, cases: list[Case], latents: list[list[int]]) -> list[Generated]:
        tokenizer = self.tokenizer
        forced = [[tokenizer.bo_latent, *codes, tokenizer.eo_latent, tokenizer.end_think] for codes in latents]
        return self.run(cases, Mode.LATENT, forced)


def package_rows(rows: list[dict]) -> list[dict]:
    """The rows of tessera.json: those of the four modes, without the ablation."""
    keys = ("task", "mode", "n", "accuracy", "low", "high", "mean_tokens", "note")
    return [{key: row[key] for key in keys} for row in rows if row["mode"] in [mode.value for mode in Mode]]


def evaluate(folder: str, tasks: dict[str, tuple[list[Case], str]], modes: list[Mode], ablation: bool, seed: int, batch: int,
             bf16: bool = False) -> list[dict]:
    """Rows for every task ({name: (cases, note)}) and mode."""
    model, tokenizer = checkpoint.load(folder)
    evaluator, rows = Evaluator(model, tokenizer, batch, bf16=bf16), []

    def add(row: dict) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)

    for task, (cases, note) in tasks.items():
        for mode in modes:
            results = evaluator.run(cases, mode)
            add(evaluator.row(task, cases, results, mode.value, note))
            if mode is Mode.LATENT and ablation:
                add(evaluator.row(task, cases, evaluator.replayed(cases, results), "latent, own latents replayed", "control of the next row"))
                shuffled = evaluator.shuffled(cases, results, random.Random(seed))
                add(evaluator.row(task, cases, shuffled, "latent, random latents", f"ablation, seed {seed}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--prosqa", help="released ProsQA file (JSON)")
    parser.add_argument("--pronto", type=int, default=300, help="generated five-hop ProntoQA problems (0: none)")
    parser.add_argument("--modes", default="latent,text,none,auto")
    parser.add_argument("--limit", type=int, default=0, help="first so many cases of each task (0: all)")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the shuffle ablation")
    parser.add_argument("--no-ablation", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="bf16 autocast: faster, for a look in between")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"seed {args.seed}, ProntoQA seed {HELD_OUT_SEED}", flush=True)
    started, tasks, shortcut = time.time(), {}, None
    if args.prosqa:
        released = prosqa.read_released(args.prosqa)[:args.limit or None]
        shortcut = round(prosqa.shortcut_accuracy(released), 4)
        print(f"prosqa shortcut (smaller in-degree): {shortcut}", flush=True)
        tasks["prosqa"] = ([Case(p.prompt, p.answer) for p in released], f"released validation file; shortcut by in-degree {100 * shortcut:.1f} %")
    if args.pronto:
        tasks["prontoqa"] = (pronto_cases(min(args.pronto, args.limit or args.pronto)), f"generated, five hops, seed {HELD_OUT_SEED}")
    rows = evaluate(args.checkpoint, tasks, [Mode(mode) for mode in args.modes.split(",")], not args.no_ablation, args.seed, args.batch,
                    args.bf16)
    print(f"{time.time() - started:.0f} s")
    if args.dry:
        return
    checkpoint.write_json(os.path.join(args.checkpoint, "evaluation.json"),
                          {"prosqa_shortcut": shortcut, "seed": args.seed, "decoding": "greedy",
                           "precision": "bf16" if args.bf16 else "fp32", "rows": rows})
    path = os.path.join(args.checkpoint, "tessera.json")
    with open(path, encoding="utf-8") as file:
        description = json.load(file)
    description["evaluation"] = package_rows(rows)
    checkpoint.write_json(path, description)


if __name__ == "__main__":
    main()
