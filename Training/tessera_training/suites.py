"""Problems to measure on: the released ProsQA file and held-out generated ones, with the accuracy of their shortcuts.

Seeds of measured problems are large numbers, those of training runs small ones. Print a few: `python3 -m tessera_training.suites --task arithmetic`.
"""
from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from typing import Callable

from . import files
from .tasks import Problem, arithmetic, prontoqa, prosqa

HELD_OUT_SEED = 20_250_203


@dataclass(frozen=True)
class Case:
    prompt: str
    answer: str


@dataclass(frozen=True)
class Suite:
    """Cases of one row of the table; `task` is what the row is called, `shortcut` the accuracy of a rule without reasoning."""

    task: str
    cases: tuple[Case, ...]
    note: str
    shortcut: float | None = None


def _cases(make: Callable[[random.Random], Problem], count: int, seed: int) -> tuple[Case, ...]:
    rng, cases = random.Random(seed), []
    while len(cases) < count:
        problem = make(rng)
        cases += [Case(problem.facts + question.text, question.answer) for question in problem.questions]
    return tuple(cases[:count])


def pronto_cases(count: int, seed: int = HELD_OUT_SEED, hop_count: int = prontoqa.HOP_COUNT) -> tuple[Case, ...]:
    """Questions with `hop_count` hops, one per problem."""
    return _cases(lambda rng: prontoqa.make_problem(rng, 1, False, only_full=True, hop_count=hop_count), count, seed)


def arithmetic_cases(count: int, seed: int = HELD_OUT_SEED, length: int | None = None, names: list[str] | None = None,
                     held_out: bool = True, fork_rate: float = arithmetic.FORK_RATE) -> tuple[Case, ...]:
    """Questions for the last person of the chain, in wordings that training never shows, with comparisons between persons whom it never compares."""
    return _cases(lambda rng: arithmetic.make_problem(rng, 1, False, length, held_out, names, fork_rate), count, seed)


def prosqa_cases(count: int, seed: int = HELD_OUT_SEED, node_count: int = 28, min_hops: int = 3, max_hops: int = 6,
                 variant_rate: float = 0.0) -> tuple[Case, ...]:
    """Generated graphs, the generator's own question."""
    maker = prosqa.ProblemMaker(variant_rate=variant_rate, node_count=node_count, min_hops=min_hops, max_hops=max_hops)
    return _cases(lambda rng: maker.make(rng, 1, False), count, seed)


def dead_end_cases(count: int, seed: int = HELD_OUT_SEED) -> tuple[Case, ...]:
    """ProsQA problems in which a walk back from the right candidate can end at a wrong name."""
    maker = prosqa.ProblemMaker()

    def make(rng: random.Random) -> Problem:
        while True:
            problem = maker.make(rng, 1, False)
            if len(prosqa.persons_behind(problem.facts, problem.questions[0].answer.split()[-1].rstrip("."))) > 1:
                return problem

    return _cases(make, count, seed)


def released(path: str, limit: int | None = None) -> Suite:
    """ProsQA's released file."""
    problems = prosqa.read_released(path)[:limit]
    shortcut = prosqa.shortcut_accuracy(problems)
    return Suite("prosqa", tuple(Case(p.prompt, p.answer) for p in problems),
                 f"released validation file; shortcut by in-degree {100 * shortcut:.1f} %", shortcut)


def majority(cases: tuple[Case, ...]) -> float:
    """Accuracy of the commonest answer."""
    answers = [case.answer for case in cases]
    return max(map(answers.count, set(answers))) / len(answers)


def last_comparison(cases: tuple[Case, ...]) -> float:
    """Accuracy of "apply the asked person's own comparison to the first given count"."""
    return sum(arithmetic.one_step_guess(case.prompt) == int(case.answer) for case in cases) / len(cases)


def standard(prosqa_path: str | None, count: int, tasks: tuple[str, ...] = ("prosqa", "prontoqa", "arithmetic")) -> list[Suite]:
    """The rows that a package quotes."""
    suites = []
    if prosqa_path and "prosqa" in tasks:
        suites.append(released(prosqa_path, count))
    if "prontoqa" in tasks:
        cases = pronto_cases(count)
        suites.append(Suite("prontoqa", cases, f"generated, five hops, seed {HELD_OUT_SEED}; commonest answer {100 * majority(cases):.1f} %",
                            majority(cases)))
    if "arithmetic" in tasks:
        cases = arithmetic_cases(count)
        suites.append(Suite("arithmetic", cases, f"generated, 2 to 6 comparisons, held-out wordings and pairs of names, seed {HELD_OUT_SEED}; one-step shortcut "
                            f"{100 * last_comparison(cases):.1f} %", last_comparison(cases)))
    return suites


