"""The language model: Llama-style decoder with n-gram input embeddings.

Three ways through the same blocks: `forward(ids)` is the plain causal reference; `branch_hidden` runs several questions on one
shared prompt (training); `GenerationState` decodes with a KV cache (evaluation). Print its size:
`python3 -m tessera_training.model --recipe recipes/walkback.toml`.
"""
from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F

MASKED = -1e4  # representable in bf16, far below any score
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ModelShape:
    vocab_size: int
    dim: int
    layers: int
    heads: int
    mlp_dim: int
    ngrams: int
    rope_theta: float = 1e6
    max_positions: int = 4096
    norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


class RmsNorm(nn.Module):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps).to(x.dtype)
        return x * scale * self.weight.to(x.dtype)


class SwiGlu(torch.autograd.Function):
    """`F.silu(gate) * up` of the fused [.., 2 * mlp_dim]; keeps the sigmoid, which autograd of `F.silu` computes again (a third of the time in bf16)."""

    @staticmethod
    def forward(context, gate_up: torch.Tensor) -> torch.Tensor:
        gate, up = gate_up.chunk(2, -1)
        sigmoid = torch.sigmoid(gate)
        silu = gate * sigmoid
        context.save_for_backward(up, sigmoid, silu)
        return silu * up

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        up, sigmoid, silu = context.saved_tensors
        slope = torch.addcmul(silu, silu, sigmoid, value=-1).add_(sigmoid)  # of silu: sigmoid + silu * (1 - sigmoid)
        return torch.cat([slope.mul_(up).mul_(gradient), silu * gradient], -1)


