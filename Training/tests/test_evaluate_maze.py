"""`python3 -m unittest tests.test_evaluate_maze`"""
import os
import random
import tempfile
import unittest
from unittest import mock

import torch

from tessera_training import checkpoint, evaluate_maze
from tessera_training.generate import Generated, Mode
from tessera_training.model import ModelShape, TesseraLlama
from tessera_training.suites import HELD_OUT_SEED
from tessera_training.tasks import maze
from tessera_training.tokenizer import Tokenizer, build
from tests import tiny

TOKENIZER = Tokenizer(build(8, ["maze"]))


def written_model(folder: str) -> None:
    """A checkpoint with random weights."""
    torch.manual_seed(0)
    recipe = tiny.recipe()
    recipe.tasks.names, recipe.codebook.codes = ["maze"], 8
    model = TesseraLlama(ModelShape(TOKENIZER.size, 64, 1, 4, 64, 3, max_positions=512))
    checkpoint.save(folder, model, TOKENIZER, checkpoint.package_description(recipe, TOKENIZER, 1.0))


class EvaluateMazeTests(unittest.TestCase):
    def test_a_maze_counts_once_any_of_its_samples_reaches_the_goal(self):
        rng = random.Random(HELD_OUT_SEED)
        right = {}
        for index in range(4):
            problem = maze.make_problem(rng, 1, False)
            right[problem.facts + problem.questions[0].text] = (index, problem.questions[0].answer)
        calls = []

        def answered(model, tokenizer, ids, mode, limit, state, temperature, generator):
            """The first two mazes in the third sample alone, the others never (one has no end)."""
            calls.append(mode)
            results = []
            for row in ids:
                index, answer = right[tokenizer.decode(row[:-1])]
                text = answer if index < 2 and len(calls) % 5 == 3 else " take."
                results.append(Generated([tokenizer.end_think, *tokenizer.encode(text), tokenizer.eos], finished=index != 3))
            return results

        with tempfile.TemporaryDirectory() as folder:
            written_model(folder)
            with mock.patch.object(evaluate_maze, "generate", answered):
                row, = evaluate_maze.evaluate(folder, 4, [Mode.LATENT], samples=5)
        self.assertEqual(calls, [Mode.LATENT] * 5)
        self.assertEqual((row["task"], row["mode"], row["n"], row["accuracy"], row["feasible_samples"]), ("maze", "latent", 4, 0.5, 0.1))

    def test_samples_are_alike_for_the_same_seed(self):
        with tempfile.TemporaryDirectory() as folder:
            written_model(folder)
            rows = [evaluate_maze.evaluate(folder, 2, [Mode.LATENT, Mode.TEXT], samples=2, limit=12) for _ in range(2)]
        self.assertEqual(rows[0], rows[1])
        self.assertEqual([row["mode"] for row in rows[0]], ["latent", "text"])
        self.assertEqual(rows[0][0]["accuracy"], 0.0)
        self.assertTrue(all(0 < row["mean_tokens"] <= 12 for row in rows[0]))


if __name__ == "__main__":
    unittest.main()
