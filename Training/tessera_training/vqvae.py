"""The codebook: a VQ-VAE that turns one reasoning step into one code and, given the prompt, back into text.

Every operation maps to a standard ONNX operator; Training/docs/codebook-architecture.md gives names, shapes and formulas.
Train one: `python3 -m tessera_training.train_vqvae --recipe recipes/walkback.toml --out runs/walkback/codebook`.
"""
from __future__ import annotations

import json
import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

from . import files, safetensors_file
from .config import CodebookConfig
from .tokenizer import Tokenizer

NORM_EPS = 1e-5


def chunks_of(tokenizer: Tokenizer, steps: tuple[str, ...], config: CodebookConfig) -> list[tuple[int, ...]]:
    """Ids of the chunks of a trace, one latent each: its steps, or with chunking "tokens" every `chunk_tokens` tokens of its text."""
    encoded = [tuple(tokenizer.encode(step)) for step in steps]
    if config.chunking == "tokens":
        ids = [token for step in encoded for token in step]
        return [tuple(ids[start:start + config.chunk_tokens]) for start in range(0, len(ids), config.chunk_tokens)]
    for step, ids in zip(steps, encoded):
        if len(ids) > config.chunk_tokens:
            raise ValueError(f"step {step!r} has {len(ids)} tokens, a chunk holds {config.chunk_tokens}")
    return encoded


def padded(ids: tuple[int, ...], length: int) -> list[int]:
    """A chunk as exactly `length` ids, padded on the right with 0."""
    return [*ids, *[0] * (length - len(ids))]


