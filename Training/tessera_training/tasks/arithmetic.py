"""Arithmetic word problems: shuffled comparisons between persons ("Tom has 4 fewer than Leo."), asked for one person's count.

A chain of 2 to 6 comparisons (1 to 3 in easy problems) leads from a person with a given count to the asked one; distractors hang off the chain, off the asked
person, or form a chain of their own. The steps work forward and in pairs: who comes next ("Tom depends on Leo.") and what follows
("Tom has 5."). At a fork the steps take any branch, so dead ends and returns are part of the training, and no planning is needed. A return says
where it goes on ("Start with Leo.") and from what ("Leo has 9."): a latent that names the next person alone would not tell whose count comes first.
Every count is 0..99, one token. Print some: `python3 -m tessera_training.tasks --task arithmetic`.

Wordings: a comparison is a verb and a phrase. The pairs of `HELD_OUT_PAIRS` are never drawn for training; test problems use no others. Persons: two whom
`held_apart` names are never compared with each other in training; every comparison of a test problem is between two such persons.
"""
from __future__ import annotations

import random
from dataclasses import dataclass

from .common import PERSONS, Problem, Question, lower_case

NAMES = ["Ann", "Ben", "Dan", "Eve", "Ian", "Joy", "Kim", "Leo", "Mia", "Ned", "Pam", "Zoe", *PERSONS]
UNKNOWN_NAMES = "Abe Cal Dot Eli Gus Hal Ida Jan Lou Meg Nan Otto Roy".split()  # in no task's training and not in the vocabulary
ITEMS = "apples books cards coins eggs pens shells stamps".split()
VERBS = ("has", "owns", "keeps")
PHRASES = {
    "more": ("more than", "in excess of"),
    "fewer": ("fewer than", "less than", "short of"),
    "times": ("times as many as", "times the number of"),
    "half": ("half as many as", "half the number of"),
}
HELD_OUT_PAIRS = frozenset({
    ("owns", "more than"), ("keeps", "in excess of"), ("keeps", "less than"), ("has", "short of"), ("owns", "fewer than"),
    ("owns", "times the number of"), ("keeps", "times as many as"), ("has", "half the number of"), ("keeps", "half as many as"),
})
MAX_COUNT = 99
MAX_AMOUNT = 9
MAX_TIMES = 4
FORK_RATE = 0.35  # a distractor that depends on a person of the chain
TAIL_RATE = 0.35  # one that depends on the asked person
APART_RATE = 0.15  # a person with a given count of its own, and one who depends on it


@dataclass(frozen=True)
class Fact:
    """`person` relates to `source` by `kind` and `amount`; without a source, `amount` is given."""

    person: str
    kind: str
    amount: int
    source: str | None

    def value(self, of_source: int) -> int:
        if self.kind == "more":
            return of_source + self.amount
        if self.kind == "fewer":
            return of_source - self.amount
        return of_source * self.amount if self.kind == "times" else of_source // 2


def held_apart(person: str, other: str) -> bool:
    """Whether training never compares the two: a fifth of all pairs, five or six for every person. Names outside `NAMES` have no such pairs."""
    return person in NAMES and other in NAMES and (NAMES.index(person) + NAMES.index(other)) % 5 == 0


def _draw_fact(rng: random.Random, person: str, source: str, value: int) -> Fact:
    """A comparison whose result is 0..MAX_COUNT."""
    while True:
        draw = rng.random()
        kind = "times" if draw < 0.16 else "half" if draw < 0.26 else "more" if draw < 0.64 else "fewer"
        amount = rng.randint(2, MAX_TIMES) if kind == "times" else rng.randint(1, MAX_AMOUNT)
        fact = Fact(person, kind, 2 if kind == "half" else amount, source)
        if 0 <= fact.value(value) <= MAX_COUNT and (kind != "half" or value % 2 == 0 and value > 0):
            return fact


def surface(rng: random.Random, fact: Fact, item: str, held_out: bool) -> str:
    """A sentence; `held_out` draws only pairs of verb and phrase that training never shows."""
    if fact.source is None:
        return f"{fact.person} {rng.choice(VERBS)} {fact.amount} {item}."
    pairs = [(verb, phrase) for verb in VERBS for phrase in PHRASES[fact.kind] if ((verb, phrase) in HELD_OUT_PAIRS) == held_out]
    verb, phrase = rng.choice(pairs)
    amount = "" if fact.kind == "half" else f"{fact.amount} "
    return f"{fact.person} {verb} {amount}{phrase} {fact.source}."


class NoOneLeft(Exception):
    """No person is left whom the rule allows; the story is drawn again."""


