"""One recipe = one TOML file = one `Recipe`. Unknown keys are refused.

Show a recipe with its defaults filled in: `python3 -m tessera_training.config recipes/walkback.toml`.
"""
from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import tomllib
import typing
from dataclasses import dataclass, field


@dataclass
class TaskConfig:
    names: list[str] = field(default_factory=lambda: ["prosqa", "prontoqa"])
    step_order: str = "walk_back"  # ProsQA only; "forward" is the released order
    exclude_prosqa: str = ""  # released file whose graphs are never drawn; a recipe file names it relative to itself
    dead_end_rate: float = 0.15  # ProsQA walks that go to a wrong name first: twice this share
    trap_rate: float = 0.0  # ProsQA graphs in which a walk back from the right candidate can end at a wrong name, beside those that are so by chance
    fork_rate: float = 0.35  # arithmetic problems in which a person of the chain has a second one depending on it; tests have 0.35
    variant_rate: float = 0.0  # of the prompts: other surface forms, a third of them in lower case


@dataclass
class CodebookConfig:
    codes: int = 128
    chunking: str = "step"  # what one latent stands for: "step", a reasoning step, or "tokens", chunk_tokens tokens (the paper's L = r)
    chunk_tokens: int = 10  # of the longest chunk; the longest step has 9 tokens
    question_tokens: int = 7  # the ProsQA question, the longest one
    max_steps: int = 24
    quantizer: str = "ema"  # "ema", "rotation" (the same with rotated gradients) or "fsq"; see quantizers.py
    fsq_levels: list[int] = field(default_factory=list)  # of "fsq": one count per dimension, code_dim of them, their product is `codes`
    dim: int = 128
    code_dim: int = 32
    heads: int = 4
    steps: int = 2200
    batch: int = 64  # reasoning traces per step
    warmup_share: float = 0.36  # of the steps: no codes yet, noise on the vectors instead
    warmup_noise: float = 0.7  # its standard deviation at first; the vectors have unit variance
    warmup_noise_end: float = 1.5  # and from 0.6 of the warm-up on, after a straight rise
    lr: float = 2e-3
    freeze_share: float = 0.5  # afterwards encoder and codes stay and only the decoder learns
    new_word_weight: float = 4.0  # in the reconstruction loss, against 1 for words the decoder can know already
    commitment: float = 0.25
    ema_decay: float = 0.98
    measured_traces: int = 500  # fresh traces for what codebook.json says
    final_traces: int = 1500  # of each task, over whose steps (as drawn and distinct) k-means makes the final codes
    final_cells: int = 700  # k-means cells that are merged into the final codes; 0 = k-means makes the codes themselves
    restart_after: int = 20  # batches without use until a code is drawn again


@dataclass
class ModelConfig:
    layers: int = 5
    dim: int = 128
    heads: int = 4
    mlp_dim: int = 384
    ngrams: int = 3
    rope_theta: float = 1e6
    max_positions: int = 4096
    structured_init: bool = True
    init_scale: float = 1.3  # size of the rotations in W_q and W_k
    copy_scale: float = 0.5  # size of the copy in W_v and W_o


@dataclass
class MixConfig:
    strategy: str = "leading"  # which steps become latents: "leading", "all", "curriculum" or "poisson" (mix.draw_plan)
    curriculum_until: float = 0.7  # share of the run after which "curriculum" replaces all steps
    curriculum_steps: int = 12  # leading steps that "curriculum" replaces one after the other until then
    full_rate: float = 0.85  # of the rows of a short batch; the others are answer-only
    text_rate: float = 0.65  # of the rows of a long batch; the others replace 1..n leading steps
    short_batch_rate: float = 0.5
    recall_rate: float = 0.2  # of all rows: sentences of the prompt again, loss on what follows their subjects
    allow_latents: bool = True  # false: text and answer-only rows alone
    answer_only: bool = False  # true: every row is answer-only (the separate baseline model)


@dataclass
class TrainConfig:
    schedule: str = "minutes"  # "minutes": wall clock, "steps": optimizer steps, "tokens": millions of tokens, alike on every machine
    length: float = 60.0  # minutes, steps or millions of tokens
    decay_from: float = 0.65  # share of the run after which the learning rate falls linearly
    lr: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.1
    prompts: int = 4  # shared prompts per batch
    long_questions: int = 8  # questions per prompt in a batch of text and mixed rows
    short_questions: int = 16
    last_step_weight: float = 4.0  # of the step that decides the answer, in the loss
    answer_weight: float = 1.0  # of the answer, in the loss
    planning_weight: float = 0.0  # of a second loss: layer i knows at each candidate of the question the names up to i hops behind it (tasks with such names)
    easy_until: float = 0.05  # share of the run with easy problems alone
    easy_rate: float = 0.1  # share of easy batches afterwards
    checkpoint_minutes: float = 5.0
    log_every: int = 50


