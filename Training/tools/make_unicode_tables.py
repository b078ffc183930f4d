"""Writes the tables for Unicode normalization form C that `Models` embeds: `python3 tools/make_unicode_tables.py > ../Models/Tokenization/Unicode/form-c.txt`.

One line per fact: `d CODE PARTS...` is a canonical decomposition that composes again, `x CODE PARTS...` one that does not, `c FIRST LAST CLASS` a range of
combining classes. Hangul syllables follow a rule and are left out. The version is that of this Python's own tables.
"""
from __future__ import annotations

import sys
import unicodedata

LIMIT = 0x110000


def main() -> None:
    print(f"# Unicode {unicodedata.unidata_version}, canonical decompositions and combining classes; written by Training/tools/make_unicode_tables.py")
    for code in range(LIMIT):
        parts = unicodedata.decomposition(chr(code)).split()
        if parts and not parts[0].startswith("<"):
            composes = unicodedata.normalize("NFC", "".join(chr(int(part, 16)) for part in parts)) == chr(code)
            print("d" if composes else "x", f"{code:X}", *(f"{int(part, 16):X}" for part in parts))
    first = None
    for code in range(LIMIT + 1):
        current = unicodedata.combining(chr(code)) if code < LIMIT else 0
        if first is not None and current != first[1]:
            print("c", f"{first[0]:X}", f"{code - 1:X}", first[1])
            first = None
        if current and first is None:
            first = (code, current)


if __name__ == "__main__":
    sys.exit(main())
