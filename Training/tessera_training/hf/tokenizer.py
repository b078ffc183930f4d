"""BPE of real tokenizer.json files (Llama 3, Qwen, SmolLM2; Llama 2 and Mistral 7B by sentencepiece.py): `python3 -m tessera_training.hf.tokenizer DIR/tokenizer.json TEXT`.

Own implementation, after the server's (Models/Tokenization): normalizer NFC or none, Split, Digits and ByteLevel pre-tokenizers, merges by rank with or
without `ignore_merges`, added tokens. What is not implemented is refused by name. Unlike the server it accepts a post-processor that adds tokens, because
files have one; it never adds them, and `extend` leaves them out.
"""
from __future__ import annotations

import re
import sys
import unicodedata

from ..tokenizer import byte_alphabet, to_alphabet
from .config import read_json
from .errors import CheckpointError
from .patterns import BYTE_LEVEL, translate
from .sentencepiece import DROP_ONE, SentencePieces

FILE = "tokenizer.json"
_CACHED_PIECES = 100_000


class BpeTokenizer:
    """Text <-> ids by what a tokenizer.json says."""

    def __init__(self, description: dict, file: str = FILE) -> None:
        self.description, self.file = description, file
        model = self._section("model")
        self._check_model(model)
        self.vocabulary: dict[str, int] = model["vocab"]
        self.added = {token["content"]: token["id"] for token in self._added_tokens()}
        self.special_ids = {token["id"] for token in self._added_tokens() if token.get("special")}
        self.tokens = self._tokens_by_id()
        self.size = len(self.tokens)
        self._ignore_merges = bool(model.get("ignore_merges"))
        self._ranks = self._merge_ranks(model.get("merges", []))
        self.sentence_pieces = SentencePieces(description, self._ranks, file) if model.get("byte_fallback") else None
        if self.sentence_pieces is None:
            self._normalizes = self._reads_nfc()
            self._splitters, self._prefix_space = self._read_pre_tokenizer()
            decoder = self._section("decoder")
            if decoder.get("type") != "ByteLevel":
                raise self._bad("decoder.type", '"ByteLevel"', repr(decoder.get("type")))
        # Longest first; added tokens that are not special are found in every text, special ones where the caller allows it.
        self._cuts = {allowed: self._cut_pattern(allowed) for allowed in (False, True)}
        self._bytes = {character: byte for byte, character in enumerate(byte_alphabet())}
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def load(cls, path: str) -> "BpeTokenizer":
        return cls(read_json(path))

    @property
    def adds_leading_space(self) -> bool:
        """Whether a space goes before a text that begins with none."""
        pieces = self.sentence_pieces
        return self._prefix_space if pieces is None else pieces.prepends or pieces.scheme != "never"

    def encode(self, text: str, allow_special: bool = False, is_start: bool = True) -> list[int]:
        """With `allow_special` a special token's text is that token; without, it is ordinary characters. `is_start` false: it goes on another text."""
        cut = self._cuts[allow_special]
        ids: list[int] = []
        for index, part in enumerate(cut.split(text) if cut else (text,)):
            ids += [self.added[part]] if index % 2 else self._encode_text(part, is_start and index == 0)
        return ids

    def decode(self, ids: list[int], skip_special: bool = False) -> str:
        buffer, added, is_start = bytearray(), set(self.added.values()), True
        for token_id in ids:
            if token_id in added:
                own = b"" if skip_special and token_id in self.special_ids else self.tokens[token_id].encode()
            elif self.sentence_pieces is not None:
                own = self.sentence_pieces.bytes_of(token_id, self.tokens[token_id])
            else:
                own = bytes(self._bytes[character] for character in self.tokens[token_id])
            buffer += self._without_leading_space(token_id, own) if is_start and own else own
            is_start = is_start and not own
        return buffer.decode("utf-8", "replace")

    def _without_leading_space(self, token_id: int, own: bytes) -> bytes:
        pieces = self.sentence_pieces
        if pieces is None or pieces.leading is None:
            return own
        if pieces.leading == DROP_ONE:
            return own[1:] if own.startswith(b" ") else own
        return own if token_id in pieces.byte_values or token_id in self.added.values() else own.replace(b" ", b"")

    def _encode_text(self, text: str, is_start: bool) -> list[int]:
        if self.sentence_pieces is not None:
            return self.sentence_pieces.encode(text, is_start)
        if self._normalizes:
            text = unicodedata.normalize("NFC", text)
        if self._prefix_space and text and not text.startswith(" "):
            text = " " + text
        pieces = [text] if text else []
        for splitter in self._splitters:
            pieces = [part for piece in pieces for part in _isolate(splitter, piece)]
        ids: list[int] = []
        for piece in pieces:
            known = self._known.get(piece)
            if known is None:
                known = self._encode_piece(to_alphabet(piece))
                if len(self._known) < _CACHED_PIECES:
                    self._known[piece] = known
            ids += known
        return ids

    def _encode_piece(self, spelled: str) -> tuple[int, ...]:
        if self._ignore_merges and spelled in self.vocabulary:
            return (self.vocabulary[spelled],)
        return tuple(self.vocabulary[part] for part in merge(list(spelled), self._ranks))

    def _bad(self, field: str, expected: str, found: object) -> CheckpointError:
        return CheckpointError(self.file, field, expected, found)

    def _section(self, name: str) -> dict:
        value = self.description.get(name)
        if not isinstance(value, dict):
            raise self._bad(name, "an object", "nothing" if value is None else repr(value)[:40])
        return value

    def _check_model(self, model: dict) -> None:
        if model.get("type", "BPE") != "BPE" or not isinstance(model.get("vocab"), dict):
            raise self._bad("model.type", '"BPE" with a vocab', repr(model.get("type")))
        for name in ("dropout", *(() if model.get("byte_fallback") else ("unk_token",)), "continuing_subword_prefix", "end_of_word_suffix"):
            if model.get(name):
                raise self._bad(f"model.{name}", "null", repr(model[name]))
        for character in () if model.get("byte_fallback") else byte_alphabet():
            if character not in model["vocab"]:
                raise self._bad("model.vocab", "a token for each byte", f"none for {character!r}")

    def _added_tokens(self) -> list[dict]:
        added = self.description.get("added_tokens") or []
        for index, token in enumerate(added):
            if not isinstance(token, dict) or not isinstance(token.get("id"), int) or not token.get("content"):
                raise self._bad(f"added_tokens[{index}]", "an object with id and content", repr(token)[:60])
            for flag in ("single_word", "lstrip", "rstrip"):
                if token.get(flag):
                    raise self._bad(f"added_tokens[{index}].{flag}", "false", "true")
        return added

    def _tokens_by_id(self) -> dict[int, str]:
        tokens: dict[int, str] = {}
        for token, token_id in [*self.vocabulary.items(), *self.added.items()]:
            if tokens.setdefault(token_id, token) != token:
                raise self._bad("model.vocab", "an id for each token", f"id {token_id} for {tokens[token_id]!r} and {token!r}")
        if set(tokens) != set(range(len(tokens))):
            raise self._bad("model.vocab", f"ids 0 to {len(tokens) - 1} without a gap", f"ids up to {max(tokens)}")
        return tokens

    def _merge_ranks(self, merges: list) -> dict[tuple[str, str], int]:
        ranks: dict[tuple[str, str], int] = {}
        for rank, entry in enumerate(merges):
            pair = tuple(entry.split(" ")) if isinstance(entry, str) else tuple(entry)
            if len(pair) != 2 or any(token not in self.vocabulary for token in (*pair, "".join(pair))):
                raise self._bad(f"model.merges[{rank}]", "two tokens of the vocabulary that make a third", repr(entry))
            ranks[pair] = rank
        return ranks

    def _reads_nfc(self) -> bool:
        normalizer = self.description.get("normalizer")
        if normalizer is None:
            return False
        if normalizer.get("type") != "NFC":
            raise self._bad("normalizer.type", '"NFC", or null for the normalizer', repr(normalizer.get("type")))
        return True

    def _read_pre_tokenizer(self) -> tuple[list[re.Pattern[str]], bool]:
        section = self._section("pre_tokenizer")
        steps = section["pretokenizers"] if section.get("type") == "Sequence" else [section]
        if not steps or steps[-1].get("type") != "ByteLevel":
            raise self._bad("pre_tokenizer", "ByteLevel as the last step", repr(steps[-1].get("type")) if steps else "no step")
        splitters = [self._read_split(step, f"pre_tokenizer.pretokenizers[{index}]") for index, step in enumerate(steps[:-1])]
        prefix_space = steps[-1].get("add_prefix_space", True)
        if prefix_space and splitters:
            raise self._bad("pre_tokenizer", "add_prefix_space false after a Split", "true")
        if steps[-1].get("use_regex", True):
            splitters.append(translate(BYTE_LEVEL, self.file, "pre_tokenizer"))
        return splitters, prefix_space

    def _read_split(self, step: dict, field: str) -> re.Pattern[str]:
        if step.get("type") == "Digits":
            return translate(r"\p{N}" if step.get("individual_digits") else r"\p{N}+", self.file, field)
        if step.get("type") != "Split" or step.get("behavior") != "Isolated":
            raise self._bad(field, "Split with behavior Isolated, or Digits", f"{step.get('type')} {step.get('behavior', '')}".strip())
        pattern = step.get("pattern", {})
        return re.compile(re.escape(pattern["String"])) if "String" in pattern else translate(pattern["Regex"], self.file, f"{field}.pattern")

    def _cut_pattern(self, allow_special: bool) -> re.Pattern[str] | None:
        found = [token for token, token_id in self.added.items() if allow_special or token_id not in self.special_ids]
        return re.compile("(" + "|".join(map(re.escape, sorted(found, key=len, reverse=True))) + ")") if found else None


def _isolate(pattern: re.Pattern[str], text: str) -> list[str]:
    """Matches and the text between them, in order; none is empty."""
    pieces, end = [], 0
    for match in pattern.finditer(text):
        pieces += [text[end:match.start()], match[0]]
        end = match.end()
    return [piece for piece in (*pieces, text[end:]) if piece]


def merge(parts: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merges neighbours by rank, the leftmost of equals first, until none is left."""
    while len(parts) > 1:
        rank, index = min((ranks.get(pair, len(ranks)), index) for index, pair in enumerate(zip(parts, parts[1:])))
        if rank == len(ranks):
            break
        parts[index:index + 2] = [parts[index] + parts[index + 1]]
    return parts


def main() -> None:
    tokenizer = BpeTokenizer.load(sys.argv[1])
    for token_id in tokenizer.encode(" ".join(sys.argv[2:])):
        print(token_id, repr(tokenizer.decode([token_id])))


if __name__ == "__main__":
    main()
