"""What every task hands over: facts once, and questions about them with steps and an answer.

Text form: the prompt is `facts + question`; every step and the answer start with one space, because they
follow `<think>` and `</think>` directly.
"""
from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable

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


@dataclass(frozen=True)
class Problem:
    """Facts shared by several questions (the prompt of question q is `facts + q.text`)."""

    task: str
    facts: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class TaskSource:
    """Makes training problems of one task: `make(rng, question_count, easy)`."""

    name: str
    make: Callable[[random.Random, int, bool], Problem]


def load_sources(names: list[str], step_order: str = "walk_back", exclude_prosqa: str = "") -> list[TaskSource]:
    """The sources of a recipe's `tasks`, in its order; prompts of the file `exclude_prosqa` are never drawn."""
    from . import prontoqa, prosqa  # both import this module

    excluded = {problem.prompt for problem in prosqa.read_released(exclude_prosqa)} if exclude_prosqa else set()
    known = {
        "prosqa": lambda: TaskSource("prosqa", prosqa.ProblemMaker(step_order, excluded).make),
        "prontoqa": lambda: TaskSource("prontoqa", prontoqa.make_problem),
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"tasks: unknown {unknown}, known are {sorted(known)}")
    return [known[name]() for name in names]
