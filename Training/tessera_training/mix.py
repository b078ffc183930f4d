"""Mixed rows: the leading m steps of a trace replaced by their codes, m drawn at random.

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
from .tokenizer import Tokenizer
from .vqvae import Codebook

IGNORED = -100


class StepCoder:
    """Codes of reasoning steps, remembered: the code depends on the step and on the last prompt token alone."""

    def __init__(self, codebook: Codebook, tokenizer: Tokenizer) -> None:
        self.codebook, self.tokenizer = codebook, tokenizer
        self._known: dict[tuple[int, str], int] = {}

    @torch.no_grad()
    def prepare(self, questions: list[Question]) -> None:
        """Encodes all steps not met before in one batch."""
        from .train_vqvae import chunk

        missing = list({key: None for question in questions for key in self._keys(question) if key not in self._known})
        if not missing:
            return
        text = torch.tensor([chunk(self.tokenizer, step, self.codebook.config.chunk_tokens) for _, step in missing])
        last = torch.tensor([[token] for token, _ in missing])
        for key, code in zip(missing, self.codebook.encode(text, last)[:, 0].tolist()):
            self._known[key] = code

    def _keys(self, question: Question) -> list[tuple[int, str]]:
        last = self.tokenizer.encode(question.text)[-1]
        return [(last, step) for step in question.steps]

    def latents(self, question: Question) -> list[int]:
        """Token ids of the latents of all steps."""
        return [self.tokenizer.first_latent + self._known[key] for key in self._keys(question)]


@dataclass(frozen=True)
class MixedBatch:
    """Prompts [B, P] with lengths [B]; branches, labels (IGNORED where there is no loss) and their weights, each [B, n, T]."""

    prompts: torch.Tensor
    lengths: torch.Tensor
    branches: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor

    @property
    def token_count(self) -> int:
        return self.prompts.numel() + self.branches.numel()

    def to(self, device: torch.device) -> "MixedBatch":
        return MixedBatch(*(tensor.to(device) for tensor in (self.prompts, self.lengths, self.branches, self.labels, self.weights)))


def row(tokenizer: Tokenizer, question: Question, latents: list[int], replaced: int | None) -> list[int]:
    """Ids from the question to `<eos>`; `replaced` leading steps are latents, None means answer-only."""
    ids = tokenizer.encode(question.text) + [tokenizer.think]
    if replaced is not None:
        if replaced:
            ids += [tokenizer.bo_latent, *latents[:replaced], tokenizer.eo_latent]
        for step in question.steps[replaced:]:
            ids += tokenizer.encode(step)
    return ids + [tokenizer.end_think] + tokenizer.encode(question.answer) + [tokenizer.eos]


def last_step_span(tokenizer: Tokenizer, ids: list[int], question: Question, replaced: int | None) -> tuple[int, int]:
    """Where the last reasoning step is in a row, as text or as its latent: (first, end), empty for answer-only rows."""
    end = ids.index(tokenizer.end_think)
    if replaced is None:
        return end, end
    if replaced == len(question.steps):
        return end - 2, end - 1  # before <eoLatent>
    return end - len(tokenizer.encode(question.steps[-1])), end


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


def draw_replaced(rng: random.Random, mix: MixConfig, step_count: int, long_batch: bool) -> int | None:
    """How many leading steps of one row become latents (None: answer-only)."""
    if mix.answer_only:
        return None
    if not mix.allow_latents:
        return 0 if long_batch else None
    if long_batch:
        return 0 if rng.random() < mix.text_rate else rng.randint(1, step_count)
    return step_count if rng.random() < mix.full_rate else None


def mixed_batch(rng: random.Random, problems: list[Problem], tokenizer: Tokenizer, coder: StepCoder, mix: MixConfig,
                long_batch: bool, last_step_weight: float = 1.0) -> MixedBatch:
    """One branch per question; rows of a batch are alike in length, so that padding stays small."""
    coder.prepare([question for problem in problems for question in problem.questions])
    prompts = [tokenizer.encode(problem.facts) for problem in problems]
    rows, starts, spans = [], [], []
    recalls: dict[int, list[int]] = {}  # row -> its labels
    for problem in problems:
        for question in problem.questions:
            if rng.random() < mix.recall_rate:
                ids, recalls[len(rows)] = recall_row(rng, tokenizer, problem.facts, 8 if long_batch else 3)
                rows.append(ids)
                starts.append(0)
                spans.append((1, 1))
                continue
            latents = coder.latents(question)
            replaced = draw_replaced(rng, mix, len(latents), long_batch)
            rows.append(row(tokenizer, question, latents, replaced))
            spans.append(last_step_span(tokenizer, rows[-1], question, replaced))
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
    shape = (len(problems), -1, length)
    return MixedBatch(prompt_tensor, torch.tensor([len(ids) for ids in prompts]), branches.view(shape), labels.view(shape),
                      weights.view(shape))


def main() -> None:
    from . import config as recipes
    from .tasks import sources_of
    from .tokenizer import build

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--codebook", required=True)
    args = parser.parse_args()
    recipe, codebook = recipes.load(args.recipe), Codebook.load(args.codebook)
    tokenizer, rng = Tokenizer(build(codebook.config.codes)), random.Random(recipe.seed)
    print(f"seed {recipe.seed}")
    coder = StepCoder(codebook, tokenizer)
    for source in sources_of(recipe.tasks):
        for long_batch in (False, True):
            batch = mixed_batch(rng, [source.make(rng, 3, True)], tokenizer, coder, recipe.mix, long_batch)
            for ids in batch.branches[0].tolist():
                print(source.name, tokenizer.decode([token for token in ids if token != tokenizer.pad]))


if __name__ == "__main__":
    main()
