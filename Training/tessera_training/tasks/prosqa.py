"""ProsQA: which of two concepts is reachable from a person in a graph of "Every X is a Y." sentences.

Graphs follow the published generator (docs in Training/README.md). The steps are *walk-back* steps: from the first
listed candidate back to a name, parent by parent; when that name is not the asked one, from the other candidate, and
so on in turn; a second try of a candidate says again the step after which it takes another way. Every line is an edge of the prompt. The released
step order (one shortest path, forward) is `step_order="forward"`. Print some: `python3 -m tessera_training.tasks --task prosqa`.
"""
from __future__ import annotations

import json
import random
from collections import deque
from dataclasses import dataclass, field

from .common import CONCEPTS, PERSONS, Problem, Question, lower_case, poisson

MAX_STEP_COUNT = 20
UNREACHED = 99
STEP_ORDERS = ("walk_back", "forward")


@dataclass
class Graph:
    """A labelled DAG; edge (a, b) means "a is a b". Nodes without parents are persons."""

    node_count: int
    edges: list[tuple[int, int]]
    root: int
    target: int
    other: int  # leaf that only the other root reaches
    parents: list[list[int]] = field(default_factory=list)
    children: list[list[int]] = field(default_factory=list)
    distance: list[list[int]] = field(default_factory=list)  # [from][to], UNREACHED when there is no path

    def __post_init__(self) -> None:
        self.parents = [[] for _ in range(self.node_count)]
        self.children = [[] for _ in range(self.node_count)]
        for a, b in self.edges:
            self.parents[b].append(a)
            self.children[a].append(b)
        self.distance = [_distances(self.children, node) for node in range(self.node_count)]

    @property
    def persons(self) -> list[int]:
        return [node for node in range(self.node_count) if not self.parents[node]]

    def is_trap(self, node: int) -> bool:
        """Whether walks back from the node can end at different persons."""
        return sum(self.distance[person][node] < UNREACHED for person in self.persons) > 1


def _distances(children: list[list[int]], start: int) -> list[int]:
    distance = [UNREACHED] * len(children)
    distance[start] = 0
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for child in children[node]:
            if distance[child] == UNREACHED:
                distance[child] = distance[node] + 1
                queue.append(child)
    return distance


def _draw(rng: random.Random, items: list[int], weights: list[float], count: int) -> list[int]:
    """Weighted draw without replacement."""
    items, weights, drawn = list(items), list(weights), []
    for _ in range(count):
        index = rng.choices(range(len(items)), weights)[0]
        drawn.append(items.pop(index))
        weights.pop(index)
    return drawn


def sample_graph(rng: random.Random, node_count: int = 28, min_hops: int = 3, max_hops: int = 6) -> Graph:
    """One graph of the published generator; drawn again until its path length fits."""
    while True:
        graph = _try_graph(rng, node_count, min_hops, max_hops)
        if graph is not None:
            return graph


def _try_graph(rng: random.Random, node_count: int, min_hops: int, max_hops: int) -> Graph | None:
    edges: list[tuple[int, int]] = []
    label, depth = {0: 1, 1: 2}, {0: 0, 1: 0}  # label: bit 1 = below node 0, bit 2 = below node 1
    groups: dict[int, list[int]] = {0: [], 1: [0], 2: [1], 3: []}
    for node in range(2, node_count):
        wanted, side = poisson(rng, 1.5), rng.random()
        candidates = groups[1] if side <= 0.35 else groups[2] if side <= 0.8 else list(range(node))
        chosen = _draw(rng, candidates, [1.5 * depth[c] + 1 for c in candidates], min(wanted, len(candidates)))
        label[node] = 0
        for parent in chosen:
            label[node] |= label[parent]
            edges.append((parent, node))
        groups[label[node]].append(node)
        depth[node] = 1 + min(depth[c] for c in chosen) if chosen else 0

    children: list[list[int]] = [[] for _ in range(node_count)]
    for a, b in edges:
        children[a].append(b)
    deepest, leaves = [], []
    for root in (0, 1):
        distance = _distances(children, root)
        own = [n for n in range(2, node_count) if label[n] == root + 1 and not children[n]]
        if not own:
            return None
        far = max(distance[n] for n in own)
        deepest.append((far, rng.choice([n for n in own if distance[n] == far])))
        leaves.append(own)
    root = rng.randint(0, 1) if deepest[0][0] == deepest[1][0] else int(deepest[1][0] > deepest[0][0])
    if not min_hops <= deepest[root][0] <= max_hops:
        return None
    other = deepest[1 - root][1] if rng.random() < 0.5 else rng.choice(leaves[1 - root])
    used = sorted({node for edge in edges for node in edge})
    if 0 not in used or 1 not in used:
        return None
    rename = {old: new for new, old in enumerate(used)}
    graph = Graph(len(used), [(rename[a], rename[b]) for a, b in edges], rename[root], rename[deepest[root][1]], rename[other])
    person_count = len(graph.persons)
    if person_count > len(PERSONS) or graph.node_count - person_count > len(CONCEPTS):
        return None
    return graph


