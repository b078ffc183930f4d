r"""Split patterns of tokenizer.json as patterns of Python's `re`.

The files' patterns use Unicode classes that `re` lacks, and `\s` and `\d` mean a little more there; both are replaced by ranges of code points
(from Python's Unicode tables, so that characters newer than those are in no class). What the server's reader refuses is refused here too.
"""
from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache

from .errors import CheckpointError

BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # ByteLevel with use_regex, as in GPT-2
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPACES = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_REFUSED = "wWbBAzZGhHKRXkgQE"  # word characters and anchors differ in detail between the dialects
_MAX_LENGTH = 16 * 1024


@lru_cache(maxsize=None)
def _categories() -> tuple[str, ...]:
    return tuple(map(unicodedata.category, map(chr, range(sys.maxunicode + 1))))


@lru_cache(maxsize=None)
def class_ranges(name: str, negated: bool = False) -> str:
    """The inside of a character class for `\\p{name}` (a general category or its first letter)."""
    ranges, start = [], None
    for point, category in enumerate((*_categories(), "")):
        inside = point <= sys.maxunicode and category.startswith(name) != negated
        if inside and start is None:
            start = point
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}" if start == point - 1 else f"\\U{start:08x}-\\U{point - 1:08x}")
            start = None
    return "".join(ranges)


def translate(pattern: str, file: str, field: str) -> re.Pattern[str]:
    """Compiles a pattern of a tokenizer.json."""

    def refuse(found: str) -> CheckpointError:
        return CheckpointError(file, field, "a pattern without word classes, anchors and nested classes", found)

    if len(pattern) > _MAX_LENGTH:
        raise refuse(f"{len(pattern)} characters")
    parts, index, inside = [], 0, False
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            text, index = _escape(pattern, index, inside, refuse)
            parts.append(text)
            continue
        if inside:
            if character == "[" or pattern.startswith("&&", index):
                raise refuse("a class within a class")
            inside = character != "]"
        elif character == "[":
            inside = True
            if pattern.startswith("]", index + 1) or pattern.startswith("^]", index + 1):
                raise refuse("a class that begins with ']'")
        elif character in "^$":
            raise refuse(f"the anchor {character}")
        if inside and character == "^" and pattern[index - 1] != "[":
            character = "\\^"
        parts.append(character)
        index += 1
    try:
        return re.compile("".join(parts))
    except (re.error, OverflowError) as error:
        raise CheckpointError(file, field, "a regular expression", f"another text ({error})") from None


def _escape(pattern: str, index: int, inside: bool, refuse) -> tuple[str, int]:
    """What the escape at `index` becomes, and where the pattern goes on."""
    kind = pattern[index + 1:index + 2]
    if not kind or kind in _REFUSED:
        raise refuse(f"\\{kind}")
    if kind in "pP":
        match = re.compile(r"\{(\^?)([A-Z][a-z]?)\}|([A-Z])").match(pattern, index + 2)
        if match is None:
            raise refuse(f"\\{kind} without a general category")
        name = match[2] or match[3]
        if not any(category.startswith(name) for category in set(_categories())):
            raise refuse(f"\\{kind}{{{name}}}")
        ranges, end = class_ranges(name, (kind == "P") != (match[1] == "^")), match.end()
    elif kind in "dD":
        ranges, end = class_ranges("Nd", kind == "D"), index + 2
    elif kind == "s" or (kind == "S" and not inside):
        return (_SPACES if inside else f"[{'^' if kind == 'S' else ''}{_SPACES}]"), index + 2
    elif kind == "S":
        raise refuse("\\S within a class")
    else:
        return pattern[index:index + 2], index + 2
    return (ranges if inside else f"[{ranges}]"), end
