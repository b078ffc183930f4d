"""Frequencies of the rotary embedding and their scalings (`rope_scaling`, or `rope_parameters` in newer files).

With d = head_dim, base b and i = 0..d/2-1 the plain frequency is f_i = b^(-2i/d). The scalings, as published by their authors:

- linear: f_i / factor.
- llama3 (Llama 3.1): wavelength w = 2 pi / f; w below original / high_freq_factor keeps f, above original / low_freq_factor gives
  f / factor, and between them a blend with weight (original / w - low) / (high - low) on f.
- yarn (arXiv 2309.00071): a blend of f / factor and f with a ramp over i, between the dimensions that turn `beta_fast` and `beta_slow` times within the
  original length; cosines and sines are multiplied by `attention_factor`, 0.1 ln(factor) + 1 where the file gives none.

Frequencies are computed in double precision and rounded to single, and so are the angles: position times frequency.
"""
from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import torch

from .errors import CheckpointError

KINDS = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True)
class Rope:
    kind: str
    theta: float
    frequencies: tuple[float, ...]  # [head_dim / 2], single precision
    attention_factor: float = 1.0  # on cosines and sines

    def tables(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """positions [.., T] -> cos and sin [.., T, head_dim / 2] in double precision."""
        frequencies = torch.tensor(self.frequencies, dtype=torch.float32, device=positions.device)
        angle = (positions.to(torch.float32)[..., None] * frequencies).double()
        return torch.cos(angle) * self.attention_factor, torch.sin(angle) * self.attention_factor


def read_rope(values: dict, file: str, head_dim: int, max_positions: int) -> Rope:
    """The rotary embedding that a config.json asks for."""
    name = "rope_parameters" if values.get("rope_parameters") is not None else "rope_scaling"
    scaling = values.get(name) or {}
    if not isinstance(scaling, dict):
        raise CheckpointError(file, name, "an object or null", repr(scaling))
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in KINDS:
        raise CheckpointError(file, f"{name}.rope_type", f"one of {', '.join(KINDS)}", repr(kind))

    def number(key: str, otherwise: float | None = None) -> float:
        value = scaling.get(key)
        value = otherwise if value is None else value
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
            raise CheckpointError(file, f"{name}.{key}", "a positive number", "nothing" if value is None else repr(value))
        return float(value)

    theta = scaling.get("rope_theta", values.get("rope_theta", 10_000.0))
    if not isinstance(theta, (int, float)) or isinstance(theta, bool) or not 0 < theta < math.inf:
        raise CheckpointError(file, "rope_theta", "a positive number", repr(theta))
    frequencies, attention_factor = [theta ** (-2 * i / head_dim) for i in range(head_dim // 2)], 1.0
    if kind == "linear":
        factor = number("factor")
        frequencies = [frequency / factor for frequency in frequencies]
    elif kind == "llama3":
        low, high = number("low_freq_factor"), number("high_freq_factor")
        if low >= high:
            raise CheckpointError(file, f"{name}.high_freq_factor", f"more than low_freq_factor ({low})", high)
        frequencies = _llama3(frequencies, number("factor"), low, high, number("original_max_position_embeddings"))
    elif kind == "yarn":
        factor = number("factor")
        original = number("original_max_position_embeddings", float(max_positions))
        truncate = scaling.get("truncate", True)
        frequencies = _yarn(frequencies, theta, factor, original, number("beta_fast", 32.0), number("beta_slow", 1.0), truncate)
        attention_factor = number("attention_factor", 0.1 * math.log(factor) + 1 if factor > 1 else 1.0)
    return Rope(kind, float(theta), tuple(_single(frequency) for frequency in frequencies), attention_factor)


def _llama3(frequencies: list[float], factor: float, low: float, high: float, original: float) -> list[float]:
    scaled = []
    for frequency in frequencies:
        turns = original * frequency / (2 * math.pi)  # within the original length
        kept = min(1.0, max(0.0, (turns - low) / (high - low)))
        scaled.append(kept * frequency + (1 - kept) * frequency / factor)
    return scaled


def _yarn(frequencies: list[float], theta: float, factor: float, original: float, fast: float, slow: float, truncate: bool) -> list[float]:
    dim = 2 * len(frequencies)

    def dimension(turns: float) -> float:
        """Index of the frequency that turns so often within the original length."""
        return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = dimension(fast), dimension(slow)
    if truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, dim - 1)
    width = last - first if last != first else 0.001
    scaled = []
    for i, frequency in enumerate(frequencies):
        interpolated = min(1.0, max(0.0, (i - first) / width))
        scaled.append(interpolated * frequency / factor + (1 - interpolated) * frequency)
    return scaled


def _single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]
