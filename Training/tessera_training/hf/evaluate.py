"""Accuracy of a fine-tuned checkpoint by reasoning mode: `python3 -m tessera_training.hf.evaluate --checkpoint RUN/checkpoint --data TEST.jsonl`.

Greedy decoding. An answer is right when it equals the problem's, spaces at the ends, `$` and thousands' commas aside. Writes evaluation.json into the checkpoint and
its rows into tessera.json; `latent, random latents` puts as many random latents in the place of the model's own.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import sys

import torch

from .. import devices
from ..evaluate import KINDS, ROW_KEYS, token_kinds, wilson
from ..generate import Generated, Mode
from . import data
from .config import read_json
from .generate import generate
from .model import HfDecoder
from .prepare import PACKAGE
from .tokenizer import FILE
from .traces import LatentTokenizer
from .weights import load_model, write_json


def normalised(answer: str) -> str:
    return answer.strip().replace("$", "").replace(",", "")


class HfEvaluator:
    def __init__(self, model: HfDecoder, tokenizer: LatentTokenizer, chat: dict, batch: int, limit: int, bf16: bool) -> None:
        self.model, self.tokenizer, self.user, self.batch, self.limit, self.bf16 = model, tokenizer, chat["user"], batch, limit, bf16

    def run(self, examples: list[data.Example], mode: Mode, forced: list[list[int]] | None = None) -> list[Generated]:
        results = []
        for start in range(0, len(examples), self.batch):
            prompts = [self.tokenizer.encode_between(self.user["prefix"], example.prompt, self.user["suffix"]) + [self.tokenizer.think]
                       for example in examples[start:start + self.batch]]
            with devices.autocast(self.model.head_weight.device, self.bf16):
                results += generate(self.model, self.tokenizer, prompts, mode, self.limit, forced[start:start + self.batch] if forced else None)
        return results

    def row(self, task: str, examples: list[data.Example], results: list[Generated], mode: str, note: str = "") -> dict:
        count = len(examples)
        right = sum(normalised(result.answer(self.tokenizer) or "") == normalised(example.answer) for example, result in zip(examples, results))
        low, high = wilson(right, count)
        kinds = [token_kinds(self.tokenizer, result.ids) for result in results]
        return {"task": task, "mode": mode, "n": count, "accuracy": round(right / count, 4), "low": round(low, 4), "high": round(high, 4),
                "mean_tokens": round(sum(len(result.ids) for result in results) / count, 2),
                "tokens": {kind: round(sum(found[kind] for found in kinds) / count, 2) for kind in KINDS},
                "unfinished": sum(not result.finished for result in results), "note": note}

    def random_latents(self, examples: list[data.Example], results: list[Generated], seed: int) -> list[Generated]:
        rng, tokenizer = random.Random(seed), self.tokenizer
        forced = [[tokenizer.bo_latent, *(tokenizer.first_latent + rng.randrange(tokenizer.latent_count) for _ in result.latents(tokenizer)),
                   tokenizer.eo_latent] for result in results]
        return self.run(examples, Mode.LATENT, forced)


def evaluate(folder: str, examples: list[data.Example], task: str, modes: list[Mode], batch: int = 16, limit: int = 256, seed: int = 1,
             device: torch.device = devices.CPU, bf16: bool = False) -> list[dict]:
    """Rows by mode, and one with random latents after `latent`; printed as they come."""
    package = read_json(os.path.join(folder, PACKAGE))
    tokenizer = LatentTokenizer.of_package(read_json(os.path.join(folder, FILE)), package)
    evaluator, rows = HfEvaluator(load_model(folder).to(device), tokenizer, package["chat"], batch, limit, bf16), []
    for mode in modes:
        results = evaluator.run(examples, mode)
        rows.append(evaluator.row(task, examples, results, mode.value))
        print(json.dumps(rows[-1]), flush=True)
        if mode is Mode.LATENT:
            rows.append(evaluator.row(task, examples, evaluator.random_latents(examples, results, seed), "latent, random latents", f"ablation, seed {seed}"))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def write(folder: str, rows: list[dict], seed: int, bf16: bool) -> None:
    """evaluation.json, and the rows of tessera.json."""
    write_json(os.path.join(folder, "evaluation.json"), {"seed": seed, "decoding": "greedy", "precision": "bf16" if bf16 else "fp32", "rows": rows})
    package = read_json(os.path.join(folder, PACKAGE))
    write_json(os.path.join(folder, PACKAGE), package | {"evaluation": [{key: row[key] for key in ROW_KEYS} for row in rows]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--task", default="", help="name of the rows; default: the file's")
    parser.add_argument("--modes", default="latent,text,none,auto")
    parser.add_argument("--count", type=int, default=0, help="first so many problems (0: all)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--limit", type=int, default=256, help="most generated tokens of a problem")
    parser.add_argument("--seed", type=int, default=1, help="of the random latents")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        examples = data.read(args.data)[:args.count or None]
        task = args.task or os.path.splitext(os.path.basename(args.data))[0]
        rows = evaluate(args.checkpoint, examples, task, [Mode(mode) for mode in args.modes.split(",")], args.batch, args.limit, args.seed,
                        devices.choose(args.device), args.bf16)
        write(args.checkpoint, rows, args.seed, args.bf16)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
