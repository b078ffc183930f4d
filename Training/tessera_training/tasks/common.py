"""What every task hands over: facts once, and questions about them with steps and an answer.

Text form: the prompt is `facts + question`; every step and the answer start with one space, because they
follow `<think>` and `</think>` directly.
"""
from __future__ import annotations

import math
import random
import typing
from dataclasses import dataclass, replace
from functools import partial
from typing import Callable

if typing.TYPE_CHECKING:
    from ..config import TaskConfig

CONCEPTS = (
    "boompus bompus brimpus chorpus dumpus felpus fompus gerpus gorpus grimpus gwompus hilpus impus jelpus jompus "
    "kerpus lempus lorpus numpus quimpus rempus rompus rorpus scrompus shumpus sterpus storpus terpus timpus tumpus "
    "vumpus worpus wumpus yerpus yimpus yumpus zhorpus zumpus"
).split()
PERSONS = "Alex Bob Carol Davis Eva Fae Gabriel Jack Max Oliver Polly Rex Sally Sam Stella Tom Wren".split()


@dataclass(frozen=True)
class Question:
    """One question about shared facts."""

    text: str  # starts with a space, ends the prompt
    steps: tuple[str, ...]  # reasoning, one sentence group per step, each starts with a space
    answer: str  # starts with a space
    hop_count: int
    unlearned: frozenset[int] = frozenset()  # steps that are context alone: a wrong turn that later ones recover from
    behind: tuple[tuple[str, dict[str, int]], ...] = ()  # a candidate of the question with the names from which it is reached, by hops; for `train.planning_weight`


@dataclass(frozen=True)
class Problem:
    """Facts shared by several questions (the prompt of question q is `facts + q.text`)."""

    task: str
    facts: str
    questions: tuple[Question, ...]


def lower_case(problem: Problem) -> Problem:
    """The same problem with its prompt in lower case; steps and answer keep their form."""
    return replace(problem, facts=problem.facts.lower(), questions=tuple(replace(q, text=q.text.lower()) for q in problem.questions))


def poisson(rng: random.Random, rate: float) -> int:
    """A Poisson number with mean `rate`."""
    limit, count, product = math.exp(-rate), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


@dataclass(frozen=True)
class TaskSource:
    """Makes training problems of one task: `make(rng, question_count, easy)`.

    A task with short prompts has `prompt_factor` times as many prompts in a batch, and as much fewer questions about each.
    """

    name: str
    make: Callable[[random.Random, int, bool], Problem]
    prompt_factor: int = 1


def load_sources(names: list[str], step_order: str = "walk_back", exclude_prosqa: str = "", dead_end_rate: float = 0.15,
                 variant_rate: float = 0.0, fork_rate: float | None = None, trap_rate: float = 0.0) -> list[TaskSource]:
    """The sources of a recipe's `tasks`, in its order; graphs of the file `exclude_prosqa` are never drawn."""
    from . import arithmetic, maze, prontoqa, prosqa  # they import this module

    excluded = {prosqa.prompt_key(problem.prompt) for problem in prosqa.read_released(exclude_prosqa)} if exclude_prosqa else set()
    known = {
        "prosqa": lambda: TaskSource("prosqa", prosqa.ProblemMaker(step_order, excluded, dead_end_rate, variant_rate, trap_rate).make),
        "prontoqa": lambda: TaskSource("prontoqa", partial(prontoqa.make_problem, variant_rate=variant_rate)),
        "arithmetic": lambda: TaskSource("arithmetic", partial(arithmetic.make_problem, variant_rate=variant_rate,
                                                               fork_rate=arithmetic.FORK_RATE if fork_rate is None else fork_rate), prompt_factor=3),
        "maze": lambda: TaskSource("maze", maze.make_problem, prompt_factor=2),
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"tasks: unknown {unknown}, known are {sorted(known)}")
    return [known[name]() for name in names]


def sources_of(settings: TaskConfig, names: list[str] | None = None) -> list[TaskSource]:
    """The sources of a recipe's [tasks] table (or only `names` of them)."""
    return load_sources(names or settings.names, settings.step_order, settings.exclude_prosqa, settings.dead_end_rate, settings.variant_rate,
                        settings.fork_rate, settings.trap_rate)
