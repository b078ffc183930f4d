"""Print generated problems: `python3 -m tessera_training.tasks --task prosqa --count 2 --seed 0`."""
import argparse
import random

from .common import load_sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="prosqa")
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"seed {args.seed}")
    rng = random.Random(args.seed)
    source = load_sources([args.task])[0]
    for _ in range(args.count):
        problem = source.make(rng, 2, False)
        print(problem.facts)
        for question in problem.questions:
            print(f"  {question.text}\n    steps: {list(question.steps)}\n    answer: {question.answer}")


if __name__ == "__main__":
    main()
