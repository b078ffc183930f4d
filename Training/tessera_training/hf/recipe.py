"""The recipe of a fine-tuning run: one TOML file, unknown keys refused. Show one with its defaults: `python3 -m tessera_training.hf.recipe FILE.toml`."""
from __future__ import annotations

import dataclasses
import json
import math
import sys
import tomllib
from dataclasses import dataclass, field

from ..config import CodebookConfig, fill
from .extend import DELIMITERS, NOISE


@dataclass
class DataConfig:
    file: str = ""  # JSON lines (data.py)
    keep_annotations: bool = False  # GSM8K's <<48/2=24>>
    user_prefix: str = ""  # before the prompt; special tokens are recognised. Empty: what the tokenizer's post-processor adds
    user_suffix: str = "\n"  # between prompt and <think>
    step_end: str = "\n"  # after each step
    max_tokens: int = 1024  # of a row written out as text; longer ones are left out, and said
    validation_share: float = 0.05


@dataclass
class LatentConfig:
    delimiters: list[str] = field(default_factory=lambda: list(DELIMITERS))
    rows: str = "codebook"  # rule for the latents' new rows: "mean" or "codebook" (extend.py)
    noise: float = NOISE


@dataclass
class FinetuneMix:
    none_rate: float = 0.05  # of the rows: no reasoning
    text_rate: float = 0.25  # reasoning as text alone
    full_rate: float = 0.35  # every chunk a latent; the others replace 0..all leading chunks, evenly


@dataclass
class FinetuneTrain:
    steps: int = 1000
    batch: int = 32  # rows of a step, over all processes
    micro_batch: int = 8  # rows of one pass of one process; the gradient accumulates over the rest
    lr: float = 2e-5
    min_lr_share: float = 0.1  # where the cosine ends
    warmup_share: float = 0.03
    weight_decay: float = 0.01
    clip: float = 1.0
    bf16: bool = True  # autocast; weights and optimizer stay fp32
    recompute: bool = False  # activations of a layer again in the backward pass: less memory, a third more time
    evaluate_every: int = 100  # steps between validation losses, checkpoints and saved states
    patience: int = 0  # end after so many validations in a row without a better loss; 0: never
    log_every: int = 10


@dataclass
class FinetuneRecipe:
    name: str = "finetuned"
    version: str = "0.1.0"
    license: str = "unknown"
    description: str = ""
    limits: list[str] = field(default_factory=list)
    checkpoint: str = ""
    seed: int = 0
    threads: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    latents: LatentConfig = field(default_factory=LatentConfig)
    # Its chunking: "step" is each step on its own, in pieces of at most chunk_tokens; "tokens" all steps as one text, cut every chunk_tokens.
    codebook: CodebookConfig = field(default_factory=lambda: CodebookConfig(codes=256, chunk_tokens=16, question_tokens=16, max_steps=64))
    mix: FinetuneMix = field(default_factory=FinetuneMix)
    train: FinetuneTrain = field(default_factory=FinetuneTrain)

    def __post_init__(self) -> None:
        def check(holds: bool, key: str, expected: str, found: object) -> None:
            if not holds:
                raise ValueError(f"recipe: {key}: expected {expected}, found {found!r}")

        mix, train = self.mix, self.train
        check(self.codebook.chunking in ("step", "tokens"), "codebook.chunking", "step or tokens", self.codebook.chunking)
        check(self.codebook.quantizer in ("ema", "rotation", "fsq"), "codebook.quantizer", "ema, rotation or fsq", self.codebook.quantizer)
        levels = self.codebook.fsq_levels
        check(self.codebook.quantizer != "fsq" or (len(levels) == self.codebook.code_dim and math.prod(levels) == self.codebook.codes),
              "codebook.fsq_levels", "code_dim counts whose product is codes", levels)
        check(self.latents.rows in ("mean", "codebook"), "latents.rows", "mean or codebook", self.latents.rows)
        check(0 <= self.data.validation_share < 1, "data.validation_share", "a share below 1", self.data.validation_share)
        check(min(mix.none_rate, mix.text_rate, mix.full_rate) >= 0 and mix.none_rate + mix.text_rate + mix.full_rate <= 1, "mix", "rates that sum to at most 1",
              dataclasses.asdict(mix))
        for key in ("steps", "batch", "micro_batch", "evaluate_every", "log_every"):
            check(getattr(train, key) >= 1, f"train.{key}", "at least 1", getattr(train, key))
        check(0 <= train.warmup_share < 1 and 0 <= train.min_lr_share <= 1, "train", "shares from 0 to 1", [train.warmup_share, train.min_lr_share])
        check(self.codebook.dim % self.codebook.heads == 0, "codebook.dim", f"a multiple of heads ({self.codebook.heads})", self.codebook.dim)


def parse(values: dict) -> FinetuneRecipe:
    """A recipe; a `codebook` table goes over this recipe's own defaults."""
    own = dataclasses.asdict(FinetuneRecipe().codebook)
    table = values.get("codebook", {})
    return fill(FinetuneRecipe, values | {"codebook": own | table if isinstance(table, dict) else table})


def load(path: str) -> FinetuneRecipe:
    with open(path, "rb") as file:
        return parse(tomllib.load(file))


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(load(sys.argv[1])), indent=1))
