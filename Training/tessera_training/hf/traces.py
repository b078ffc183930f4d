"""Problems as token ids: prompt, chunks of reasoning, answer; and the mixed rows of training.

Row: `prompt <think> [<boLatent> z1..zm <eoLatent>] the other chunks </think> answer <eos>`, loss on everything after `<think>`.
"""
from __future__ import annotations

import random
from dataclasses import dataclass

import torch

from ..config import CodebookConfig
from .data import Example
from .errors import CheckpointError
from .extend import LatentVocabulary
from .recipe import DataConfig, FinetuneMix
from .tokenizer import FILE, BpeTokenizer

IGNORED = -100


class LatentTokenizer(BpeTokenizer):
    """A tokenizer that was extended; ids of the special tokens by their roles."""

    def __init__(self, description: dict, vocabulary: LatentVocabulary, pad: str, eos: str) -> None:
        super().__init__(description)
        self.latent_vocabulary = vocabulary
        self.pad, self.eos = self.added[pad], self.added[eos]
        self.think, self.end_think, self.bo_latent, self.eo_latent = (self.added[token] for token in vocabulary.delimiters)
        self.text_size, self.first_latent, self.latent_count = vocabulary.first_id, vocabulary.first_latent, vocabulary.latent_count

    @classmethod
    def of_package(cls, description: dict, package: dict) -> "LatentTokenizer":
        """From tokenizer.json and tessera.json."""
        special, latents = package["special_tokens"], package["latents"]
        delimiters = tuple(special[name] for name in ("think", "end_think", "bo_latent", "eo_latent"))
        vocabulary = LatentVocabulary(delimiters, latents["first_id"] - len(delimiters), latents["count"])
        plain = BpeTokenizer(description)
        wanted = {token: vocabulary.first_id + index for index, token in enumerate(delimiters)}
        if any(plain.added.get(token) != token_id for token, token_id in wanted.items()) or plain.size != vocabulary.end or vocabulary.first_id < 1:
            raise CheckpointError(FILE, "added_tokens", f"{wanted} and {latents['count']} latents, as in tessera.json", "others")
        return cls(description, vocabulary, special["pad"], special["eos"])

    def is_latent(self, token_id: int) -> bool:
        return self.first_latent <= token_id < self.first_latent + self.latent_count

    def token(self, token_id: int) -> str:
        return self.tokens[token_id]

    def text_mask(self) -> torch.Tensor:
        """bool [size]: ids that may stand in reasoning and answers."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        mask[:self.text_size] = True
        mask[[token_id for token_id in self.special_ids if token_id < self.size]] = False
        return mask

    def encode_between(self, prefix: str, content: str, suffix: str) -> list[int]:
        """Special tokens are recognised in prefix and suffix alone; text between two of them is encoded in one piece, as the server does it."""
        parts = [*self.cut_special(prefix), content, *self.cut_special(suffix)]
        ids, text = [], ""
        for part in parts:
            if isinstance(part, int):
                ids += self.encode(text, is_start=not ids) + [part]
                text = ""
            else:
                text += part
        return ids + self.encode(text, is_start=not ids)

    def cut_special(self, template: str) -> list[str | int]:
        cut = self._cuts[True].split(template)
        return [self.added[part] if index % 2 else part for index, part in enumerate(cut) if part]


@dataclass(frozen=True)
class Trace:
    """One problem as ids."""

    prompt: list[int]  # ends right before <think>
    chunks: list[list[int]]  # each of 1 to chunk_tokens ids
    answer: list[int]

    @property
    def text_length(self) -> int:
        return len(self.prompt) + sum(map(len, self.chunks)) + len(self.answer) + 5  # all delimiters and <eos>


def trace(tokenizer: LatentTokenizer, example: Example, data: DataConfig, codebook: CodebookConfig) -> Trace:
    texts = [step + data.step_end for step in example.steps]
    if codebook.chunking == "tokens":
        texts = ["".join(texts)]
    chunks = []
    for text in texts:
        ids = tokenizer.encode(text)
        chunks += [ids[start:start + codebook.chunk_tokens] for start in range(0, len(ids), codebook.chunk_tokens)]
    return Trace(tokenizer.encode_between(data.user_prefix, example.prompt, data.user_suffix), chunks, tokenizer.encode(example.answer))


def draw_replaced(rng: random.Random, mix: FinetuneMix, chunk_count: int) -> int | None:
    """How many leading chunks become latents; None: no reasoning at all."""
    drawn = rng.random()
    if drawn < mix.none_rate:
        return None
    if drawn < mix.none_rate + mix.text_rate:
        return 0
    if drawn < mix.none_rate + mix.text_rate + mix.full_rate:
        return chunk_count
    return rng.randint(0, chunk_count)


def row(tokenizer: LatentTokenizer, found: Trace, codes: list[int], replaced: int | None) -> tuple[list[int], int]:
    """Ids of a mixed row, and how many of them come before the loss begins."""
    ids = found.prompt + [tokenizer.think]
    start = len(ids)
    if replaced:
        ids = ids + [tokenizer.bo_latent, *(tokenizer.first_latent + code for code in codes[:replaced]), tokenizer.eo_latent]
    if replaced is not None:
        ids = ids + [token for chunk in found.chunks[replaced:] for token in chunk]
    return ids + [tokenizer.end_think, *found.answer, tokenizer.eos], start


def pad_rows(rows: list[tuple[list[int], int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ids [B, T] padded on the right, and labels [B, T]: the id that follows, IGNORED where there is no loss."""
    width = -(-max(len(ids) for ids, _ in rows) // 8) * 8
    padded, labels = torch.full((len(rows), width), pad), torch.full((len(rows), width), IGNORED)
    for index, (ids, start) in enumerate(rows):
        tensor = torch.tensor(ids)
        padded[index, :len(ids)] = tensor
        labels[index, start - 1:len(ids) - 1] = tensor[start:]
    return padded, labels
