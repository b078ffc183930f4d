"""Ways from encoder vectors to codes during codebook training: EMA-VQ in two phases, the same with the rotation trick, and FSQ.

All of them end in one table of codes and "nearest code", so what is exported does not depend on the choice.
docs/decisions of the repository tells which one is used and why.
"""
from __future__ import annotations

import itertools
from typing import Protocol

import torch
import torch.nn.functional as F

from .config import CodebookConfig
from .vqvae import Codebook, CodeUpdater


class Quantizer(Protocol):
    """What a training step needs: vectors [N, S, code_dim], valid [N, S] -> what the decoder reads, commitment loss, codes drawn again."""

    frozen_from: int

    def __call__(self, step: int, vectors: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]: ...

    def finish(self, vectors: torch.Tensor) -> None:
        """The encoder is final: [n, code_dim] are outputs that the final codes should stand for."""


def straight_through(vectors: torch.Tensor, quantized: torch.Tensor) -> torch.Tensor:
    """The value of `quantized`; gradients pass to `vectors` unchanged."""
    return vectors + (quantized - vectors).detach()


def rotated(vectors: torch.Tensor, quantized: torch.Tensor) -> torch.Tensor:
    """The value of `quantized`, as the rotated and scaled `vectors`: gradients turn with them (rotation trick, Fifty et al. 2024)."""
    length, goal = vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6), quantized.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    a, b = (vectors / length).detach(), (quantized / goal).detach()
    middle = F.normalize(a + b, dim=-1)
    turned = vectors - 2 * (vectors * middle).sum(-1, keepdim=True) * middle + 2 * (vectors * a).sum(-1, keepdim=True) * b
    return turned * (goal / length).detach()


class TwoPhase:
    """First noise instead of codes, then codes from k-means that follow the vectors by an exponential average.

    When the encoder is frozen, k-means makes the final codes over steps among which rare ones count too.
    """

    def __init__(self, codebook: Codebook, settings: CodebookConfig) -> None:
        self.codebook, self.settings = codebook, settings
        self.updater = CodeUpdater(codebook, settings.ema_decay, settings.restart_after)
        self.pass_through = rotated if settings.quantizer == "rotation" else straight_through
        self.noisy_steps = max(1, int(settings.warmup_share * settings.steps))
        self.frozen_from = max(self.noisy_steps + 1, int(settings.freeze_share * settings.steps))
        self.recent: list[torch.Tensor] = []

    def __call__(self, step: int, vectors: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
        if step < self.noisy_steps:
            kept = vectors[valid]
            vectors = (vectors - kept.mean(0)) / (kept.std(0) + 1e-4)
            self.recent = (self.recent + [kept.detach()])[-20:]
            return vectors + self.settings.warmup_noise * torch.randn_like(vectors), vectors.new_zeros(()), 0
        if step == self.noisy_steps:
            vectors = self._first_codes(vectors)
        codes = self.codebook.nearest(vectors.detach())
        quantized = self.codebook.codes[codes]
        commitment = ((vectors - quantized) ** 2).mean(-1)[valid].mean()
        given = self.pass_through(vectors, quantized)
        restarted = 0
        if step < self.frozen_from:
            restarted = self.updater.update(vectors.detach()[valid], codes[valid], restart=step < (self.noisy_steps + self.frozen_from) / 2)
        return given, commitment, restarted

    def finish(self, vectors: torch.Tensor) -> None:
        self.updater.start(vectors, rounds=25)

    def _first_codes(self, vectors: torch.Tensor) -> torch.Tensor:
        """Codes of the vectors met last, scaled to unit variance; the encoder's outputs are scaled alike from here on."""
        drawn = torch.cat(self.recent)
        mean, deviation = drawn.mean(0), drawn.std(0) + 1e-4
        self.codebook.fold_scale(mean, deviation)
        self.updater.start((drawn - mean) / deviation)
        return (vectors - mean) / deviation


class FiniteScalar:
    """FSQ (Mentzer et al. 2023): every dimension is rounded to one of its levels; the codes are the grid, and never move."""

    def __init__(self, codebook: Codebook, settings: CodebookConfig) -> None:
        self.codebook = codebook
        self.frozen_from = max(1, int(settings.freeze_share * settings.steps))
        self.half = torch.tensor([(levels - 1) / 2 for levels in settings.fsq_levels], device=codebook.codes.device)
        codebook.codes.copy_(grid(settings.fsq_levels))

    def __call__(self, step: int, vectors: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
        quantized = self.codebook.codes[self.codebook.nearest(vectors.detach())]
        outside = F.relu(vectors.abs() - self.half)[valid]  # beyond the grid, rounding hides any further move: pull back
        return straight_through(vectors, quantized), (outside ** 2).mean(), 0

    def finish(self, vectors: torch.Tensor) -> None:
        """The grid stays."""


def grid(levels: list[int]) -> torch.Tensor:
    """[product of levels, dimensions]: all points, one apart in every dimension, centred on zero."""
    return torch.tensor(list(itertools.product(*([index - (count - 1) / 2 for index in range(count)] for count in levels))))


def make(codebook: Codebook, settings: CodebookConfig) -> Quantizer:
    """The quantizer of a recipe."""
    return FiniteScalar(codebook, settings) if settings.quantizer == "fsq" else TwoPhase(codebook, settings)
