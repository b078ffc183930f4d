"""Mixed rows: the leading m steps of a trace replaced by their codes, m drawn at random (or one of three other strategies).

Row after the prompt: `<think> [<boLatent> z1..zm <eoLatent>] text of the other steps </think> answer <eos>`; loss on
everything after `<think>`. Show some: `python3 -m tessera_training.mix --recipe R --codebook DIR`.
"""
from __future__ import annotations

import argparse
import random
from dataclasses import dataclass

import torch

from .config import MixConfig
from .tasks import Problem, Question
from .tasks.common import poisson
from .tokenizer import Tokenizer
from .vqvae import Codebook, chunks_of, padded

IGNORED = -100
NOT_BEHIND = 99


class StepCoder:
    """Codes of a trace's chunks, remembered: the code depends on the chunk and on the last prompt token alone."""

    def __init__(self, codebook: Codebook, tokenizer: Tokenizer) -> None:
        self.codebook, self.tokenizer = codebook, tokenizer
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}

    @torch.no_grad()
    def prepare(self, questions: list[Question]) -> None:
        """Encodes all chunks not met before in one batch."""
        missing = list({key: None for question in questions for key in self._keys(question) if key not in self._known})
        if not missing:
            return
        text = torch.tensor([padded(ids, self.codebook.config.chunk_tokens) for _, ids in missing])
        last = torch.tensor([[token] for token, _ in missing])
        for key, code in zip(missing, self.codebook.encode(text, last)[:, 0].tolist()):
            self._known[key] = code

    def chunks(self, question: Question) -> list[tuple[int, ...]]:
        """Text ids of each latent's chunk."""
        return chunks_of(self.tokenizer, question.steps, self.codebook.config)

    def _keys(self, question: Question) -> list[tuple[int, tuple[int, ...]]]:
        last = self.tokenizer.encode(question.text)[-1]
        return [(last, ids) for ids in self.chunks(question)]

    def latents(self, question: Question) -> list[int]:
        """Token ids of the latents of all chunks."""
        return [self.tokenizer.first_latent + self._known[key] for key in self._keys(question)]


@dataclass(frozen=True)
class MixedBatch:
    """Prompts [B, P] with lengths [B]; branches, labels (IGNORED where there is no loss) and their weights, each [B, n, T].

    `candidates` [M, 2] are places of the questions' candidates, (row of B * n, position), and `behind` [M, text vocabulary] the hops from each name to
    the candidate, NOT_BEHIND where there is no way.
    """

    prompts: torch.Tensor
    lengths: torch.Tensor
    branches: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    candidates: torch.Tensor
    behind: torch.Tensor

    @property
    def token_count(self) -> int:
        return self.prompts.numel() + self.branches.numel()

    def to(self, device: torch.device) -> "MixedBatch":
        return MixedBatch(*(tensor.to(device) for tensor in (self.prompts, self.lengths, self.branches, self.labels, self.weights, self.candidates, self.behind)))


def leading(count: int, step_count: int) -> tuple[bool, ...]:
    """The plan that replaces the first `count` steps."""
    return tuple(index < count for index in range(step_count))


