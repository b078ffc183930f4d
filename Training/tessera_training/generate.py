"""Decoding under the grammar of reasoning sequences, in batches with a KV cache (used by `evaluate`)."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import torch

from .model import GenerationState, TesseraLlama
from .tokenizer import Tokenizer


class Mode(str, Enum):
    AUTO = "auto"  # the model chooses
    LATENT = "latent"  # <boLatent> is forced
    TEXT = "text"  # <boLatent> is forbidden, and </think> before the first reasoning token
    NONE = "none"  # </think> is forced


class Phase(Enum):
    START = 0  # nothing after <think> yet
    LATENTS = 1  # inside a latent span
    REASONING = 2  # reasoning in text
    ANSWER = 3  # after </think>
    DONE = 4


class Grammar:
    """Which ids may follow. Masks are bool [vocab]. After `latent_budget` latents (None: no limit) the span must end."""

    def __init__(self, tokenizer: Tokenizer, mode: Mode, latent_budget: int | None = None) -> None:
        self.tokenizer, self.mode, self.latent_budget = tokenizer, mode, latent_budget
        self._text = tokenizer.text_mask()

    def allowed(self, phase: Phase, latent_count: int) -> torch.Tensor:
        tokenizer, mask = self.tokenizer, torch.zeros(self.tokenizer.size, dtype=torch.bool)
        if phase is Phase.DONE:
            mask[tokenizer.pad] = True
        elif phase is Phase.LATENTS:
            mask[tokenizer.first_latent:] = self.latent_budget is None or latent_count < self.latent_budget
            mask[tokenizer.eo_latent] = latent_count > 0
        elif phase is Phase.ANSWER:
            mask |= self._text
            mask[tokenizer.eos] = True
        elif phase is Phase.REASONING:
            mask |= self._text
            mask[tokenizer.end_think] = True
        elif self.mode is Mode.LATENT:
            mask[tokenizer.bo_latent] = True
        elif self.mode is Mode.NONE:
            mask[tokenizer.end_think] = True
        else:
            mask |= self._text
            if self.mode is Mode.AUTO:
                mask[tokenizer.bo_latent] = mask[tokenizer.end_think] = True
        return mask

    def next_phase(self, phase: Phase, token: int) -> Phase:
        tokenizer = self.tokenizer
        if phase is Phase.DONE or token == tokenizer.eos:
            return Phase.DONE
        if phase is Phase.LATENTS:
            return Phase.REASONING if token == tokenizer.eo_latent else Phase.LATENTS
        if token == tokenizer.end_think:
            return Phase.ANSWER
        if token == tokenizer.bo_latent:
            return Phase.LATENTS
        return Phase.ANSWER if phase is Phase.ANSWER else Phase.REASONING


@dataclass
class Generated:
    """Everything after `<think>`, delimiters and `<eos>` counted."""

    ids: list[int] = field(default_factory=list)
    finished: bool = False
    answer_log_probability: float = 0.0  # of the ids after `</think>`, under the grammar

    @property
    def confidence(self) -> float:
        """Probability of the answer given the reasoning; 0 when there is none."""
        return math.exp(self.answer_log_probability) if self.finished else 0.0

    def answer(self, tokenizer: Tokenizer) -> str | None:
        """Text after `</think>`, None when it never came to an end."""
        if not self.finished or tokenizer.end_think not in self.ids:
            return None
        return tokenizer.decode(self.ids[self.ids.index(tokenizer.end_think) + 1:], skip_special=True)

    def latents(self, tokenizer: Tokenizer) -> list[int]:
        return [token for token in self.ids if tokenizer.is_latent(token)]


@torch.no_grad()
def generate(model: TesseraLlama, tokenizer: Tokenizer, prompts: list[list[int]], mode: Mode, limit: int = 160,
             forced: list[list[int]] | None = None, state: GenerationState | None = None, latent_budget: int | None = None,
             temperature: float = 0.0, generator: torch.Generator | None = None) -> list[Generated]:
    """Continuation of prompts that end in `<think>`, greedy or sampled; `forced` ids come first, whatever the model prefers.

    `state` is a cache that holds the prompts already (it is changed).
    """
    grammar, count = Grammar(tokenizer, mode, latent_budget), len(prompts)
    state = state or GenerationState(model, prompts, limit)
    phases, latent_counts, results = [Phase.START] * count, [0] * count, [Generated() for _ in range(count)]
    forced = forced or [[] for _ in range(count)]
    logits = state.next_logits
    for position in range(limit):
        masks = torch.stack([grammar.allowed(phase, latents) for phase, latents in zip(phases, latent_counts)])
        allowed = logits.masked_fill(~masks.to(logits.device), float("-inf"))
        chosen = allowed.argmax(-1) if temperature == 0 else \
            torch.multinomial(torch.softmax(allowed / temperature, -1), 1, generator=generator)[:, 0]
        answering = torch.tensor([phase is Phase.ANSWER for phase in phases], device=logits.device)
        if answering.any():
            best = torch.log_softmax(allowed[answering], -1).gather(-1, chosen[answering, None])[:, 0]
            for index, value in zip(answering.nonzero()[:, 0].tolist(), best.tolist()):
                results[index].answer_log_probability += value
        for index in range(count):
            if phases[index] is Phase.DONE:
                continue
            if position < len(forced[index]):
                chosen[index] = forced[index][position]
            token = int(chosen[index])
            results[index].ids.append(token)
            latent_counts[index] += tokenizer.is_latent(token)
            phases[index] = grammar.next_phase(phases[index], token)
            results[index].finished = phases[index] is Phase.DONE
        if all(phase is Phase.DONE for phase in phases) or position + 1 == limit:
            return results
        logits = state.append(chosen)
    return results
