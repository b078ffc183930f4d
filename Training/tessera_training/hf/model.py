"""Reference model of the Hugging Face decoder families; its parameters carry the names that checkpoints use.

One class for all families: `HfConfig` says what is there (biases, head norms, windows, a head of its own). `forward` is the plain causal pass; with a
`Cache` it continues. Print a checkpoint's size: `python3 -m tessera_training.hf.model DIR`.
"""
from __future__ import annotations

import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from .config import HfConfig, load

MASKED = -1e9


class RmsNorm(nn.Module):
    """RMS norm over the last dimension: the residual stream's, or one head's."""

    def __init__(self, dim: int, eps: float, device: torch.device | None = None) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim, device=device)), eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight.to(x.dtype) * scaled.to(x.dtype)


class Cache:
    """Keys and values of one batch, by layer: [B, kvHeads, T, headDim]; grows with each pass."""

    def __init__(self, layers: int) -> None:
        self.keys: list[torch.Tensor | None] = [None] * layers
        self.values: list[torch.Tensor | None] = [None] * layers

    @property
    def length(self) -> int:
        return 0 if self.keys[0] is None else self.keys[0].shape[2]

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.keys[layer] is not None:
            key, value = torch.cat([self.keys[layer], key], 2), torch.cat([self.values[layer], value], 2)
        self.keys[layer], self.values[layer] = key, value
        return key, value


