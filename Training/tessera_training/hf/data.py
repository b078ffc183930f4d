"""Problems of JSON lines: `prompt`, `steps` (a list of texts) and `answer`, or GSM8K's own form (`question`, and `answer` with its last line `#### 72`).

Show what a file holds: `python3 -m tessera_training.hf.data FILE.jsonl`.
"""
from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

from .errors import CheckpointError

_ANNOTATION = re.compile(r"<<[^<>]*>>")  # GSM8K's calculator notes
_KEYS = {"prompt", "steps", "answer"}


@dataclass(frozen=True)
class Example:
    prompt: str
    steps: tuple[str, ...]
    answer: str


def read(path: str, keep_annotations: bool = False) -> list[Example]:
    """All problems of a file; empty lines are skipped, anything else that is not a problem is an error with its line."""
    examples = []
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    examples.append(_parse(f"{path}, line {number}", line, keep_annotations))
    except OSError as error:
        raise CheckpointError(path, "the file", "a file that can be read", error.strerror) from None
    if not examples:
        raise CheckpointError(path, "the file", "at least one problem", "none")
    return examples


def _parse(where: str, line: bytes, keep_annotations: bool) -> Example:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise CheckpointError(where, "the line", "a JSON object", error) from None
    if not isinstance(values, dict):
        raise CheckpointError(where, "the line", "a JSON object", type(values).__name__)
    if "question" in values and "prompt" not in values:
        return _gsm8k(where, values, keep_annotations)
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        raise CheckpointError(where, unknown[0], "prompt, steps and answer alone (or GSM8K's question and answer)", "this key")
    steps = values.get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, str) and step.strip() for step in steps):
        raise CheckpointError(where, "steps", "a list of texts, none of them empty", json.dumps(steps)[:60])
    return Example(_text(where, values, "prompt"), tuple(steps), _text(where, values, "answer"))


def _gsm8k(where: str, values: dict, keep_annotations: bool) -> Example:
    unknown = sorted(set(values) - {"question", "answer"})
    if unknown:
        raise CheckpointError(where, unknown[0], "question and answer alone", "this key")
    reasoning, mark, final = _text(where, values, "answer").rpartition("####")
    if not mark or not final.strip():
        raise CheckpointError(where, "answer", "reasoning and a last line `#### result`", "no result")
    if not keep_annotations:
        reasoning = _ANNOTATION.sub("", reasoning)
    steps = tuple(line.strip() for line in reasoning.splitlines() if line.strip())
    return Example(_text(where, values, "question"), steps, final.strip())


def _text(where: str, values: dict, key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise CheckpointError(where, key, "a text that is not empty", json.dumps(value)[:60])
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise CheckpointError(where, key, "Unicode text", "half of a surrogate pair") from None
    return value


if __name__ == "__main__":
    found = read(sys.argv[1])
    print(f"{len(found)} problems, {sum(len(example.steps) for example in found) / len(found):.2f} steps each; the first: {found[0]}")