def varied_sentence(rng: random.Random, names: list[str], a: int, b: int, persons: set[int]) -> str:
    """One of several forms of the same edge; the steps keep the plain form."""
    form = rng.random()
    if a in persons or form < 0.4:
        return edge_sentence(names, a, b, persons)
    return f"Each {names[a]} is a {names[b]}." if form < 0.7 else f"{names[a].capitalize()}es are {names[b]}es."


def edge_sentence(names: list[str], a: int, b: int, persons: set[int]) -> str:
    return sentence_of(names[a], names[b], a in persons)


def sentence_of(name: str, concept: str, of_person: bool) -> str:
    return f"{name} is a {concept}." if of_person else f"Every {name} is a {concept}."


def edges_of(facts: str) -> list[tuple[str, str]]:
    """(parent, child) names, read from plain sentences."""
    pairs = (sentence.removeprefix("Every ").split(" is a ") for sentence in facts.rstrip(".").split(". "))
    return [(parent, child) for parent, child in pairs]


def walk_back(rng: random.Random, graph: Graph, start: int, towards: int | None) -> list[tuple[int, int]]:
    """Edges (parent, child) from `start` back to a person; a shortest way to `towards`, or at random when None."""
    edges, node = [], start
    while graph.parents[node]:
        parents = graph.parents[node]
        if towards is not None:
            parents = [p for p in parents if graph.distance[towards][p] == graph.distance[towards][node] - 1]
        parent = rng.choice(parents)
        edges.append((parent, node))
        node = parent
    return edges


class Search:
    """A walk-back trace as it grows: edges (parent, child) of the walks so far, and what a reader of them knows."""

    def __init__(self, rng: random.Random, graph: Graph, entity: int) -> None:
        self.rng, self.graph, self.entity = rng, graph, entity
        self.steps: list[tuple[int, int]] = []
        self.taken: set[tuple[int, int]] = set()
        self.trails: dict[int, list[tuple[int, int]]] = {}  # by candidate: the edges of its walks

    @property
    def found(self) -> bool:
        return bool(self.steps) and self.steps[-1][0] == self.entity

    def _untaken(self, node: int) -> list[int]:
        return [p for p in self.graph.parents[node] if (p, node) not in self.taken]

    def _take(self, candidate: int, edges: list[tuple[int, int]]) -> None:
        self.steps += edges
        self.taken.update(edges)
        self.trails.setdefault(candidate, []).extend(edges)

    def walk(self, candidate: int, towards: int) -> None:
        """The first walk of a candidate: a shortest way to the person `towards`."""
        self._take(candidate, walk_back(self.rng, self.graph, candidate, towards))

    def resume(self, candidate: int) -> bool:
        """Another walk of a candidate, from the latest node of its trail that has a parent nobody went to; false when there is none.

        The edge that led to that node is said again, so that the trace names where it goes on. From there the walk takes edges not taken yet
        while there are any, of these one that leads to the entity if one does. A candidate with no way left says its last step again and passes.
        """
        for again in reversed(self.trails[candidate]):
            if self._untaken(again[0]):
                self.steps.append(again)
                node = again[0]
                break
        else:
            node = candidate
            if not self._untaken(node):
                self.steps.append(self.trails[candidate][-1])
                return False
        edges = []
        while self.graph.parents[node]:
            parents = self._untaken(node) or self.graph.parents[node]
            right = [p for p in parents if self.graph.distance[self.entity][p] < UNREACHED]
            parent = self.rng.choice(right or parents)
            edges.append((parent, node))
            self.taken.add(edges[-1])
            node = parent
        self._take(candidate, edges)
        return True


