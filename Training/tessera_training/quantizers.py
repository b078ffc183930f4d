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
from .vqvae import Codebook, CodeUpdater, k_means


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
            return vectors + self.noise(step) * torch.randn_like(vectors), vectors.new_zeros(()), 0
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

    def noise(self, step: int) -> float:
        """Standard deviation of the noise: what a vector tells beside the new information costs more and more."""
        risen = min(1.0, step / (0.6 * self.noisy_steps))
        return self.settings.warmup_noise + risen * (self.settings.warmup_noise_end - self.settings.warmup_noise)

    def finish(self, vectors: torch.Tensor) -> None:
        cells, codes = self.settings.final_cells, self.settings.codes
        if cells <= codes:
            self.codebook.codes.copy_(k_means(vectors, codes, rounds=25))
        else:
            self.codebook.codes.copy_(merged_cells(vectors, k_means(vectors, cells, rounds=15), codes))

    def _first_codes(self, vectors: torch.Tensor) -> torch.Tensor:
        """Codes of the vectors met last, scaled to unit variance; the encoder's outputs are scaled alike from here on."""
        drawn = torch.cat(self.recent)
        mean, deviation = drawn.mean(0), drawn.std(0) + 1e-4
        self.codebook.fold_scale(mean, deviation)
        self.updater.start((drawn - mean) / deviation)
        return (vectors - mean) / deviation


def merged_cells(vectors: torch.Tensor, centres: torch.Tensor, count: int) -> torch.Tensor:
    """Cells of vectors [n, dim], given by their centres [m, dim], merged nearest means first until `count` are left: [count, dim].

    k-means alone splits wide groups and joins near ones; merging by distance gives a group one code whatever its width.
    """
    cell = torch.cdist(vectors, centres).argmin(1)
    sizes = torch.bincount(cell, minlength=len(centres)).float()
    used = sizes > 0
    means = torch.zeros_like(centres).index_add_(0, cell, vectors)[used] / sizes[used, None]
    sizes, alive = sizes[used], torch.ones(int(used.sum()), dtype=torch.bool)
    distances = torch.cdist(means, means).fill_diagonal_(float("inf"))
    while int(alive.sum()) > count:
        a, b = divmod(int(distances.argmin()), len(means))
        means[a] = (means[a] * sizes[a] + means[b] * sizes[b]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        alive[b] = False
        to_merged = torch.where(alive, (means - means[a]).norm(dim=1), torch.tensor(float("inf")))
        to_merged[a] = float("inf")
        distances[a], distances[:, a] = to_merged, to_merged
        distances[b], distances[:, b] = float("inf"), float("inf")
    kept = means[alive]
    if len(kept) < count:  # fewer distinct vectors than codes: the others repeat and stay unused
        kept = torch.cat([kept, kept[:1].expand(count - len(kept), -1)])
    return kept


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
