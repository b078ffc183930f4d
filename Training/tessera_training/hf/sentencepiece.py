"""BPE with byte fallback as the files of Llama 2 and Mistral 7B describe it, which SentencePiece models were converted to.

Straight from the format's definition, with merges that look for the best pair again and again: the reference that the server's encoder is compared with.
A space is the mark U+2581 in the vocabulary. A character that is no token becomes the tokens `<0xNN>` of its UTF-8 bytes.
"""
from __future__ import annotations

from .errors import CheckpointError

MARK = "\u2581"
DROP_ONE, DROP_IN_FIRST_TOKEN = "one", "first token"


class SentencePieces:
    """The stages of such a file and its merges; texts here hold no added token."""

    def __init__(self, description: dict, ranks: dict[tuple[str, str], int], file: str) -> None:
        self._file, self._ranks = file, ranks
        self.vocabulary: dict[str, int] = description["model"]["vocab"]
        self._ignore_merges = bool(description["model"].get("ignore_merges"))
        missing = [value for value in range(256) if byte_token(value) not in self.vocabulary]
        if missing:
            raise self._bad("model.vocab", "a token for each byte", f"none for {byte_token(missing[0])}")
        self.byte_values = {self.vocabulary[byte_token(value)]: value for value in range(256)}
        self.prepends, self.replaces = self._read_normalizer(description.get("normalizer"))
        self.scheme, self.splits = "never", False
        if description.get("pre_tokenizer") is not None:
            self.scheme, self.splits = self._read_metaspace(description["pre_tokenizer"], "pre_tokenizer")
            self.replaces = True
        self.leading = self._read_decoder(description.get("decoder") or {})

    def encode(self, text: str, is_start: bool) -> list[int]:
        """Ids; `is_start` says that the whole text begins here."""
        if not text:
            return []
        text = self._spell(text, is_start)
        pieces, begin = [], 0
        for index in range(1, len(text)):
            if self.splits and text[index] == MARK:
                pieces.append(text[begin:index])
                begin = index
        return [token_id for piece in (*pieces, text[begin:]) for token_id in self._encode_piece(piece)]

    def bytes_of(self, token_id: int, token: str) -> bytes:
        """What a token of the vocabulary stands for."""
        return bytes([self.byte_values[token_id]]) if token_id in self.byte_values else token.replace(MARK, " ").encode()

    def _spell(self, text: str, is_start: bool) -> str:
        text = (MARK if self.prepends else "") + text
        if self.replaces:
            text = text.replace(" ", MARK)
        prefixed = self.scheme == "always" or (self.scheme == "first" and is_start)
        return MARK + text if prefixed and not text.startswith(MARK) else text

    def _encode_piece(self, piece: str) -> list[int]:
        whole = self.vocabulary.get(piece)
        if self._ignore_merges and whole is not None and whole not in self.byte_values:
            return [whole]
        parts = []
        for character in piece:
            parts += [character] if character in self.vocabulary else [byte_token(value) for value in character.encode("utf-8", "replace")]
        while True:
            ranked = [(self._ranks[pair], index) for index, pair in enumerate(zip(parts, parts[1:])) if pair in self._ranks]
            if not ranked:
                return [self.vocabulary[part] for part in parts]
            index = min(ranked)[1]
            parts[index:index + 2] = [parts[index] + parts[index + 1]]

    def _bad(self, field: str, expected: str, found: object) -> CheckpointError:
        return CheckpointError(self._file, field, expected, found)

    def _read_normalizer(self, normalizer: dict | None) -> tuple[bool, bool]:
        if normalizer is None:
            return False, False
        steps = normalizer["normalizers"] if normalizer.get("type") == "Sequence" else [normalizer]
        known = ({"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK})
        for step in steps:
            if step not in known:
                raise self._bad("normalizer", f"Prepend and Replace with {MARK}", step.get("type"))
        return known[0] in steps, known[1] in steps

    def _read_metaspace(self, step: dict, field: str) -> tuple[str, bool]:
        if step.get("type") != "Metaspace" or step.get("replacement") != MARK:
            raise self._bad(field, f"null, or Metaspace with {MARK}", step.get("type"))
        scheme = step.get("prepend_scheme") or ("always" if step.get("add_prefix_space", True) else "never")
        if scheme not in ("always", "first", "never"):
            raise self._bad(f"{field}.prepend_scheme", "always, first or never", scheme)
        return scheme, step.get("split", True)

    def _read_decoder(self, decoder: dict) -> str | None:
        if decoder.get("type") == "Metaspace":
            return None if self._read_metaspace(decoder, "decoder")[0] == "never" else DROP_IN_FIRST_TOKEN
        steps = decoder.get("decoders") or [{}]
        wanted = [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
        strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
        if steps not in (wanted, [*wanted, strip]):
            raise self._bad("decoder", "Metaspace, or Replace, ByteFallback, Fuse and Strip", [step.get("type") for step in steps])
        return DROP_ONE if strip in steps else None


def byte_token(value: int) -> str:
    return f"<0x{value:02X}>"
