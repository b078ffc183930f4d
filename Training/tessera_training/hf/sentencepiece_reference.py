"""Ids and texts of SentencePiece files for other implementations: `python3 -m tessera_training.hf.sentencepiece_reference --out DIR`.

Writes tokenizer.json (Llama 2's form) and reference.json: the stages that the variants put in place of that file's own, and per text its ids and what
those decode to. Special tokens are recognised in the texts that say so.
"""
from __future__ import annotations

import argparse
import json
import os
import random

from . import bpe, fixtures
from .sentencepiece import MARK
from .tokenizer import FILE, BpeTokenizer
from .weights import write_json

SPECIAL = ["<unk>", "<s>", "</s>"]
TEXTS = ("", " ", "  ", "     ", "a", " a", "  a", "a ", "a  ", "Tom", " Tom is a lempus. ", "Tom  is   a    lempus", "\n", "\n\n Tom\n", "\tTom\r\n", "naïve café",
         "e\u0301 \u212b", "漢字かな交じり文", "한국어", "🙂", "👩‍👩‍👧 family", "𝒜𝓑", "\u0000", "\u00a0x", MARK, MARK + "Tom", "Tom" + MARK, "<0x41>", "<unk>", "<s>Tom</s>",
         "1999 and 2024", "x" * 200, "🙂" * 20, "Every lempus is a numpus. " * 8)
_METASPACE = {"type": "Metaspace", "replacement": MARK}
VARIANTS = {
    "prepend": {},
    "null": {"normalizer": None, "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}},
    "replace": {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": MARK}},
    "metaspace-first": {"normalizer": None, "pre_tokenizer": _METASPACE | {"prepend_scheme": "first", "split": False}},
    "metaspace-always": {"normalizer": None, "pre_tokenizer": _METASPACE | {"prepend_scheme": "always", "split": True},
                         "decoder": _METASPACE | {"prepend_scheme": "always", "split": True}},
    "metaspace-never": {"normalizer": None, "pre_tokenizer": _METASPACE | {"prepend_scheme": "never", "split": True},
                        "decoder": _METASPACE | {"prepend_scheme": "never", "split": True}},
    "metaspace-flag": {"normalizer": None, "pre_tokenizer": _METASPACE | {"add_prefix_space": True}, "decoder": _METASPACE | {"add_prefix_space": True}},
    "ignore-merges": {"ignore_merges": True},
}


def vary(description: dict, changes: dict) -> dict:
    """A file with other stages, and `ignore_merges` where the changes say so."""
    stages = {name: value for name, value in changes.items() if name != "ignore_merges"}
    return description | stages | {"model": description["model"] | {"ignore_merges": changes.get("ignore_merges", False)}}


def cases(description: dict, seed: int, count: int) -> list[dict]:
    """Fixed texts and `count` random ones per variant."""
    rng, found = random.Random(seed), []
    for name, changes in VARIANTS.items():
        tokenizer = BpeTokenizer(vary(description, changes))
        drawn = [fixtures.random_text(rng) for _ in range(count)]
        texts = [(text, False) for text in (*TEXTS, *drawn)]
        texts += [(text, True) for text in ("<s>", "<s>Tom", "<s> Tom", "Tom</s> is", " <s>  Tom</s></s>a")]
        for text, special in texts:
            ids = tokenizer.encode(text, allow_special=special)
            found.append({"variant": name, "text": text, "special": special, "ids": ids, "decoded": tokenizer.decode(ids, skip_special=True)})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=60, help="random texts per variant")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    os.makedirs(args.out, exist_ok=True)
    description = bpe.describe("llama2", fixtures.CORPUS, 100, SPECIAL)
    write_json(os.path.join(args.out, FILE), description)
    with open(os.path.join(args.out, "reference.json"), "w", encoding="utf-8", newline="\n") as file:
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases(description, args.seed, args.n))
        file.write(f'{{"variants":{json.dumps(VARIANTS)},\n"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