class Story:
    """Facts by person, with every person's count; `apart` says what every comparison is between: persons `held_apart`, others, or any (None)."""

    def __init__(self, rng: random.Random, names: list[str], length: int, fork_rate: float, apart: bool | None) -> None:
        self.facts: dict[str, Fact] = {}
        self.values: dict[str, int] = {}
        self._spare, self._apart = rng.sample(names, len(names)), apart
        self.chain = [self._given(rng)]
        for _ in range(length):
            self.chain.append(self._compared(rng, self.chain[-1]))
        if rng.random() < fork_rate:
            self._compared(rng, rng.choice(self.chain[:-1]))
        if rng.random() < TAIL_RATE:
            self._compared(rng, self.chain[-1])
        if rng.random() < APART_RATE:
            self._compared(rng, self._given(rng))

    def _given(self, rng: random.Random) -> str:
        person = self._spare.pop()
        self.values[person] = rng.randint(2, 20)
        self.facts[person] = Fact(person, "given", self.values[person], None)
        return person

    def _compared(self, rng: random.Random, source: str) -> str:
        person = next((name for name in self._spare if self._apart is None or held_apart(name, source) == self._apart), None)
        if person is None:
            raise NoOneLeft
        self._spare.remove(person)
        fact = _draw_fact(rng, person, source, self.values[source])
        self.facts[person], self.values[person] = fact, fact.value(self.values[source])
        return person

    def depth(self, person: str) -> int:
        source = self.facts[person].source
        return 0 if source is None else 1 + self.depth(source)

    def order(self, rng: random.Random, asked: str) -> list[str]:
        """Persons as the steps meet them: onward while possible, else from the latest person with an open branch."""
        met: list[str] = []
        starts = [person for person, fact in self.facts.items() if fact.source is None]
        rng.shuffle(starts)
        while asked not in met:
            for latest in reversed(met):
                branches = [person for person, fact in self.facts.items() if fact.source == latest and person not in met]
                if branches:
                    met.append(rng.choice(branches))
                    break
            else:
                met.append(starts.pop())
        return met


def make_question(rng: random.Random, story: Story, item: str, asked: str) -> Question:
    steps: list[str] = []
    latest = None
    for person in story.order(rng, asked):
        source = story.facts[person].source
        if source is not None and source != latest:  # back from a branch that led nowhere
            steps += [f" Start with {source}.", f" {source} has {story.values[source]}."]
        latest = person
        steps.append(f" Start with {person}." if source is None else f" {person} depends on {source}.")
        steps.append(f" {person} has {story.values[person]}.")
    return Question(f" How many {item} does {asked} have?", tuple(steps), f" {story.values[asked]}", story.depth(asked))


def _story(rng: random.Random, names: list[str] | None, length: int, fork_rate: float, held_out: bool) -> Story:
    while True:
        try:
            return Story(rng, names or NAMES, length, fork_rate, None if names else held_out)
        except NoOneLeft:
            pass


def make_problem(rng: random.Random, question_count: int, easy: bool, length: int | None = None, held_out: bool = False,
                 names: list[str] | None = None, fork_rate: float = FORK_RATE, variant_rate: float = 0.0) -> Problem:
    """2 to 6 comparisons, easy ones 1 to 3 (or `length`); the first questions ask the chain's last person, the others anyone with a comparison.

    `held_out` problems are for tests: other wordings, and only comparisons of persons whom training never compares. `names` are those to draw from, without that rule;
    `variant_rate` of the prompts are in lower case.
    """
    length = length or (rng.randint(1, 3) if easy else rng.randint(2, 6))
    story, item = _story(rng, names, length, fork_rate, held_out), rng.choice(ITEMS)
    sentences = [surface(rng, fact, item, held_out) for fact in story.facts.values()]
    rng.shuffle(sentences)
    others = [person for person in story.facts if story.depth(person) > 0]
    asked = [story.chain[-1] if index < max(1, question_count // 2) else rng.choice(others) for index in range(question_count)]
    problem = Problem("arithmetic", " ".join(sentences), tuple(make_question(rng, story, item, person) for person in asked))
    return lower_case(problem) if variant_rate and rng.random() < variant_rate else problem


def one_step_guess(prompt: str) -> int:
    """A shortcut: the asked person's own comparison, applied to the first given count. Unknown wordings give that count."""
    facts, _, question = prompt.partition(" How many ")
    asked, sentences = question.split()[-2], [sentence.split() for sentence in facts.rstrip(".").split(". ")]
    given = next(int(words[2]) for words in sentences if words[-1] in ITEMS)
    own = next((words for words in sentences if words[0] == asked), [])
    for kind, phrases in PHRASES.items():
        if any(phrase in " ".join(own) for phrase in phrases):
            return Fact(asked, kind, 2 if kind == "half" else int(own[2]), "").value(given)
    return given


def turned_around(prompt: str) -> str:
    """The same problem in a template that training never shows: "Against Leo, Tom has 4 more." """
    facts, _, question = prompt.partition(" How many ")
    turned = []
    for sentence in facts.rstrip(".").split(". "):
        words = sentence.split()
        turned.append(sentence if words[-1] in ITEMS else f"Against {words[-1]}, {' '.join(words[:3])} {_short_relation(sentence)}")
    return ". ".join(turned) + ". How many " + question


def _short_relation(sentence: str) -> str:
    kind = next(kind for kind, phrases in PHRASES.items() if any(phrase in sentence for phrase in phrases))
    return {"times": "times as many", "half": "as many"}.get(kind, kind)


def brute_force(facts: str, asked: str) -> int:
    """The count of `asked`, read from the sentences alone (for tests and for checking files)."""
    known: dict[str, int] = {}
    waiting = [sentence.split() for sentence in facts.rstrip(".").split(". ")]
    while asked not in known:
        before = len(known)
        for words in waiting:
            person, rest = words[0], " ".join(words[2:])
            if words[-1] in ITEMS:
                known[person] = int(words[2])
                continue
            for kind, phrases in PHRASES.items():
                for phrase in phrases:
                    if f"{phrase} " in f"{rest} " and words[-1] in known:
                        amount = 2 if kind == "half" else int(words[2])
                        known[person] = Fact(person, kind, amount, words[-1]).value(known[words[-1]])
        if len(known) == before:
            raise ValueError(f"{asked} does not follow from the facts")
    return known[asked]
