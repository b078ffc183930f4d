"""ProntoQA, five hops: is a property true of an entity, given fictional subsumption rules?

Facts show each rule in one of several surface forms; the steps state it in one canonical form, "Every X is (not) (a|an) Y.",
followed by its conclusion, as one step. Questions of fewer hops about the same facts serve as a curriculum.
Print some: `python3 -m tessera_training.tasks --task prontoqa`.
"""
from __future__ import annotations

import random

from .common import Problem, Question, lower_case

ENTITIES = "Fae Rex Sally Max Alex Sam Polly Stella Wren".split()
CONCEPTS = (
    "wumpus yumpus zumpus dumpus rompus numpus tumpus vumpus impus jompus gorpus shumpus lempus sterpus grimpus lorpus brimpus"
).split()
FAMILIES = [family.split() for family in (
    "blue red brown orange|small large|metallic wooden luminous liquid|transparent opaque|nervous happy feisty shy|bright dull|"
    "sweet sour spicy bitter|floral fruity earthy|hot cold temperate|kind mean angry amenable aggressive|"
    "melodic muffled discordant loud|slow moderate fast|windy sunny overcast rainy snowy"
).split("|")]
PROPERTIES = [word for family in FAMILIES for word in family]
HOP_COUNT = 5
FULL_RATE = 0.75  # of training questions; only the five-hop property has a contrary sentence about another concept
NEGATION_RATE = 1 / 3
FALSE_WHEN_ASKED_RATE = 0.44  # negation rate of the asked property, as measured on the released problems


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _not(positive: bool) -> str:
    return "" if positive else "not "


def _rule_surface(rng: random.Random, subject: str, kind: str) -> str:
    form = rng.random()
    if form < 0.5:
        return f"{subject.capitalize()}es are {kind}es."
    return f"{'Every' if form < 0.75 else 'Each'} {subject} is {article(kind)} {kind}."


def _property_surface(rng: random.Random, subject: str, word: str, positive: bool) -> str:
    form = rng.random()
    if form < 0.5:
        return f"{subject.capitalize()}es are {_not(positive)}{word}."
    return f"{'Every' if form < 0.75 else 'Each'} {subject} is {_not(positive)}{word}."


def _question(rng: random.Random, entity: str, chain: list[str], properties: dict[str, tuple[str, bool]], last: int) -> Question:
    """Ask for the property of chain[last]; the entity is a chain[-1]."""
    word, positive = properties[chain[last]]
    asked = positive if rng.random() < 0.5 else not positive
    steps = [f" {entity} is {article(chain[-1])} {chain[-1]}."]
    for index in range(len(chain) - 1, last, -1):
        upper = chain[index - 1]
        steps.append(f" Every {chain[index]} is {article(upper)} {upper}. {entity} is {article(upper)} {upper}.")
    steps.append(f" Every {chain[last]} is {_not(positive)}{word}. {entity} is {_not(positive)}{word}.")
    return Question(
        text=f" True or false: {entity} is {_not(asked)}{word}.",
        steps=tuple(steps),
        answer=" True" if asked == positive else " False",
        hop_count=len(chain) - last,
    )


def make_problem(rng: random.Random, question_count: int, easy: bool, only_full: bool = False, variant_rate: float = 0.0,
                 hop_count: int = HOP_COUNT) -> Problem:
    """25 sentences (four more with each hop above five); most questions (all with `only_full`) ask the five-hop property, the others a nearer one.

    A third of `variant_rate` of the prompts are in lower case.
    """
    entity = rng.choice(ENTITIES)
    names = rng.sample(CONCEPTS, 2 * hop_count + 4)
    top, chain, distractors = names[0], names[1:hop_count + 1], names[hop_count + 1:-3]  # top <- chain[0] <- ... <- chain[-1] <- entity
    extra_top, extra, contrary = names[-3:]
    sentences = [_rule_surface(rng, extra, extra_top)]
    for index, concept in enumerate(chain):
        sentences.append(_rule_surface(rng, concept, top if index == 0 else chain[index - 1]))
        sentences.append(_rule_surface(rng, concept, distractors[index]))
    properties: dict[str, tuple[str, bool]] = {}
    families = rng.sample(FAMILIES, 2 * hop_count + 1)
    for concept, family in zip(chain + distractors + [extra], families):
        rate = FALSE_WHEN_ASKED_RATE if concept == chain[0] else NEGATION_RATE
        properties[concept] = (rng.choice(family), rng.random() >= rate)
        sentences.append(_property_surface(rng, concept, *properties[concept]))
    word, positive = properties[chain[0]]
    sentences.append(_property_surface(rng, contrary, word, not positive))
    rng.shuffle(sentences)
    facts = [f"{entity} is {article(name)} {name}." for name in (chain[-1], extra)]
    rng.shuffle(facts)
    questions = []
    for _ in range(question_count):
        full = only_full or (rng.random() < (0.2 if easy else FULL_RATE))
        questions.append(_question(rng, entity, chain, properties, 0 if full else rng.randint(0, hop_count - 1)))
    problem = Problem("prontoqa", " ".join(sentences + facts), tuple(questions))
    return lower_case(problem) if variant_rate and rng.random() < variant_rate / 3 else problem