def walk_back_steps(rng: random.Random, graph: Graph, entity: int, target: int, other: int, target_first: bool,
                    dead_end_rate: float = 0.15) -> list[tuple[int, int]]:
    """Candidates are tried in turn until a walk ends at the entity; a second walk of a candidate goes on where the last one had a choice (`Search.resume`).

    Of the first walks from the target, `2 * dead_end_rate` go to a wrong name where there is one, so that recovery is learned.
    """
    search = Search(rng, graph, entity)
    start, resting = (target, other) if target_first else (other, target)
    while True:
        ends = [p for p in graph.persons if graph.distance[p][start] < UNREACHED]
        if start in search.trails:
            search.resume(start)  # or says its last step again, so that the candidates' turns tell whose walk the last one is
        elif start == target:
            wrong = [p for p in ends if p != entity]
            search.walk(target, rng.choice(wrong) if wrong and rng.random() < 2 * dead_end_rate else entity)
        else:
            near = min(graph.distance[p][other] for p in ends)
            search.walk(other, rng.choice([p for p in ends if graph.distance[p][other] == near] if rng.random() < 0.7 else ends))
        if search.found:
            return search.steps
        start, resting = resting, start


def wrong_turns(graph: Graph, entity: int, steps: list[tuple[int, int]]) -> frozenset[int]:
    """Steps of a walk back that leave the entity's descendants: a dead end on purpose, which a model should recover from and not imitate."""
    reached = graph.distance[entity]
    return frozenset(index for index, (parent, child) in enumerate(steps) if reached[child] < UNREACHED <= reached[parent])


def forward_steps(rng: random.Random, graph: Graph, entity: int, target: int) -> list[tuple[int, int]]:
    """The released order: one shortest path from the entity to the target."""
    return walk_back(rng, graph, target, entity)[::-1] if not graph.parents[entity] else []


def names_behind(graph: Graph, names: list[str], candidate: int) -> dict[str, int]:
    """Names from which the candidate is reached, itself included, with their hops to it."""
    return {names[node]: graph.distance[node][candidate] for node in range(graph.node_count) if graph.distance[node][candidate] < UNREACHED}


def _other_question(rng: random.Random, graph: Graph, trap_rate: float) -> tuple[int, int, int]:
    """(entity, target, other) at a random distance, so that short questions are met too; a share of targets are traps where there are any."""
    persons = graph.persons
    for _ in range(20):
        entity = rng.choice(persons)
        distance = graph.distance[entity]
        reached = [n for n in range(graph.node_count) if 1 <= distance[n] <= 6]
        outside = [n for n in range(graph.node_count) if distance[n] == UNREACHED and graph.parents[n]]
        if not reached or not outside:
            continue
        if rng.random() < trap_rate:
            reached = [n for n in reached if graph.is_trap(n)] or reached
        hops = rng.choice(sorted({distance[n] for n in reached}))
        target = rng.choice([n for n in reached if distance[n] == hops])
        leaves = [n for n in outside if not graph.children[n]]
        other = rng.choice(leaves if leaves and rng.random() < 0.7 else outside)
        return entity, target, other
    return graph.root, graph.target, graph.other


def make_question(rng: random.Random, graph: Graph, names: list[str], entity: int, target: int, other: int,
                  step_order: str, dead_end_rate: float = 0.15) -> Question:
    persons = set(graph.persons)
    while True:
        target_first = rng.random() < 0.5
        if step_order == "forward":
            steps = forward_steps(rng, graph, entity, target)
        else:
            steps = walk_back_steps(rng, graph, entity, target, other, target_first, dead_end_rate)
        if len(steps) <= MAX_STEP_COUNT:
            break
    first, second = (target, other) if target_first else (other, target)
    return Question(
        text=f" Is {names[entity]} a {names[first]} or {names[second]}?",
        steps=tuple(" " + edge_sentence(names, a, b, persons) for a, b in steps),
        answer=f" {names[entity]} is a {names[target]}.",
        hop_count=graph.distance[entity][target],
        unlearned=wrong_turns(graph, entity, steps),
        behind=tuple((names[candidate], names_behind(graph, names, candidate)) for candidate in (first, second)) if step_order == "forward" else (),
    )


def prompt_key(prompt: str) -> str:
    """Equal for prompts with the same facts, in whatever order and case, whatever is asked."""
    facts = prompt.split(" Is ")[0].lower()
    return " ".join(sorted(facts.rstrip(".").split(". ")))