class StepBlock(nn.Module):
    """Pre-norm transformer block over the steps of one trace; a step sees itself and the steps before it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS), nn.LayerNorm(dim, eps=NORM_EPS)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # x: [traces, steps, dim]
        count, steps, dim = x.shape

        def split(y: torch.Tensor) -> torch.Tensor:
            return y.view(count, steps, self.heads, dim // self.heads).transpose(1, 2)

        h = self.norm1(x)
        scores = split(self.q(h)) @ split(self.k(h)).transpose(-1, -2) / math.sqrt(dim // self.heads)
        scores = scores + torch.full((steps, steps), -1e4, dtype=scores.dtype, device=scores.device).triu(1)
        mixed = torch.softmax(scores, -1).to(h.dtype) @ split(self.v(h)).to(h.dtype)
        x = x + self.o(mixed.transpose(1, 2).reshape(count, steps, dim))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class PositionBlock(nn.Module):
    """Pre-norm MLP on every token position alone."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Codebook(nn.Module):
    """Encoder, codes and decoder. `text_size` counts the text vocabulary (ids below the delimiters)."""

    def __init__(self, config: CodebookConfig, text_size: int) -> None:
        super().__init__()
        self.config, self.text_size = config, text_size
        self.measured: dict = {}  # what codebook.json says of these weights; a run's checkpoint quotes it
        dim, length = config.dim, config.chunk_tokens
        self.embed = nn.Embedding(text_size, dim)
        self.encoder_in = nn.Linear((length + 1) * dim, 4 * dim)
        with torch.no_grad():
            self.encoder_in.weight[:, length * dim:] *= 3.0  # one token of eleven, but it tells the tasks apart
        self.encoder_out = nn.Linear(4 * dim, config.code_dim)
        self.question_in = nn.Linear(config.question_tokens * dim, 2 * dim)
        self.question_out = nn.Linear(2 * dim, dim)
        self.decoder_in = nn.Linear(config.code_dim + dim, dim)
        self.step_position = nn.Parameter(0.02 * torch.randn(config.max_steps, dim))
        self.step_blocks = nn.ModuleList(StepBlock(dim, config.heads) for _ in range(2))
        self.expand_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.expand = nn.Linear(dim, length * dim)  # every position reads the step through its own matrix
        self.position_blocks = nn.ModuleList(PositionBlock(dim) for _ in range(1))
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.head = nn.Linear(dim, text_size)
        self.register_buffer("codes", torch.randn(config.codes, config.code_dim))

    def latent_vectors(self, text_ids: torch.Tensor, last_prompt_id: torch.Tensor) -> torch.Tensor:
        """[traces, steps, L] and [traces] -> encoder outputs [traces, steps, code_dim]."""
        traces, steps, _ = text_ids.shape
        kind = self.embed(last_prompt_id)[:, None, :].expand(traces, steps, -1)
        x = torch.cat([self.embed(text_ids).flatten(2), kind], -1)
        return self.encoder_out(F.gelu(self.encoder_in(x))).float()

    @torch.no_grad()
    def fold_scale(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """Makes the encoder's outputs (x - mean) / deviation, by changing its last layer.

        In new storage: a gradient pass under way still needs the old values.
        """
        self.encoder_out.weight.data = self.encoder_out.weight.data / deviation[:, None]
        self.encoder_out.bias.data = (self.encoder_out.bias.data - mean) / deviation

    def freeze_codes(self) -> None:
        """Everything the encoder uses stays as it is: a step's code is final."""
        for module in (self.embed, self.encoder_in, self.encoder_out):
            module.requires_grad_(False)
            for parameter in module.parameters():
                parameter.grad = None

    def nearest(self, vectors: torch.Tensor) -> torch.Tensor:
        """Index of the nearest code (squared L2) for [.., code_dim]."""
        return ((self.codes * self.codes).sum(1) - 2 * vectors @ self.codes.t()).argmin(-1)

    def encode(self, text_ids: torch.Tensor, prompt_ids: torch.Tensor) -> torch.Tensor:
        """[traces, steps * L], [traces, P] -> codes [traces, steps]."""
        chunks = text_ids.view(text_ids.shape[0], -1, self.config.chunk_tokens)
        return self.nearest(self.latent_vectors(chunks, prompt_ids[:, -1]))

    def decode_vectors(self, vectors: torch.Tensor, prompt_ids: torch.Tensor, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """Code vectors [traces, steps, code_dim] -> text logits [traces, steps, L, V_text].

        `chosen` (bool [traces, steps]) keeps only those steps: the result is then [chosen, L, V_text].
        """
        steps = vectors.shape[1]
        question = self.embed(prompt_ids[:, -self.config.question_tokens:]).flatten(1)
        question = self.question_out(F.gelu(self.question_in(question)))
        x = torch.cat([vectors.to(question.dtype), question[:, None, :].expand(-1, steps, -1)], -1)
        x = self.decoder_in(x) + self.step_position[:steps]
        for block in self.step_blocks:
            x = block(x)
        if chosen is not None:
            x = x[chosen]
        x = self.expand(self.expand_norm(x)).float().unflatten(-1, (self.config.chunk_tokens, self.config.dim))
        for block in self.position_blocks:
            x = block(x)
        return self.head(self.norm(x))

    def decode(self, codes: torch.Tensor, prompt_ids: torch.Tensor) -> torch.Tensor:
        """Codes [traces, steps], prompt ids [traces, P] (P >= Q) -> text logits [traces, steps, L, V_text]."""
        return self.decode_vectors(self.codes[codes], prompt_ids)

    def save(self, folder: str, extra: dict | None = None) -> None:
        """Writes codebook.json and codebook.safetensors."""
        config = self.config
        description = {
            "format": 1, "codes": config.codes, "chunk_tokens": config.chunk_tokens, "text_vocab_size": self.text_size,
            "dim": config.dim, "code_dim": config.code_dim, "heads": config.heads, "step_blocks": len(self.step_blocks),
            "position_blocks": len(self.position_blocks), "question_tokens": config.question_tokens,
            "min_prompt_tokens": config.question_tokens,
            "max_steps": config.max_steps, "chunking": config.chunking, "norm_eps": NORM_EPS, "activation": "gelu_erf", "pad_token_id": 0,
            **(extra or {}),
        }
        with files.written_together(folder) as temporary:
            with open(os.path.join(temporary, "codebook.json"), "w", encoding="utf-8") as file:
                json.dump(description, file, indent=1)
            safetensors_file.write(os.path.join(temporary, "codebook.safetensors"), dict(self.state_dict()))

    @classmethod
    def load(cls, folder: str) -> "Codebook":
        with open(os.path.join(folder, "codebook.json"), encoding="utf-8") as file:
            description = json.load(file)
        known = {name: description[name] for name in (
            "codes", "chunk_tokens", "dim", "code_dim", "heads", "question_tokens", "max_steps")}
        known["chunking"] = description.get("chunking", "step")
        codebook = cls(CodebookConfig(**known), description["text_vocab_size"])
        path = os.path.join(folder, "codebook.safetensors")
        tensors = safetensors_file.read(path)
        expected = {name: tuple(value.shape) for name, value in codebook.state_dict().items()}
        for name in sorted(expected.keys() | tensors.keys()):
            found = tuple(tensors[name].shape) if name in tensors else "none"
            if expected.get(name, "none") != found:
                raise ValueError(f"{path}: {name}: codebook.json expects shape {expected.get(name, 'none')}, found {found}")
        codebook.load_state_dict(tensors)
        codebook.measured = description.get("measured", {})
        return codebook.eval()


def k_means(vectors: torch.Tensor, count: int, rounds: int) -> torch.Tensor:
    """Centres [count, dim] of vectors [n, dim], from k-means++ seeds."""
    centres = vectors[torch.randint(0, len(vectors), (1,))]
    nearest = ((vectors - centres) ** 2).sum(1)
    while len(centres) < count:
        drawn = vectors[torch.multinomial(nearest + 1e-6, 1)]
        centres = torch.cat([centres, drawn])
        nearest = torch.minimum(nearest, ((vectors - drawn) ** 2).sum(1))
    for _ in range(rounds):
        chosen = F.one_hot(torch.cdist(vectors, centres).argmin(1), count).float()
        size = chosen.sum(0)[:, None]
        centres = torch.where(size > 0, chosen.t() @ vectors / size.clamp(min=1), centres)
    return centres


class CodeUpdater:
    """Moves the codes by an exponential average of the vectors they got, and draws unused codes again."""

    def __init__(self, codebook: Codebook, decay: float, restart_after: int) -> None:
        self.codebook, self.decay, self.restart_after = codebook, decay, restart_after
        count = codebook.config.codes
        self.sizes, self.ages = torch.ones(count, device=codebook.codes.device), torch.zeros(count, device=codebook.codes.device)
        self.sums = codebook.codes.clone()

    def start(self, vectors: torch.Tensor) -> None:
        """First codes: k-means of encoder outputs [n, code_dim]."""
        self.codebook.codes.copy_(k_means(vectors, len(self.sizes), rounds=10))
        self.sums = self.codebook.codes.clone()

    def update(self, vectors: torch.Tensor, codes: torch.Tensor, restart: bool) -> int:
        """Returns how many codes were drawn again."""
        chosen = F.one_hot(codes, len(self.sizes)).float()  # [n, codes]
        used = chosen.sum(0)
        self.sizes.mul_(self.decay).add_(used, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(chosen.t() @ vectors, alpha=1 - self.decay)
        self.codebook.codes.copy_(self.sums / (self.sizes[:, None] + 1e-5))
        self.ages = torch.where(used > 0, torch.zeros_like(self.ages), self.ages + 1)
        dead = (self.ages > self.restart_after).nonzero()[:, 0] if restart else torch.empty(0, dtype=torch.long)
        if len(dead):
            drawn = vectors[torch.randint(0, len(vectors), (len(dead),))]
            self.codebook.codes[dead], self.sums[dead] = drawn, drawn
            self.sizes[dead], self.ages[dead] = 1.0, 0.0
        return len(dead)