class Attention(nn.Module):
    def __init__(self, config: HfConfig, device: torch.device | None = None) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.heads, config.kv_heads, config.head_dim
        width, kv_width = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden, width, bias=config.qkv_bias, device=device)
        self.k_proj = nn.Linear(config.hidden, kv_width, bias=config.qkv_bias, device=device)
        self.v_proj = nn.Linear(config.hidden, kv_width, bias=config.qkv_bias, device=device)
        self.o_proj = nn.Linear(width, config.hidden, bias=config.o_bias, device=device)
        if config.qk_norm:
            self.q_norm, self.k_norm = RmsNorm(config.head_dim, config.norm_eps, device), RmsNorm(config.head_dim, config.norm_eps, device)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor, layer: int, cache: Cache | None) -> torch.Tensor:
        """x [B, T, hidden], cos and sin [B or 1, 1, T, headDim / 2], mask [B or 1, 1, T, keys] to add to the scores."""
        count, length, _ = x.shape
        q = self.q_proj(x).view(count, length, self.heads, self.head_dim)
        k = self.k_proj(x).view(count, length, self.kv_heads, self.head_dim)
        v = self.v_proj(x).view(count, length, self.kv_heads, self.head_dim).transpose(1, 2)
        if hasattr(self, "q_norm"):
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q.transpose(1, 2), cos, sin), rotate(k.transpose(1, 2), cos, sin)
        if cache is not None:
            k, v = cache.append(layer, k, v)
        mixed = attend(q, self._for_each_head(k).to(q.dtype), self._for_each_head(v).to(q.dtype), mask.to(q.dtype))
        return self.o_proj(mixed.transpose(1, 2).reshape(count, length, -1))

    def _for_each_head(self, x: torch.Tensor) -> torch.Tensor:
        """[B, kvHeads, T, headDim] -> [B, heads, T, headDim]: neighbouring query heads share one."""
        count, _, length, width = x.shape
        return x[:, :, None].expand(count, self.kv_heads, self.heads // self.kv_heads, length, width).reshape(count, self.heads, length, width)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B, heads, T, headDim] x3 and the mask to add -> [B, heads, T, headDim]; PyTorch's fused kernel where it is there and helps."""
    if q.is_cuda and hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask
    weights = torch.softmax(scores if scores.dtype == torch.float64 else scores.float(), -1)
    return weights.to(v.dtype) @ v


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotates the pairs (i, i + headDim / 2) of x [.., T, headDim]."""
    wide = x if x.dtype == torch.float64 else x.float()
    cos, sin = cos.to(wide.dtype), sin.to(wide.dtype)
    a, b = wide.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


class Mlp(nn.Module):
    def __init__(self, config: HfConfig, device: torch.device | None = None) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden, config.mlp, bias=config.mlp_bias, device=device)
        self.up_proj = nn.Linear(config.hidden, config.mlp, bias=config.mlp_bias, device=device)
        self.down_proj = nn.Linear(config.mlp, config.hidden, bias=config.mlp_bias, device=device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: HfConfig, device: torch.device | None = None) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(config, device), Mlp(config, device)
        self.input_layernorm = RmsNorm(config.hidden, config.norm_eps, device)
        self.post_attention_layernorm = RmsNorm(config.hidden, config.norm_eps, device)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor, layer: int, cache: Cache | None) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, layer, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Backbone(nn.Module):
    """Everything below the head (`model.` in checkpoints)."""

    def __init__(self, config: HfConfig, device: torch.device | None = None) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden, device=device)
        self.layers = nn.ModuleList(Layer(config, device) for _ in range(config.layers))
        self.norm = RmsNorm(config.hidden, config.norm_eps, device)
        self.recompute = False  # in training: activations of a layer again in the backward pass

    def forward(self, ids: torch.Tensor, positions: torch.Tensor | None, visible: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
        x = self.embed_tokens(ids)
        past = 0 if cache is None else cache.length
        places = torch.arange(past, past + ids.shape[1], device=ids.device)
        cos, sin = (table[:, None] for table in self.config.rope.tables(places[None] if positions is None else positions))
        masks = {window: attention_mask(places, visible, window) for window in set(self.config.windows)}
        for index, (layer, window) in enumerate(zip(self.layers, self.config.windows)):
            if self.recompute and self.training:
                x = checkpoint(layer, x, cos, sin, masks[window], index, cache, use_reentrant=False)
            else:
                x = layer(x, cos, sin, masks[window], index, cache)
        return self.norm(x)


def attention_mask(places: torch.Tensor, visible: torch.Tensor | None, window: int | None) -> torch.Tensor:
    """Queries at `places` [T], ascending, see the keys at 0..last that are not after them, at most window - 1 back, and `visible` [B, keys]: [B or 1, 1, T, keys]."""
    distance = places[:, None] - torch.arange(len(places) if visible is None else visible.shape[1], device=places.device)
    seen = distance >= 0
    if window is not None:
        seen &= distance < window
    seen = seen[None] if visible is None else seen & visible[:, None, :]
    return torch.zeros(seen.shape, device=places.device).masked_fill(~seen, MASKED)[:, None]


class HfDecoder(nn.Module):
    """A decoder of any family. Weights are in the dtype of its parameters; logits too."""

    def __init__(self, config: HfConfig, device: torch.device | None = None) -> None:
        super().__init__()
        self.config = config
        self.model = Backbone(config, device)
        if not config.tied:
            self.lm_head = nn.Linear(config.hidden, config.vocab_size, bias=False, device=device)

    @property
    def head_weight(self) -> torch.Tensor:
        return self.model.embed_tokens.weight if self.config.tied else self.lm_head.weight

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.head_weight)

    def hidden(self, ids: torch.Tensor, positions: torch.Tensor | None = None, visible: torch.Tensor | None = None,
               cache: Cache | None = None) -> torch.Tensor:
        """ids [B, T] -> [B, T, hidden]. Rows padded on the right need nothing else; rows padded on the left need their positions [B, T] and which keys,
        cached ones included, are `visible` [B, keys]; so does a pass that continues a cache (keys without padding: all true)."""
        return self.model(ids, positions, visible, cache)

    def forward(self, ids: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """ids [B, T] -> logits [B, T, V]; with `kept` (bool [B, T]) only those positions' logits: [kept, V]."""
        hidden = self.hidden(ids)
        return self.logits(hidden if kept is None else hidden[kept])


if __name__ == "__main__":
    found = load(sys.argv[1])
    print(f"{sum(p.numel() for p in HfDecoder(found, torch.device('meta')).parameters()):,} parameters, {found}")
