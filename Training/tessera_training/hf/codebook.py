"""Trains Training's VQ-VAE on the chunks of a data set, in the vocabulary of a checkpoint, and gives each trace its codes.

Quantisers and stages are those of train_vqvae: with the usual one noise instead of codes first, then codes that move with the encoder, then the decoder alone.
"""
from __future__ import annotations

import os
import random
import time

import torch
import torch.nn.functional as F

from .. import devices, quantizers
from ..config import CodebookConfig
from ..vqvae import Codebook
from .errors import CheckpointError
from .traces import Trace


class ChunkBatch:
    """Chunks as tensors: text [N, S, L] filled with pad on the right, valid [N, S], prompt tails [N, Q] filled on the left."""

    def __init__(self, traces: list[Trace], config: CodebookConfig, pad: int, device: torch.device) -> None:
        kept = [found.chunks[:config.max_steps] for found in traces]
        most, length, tail = max(map(len, kept)), config.chunk_tokens, config.question_tokens
        text, valid = torch.full((len(traces), most, length), pad), torch.zeros(len(traces), most, dtype=torch.bool)
        prompt = torch.full((len(traces), tail), pad)
        for index, (found, chunks) in enumerate(zip(traces, kept)):
            end = found.prompt[-tail:]
            prompt[index, tail - len(end):] = torch.tensor(end)
            for step, chunk in enumerate(chunks):
                text[index, step, :len(chunk)] = torch.tensor(chunk)
                valid[index, step] = True
        self.text, self.valid, self.prompt, self.pad = text.to(device), valid.to(device), prompt.to(device), pad

    def weights(self, of_new: float) -> torch.Tensor:
        """[N, S, L]: `of_new` for tokens that neither the chunk before nor the prompt's tail holds, else 1."""
        before = torch.cat([torch.full_like(self.text[:, :1], self.pad), self.text[:, :-1]], 1)
        known = (self.text[..., :, None] == before[..., None, :]).any(-1)
        known |= (self.text[..., None] == self.prompt[:, None, None, :]).any(-1)
        return torch.where(known | (self.text == self.pad), 1.0, of_new)


