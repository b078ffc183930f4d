"""Fine-tune a Hugging Face checkpoint to reason in latents: `python3 -m tessera_training.finetune --checkpoint DIR --data FILE.jsonl --out RUN`.

Llama, Qwen2, Qwen3, Mistral and SmolLM2 layouts; data as JSON lines with `prompt`, `steps` and `answer`, or GSM8K's files as they are. The vocabulary grows by
four delimiters and K latents, a VQ-VAE learns codes for chunks of the reasoning (or `--codebook` brings one), and all weights are trained on rows whose leading
chunks are replaced by their codes. `--recipe` sets what has a default (hf/recipe.py); `--resume` continues the run in --out exactly where its state.pt is.
Several processes: `python3 -m torch.distributed.run --nproc_per_node 2 -m tessera_training.finetune ...`; they compute what one would.

RUN holds recipe.json, codebook/, config.json, tokenizer.json, tessera.json, state.pt, log.jsonl, and checkpoint/: the weights with the best validation loss.
"""
from __future__ import annotations

import argparse
import os
import sys

import torch
import torch.distributed as distributed

from . import devices
from .hf import recipe as recipes
from .hf.prepare import opened, prepare
from .hf.reference import write_reference
from .hf.trainer import CHECKPOINT, FinetuneRun


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="Hugging Face folder of a new run (or key checkpoint of the recipe)")
    parser.add_argument("--data", help="JSON lines of a new run (or key data.file of the recipe)")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--recipe", help="TOML file")
    parser.add_argument("--codebook", help="folder of a codebook for this vocabulary; without it one is trained first")
    parser.add_argument("--steps", type=int, help="overrides train.steps")
    parser.add_argument("--seed", type=int, help="overrides seed")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--sharding", default="none", help="none or fsdp (CUDA, several processes)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    return parser


def new_recipe(args: argparse.Namespace) -> recipes.FinetuneRecipe:
    recipe = recipes.load(args.recipe) if args.recipe else recipes.FinetuneRecipe()
    recipe.checkpoint, recipe.data.file = args.checkpoint or recipe.checkpoint, args.data or recipe.data.file
    recipe.train.steps = args.steps or recipe.train.steps
    recipe.seed = recipe.seed if args.seed is None else args.seed
    if not recipe.checkpoint or not recipe.data.file:
        raise ValueError("a new run needs --checkpoint and --data")
    recipe.checkpoint, recipe.data.file = os.path.abspath(recipe.checkpoint), os.path.abspath(recipe.data.file)
    return recipe


def run(args: argparse.Namespace) -> FinetuneRun:
    place = devices.start(args.device)

    def say(text: str) -> None:
        if place.is_first:
            print(text, flush=True)

    if not args.resume and place.is_first:
        recipe = new_recipe(args)
        torch.set_num_threads(recipe.threads)
        say(f"seed {recipe.seed}")
        prepare(recipe, args.out, args.codebook, place.device, say)
    if place.world > 1:
        distributed.barrier()
    prepared = opened(args.out)
    if args.resume and args.steps:
        prepared.recipe.train.steps = args.steps
    torch.set_num_threads(prepared.recipe.threads)
    made = FinetuneRun(prepared, args.out, place, args.sharding)
    say(f"{sum(p.numel() for p in made.model.parameters()):,} parameters, {prepared.tokenizer.latent_count} latents, step {made.step} of "
        f"{prepared.recipe.train.steps}, {place.world} processes on {place.device.type}")
    made.train()
    if place.is_first and os.path.isdir(os.path.join(args.out, CHECKPOINT)):
        write_reference(prepared, args.out)
    return made


def main() -> None:
    args = arguments().parse_args()
    try:
        run(args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        devices.finish()


if __name__ == "__main__":
    main()