def generalisation(count: int) -> list[Suite]:
    """What training never shows."""
    def reworded(cases: tuple[Case, ...], *changes: tuple[str, str]) -> tuple[Case, ...]:
        def changed(prompt: str) -> str:
            for old, new in changes:
                prompt = prompt.replace(old, new)
            return prompt

        return tuple(Case(changed(case.prompt), case.answer) for case in cases)

    any_of = (("Every ", "Any "), ("Each ", "Any "))
    return [
        Suite("prosqa, larger graphs", prosqa_cases(count, node_count=36, min_hops=6, max_hops=8), "36 nodes before pruning, 6 to 8 hops; training has 28 and 3 to 6"),
        Suite("prosqa, dead ends", dead_end_cases(count), "a walk back from the right candidate can end at a wrong name, as in few of the released problems"),
        Suite("prosqa, forms of training's minority", prosqa_cases(count, variant_rate=1.0), "several sentence forms, a third in lower case: 12 % of training prompts"),
        Suite("prosqa, unseen template", reworded(prosqa_cases(count), *any_of), "'Any X is a Y.'"),
        Suite("prontoqa, six hops", pronto_cases(count, hop_count=6), "training has 1 to 5"),
        Suite("prontoqa, unseen template", reworded(pronto_cases(count), *any_of), "'Any X is a Y.' for the sentences with 'Every' and 'Each'"),
        Suite("arithmetic, seven comparisons", arithmetic_cases(count, length=7), "training has 1 to 6"),
        Suite("arithmetic, unknown names", arithmetic_cases(count, names=arithmetic.UNKNOWN_NAMES), "names that no training shows, spelled in bytes"),
        Suite("arithmetic, lower case", tuple(Case(case.prompt.lower(), case.answer) for case in arithmetic_cases(count)), "a small share of training prompts"),
        Suite("arithmetic, no branch", arithmetic_cases(count, fork_rate=0.0), "no person of the chain has a second one depending on it"),
        Suite("arithmetic, a branch", arithmetic_cases(count, fork_rate=1.0), "one person of the chain has: half of the traces go there first and come back"),
        Suite("arithmetic, training wordings", arithmetic_cases(count, held_out=False), "control: wordings that training shows, between persons whom it compares"),
        Suite("arithmetic, unseen template", tuple(Case(arithmetic.turned_around(case.prompt), case.answer) for case in arithmetic_cases(count)),
              "'Against Leo, Tom has 4 more.' instead of 'Tom has 4 more than Leo.'"),
    ]


OUT_OF_SCOPE = (
    "What is the capital of France?", "How do I bake bread?", "Write a poem about the sea.", "Is it going to rain tomorrow?", "Hello!",
    "Translate 'good morning' into Spanish.", "Who wrote the novel about the white whale?", "Sort these numbers: 5, 2, 9.",
    "Every bird can fly. Is a stone heavier than water?", "Tom is a teacher. What does Tom teach?", "What colour is the sky on a clear day?",
    "If a train leaves at noon and travels 60 miles an hour, when does it arrive?", "Name three prime numbers.", "Why do leaves fall in autumn?",
    "A baker sold 48 loaves in April and half as many in May. How many loaves were sold altogether?", "True or false: the earth is flat.",
    "Is Paris a city or river?", "How many apples are in a dozen?", "Explain photosynthesis to a child.", "Give me a synonym for happy.",
    "What is 17 times 23?", "List the planets in order.", "Max has a dog. The dog is brown. What colour is the dog?", "Which is longer, a mile or a kilometre?",
    "def add(a, b): return", "Summarise the following text: it was a dark and stormy night.", "What time is it?", "Est-ce que tu parles français?",
    "How many legs does a spider have?", "Every cat is a mammal. Is my neighbour tall?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="", help="only rows whose name holds this text")
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--prosqa", help="released ProsQA file (JSON)")
    args = parser.parse_args()
    for suite in standard(args.prosqa, args.count) + generalisation(args.count):
        if args.task in suite.task:
            print(f"== {suite.task}: {suite.note}")
            for case in suite.cases:
                print(f"{case.prompt} ->{case.answer}")


if __name__ == "__main__":
    files.run(main)
