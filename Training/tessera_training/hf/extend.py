"""Extends a checkpoint by the delimiters and K latents: new added tokens in tokenizer.json, new rows in the embedding table and the head.

New ids follow the tokenizer's last id. A padded vocabulary (more rows than the tokenizer has ids) gives its unused rows first and grows when they do not
suffice; rows of old ids keep every bit. Rules for new rows:

- `mean`: the mean of the old rows plus noise of the old rows' deviation times a scale.
- `codebook`: a latent's row is the mean of the rows of the text tokens that its code stands for, plus the same noise; delimiters as in `mean`.
"""
from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from . import bpe
from .config import HfConfig, parse
from .errors import CheckpointError
from .tokenizer import FILE, BpeTokenizer

DELIMITERS = ("<think>", "</think>", "<boLatent>", "<eoLatent>")
EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"
NEW_PAD = "<pad>"
NOISE = 0.1


@dataclass(frozen=True)
class LatentVocabulary:
    """Where the new ids are."""

    delimiters: tuple[str, str, str, str]
    first_id: int  # of the delimiters
    latent_count: int
    new_pad: bool = False  # the id before the delimiters is a new one too, for padding

    @property
    def old_size(self) -> int:
        """Ids that the tokenizer had."""
        return self.first_id - self.new_pad

    @property
    def first_latent(self) -> int:
        return self.first_id + len(self.delimiters)

    @property
    def end(self) -> int:
        return self.first_latent + self.latent_count


def extend_tokenizer(description: dict, latent_count: int, delimiters: tuple[str, ...] = DELIMITERS,
                     pad: str | None = None) -> tuple[dict, LatentVocabulary]:
    """A tokenizer.json with the new added tokens, and without a post-processor that adds tokens (the chat format says where those go).

    `pad` is a padding token to add before them, for a checkpoint that has none of its own.
    """
    tokenizer = BpeTokenizer(description)
    if latent_count < 1 or len(delimiters) != 4 or len(set(delimiters)) != 4:
        raise CheckpointError(FILE, "added_tokens", "four different delimiters and at least one latent", f"{list(delimiters)}, {latent_count}")
    vocabulary = LatentVocabulary(tuple(delimiters), tokenizer.size + (pad is not None), latent_count, pad is not None)
    added = [*([pad] if pad else []), *delimiters, *(f"<latent_{code}>" for code in range(latent_count))]
    for token in added:
        taken = tokenizer.added.get(token, tokenizer.vocabulary.get(token))
        if taken is not None:
            raise CheckpointError(FILE, "added_tokens", f"no token {token!r} (choose other delimiters, or take a checkpoint without latents)", f"id {taken}")
    extended = copy.deepcopy(description)
    extended["added_tokens"] = (description.get("added_tokens") or []) + [
        bpe.added_token(vocabulary.old_size + index, token) for index, token in enumerate(added)]
    if _adds_tokens(description.get("post_processor")):
        extended["post_processor"] = None if tokenizer.sentence_pieces else \
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return extended, vocabulary


def beginning_of_text(description: dict) -> str | None:
    """The token that a file's post-processor puts before every text (Llama 3)."""
    for step in _steps(description.get("post_processor")):
        if step.get("type") == "TemplateProcessing" and step.get("single") and "SpecialToken" in step["single"][0]:
            return step["single"][0]["SpecialToken"]["id"]
    return None


def _steps(post_processor: dict | None) -> list[dict]:
    if not post_processor:
        return []
    return post_processor.get("processors", []) if post_processor.get("type") == "Sequence" else [post_processor]


def _adds_tokens(post_processor: dict | None) -> bool:
    return any(step.get("type") != "ByteLevel" for step in _steps(post_processor))


def extend_config(config: HfConfig, vocabulary: LatentVocabulary) -> HfConfig:
    """The configuration with enough rows."""
    if vocabulary.old_size > config.vocab_size:
        raise CheckpointError("config.json", "vocab_size", f"at least the tokenizer's {vocabulary.old_size} ids", config.vocab_size)
    padding = {"pad_token_id": vocabulary.old_size} if vocabulary.new_pad else {}
    return parse(config.raw | {"vocab_size": max(config.vocab_size, vocabulary.end)} | padding)


