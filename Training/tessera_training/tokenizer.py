"""The tokenizer: a Hugging Face tokenizer.json that both Python and the server read.

BPE with `ignore_merges` and no merges: a piece of the split that is a vocabulary word is one token, anything else falls to
its 256 byte tokens, so every text survives. The split uses ASCII classes alone, so that Python's `re`, .NET and the
`tokenizers` library agree. Write one: `python3 -m tessera_training.tokenizer --out tokenizer.json --codes 128`.
"""
from __future__ import annotations

import argparse
import json
import re
from functools import lru_cache
from typing import Iterable

import torch

from .tasks import arithmetic, common, maze, prontoqa

PAD, EOS = "<pad>", "<eos>"
THINK, END_THINK, BO_LATENT, EO_LATENT = "<think>", "</think>", "<boLatent>", "<eoLatent>"
DELIMITERS = (THINK, END_THINK, BO_LATENT, EO_LATENT)

SPLIT_PATTERN = "|".join((
    r"us(?:es)? (?:is|are)(?: not)?(?: an?)?(?![A-Za-z])",  # ending of a made-up noun with the verb that follows
    r"us(?:es)? or(?![A-Za-z])",
    r"us(?:es)?[.?,]?(?![A-Za-z])",
    r" ?[Tt]rue or false:",
    r" ?[A-Za-z]+ (?:has|owns|keeps)(?= [0-9h])",  # a person with the verb of a comparison
    r" [1-9] (?:(?:more|fewer|less) than|in excess of|short of|times as many as|times the number of)(?![A-Za-z])",
    r" half (?:as many as|the number of)(?![A-Za-z])",
    r" ?(?:depends on|Start with|[Hh]ow many)(?![A-Za-z])",
    r" have\?",
    r" (?:is|are)(?: not)?(?: an?)?(?![A-Za-z])",
    r" ?[A-Za-z]+p(?=us(?:es)?(?![A-Za-z]))",  # stem of a made-up noun
    r" ?[A-Za-z]+",
    r" ?[0-9][0-9]?",
    r"[^ -~]+",  # anything that is not printable ASCII, in one run (keeps surrogate pairs together)
    r"[ -~]",
))


@lru_cache(maxsize=None)
def byte_alphabet() -> tuple[str, ...]:
    """Byte -> printable character, as in GPT-2's byte-level BPE."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return tuple(table[byte] for byte in range(256))


def to_alphabet(text: str) -> str:
    alphabet = byte_alphabet()
    return "".join(alphabet[byte] for byte in text.encode("utf-8", "surrogatepass"))


def names() -> list[str]:
    """All persons of all tasks."""
    return list(dict.fromkeys([*common.PERSONS, *arithmetic.NAMES]))


def spellings(name: str) -> list[str]:
    """A person's name as prompts and steps write it: in either case, with and without a space before it."""
    return [" " + name, name, " " + name.lower(), name.lower()]


def synonyms() -> dict[str, str]:
    """Words that start close to another one, beside mere spelling variants: a person with a verb, a phrase of the same meaning."""
    table = {f"{spelling} {verb}": f" {name}" for name in names() for spelling in spellings(name) for verb in arithmetic.VERBS}
    for kind, phrases in arithmetic.PHRASES.items():
        for phrase in phrases[1:]:
            if kind == "half":
                table[f" {phrase}"] = f" {phrases[0]}"
            else:
                table |= {f" {amount} {phrase}": f" {amount} {phrases[0]}" for amount in range(1, arithmetic.MAX_AMOUNT + 1)}
    for name in names():
        table |= {spelling: f" {name}" for spelling in spellings(name)[1:]}
    return table | {" how many": " How many", "How many": " How many"}


def words(tasks: Iterable[str] = ()) -> list[str]:
    """Whole words of the vocabulary, in a fixed order; some tasks add theirs at the end."""
    found: list[str] = []
    for concept in common.CONCEPTS:
        stem = concept[:-2]
        found += [" " + stem, " " + stem.capitalize(), stem.capitalize()]
        found += [stem]
    for name in names():
        found += spellings(name)
        found += [spelling + " " + verb for verb in arithmetic.VERBS for spelling in spellings(name)]
    found += [" " + word for word in prontoqa.PROPERTIES]
    found += ["us", "us.", "us?", "us,", "us or", "uses", "uses."]
    found += [ending + verb for ending, verbs in (
        ("us", (" is", " is a", " is an", " is not", " is not a", " is not an")), ("uses", (" are", " are not")),
        ("", (" is", " is a", " is an", " is not", " is not a", " is not an", " are", " are not"))) for verb in verbs]
    found += [" Every", "Every", " Each", "Each", " Is", "Is", " True or false:", "True or false:", " True", " False", " a", " an", " or"]
    found += [" every", "every", " each", "each", " true or false:", "true or false:"]
    found += [f" {amount} {phrase}" for kind in ("more", "fewer", "times") for phrase in arithmetic.PHRASES[kind]
              for amount in range(1, arithmetic.MAX_AMOUNT + 1)]
    found += [" " + phrase for phrase in arithmetic.PHRASES["half"]]
    found += [" " + word for word in (*arithmetic.ITEMS, "depends on", "Start with", "How many", "how many", "does", "have?")] + ["How many"]
    found += [text for number in range(100) for text in (f" {number}", str(number))]
    if "maze" in tasks:
        found += [" " + word for word in maze.WORDS]
    return list(dict.fromkeys(found))