def persons_behind(facts: str, concept: str) -> set[str]:
    """The persons who are a `concept`, read from plain sentences: where walks back from it can end."""
    parents: dict[str, list[str]] = {}
    for parent, child in edges_of(facts):
        parents.setdefault(child, []).append(parent)
    found, waiting = set(), [concept]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += parents.get(node, [])
    return {node for node in found if node not in parents}


class ProblemMaker:
    """Training problems; those whose facts are in `excluded` (keys of the released test file) are drawn again.

    In `trap_rate` of them (7 % without) a walk back from the right candidate can end at a wrong name. `variant_rate` of them show their facts in several surface forms, and a third of these in lower case.
    """

    def __init__(self, step_order: str = "walk_back", excluded: set[str] | None = None, dead_end_rate: float = 0.15,
                 variant_rate: float = 0.0, trap_rate: float = 0.0, node_count: int = 28, min_hops: int = 3, max_hops: int = 6) -> None:
        if step_order not in STEP_ORDERS:
            raise ValueError(f"step_order: {step_order!r}, known are {STEP_ORDERS}")
        self.step_order = step_order
        self.excluded = excluded or set()
        self.dead_end_rate = dead_end_rate
        self.variant_rate = variant_rate
        self.trap_rate = trap_rate
        self.graph_shape = node_count, min_hops, max_hops

    def _draw_graph(self, rng: random.Random, easy: bool) -> Graph:
        trap = rng.random() < self.trap_rate
        while True:
            graph = sample_graph(rng, rng.randint(8, 16), min_hops=2) if easy else sample_graph(rng, *self.graph_shape)
            if not trap or graph.is_trap(graph.target):
                return graph

    def make(self, rng: random.Random, question_count: int, easy: bool) -> Problem:
        graph = self._draw_graph(rng, easy)
        names = assign_names(rng, graph)
        persons = set(graph.persons)
        sentences = [edge_sentence(names, a, b, persons) for a, b in graph.edges]
        if self.excluded and " ".join(sorted(s.lower().rstrip(".") for s in sentences)) in self.excluded:
            return self.make(rng, question_count, easy)
        varied = rng.random() < self.variant_rate
        if varied:
            sentences = [varied_sentence(rng, names, a, b, persons) for a, b in graph.edges]
        rng.shuffle(sentences)
        questions = []
        while len(questions) < question_count:
            asked = (graph.root, graph.target, graph.other) if len(questions) < max(1, question_count // 4) \
                else _other_question(rng, graph, self.trap_rate)
            questions.append(make_question(rng, graph, names, *asked, self.step_order, self.dead_end_rate))
        problem = Problem("prosqa", " ".join(sentences), tuple(questions))
        return lower_case(problem) if varied and rng.random() < 1 / 3 else problem


def assign_names(rng: random.Random, graph: Graph) -> list[str]:
    persons = graph.persons
    person_names = iter(rng.sample(PERSONS, len(persons)))
    concept_names = iter(rng.sample(CONCEPTS, graph.node_count - len(persons)))
    return [next(concept_names) if graph.parents[node] else next(person_names) for node in range(graph.node_count)]


@dataclass(frozen=True)
class ReleasedProblem:
    """One entry of the released file."""

    prompt: str
    answer: str  # starts with a space
    answer_in_degree: int
    other_in_degree: int


def read_released(path: str) -> list[ReleasedProblem]:
    """Reads a released ProsQA file (JSON list); it is for evaluation only."""
    problems = []
    with open(path, encoding="utf-8") as file:
        try:
            entries = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON: {error}") from None
    for index, entry in enumerate(entries):
        try:
            in_degree = [0] * len(entry["idx_to_symbol"])
            for _, child in entry["edges"]:
                in_degree[child] += 1
            problems.append(ReleasedProblem(entry["question"], " " + entry["answer"].strip(), in_degree[entry["target"]],
                                            in_degree[entry["neg_target"]]))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: entry {index}: not a ProsQA problem ({type(error).__name__}: {error})") from None
    return problems


def shortcut_accuracy(problems: list[ReleasedProblem]) -> float:
    """Accuracy of "pick the candidate with the smaller in-degree" (ties count one half)."""
    return sum(1.0 if p.answer_in_degree < p.other_in_degree else 0.5 if p.answer_in_degree == p.other_in_degree else 0.0
               for p in problems) / len(problems)