@torch.no_grad()
def extend_tensors(tensors: dict[str, torch.Tensor], config: HfConfig, vocabulary: LatentVocabulary, seed: int,
                   latent_tokens: dict[int, list[int]] | None = None, noise: float = NOISE) -> dict[str, torch.Tensor]:
    """Tensors with new rows (`config` is the extended one); `latent_tokens` (code -> ids of the text it stands for) asks for the rule `codebook`."""
    extended = dict(tensors)
    for offset, name in enumerate((EMBEDDINGS,) if config.tied else (EMBEDDINGS, HEAD)):
        old = tensors[name]
        if old.shape[1] != config.hidden or old.shape[0] < vocabulary.old_size:
            raise CheckpointError("model.safetensors", name, f"at least [{vocabulary.old_size}, {config.hidden}]", list(old.shape))
        grown = torch.zeros(config.vocab_size, config.hidden, dtype=old.dtype)
        grown[:min(len(old), config.vocab_size)] = old[:config.vocab_size]
        real = old[:vocabulary.old_size].double()
        mean, deviation = real.mean(0), real.std(0, unbiased=False)
        # Uniform noise of variance 1 from a generator that gives the same bits everywhere.
        drawn = torch.from_numpy(np.random.RandomState(seed + offset).random_sample((vocabulary.end - vocabulary.old_size, config.hidden)))
        new = mean + noise * deviation * (drawn - 0.5) * 12 ** 0.5
        for code, ids in (latent_tokens or {}).items():
            new[vocabulary.first_latent - vocabulary.old_size + code] += real[torch.tensor(ids)].mean(0) - mean
        grown[vocabulary.old_size:vocabulary.end] = new.to(old.dtype)
        extended[name] = grown
    return extended


def description(vocabulary: LatentVocabulary, tokens: dict[str, str], text_tokens_per_latent: float, strip_leading_space: bool = False,
                **package: object) -> dict:
    """tessera.json: `tokens` are the contents of pad, eos and (where texts begin with one) bos; answers of SentencePiece models begin with a space."""
    prefix = tokens.get("bos") or ""
    return {
        "name": "model", "version": "0.1.0", "license": "unknown", "description": "", "limits": [],
        "special_tokens": {"pad": tokens["pad"], "eos": tokens["eos"],
                           **dict(zip(("think", "end_think", "bo_latent", "eo_latent"), vocabulary.delimiters))},
        "latents": {"first_id": vocabulary.first_latent, "count": vocabulary.latent_count, "text_tokens_per_latent": text_tokens_per_latent},
        "chat": {"user": {"prefix": prefix, "suffix": ""}, "assistant": {"prefix": "", "suffix": ""}, "system": {"prefix": "", "suffix": "\n"},
                 "strip_leading_space": strip_leading_space},
        "sampling": {"temperature": 0.0}, "evaluation": [], **package,
    }


def closing_tokens(tokenizer: BpeTokenizer, config: HfConfig, bos: str | None = None) -> tuple[dict[str, str], str | None]:
    """Contents of eos, pad and bos; and the padding token to add where config.json names none, or the one that also ends texts."""
    def content(field: str) -> str | None:
        value = config.raw.get(field)
        first = value[0] if isinstance(value, list) and value else value
        if first is None:
            return None
        if not isinstance(first, int) or first not in tokenizer.special_ids:
            raise CheckpointError("config.json", field, "the id of a special added token", first)
        return tokenizer.tokens[first]

    eos, pad = content("eos_token_id"), content("pad_token_id")
    if eos is None:
        raise CheckpointError("config.json", "eos_token_id", "the id of a special added token", "nothing")
    missing = pad in (None, eos)
    tokens = {"eos": eos, "pad": NEW_PAD if missing else pad} | ({"bos": bos} if bos else {})
    return tokens, NEW_PAD if missing and tokenizer.added.get(NEW_PAD) not in tokenizer.special_ids else None
