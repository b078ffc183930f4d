"""Draw a run's curves as SVG: `python3 -m tessera_training.curves --run runs/walkback` writes curves.svg beside its log."""
from __future__ import annotations

import argparse
import json
import os

SERIES = ("latent", "text", "answer")
COLOURS = {"prosqa": "#1b6ca8", "prontoqa": "#b3541e"}
DASHES = {"latent": "", "text": "6 3", "answer": "1 3"}
WIDTH, HEIGHT, MARGIN = 720, 360, 40


def smoothed(points: list[tuple[float, float]], bins: int = 120) -> list[tuple[float, float]]:
    """Mean of consecutive points, about `bins` of them."""
    size = max(1, len(points) // bins)
    groups = [points[start:start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def svg(records: list[dict]) -> str:
    """Teacher-forced accuracy on fresh batches over tokens seen."""
    most = max(record["tokens"] for record in records)

    def place(x: float, y: float) -> str:
        return f"{MARGIN + x / most * (WIDTH - 2 * MARGIN):.1f},{HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<polyline points="{place(0, share)} {place(most, share)}" stroke="#dddddd" fill="none"/>'
                     f'<text x="4" y="{HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN) + 4:.1f}">{share:.2f}</text>')
    row = 0
    for task, colour in COLOURS.items():
        for name in SERIES:
            points = [(r["tokens"], r[name]) for r in records if r["task"] == task and name in r]
            if not points:
                continue
            line = " ".join(place(x, y) for x, y in smoothed(points))
            parts.append(f'<polyline points="{line}" stroke="{colour}" stroke-dasharray="{DASHES[name]}" fill="none" stroke-width="1.5"/>')
            parts.append(f'<text x="{WIDTH - 150}" y="{HEIGHT - MARGIN - 90 + 14 * row}" fill="{colour}">{task}: {name} {points[-1][1]:.2f}</text>')
            row += 1
    title = f"accuracy with given prefixes on fresh batches; {most / 1e6:.1f} M tokens at the right edge"
    parts.append(f'<text x="{MARGIN}" y="{HEIGHT - 12}">{title}</text></svg>')
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    folder = parser.parse_args().run
    with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    path = os.path.join(folder, "curves.svg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(svg(records) + "\n")
    print(path)


if __name__ == "__main__":
    main()
