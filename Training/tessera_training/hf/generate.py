"""Greedy decoding of fine-tuned checkpoints under the grammar of reasoning sequences; prompts of a batch are padded on the left."""
from __future__ import annotations

import torch

from ..generate import Generated, Mode
from ..generate import generate as generate_greedy
from .model import Cache, HfDecoder
from .traces import LatentTokenizer


class HfGenerationState:
    """Keys and values of a batch of prompts; what `generate` needs of a state."""

    def __init__(self, model: HfDecoder, prompts: list[list[int]], vocabulary: int) -> None:
        self.model, self.vocabulary, self.device = model, vocabulary, model.head_weight.device
        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        self.visible = torch.zeros(len(prompts), width, dtype=torch.bool, device=self.device)
        for index, prompt in enumerate(prompts):
            ids[index, width - len(prompt):] = torch.tensor(prompt)
            self.visible[index, width - len(prompt):] = True
        self.positions = (self.visible.cumsum(1) - 1).clamp(min=0)
        self.cache = Cache(model.config.layers)
        self._run(ids.to(self.device), self.positions)

    def append(self, ids: torch.Tensor) -> torch.Tensor:
        """One id for each row [B]; the logits that follow [B, vocabulary]."""
        self.visible = torch.cat([self.visible, self.visible.new_ones(len(ids), 1)], 1)
        self.positions = self.positions[:, -1:] + 1
        return self._run(ids[:, None].to(self.device), self.positions)

    def _run(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        hidden = self.model.hidden(ids, positions, self.visible, self.cache)
        self.next_logits = self.model.logits(hidden[:, -1]).float()[:, :self.vocabulary]
        return self.next_logits


@torch.no_grad()
def generate(model: HfDecoder, tokenizer: LatentTokenizer, prompts: list[list[int]], mode: Mode, limit: int = 256,
             forced: list[list[int]] | None = None, latent_budget: int | None = None) -> list[Generated]:
    """Continuations of prompts that end in `<think>`."""
    state = HfGenerationState(model, prompts, tokenizer.size)
    return generate_greedy(model, tokenizer, prompts, mode, limit, forced, state, latent_budget)
