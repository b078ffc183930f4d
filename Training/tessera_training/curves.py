"""Draw a run's curves: `python3 -m tessera_training.curves --run runs/shipped` writes curves.png and curves.svg beside its log."""
from __future__ import annotations

import argparse
import json
import os

from . import files, png

SERIES = ("latent", "text", "answer")
COLOURS = {"prosqa": "#1b6ca8", "prontoqa": "#b3541e", "arithmetic": "#3b7d3b", "maze": "#7a3b8f"}
DASHES = {"latent": 0, "text": 6, "answer": 2}  # pixels drawn and left out
WIDTH, HEIGHT, MARGIN, LEGEND = 900, 360, 40, 170
SHARES = (0, 0.25, 0.5, 0.75, 1)


def smoothed(points: list[tuple[float, float]], bins: int = 120) -> list[tuple[float, float]]:
    """Mean of consecutive points, about `bins` of them."""
    size = max(1, len(points) // bins)
    groups = [points[start:start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


class Curves:
    """Teacher-forced accuracy on fresh batches over tokens seen, as lines in pixels."""

    def __init__(self, records: list[dict]) -> None:
        self.most = max(record["tokens"] for record in records)
        self.title = f"accuracy with given prefixes on fresh batches; {self.most / 1e6:.1f} m tokens at the right edge"
        self.lines = []  # (task, series, pixels, last accuracy)
        for task in COLOURS:
            for name in SERIES:
                points = [(r["tokens"], r[name]) for r in records if r["task"] == task and name in r]
                if points:
                    self.lines.append((task, name, [self.place(x, y) for x, y in smoothed(points)], smoothed(points)[-1][1]))

    def place(self, tokens: float, share: float) -> tuple[float, float]:
        return MARGIN + tokens / self.most * (WIDTH - 2 * MARGIN - LEGEND), HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)

    def png(self) -> bytes:
        image = png.blank(WIDTH, HEIGHT)
        for share in SHARES:
            png.line(image, [self.place(0, share), self.place(self.most, share)], "#dddddd", thickness=1)
            png.text(image, 8, int(self.place(0, share)[1]) - 3, f"{share:.2f}")
        for row, (task, name, points, last) in enumerate(self.lines):
            png.line(image, points, COLOURS[task], DASHES[name])
            png.text(image, WIDTH - LEGEND - 20, MARGIN + 13 * row, f"{task}: {name} {last:.2f}", COLOURS[task])
        png.text(image, MARGIN, HEIGHT - 16, self.title)
        return png.encode(image)

    def svg(self) -> str:
        def joined(points: list[tuple[float, float]]) -> str:
            return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)

        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
                 f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
        for share in SHARES:
            ends = joined([self.place(0, share), self.place(self.most, share)])
            parts.append(f'<polyline points="{ends}" stroke="#dddddd" fill="none"/><text x="4" y="{self.place(0, share)[1] + 4:.1f}">{share:.2f}</text>')
        for row, (task, name, points, last) in enumerate(self.lines):
            dash = f"{DASHES[name]} {DASHES[name]}" if DASHES[name] else ""
            parts.append(f'<polyline points="{joined(points)}" stroke="{COLOURS[task]}" stroke-dasharray="{dash}" fill="none" stroke-width="1.5"/>')
            parts.append(f'<text x="{WIDTH - LEGEND - 20}" y="{MARGIN + 10 + 13 * row}" fill="{COLOURS[task]}">{task}: {name} {last:.2f}</text>')
        parts.append(f'<text x="{MARGIN}" y="{HEIGHT - 12}">{self.title}</text></svg>')
        return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    folder = parser.parse_args().run
    with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as file:
        curves = Curves([json.loads(line) for line in file])
    with open(os.path.join(folder, "curves.svg"), "w", encoding="utf-8") as file:
        file.write(curves.svg() + "\n")
    with open(os.path.join(folder, "curves.png"), "wb") as file:
        file.write(curves.png())
    print(os.path.join(folder, "curves.png"))


if __name__ == "__main__":
    files.run(main)