def build(code_count: int, tasks: Iterable[str] = ()) -> dict:
    """The tokenizer.json object for a codebook of `code_count` codes."""
    vocabulary = [PAD, EOS, *byte_alphabet()]
    vocabulary += [word for word in map(to_alphabet, words(tasks)) if word not in set(vocabulary)]
    added = [(0, PAD), (1, EOS)]
    first = len(vocabulary)
    latents = tuple(f"<latent_{code}>" for code in range(code_count))
    added += [(first + offset, token) for offset, token in enumerate(DELIMITERS + latents)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": token_id, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for token_id, token in added],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT_PATTERN}, "behavior": "Isolated", "invert": False}, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": {token: index for index, token in enumerate(vocabulary)}, "merges": []},
    }


class Tokenizer:
    """Encodes and decodes by what a tokenizer.json says; nothing comes from the constants above but the delimiters' names."""

    def __init__(self, description: dict) -> None:
        model = description["model"]
        if model["type"] != "BPE" or model["merges"] or not model.get("ignore_merges"):
            raise ValueError("tokenizer.json: expected BPE with ignore_merges and no merges")
        self.description = description
        self._vocabulary: dict[str, int] = model["vocab"]
        self._split = re.compile(description["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"])
        self._special = {token["content"]: token["id"] for token in description["added_tokens"]}
        self._special_split = re.compile("(" + "|".join(re.escape(token) for token in sorted(self._special, key=len, reverse=True)) + ")")
        self._tokens = {index: token for token, index in self._vocabulary.items()} | {i: t for t, i in self._special.items()}
        self._special_ids = set(self._special.values())
        self._bytes = {character: byte for byte, character in enumerate(byte_alphabet())}
        self._cache: dict[str, tuple[int, ...]] = {}
        self.pad, self.eos = self._special[PAD], self._special[EOS]
        self.think, self.end_think = self._special[THINK], self._special[END_THINK]
        self.bo_latent, self.eo_latent = self._special[BO_LATENT], self._special[EO_LATENT]
        self.text_size = len(self._vocabulary)  # ids below it are text (with pad and eos)
        self.first_latent = self.eo_latent + 1
        self.size = len(self._tokens)
        self.latent_count = self.size - self.first_latent

    @classmethod
    def load(cls, path: str) -> "Tokenizer":
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def save(self, path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.description, file, ensure_ascii=False, indent=1)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """With `allow_special` a special token's text is that token; without, it is ordinary characters."""
        if not allow_special:
            return self._encode_text(text)
        ids: list[int] = []
        for index, part in enumerate(self._special_split.split(text)):
            ids += [self._special[part]] if index % 2 else self._encode_text(part)
        return ids

    def _encode_text(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in self._split.findall(text):
            known = self._cache.get(piece)
            if known is None:
                known = self._encode_piece(piece)
                if len(self._cache) < 50_000:
                    self._cache[piece] = known
            ids += known
        return ids

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        spelled = to_alphabet(piece)
        whole = self._vocabulary.get(spelled)
        return (whole,) if whole is not None else tuple(self._vocabulary[character] for character in spelled)

    def decode(self, ids: list[int], skip_special: bool = False) -> str:
        """Bytes of text tokens, in order; special tokens are spelled out or skipped."""
        buffer = bytearray()
        for token_id in ids:
            token = self._tokens[token_id]
            if token_id in self._special_ids:
                if not skip_special:
                    buffer += token.encode()
            else:
                buffer += bytes(self._bytes[character] for character in token)
        return buffer.decode("utf-8", "replace")

    def token(self, token_id: int) -> str:
        return self._tokens[token_id]

    def text_mask(self) -> torch.Tensor:
        """bool [size]: ids that may stand in reasoning and answers."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        mask[2:self.text_size] = True  # not pad and eos
        return mask

    def is_latent(self, token_id: int) -> bool:
        return self.first_latent <= token_id < self.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--codes", type=int, default=128)
    args = parser.parse_args()
    tokenizer = Tokenizer(build(args.codes))
    tokenizer.save(args.out)
    print(f"{args.out}: {tokenizer.size} tokens, {tokenizer.text_size} text, {tokenizer.latent_count} latents")


if __name__ == "__main__":
    main()