class Block(nn.Module):
    """Weights of one layer; query, key and value are fused, as are gate and up."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(shape.dim, shape.norm_eps), RmsNorm(shape.dim, shape.norm_eps)
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=False)
        self.o = nn.Linear(shape.dim, shape.dim, bias=False)
        self.gate_up = nn.Linear(shape.dim, 2 * shape.mlp_dim, bias=False)
        self.down = nn.Linear(shape.mlp_dim, shape.dim, bias=False)


def rope_tables(shape: ModelShape) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin, [max_positions, head_dim / 2]."""
    frequency = 1.0 / shape.rope_theta ** (torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
    angle = torch.outer(torch.arange(shape.max_positions).float(), frequency)
    return torch.cos(angle), torch.sin(angle)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Half-split rotation (Hugging Face `rotate_half`) of x [.., T, head_dim]."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class TesseraLlama(nn.Module):
    """`tied`: logits use the token embedding and inputs are scaled by sqrt(dim) (training form).

    A loaded checkpoint is untied with the scale folded into its weights.
    """

    def __init__(self, shape: ModelShape, tied: bool = True) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab_size, shape.dim)
        self.ngram = nn.ModuleList(nn.Embedding(shape.vocab_size, shape.dim) for _ in range(shape.ngrams))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RmsNorm(shape.dim, shape.norm_eps)
        self.head = None if tied else nn.Linear(shape.dim, shape.vocab_size, bias=False)
        self.embedding_scale = shape.dim ** 0.5 if tied else 1.0
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for table in (self.embed, *self.ngram):
            nn.init.normal_(table.weight, std=shape.dim ** -0.5)
        for block in self.blocks:
            nn.init.normal_(block.qkv.weight, std=shape.dim ** -0.5)
            nn.init.normal_(block.gate_up.weight, std=shape.dim ** -0.5)
            nn.init.zeros_(block.o.weight)
            nn.init.zeros_(block.down.weight)

    def embed_ids(self, ids: torch.Tensor, previous: torch.Tensor | None = None) -> torch.Tensor:
        """ids [.., T] -> [.., T, dim]; `previous` [.., ngrams] are the ids before them (pad where there are none)."""
        x = self.embed(ids)
        length = ids.shape[-1]
        if len(self.ngram):
            if previous is None:
                previous = ids.new_zeros(*ids.shape[:-1], len(self.ngram))
            extended = torch.cat([previous, ids], -1)
            for back, table in enumerate(self.ngram, 1):
                start = len(self.ngram) - back
                x = x + table(extended[..., start:start + length])
        return x * self.embedding_scale

    def run_blocks(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, attend: Attend, outputs: list[torch.Tensor] | None = None) -> torch.Tensor:
        """x [B, T, dim]; cos and sin broadcast over [B, heads, T, head_dim / 2]; `attend(layer, q, k, v)` -> [B, heads, T, head_dim]. Each block's output is appended to `outputs`."""
        count, length, dim = x.shape
        heads, head_dim = self.shape.heads, self.shape.head_dim
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        for layer, block in enumerate(self.blocks):
            q, k, v = block.qkv(block.norm1(x)).view(count, length, 3, heads, head_dim).permute(2, 0, 3, 1, 4)
            mixed = attend(layer, rotate(q, cos, sin) * head_dim ** -0.5, rotate(k, cos, sin), v)
            x = x + block.o(mixed.transpose(1, 2).reshape(count, length, dim))
            x = x + block.down(SwiGlu.apply(block.gate_up(block.norm2(x))))
            if outputs is not None:
                outputs.append(x)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        weight = self.embed.weight if self.head is None else self.head.weight
        return F.linear(self.norm(hidden), weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Plain causal pass: ids [B, T] -> logits [B, T, vocab]."""
        length = ids.shape[1]
        mask = torch.full((length, length), MASKED, device=ids.device).triu(1)

        def attend(_: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return torch.softmax(q @ k.transpose(-1, -2) + mask.to(q.dtype), -1).to(v.dtype) @ v

        return self.logits(self.run_blocks(self.embed_ids(ids), self.cos[:length], self.sin[:length], attend))

    def branch_hidden(self, prompt: torch.Tensor, prompt_length: torch.Tensor, branches: torch.Tensor,
                      dtype: torch.dtype = torch.float32, outputs: list[torch.Tensor] | None = None) -> torch.Tensor:
        """Several continuations of one prompt, the prompt computed once.

        prompt [B, P] padded on the right, prompt_length [B], branches [B, n, T] -> hidden [B, n, T, dim]; branch tokens see
        their prompt and their own branch, at positions prompt_length + i. Each block's output, of the same shape, is appended to `outputs`.
        """
        count, width = prompt.shape
        n, length = branches.shape[1:]
        heads, head_dim = self.shape.heads, self.shape.head_dim
        ngrams, device = len(self.ngram), prompt.device
        last = (prompt_length[:, None] - ngrams + torch.arange(ngrams, device=device)[None])  # [B, ngrams]
        previous = torch.where(last >= 0, prompt.gather(1, last.clamp(min=0)), torch.zeros_like(last))
        x = torch.cat([self.embed_ids(prompt), self.embed_ids(branches, previous[:, None].expand(count, n, ngrams)).flatten(1, 2)], 1).to(dtype)
        position = torch.cat([torch.arange(width, device=device)[None].expand(count, width),
                              (prompt_length[:, None, None] + torch.arange(length, device=device)).expand(count, n, length).flatten(1)], 1)
        causal_prompt = torch.full((width, width), MASKED, dtype=dtype, device=device).triu(1)
        causal_branch = torch.full((length, length), MASKED, dtype=dtype, device=device).triu(1)
        visible = torch.where(torch.arange(width, device=device)[None] < prompt_length[:, None], 0.0, MASKED).to(dtype)[:, None, None, :]

        def attend(_: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
            prompt_k, prompt_v = k[:, :, :width].contiguous(), v[:, :, :width].contiguous()
            of_prompt = torch.softmax(q[:, :, :width].contiguous() @ prompt_k.transpose(-1, -2) + causal_prompt, -1).to(dtype) @ prompt_v
            branch_q = q[:, :, width:].contiguous()  # [B, heads, n * T, head_dim]
            own_q, own_k, own_v = (y[:, :, width:].reshape(count * heads * n, length, head_dim) for y in (q, k, v))
            to_prompt = branch_q @ prompt_k.transpose(-1, -2) + visible
            to_own = torch.bmm(own_q, own_k.transpose(-1, -2)) + causal_branch
            weight = torch.softmax(torch.cat([to_prompt, to_own.view(count, heads, n * length, length)], -1), -1).to(dtype)
            own = torch.bmm(weight[..., width:].reshape(count * heads * n, length, length), own_v)
            of_branch = weight[..., :width].contiguous() @ prompt_v + own.view(count, heads, n * length, head_dim)
            return torch.cat([of_prompt, of_branch], 2)

        blocks: list[torch.Tensor] | None = None if outputs is None else []
        hidden = self.run_blocks(x, self.cos[position][:, None], self.sin[position][:, None], attend, blocks)
        if outputs is not None:
            outputs += [block[:, width:].view(count, n, length, -1) for block in blocks]
        return hidden[:, width:].view(count, n, length, -1)


class GenerationState:
    """KV cache of a batch of prompts of different lengths, padded on the right."""

    def __init__(self, model: TesseraLlama, prompts: list[list[int]], new_positions: int) -> None:
        self.model = model
        shape, count, device = model.shape, len(prompts), model.embed.weight.device
        self.lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self.width = int(self.lengths.max())
        self.used = 0  # generated positions in the cache
        ids = torch.zeros(count, self.width, dtype=torch.long, device=device)
        for row, prompt in enumerate(prompts):
            ids[row, :len(prompt)] = torch.tensor(prompt)
        tail = [([0] * shape.ngrams + prompt)[len(prompt):] for prompt in prompts]  # last ngrams ids of each
        self.recent = torch.tensor(tail, dtype=torch.long, device=device).view(count, shape.ngrams)
        total = self.width + new_positions
        self.keys = [torch.zeros(count, shape.heads, total, shape.head_dim, device=device) for _ in range(shape.layers)]
        self.values = [torch.zeros(count, shape.heads, total, shape.head_dim, device=device) for _ in range(shape.layers)]
        hidden_keys = torch.arange(total, device=device)[None] >= self.lengths[:, None]
        hidden_keys[:, self.width:] = False
        self.mask = torch.where(hidden_keys, MASKED, 0.0)[:, None, None, :]  # [B, 1, 1, total]
        causal = torch.full((self.width, self.width), MASKED, device=device).triu(1)

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            self.keys[layer][:, :, :self.width], self.values[layer][:, :, :self.width] = k, v
            return torch.softmax(q @ k.transpose(-1, -2) + causal, -1).to(v.dtype) @ v

        hidden = model.run_blocks(model.embed_ids(ids), model.cos[:self.width], model.sin[:self.width], attend)
        self.next_logits = model.logits(hidden[torch.arange(count, device=device), self.lengths - 1]).float()  # [B, vocab]

    def fork(self) -> "GenerationState":
        """An independent copy, so that one prompt serves several continuations."""
        other = copy.copy(self)
        other.keys, other.values = [k.clone() for k in self.keys], [v.clone() for v in self.values]
        return other

    def append(self, ids: torch.Tensor) -> torch.Tensor:
        """Adds one id per row [B]; returns (and keeps) the logits that follow it [B, vocab]."""
        model, column = self.model, self.width + self.used
        position = self.lengths + self.used

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            keys, values = self.keys[layer], self.values[layer]
            keys[:, :, column:column + 1], values[:, :, column:column + 1] = k, v
            end = column + 1
            scores = q.float() @ keys[:, :, :end].transpose(-1, -2) + self.mask[..., :end]
            return torch.softmax(scores, -1) @ values[:, :, :end]

        x = model.embed_ids(ids[:, None], self.recent)
        hidden = model.run_blocks(x, model.cos[position][:, None, None], model.sin[position][:, None, None], attend)
        if self.recent.shape[1]:
            self.recent = torch.cat([self.recent[:, 1:], ids[:, None]], 1)
        self.used += 1
        self.next_logits = model.logits(hidden[:, 0]).float()
        return self.next_logits


def main() -> None:
    from . import config as recipes
    from .train import new_model
    from .tokenizer import Tokenizer, build

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    recipe = recipes.load(parser.parse_args().recipe)
    model = new_model(recipe, Tokenizer(build(recipe.codebook.codes, recipe.tasks.names)))
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters, {model.shape}")


if __name__ == "__main__":
    main()