def train(config: CodebookConfig, traces: list[Trace], text_size: int, pad: int, seed: int, device: torch.device, log) -> Codebook:
    """A codebook trained on `traces` (those with chunks); `log` gets a record now and then."""
    traces = [found for found in traces if found.chunks]
    torch.manual_seed(seed)
    rng, started = random.Random(f"{seed}/codebook"), time.time()
    codebook = Codebook(config, text_size).to(device)
    quantizer = quantizers.make(codebook, config)
    optimizer = torch.optim.AdamW(codebook.parameters(), lr=config.lr, weight_decay=0.01, betas=(0.9, 0.95))
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (step + 1) / 50) * min(1.0, 2 * (1 - step / config.steps) + 0.02)
        batch = ChunkBatch(rng.choices(traces, k=config.batch), config, pad, device)
        with devices.autocast(device):
            vectors = codebook.latent_vectors(batch.text, batch.prompt[:, -1])
        given, commitment, _ = quantizer(step, vectors, batch.valid)
        if step == quantizer.frozen_from:
            codebook.freeze_codes()
            quantizer.finish(_representative(codebook, traces, pad, rng))
        with devices.autocast(device):
            logits = codebook.decode_vectors(given, batch.prompt, batch.valid)
        errors = F.cross_entropy(logits.float().flatten(0, 1), batch.text[batch.valid].flatten(), reduction="none")
        weights = batch.weights(config.new_word_weight)[batch.valid].flatten()
        reconstruction = (errors * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        (reconstruction + config.commitment * commitment).backward()
        torch.nn.utils.clip_grad_norm_(codebook.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0 or step + 1 == config.steps:
            log({"codebook_step": step + 1, "of": config.steps, "reconstruction": round(reconstruction.item(), 4),
                 "commitment": round(commitment.item(), 4), "seconds": round(time.time() - started, 1)})
    return codebook.eval()


@torch.no_grad()
def _representative(codebook: Codebook, traces: list[Trace], pad: int, rng: random.Random) -> torch.Tensor:
    """Encoder outputs [n, code_dim], half of chunks as they come, half of distinct ones, so that rare chunks get codes too."""
    drawn = [(found.prompt[-1], tuple(chunk)) for found in traces for chunk in found.chunks]
    count = codebook.config.final_traces
    chosen = rng.choices(drawn, k=count) + rng.choices(list(dict.fromkeys(drawn)), k=count)
    alone = ChunkBatch([Trace([last], [list(chunk)], []) for last, chunk in chosen], codebook.config, pad, codebook.codes.device)
    return codebook.latent_vectors(alone.text, alone.prompt[:, -1])[:, 0]


@torch.no_grad()
def codes_of(codebook: Codebook, traces: list[Trace], pad: int, batch: int = 64) -> list[list[int]]:
    """The codes of each trace, one for each chunk up to max_steps."""
    device, found = codebook.codes.device, []
    for start in range(0, len(traces), batch):
        part = [one for one in traces[start:start + batch] if one.chunks]
        given = iter(())
        if part:
            tensors = ChunkBatch(part, codebook.config, pad, device)
            given = iter(codebook.nearest(codebook.latent_vectors(tensors.text, tensors.prompt[:, -1])).tolist())
        found += [next(given)[:min(len(one.chunks), codebook.config.max_steps)] if one.chunks else [] for one in traces[start:start + batch]]
    return found


@torch.no_grad()
def measure(codebook: Codebook, traces: list[Trace], pad: int, batch: int = 64) -> dict:
    """Exactness by token, chunk and trace, with and without the prompt, and how far the codes are used."""
    traces, device = [found for found in traces if found.chunks], codebook.codes.device
    counts = dict.fromkeys(("tokens", "chunks"), 0)
    right = {name: {"token_accuracy": 0, "step_exact": 0, "trace_exact": 0} for name in ("", "_without_question")}
    used = torch.zeros(codebook.config.codes)
    for start in range(0, len(traces), batch):
        tensors = ChunkBatch(traces[start:start + batch], codebook.config, pad, device)
        codes = codebook.nearest(codebook.latent_vectors(tensors.text, tensors.prompt[:, -1]))
        used += torch.bincount(codes[tensors.valid].cpu(), minlength=len(used))
        targets = tensors.text[tensors.valid]
        filled = targets != pad
        counts["tokens"] += int(filled.sum())
        counts["chunks"] += len(targets)
        for name, prompt in (("", tensors.prompt), ("_without_question", torch.full_like(tensors.prompt, pad))):
            same = codebook.decode_vectors(codebook.codes[codes], prompt, tensors.valid).argmax(-1) == targets
            whole = torch.ones_like(tensors.valid)
            whole[tensors.valid] = same.all(-1)
            right[name]["token_accuracy"] += int(same[filled].sum())
            right[name]["step_exact"] += int(same.all(-1).sum())
            right[name]["trace_exact"] += int(whole.all(1).sum())
    totals = {"token_accuracy": counts["tokens"], "step_exact": counts["chunks"], "trace_exact": len(traces)}
    share = used / used.sum()
    return {"traces": len(traces)} | {key + name: round(value / totals[key], 4) for name, values in right.items() for key, value in values.items()} | {
        "codes_used": int((used > 0).sum()), "perplexity": round(torch.exp(-(share * (share + 1e-9).log()).sum()).item(), 1),
        "text_tokens_per_latent": round(counts["tokens"] / counts["chunks"], 3)}


def tokens_by_code(codes: list[list[int]], traces: list[Trace]) -> dict[int, list[int]]:
    """Code -> ids of all text that it stands for in these traces."""
    tokens: dict[int, list[int]] = {}
    for found, own in zip(traces, codes):
        for code, chunk in zip(own, found.chunks):
            tokens.setdefault(code, []).extend(chunk)
    return tokens


def save(codebook: Codebook, folder: str, pad: int, measured: dict) -> None:
    codebook.save(folder, {"pad_token_id": pad, "measured": measured})


def load(folder: str) -> Codebook:
    """A codebook as `train_vqvae` or `save` wrote it; its sizes replace those of the recipe."""
    path = os.path.join(folder, "codebook.json")
    try:
        return Codebook.load(folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(path, "the file", "a codebook", " ".join(str(error).split())) from None


def check(codebook: Codebook, text_size: int) -> None:
    """A codebook belongs to one vocabulary."""
    if codebook.text_size != text_size:
        raise CheckpointError("codebook.json", "text_vocab_size", f"{text_size}, the checkpoint's text vocabulary", codebook.text_size)
