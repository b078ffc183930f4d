"""Trains a small BPE and writes it as tokenizer.json in a family's real form (for fixtures and tests; deterministic)."""
from __future__ import annotations

from collections import Counter

from ..tokenizer import byte_alphabet, to_alphabet
from .patterns import BYTE_LEVEL, LLAMA3, QWEN2, translate
from .sentencepiece import MARK, byte_token
from .tokenizer import _isolate


def train_merges(text: str, pattern: str, count: int) -> list[tuple[str, str]]:
    """The `count` merges that shorten `text` most, the most frequent pair first; of equals the smaller pair."""
    return _best_merges(Counter(tuple(to_alphabet(piece)) for piece in _isolate(translate(pattern, "corpus", "pattern"), text)), count)


def _best_merges(words: Counter[tuple[str, ...]], count: int) -> list[tuple[str, str]]:
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        changed: Counter[tuple[str, ...]] = Counter()
        for word, times in words.items():
            changed[_merged(word, best)] += times
        words = changed
    return merges


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    parts, index = [], 0
    while index < len(word):
        whole = word[index:index + 2] == pair
        parts.append("".join(pair) if whole else word[index])
        index += 2 if whole else 1
    return tuple(parts)


def describe(style: str, text: str, merge_count: int, special: list[str]) -> dict:
    """A tokenizer.json in the form of `llama3`, `qwen2`, `smollm2` (`special` are added tokens after the vocabulary) or `llama2` (they come first)."""
    if style == "llama2":
        return _describe_sentencepiece(text, merge_count, special)
    pattern = {"llama3": LLAMA3, "qwen2": QWEN2, "smollm2": BYTE_LEVEL}[style]
    merges = train_merges(text, pattern, merge_count)
    vocabulary = list(dict.fromkeys([*sorted(byte_alphabet(), key=ord), *("".join(pair) for pair in merges)]))
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": style == "smollm2"}
    first = {"type": "Digits", "individual_digits": True} if style == "smollm2" else \
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    bos = {"id": special[0], "ids": [len(vocabulary)], "tokens": [special[0]]}
    template = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": special[0], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {special[0]: bos}}]}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added_token(len(vocabulary) + index, token) for index, token in enumerate(special)],
        "normalizer": {"type": "NFC"} if style == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [first, byte_level]},
        "post_processor": template if style == "llama3" else {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "ignore_merges": style == "llama3",
                  "vocab": {token: index for index, token in enumerate(vocabulary)}, "merges": [" ".join(pair) for pair in merges]},
    }


def train_marked_merges(text: str, count: int) -> list[tuple[str, str]]:
    """As `train_merges`, of words that begin with the mark of a space, as SentencePiece trains."""
    words = Counter(tuple(MARK + word) for word in text.split())
    return _best_merges(words, count)


def _describe_sentencepiece(text: str, merge_count: int, special: list[str]) -> dict:
    """`special` are the unknown token, the one that texts begin with, and the one that ends them, as in Llama 2."""
    merges = [(MARK, MARK), (MARK * 2, MARK * 2), *train_marked_merges(text, merge_count)]
    characters = sorted({MARK, *text} - {" ", "\n"})
    tokens = [*special, *(byte_token(value) for value in range(256)), *("".join(pair) for pair in merges), *characters]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    bos = {"id": special[1], "ids": [1], "tokens": [special[1]]}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added_token(index, token) for index, token in enumerate(special)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": special[1], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {special[1]: bos}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": special[0], "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False, "vocab": vocabulary, "merges": [" ".join(pair) for pair in merges]},
    }


def added_token(token_id: int, content: str) -> dict:
    """An entry of `added_tokens` that is control, not text."""
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
