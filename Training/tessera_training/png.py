"""A small PNG writer with lines and digits, so that curves need no plotting library.

Used by `curves`; an image is a numpy array [height, width, 3] of bytes.
"""
from __future__ import annotations

import struct
import zlib

import numpy as np

# 5 x 7 pixels per character, one number per row, the leftmost pixel is bit 4
_GLYPHS = {
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 2, 4, 8, 31), "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14), "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14), "9": (14, 17, 17, 15, 1, 2, 12), ".": (0, 0, 0, 0, 0, 12, 12), ":": (0, 12, 12, 0, 12, 12, 0),
    "-": (0, 0, 0, 31, 0, 0, 0), "_": (0, 0, 0, 0, 0, 0, 31), ",": (0, 0, 0, 0, 12, 4, 8), ";": (0, 12, 12, 0, 12, 4, 8),
    "a": (0, 0, 14, 1, 15, 17, 15), "b": (16, 16, 22, 25, 17, 17, 30), "c": (0, 0, 14, 16, 16, 17, 14), "d": (1, 1, 13, 19, 17, 17, 15),
    "e": (0, 0, 14, 17, 31, 16, 14), "f": (6, 9, 8, 28, 8, 8, 8), "g": (0, 15, 17, 17, 15, 1, 14), "h": (16, 16, 22, 25, 17, 17, 17),
    "i": (4, 0, 12, 4, 4, 4, 14), "j": (2, 0, 6, 2, 2, 18, 12), "k": (16, 16, 18, 20, 24, 20, 18), "l": (12, 4, 4, 4, 4, 4, 14),
    "m": (0, 0, 26, 21, 21, 17, 17), "n": (0, 0, 22, 25, 17, 17, 17), "o": (0, 0, 14, 17, 17, 17, 14), "p": (0, 0, 30, 17, 30, 16, 16),
    "q": (0, 0, 13, 19, 15, 1, 1), "r": (0, 0, 22, 25, 16, 16, 16), "s": (0, 0, 14, 16, 14, 1, 30), "t": (8, 8, 28, 8, 8, 9, 6),
    "u": (0, 0, 17, 17, 17, 19, 13), "v": (0, 0, 17, 17, 17, 10, 4), "w": (0, 0, 17, 17, 21, 21, 10), "x": (0, 0, 17, 10, 4, 10, 17),
    "y": (0, 0, 17, 17, 15, 1, 14), "z": (0, 0, 31, 2, 4, 8, 31), " ": (0, 0, 0, 0, 0, 0, 0),
}


def blank(width: int, height: int) -> np.ndarray:
    """A white image."""
    return np.full((height, width, 3), 255, dtype=np.uint8)


def colour(code: str) -> tuple[int, int, int]:
    """`#rrggbb` as three bytes."""
    return tuple(int(code[start:start + 2], 16) for start in (1, 3, 5))


def line(image: np.ndarray, points: list[tuple[float, float]], code: str, dash: int = 0, thickness: int = 2) -> None:
    """A polyline through (x, y); with `dash`, so many pixels are drawn and as many left out. What lies outside is cut off."""
    height, width, _ = image.shape
    travelled = 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        count = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) * 2))
        for step in range(count + 1):
            if dash and int(travelled + step / 2) // dash % 2:
                continue
            x, y = round(x0 + (x1 - x0) * step / count), round(y0 + (y1 - y0) * step / count)
            image[max(0, y):min(height, y + thickness), max(0, x):min(width, x + thickness)] = colour(code)
        travelled += count / 2


def text(image: np.ndarray, x: int, y: int, words: str, code: str = "#000000") -> None:
    """Lower-case letters, digits and a few signs, 6 pixels apart; (x, y) is the upper left corner. Unknown characters stay blank."""
    height, width, _ = image.shape
    for index, character in enumerate(words.lower()):
        for row, bits in enumerate(_GLYPHS.get(character, _GLYPHS[" "])):
            for column in range(5):
                px, py = x + 6 * index + column, y + row
                if bits >> (4 - column) & 1 and 0 <= px < width and 0 <= py < height:
                    image[py, px] = colour(code)


def encode(image: np.ndarray) -> bytes:
    """The bytes of a PNG file (8-bit RGB)."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + image[row].tobytes() for row in range(height))

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows, 9)) + part(b"IEND", b"")