def planned_row(tokenizer: Tokenizer, question: Question, chunks: list[tuple[int, ...]], latents: list[int],
                plan: tuple[bool, ...] | None) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids from the question to `<eos>`, and where each chunk is in them: (first, end); none without reasoning.

    `plan` says of every chunk whether its latent stands for it; neighbours share one span. None means answer-only.
    """
    ids = tokenizer.encode(question.text) + [tokenizer.think]
    spans, in_span = [], False
    for text, latent, replaced in zip(chunks, latents, plan or ()):
        if replaced != in_span:
            ids.append(tokenizer.bo_latent if replaced else tokenizer.eo_latent)
            in_span = replaced
        first = len(ids)
        ids += [latent] if replaced else text
        spans.append((first, len(ids)))
    if in_span:
        ids.append(tokenizer.eo_latent)
    return ids + [tokenizer.end_think] + tokenizer.encode(question.answer) + [tokenizer.eos], spans


def row(tokenizer: Tokenizer, question: Question, latents: list[int], replaced: int | None) -> list[int]:
    """Ids from the question to `<eos>` with one latent per step; `replaced` leading steps are latents, None means answer-only."""
    steps = [tuple(tokenizer.encode(step)) for step in question.steps]
    return planned_row(tokenizer, question, steps, latents, None if replaced is None else leading(replaced, len(latents)))[0]


def recall_row(rng: random.Random, tokenizer: Tokenizer, facts: str, sentence_count: int) -> tuple[list[int], list[int]]:
    """Sentences of the prompt again, in random order: (ids, labels), loss on what follows a sentence's subject.

    Steps state rules in canonical form, so nothing else asks for the exact form (and polarity) in which the prompt has them.
    """
    sentences = facts.rstrip(".").split(". ")
    ids, labels = [], []
    for sentence in rng.sample(sentences, min(sentence_count, len(sentences))):
        tokens = tokenizer.encode(f" {sentence}.")
        given = 2 if sentence.lower().startswith(("every ", "each ")) else 1
        labels += [IGNORED] * given + tokens[given:]
        ids += tokens
    return ids, labels[1:] + [IGNORED]


def first_token(tokenizer: Tokenizer, name: str) -> int:
    """The token that tells a name inside a sentence: ` Tom`, or ` lemp` of ` lempus`."""
    return tokenizer.encode(" " + name)[0]


def draw_plan(rng: random.Random, mix: MixConfig, step_count: int, long_batch: bool, progress: float = 0.0) -> tuple[bool, ...] | None:
    """Which steps of one row become latents (None: answer-only), by the strategy of the recipe.

    leading: none or 1..n leading steps at random (the paper's choice). all: every step. curriculum: as many leading steps as the
    run's progress says, all of them from `curriculum_until` on. poisson: a Poisson number of steps (mean n/2) at random places.
    """
    if mix.answer_only:
        return None
    if not mix.allow_latents:
        return leading(0, step_count) if long_batch else None
    if mix.strategy == "leading" and long_batch:
        return leading(0 if rng.random() < mix.text_rate else rng.randint(1, step_count), step_count)
    if not long_batch and rng.random() >= mix.full_rate:
        return None
    if mix.strategy == "curriculum":
        return leading(int(min(1.0, progress / mix.curriculum_until) * (mix.curriculum_steps + 1)), step_count)
    if mix.strategy == "poisson":
        chosen = set(rng.sample(range(step_count), min(step_count, poisson(rng, step_count / 2))))
        return tuple(index in chosen for index in range(step_count))
    return leading(step_count, step_count)


def mixed_batch(rng: random.Random, problems: list[Problem], tokenizer: Tokenizer, coder: StepCoder, mix: MixConfig,
                long_batch: bool, last_step_weight: float = 1.0, progress: float = 0.0, answer_weight: float = 1.0) -> MixedBatch:
    """One branch per question; rows of a batch are alike in length, so that padding stays small."""
    coder.prepare([question for problem in problems for question in problem.questions])
    prompts = [tokenizer.encode(problem.facts) for problem in problems]
    rows, starts, spans, skipped = [], [], [], []  # spans: the last chunk of each row; skipped: chunks without loss
    candidates, behind = [], []
    recalls: dict[int, list[int]] = {}  # row -> its labels
    for problem in problems:
        for question in problem.questions:
            if rng.random() < mix.recall_rate:
                ids, recalls[len(rows)] = recall_row(rng, tokenizer, problem.facts, 8 if long_batch else 3)
                rows.append(ids)
                starts.append(0)
                spans.append((1, 1))
                skipped.append([])
                continue
            for candidate, names in question.behind:
                candidates.append((len(rows), tokenizer.encode(question.text).index(first_token(tokenizer, candidate))))
                behind.append({first_token(tokenizer, name): hops for name, hops in names.items()})
            latents = coder.latents(question)
            ids, places = planned_row(tokenizer, question, coder.chunks(question), latents, draw_plan(rng, mix, len(latents), long_batch, progress))
            rows.append(ids)
            spans.append(places[-1] if places else (1, 1))
            skipped.append([places[step] for step in question.unlearned] if len(places) == len(question.steps) else [])
            starts.append(len(tokenizer.encode(question.text)) + 1)
    width = -(-max(map(len, prompts)) // 16) * 16
    length = -(-max(map(len, rows)) // 8) * 8
    prompt_tensor = torch.zeros(len(prompts), width, dtype=torch.long)
    for index, ids in enumerate(prompts):
        prompt_tensor[index, :len(ids)] = torch.tensor(ids)
    branches = torch.zeros(len(rows), length, dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED)
    weights = torch.ones(len(rows), length)
    for index, (ids, start, (first, end)) in enumerate(zip(rows, starts, spans)):
        tensor = torch.tensor(ids)
        branches[index, :len(ids)] = tensor
        if index in recalls:
            labels[index, :len(ids)] = torch.tensor(recalls[index])
            continue
        labels[index, start - 1:len(ids) - 1] = tensor[start:]
        weights[index, first - 1:end - 1] = last_step_weight
        weights[index, ids.index(tokenizer.end_think):len(ids) - 2] = answer_weight
        for begin, past in skipped[index]:
            labels[index, begin - 1:past - 1] = IGNORED
    hops = torch.full((len(behind), tokenizer.text_size), NOT_BEHIND)
    for index, names in enumerate(behind):
        hops[index, list(names)] = torch.tensor(list(names.values()))
    shape = (len(problems), -1, length)
    return MixedBatch(prompt_tensor, torch.tensor([len(ids) for ids in prompts]), branches.view(shape), labels.view(shape),
                      weights.view(shape), torch.tensor(candidates, dtype=torch.long).view(-1, 2), hops)


def main() -> None:
    from . import config as recipes
    from .tasks import sources_of
    from .tokenizer import build

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--codebook", required=True)
    args = parser.parse_args()
    recipe, codebook = recipes.load(args.recipe), Codebook.load(args.codebook)
    tokenizer, rng = Tokenizer(build(codebook.config.codes, recipe.tasks.names)), random.Random(recipe.seed)
    print(f"seed {recipe.seed}")
    coder = StepCoder(codebook, tokenizer)
    for source in sources_of(recipe.tasks):
        for long_batch in (False, True):
            batch = mixed_batch(rng, [source.make(rng, 3, True)], tokenizer, coder, recipe.mix, long_batch)
            for ids in batch.branches[0].tolist():
                print(source.name, tokenizer.decode([token for token in ids if token != tokenizer.pad]))


if __name__ == "__main__":
    main()