@dataclass
class Recipe:
    name: str = "run"
    version: str = "0.1.0"
    description: str = ""
    limits: list[str] = field(default_factory=list)  # what a user must know; goes into the model card
    seed: int = 0
    threads: int = 1
    tasks: TaskConfig = field(default_factory=TaskConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.train.schedule not in ("minutes", "steps", "tokens"):
            raise ValueError(f"train.schedule: {self.train.schedule!r}, known are 'minutes', 'steps' and 'tokens'")
        if self.mix.strategy not in ("leading", "all", "curriculum", "poisson"):
            raise ValueError(f"mix.strategy: {self.mix.strategy!r}, known are 'leading', 'all', 'curriculum' and 'poisson'")
        if self.model.dim % self.model.heads or self.model.dim // self.model.heads % 16:
            raise ValueError(f"model: dim {self.model.dim} / heads {self.model.heads} must be a multiple of 16")
        if self.train.planning_weight < 0:
            raise ValueError(f"train.planning_weight: {self.train.planning_weight}, expected 0 or more")
        if self.train.planning_weight > 0 and (self.tasks.step_order != "forward" or self.model.layers < 4):
            raise ValueError("train.planning_weight: needs tasks.step_order = \"forward\" and model.layers of 4 or more")
        if self.codebook.chunking not in ("step", "tokens"):
            raise ValueError(f"codebook.chunking: {self.codebook.chunking!r}, known are 'step' and 'tokens'")
        if self.codebook.quantizer not in ("ema", "rotation", "fsq"):
            raise ValueError(f"codebook.quantizer: {self.codebook.quantizer!r}, known are 'ema', 'rotation' and 'fsq'")
        levels = self.codebook.fsq_levels
        if self.codebook.quantizer == "fsq" and (len(levels) != self.codebook.code_dim or math.prod(levels) != self.codebook.codes):
            raise ValueError(f"codebook.fsq_levels: {levels}, expected code_dim = {self.codebook.code_dim} counts with the product codes = {self.codebook.codes}")
        if self.codebook.code_dim < 1 or self.codebook.dim % self.codebook.heads:
            raise ValueError("codebook: dim must be a multiple of heads")


def parse(values: dict) -> Recipe:
    """A recipe from a parsed TOML document."""
    return fill(Recipe, values)


def load(path: str) -> Recipe:
    with open(path, "rb") as file:
        try:
            recipe = parse(tomllib.load(file))
        except ValueError as error:  # also what tomllib raises
            raise ValueError(f"{path}: {error}") from None
    if recipe.tasks.exclude_prosqa:
        recipe.tasks.exclude_prosqa = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), recipe.tasks.exclude_prosqa))
    return recipe


def changed(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `key=value` settings taken in, such as `mix.strategy=all` or `train.length=12`; values as in TOML, a bare word is text."""
    values = dataclasses.asdict(recipe)
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found:
            raise ValueError(f"setting {setting!r}: expected key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *tables, last = key.strip().split(".")
        place = values
        for name in tables:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise ValueError(f"setting {setting!r}: a recipe has no key {key.strip()!r}")
        place[last] = value
    return parse(values)


def fill(kind: type, values: dict, where: str = ""):
    """A dataclass from a parsed TOML document; keys and types must be its own."""
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"recipe: unknown keys {[where + key for key in unknown]}")
    filled = {}
    for key, value in values.items():
        wanted = hints[key]
        if dataclasses.is_dataclass(wanted):
            if not isinstance(value, dict):
                raise ValueError(f"recipe: {where + key} must be a table")
            filled[key] = fill(wanted, value, f"{where + key}.")
        elif wanted is float and isinstance(value, int) and not isinstance(value, bool):
            filled[key] = float(value)
        elif isinstance(value, typing.get_origin(wanted) or wanted) and not (wanted is int and isinstance(value, bool)):
            filled[key] = value
        else:
            raise ValueError(f"recipe: {where + key} is {value!r}, expected {wanted}")
    return kind(**filled)


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(load(sys.argv[1])), indent=1))
