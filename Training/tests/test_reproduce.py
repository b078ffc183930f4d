"""`python3 -m unittest tests.test_reproduce`"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import torch

from tessera_training import reproduce
from tessera_training.suites import Suite, pronto_cases
from tests import tiny

RECIPE = """
name = "tiny"
[tasks]
names = ["maze"]
[codebook]
codes = 24
dim = 32
code_dim = 8
heads = 2
steps = 12
batch = 8
measured_traces = 40
final_traces = 20
max_steps = 64
question_tokens = 9
[model]
layers = 1
dim = 64
mlp_dim = 64
max_positions = 768
[train]
schedule = "steps"
length = 2
prompts = 1
long_questions = 2
short_questions = 2
"""


class ReproduceTests(unittest.TestCase):
    def test_a_recipe_becomes_rows_and_what_is_there_is_not_trained_again(self):
        recipe = tiny.recipe()
        recipe.tasks.names, recipe.train.length = ["prontoqa"], 2
        measured, threads = [Suite("prontoqa", pronto_cases(2), "test")], torch.get_num_threads()
        with tempfile.TemporaryDirectory() as folder:
            first = reproduce.reproduce(recipe, folder, [0, 1], measured, answer_only=True)
            made = {os.path.join(place, name): os.stat(os.path.join(place, name)).st_mtime_ns
                    for place, _, names in os.walk(folder) for name in names if name.endswith((".safetensors", ".pt"))}
            self.assertEqual(len(made), 10)  # a codebook, and of three runs the state, the checkpoint and a copy of the codebook
            for seed in (0, 1):
                with open(os.path.join(folder, "seeds", f"seed-{seed}", "checkpoint", "tessera.json"), encoding="utf-8") as file:
                    written = json.load(file)["evaluation"]
                self.assertEqual([(row["mode"], row["note"]) for row in written],
                                 [("latent", "test"), ("text", "test"), ("answer-only model", f"separate model (recipe {recipe.name}, answer-only)")])
                self.assertEqual(written[0]["accuracy"], first["rows"][seed]["rows"][0]["accuracy"])
            again = reproduce.reproduce(recipe, folder, [0, 1], measured, answer_only=True)
            self.assertEqual({path: os.stat(path).st_mtime_ns for path in made}, made)
            recipe.codebook.steps = 20
            with self.assertRaisesRegex(ValueError, "a codebook of another recipe: codebook.steps is 12, expected 20"):
                reproduce.reproduce(recipe, folder, [0], measured)
        torch.set_num_threads(threads)
        self.assertEqual(first, again)
        self.assertEqual([row["seed"] for row in first["rows"]], [0, 1])
        self.assertEqual([row["mode"] for row in first["answer_only"]["rows"]], ["none"])
        lines = reproduce.report(first).splitlines()
        self.assertRegex(lines[4], r"^\| mean of 2 seeds \| 0\.0 \| prontoqa \|")
        self.assertRegex(lines[-1], r"^Answer-only model, trained on 0\.0 M tokens: prontoqa \d+\.\d % \(")

    def test_the_command_measures_the_maze_and_says_what_is_wrong(self):
        def run(*arguments: str) -> subprocess.CompletedProcess:
            return subprocess.run([sys.executable, "-m", "tessera_training.reproduce", *arguments], capture_output=True, text=True,
                                  cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "recipe.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(RECIPE)
            done = run("--recipe", path, "--out", os.path.join(folder, "run"), "--maze-count", "1")
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(os.path.join(folder, "run", "results.json"), encoding="utf-8") as file:
                rows = json.load(file)["rows"][0]["rows"]
            self.assertEqual([(row["task"], row["mode"], row["n"]) for row in rows], [("maze", "latent", 1), ("maze", "text", 1)])
            with open(os.path.join(folder, "run", "seeds", "seed-0", "checkpoint", "tessera.json"), encoding="utf-8") as file:
                self.assertEqual([(row["task"], row["mode"]) for row in json.load(file)["evaluation"]], [("maze", "latent"), ("maze", "text")])
            with open(os.path.join(folder, "run", "results.md"), encoding="utf-8") as file:
                self.assertIn("| seed=0 | 0.0 | maze |", file.read())
            with open(path, "a", encoding="utf-8") as file:
                file.write('[tasks.more]\n')
            for arguments, said in ((("--count", "0"), "argument --count: 0 is not above 0"), (("--maze-count", "x"), "argument --maze-count: invalid int value: 'x'"),
                                    (("--length", "-1"), "argument --length: -1 is not above 0"), ((), "recipe: unknown keys ['tasks.more']")):
                failed = run("--recipe", path, "--out", os.path.join(folder, "other"), *arguments)
                self.assertEqual(failed.returncode, 2, failed.stderr)
                self.assertIn(said, failed.stderr.splitlines()[-1])
            self.assertFalse(os.path.exists(os.path.join(folder, "other")))
            with open(path, "w", encoding="utf-8") as file:
                file.write(RECIPE.replace('"maze"', '"maze", "prosqa"'))
            failed = run("--recipe", path, "--out", os.path.join(folder, "run"))
            self.assertEqual((failed.returncode, failed.stderr.splitlines()[-1]),
                             (2, "error: --prosqa: the recipe has ProsQA, which is measured on the released file"))
            failed = run("--recipe", path, "--out", os.path.join(folder, "run"), "--seeds", "0,x")
            self.assertEqual((failed.returncode, failed.stderr.splitlines()[-1]),
                             (2, "error: --seeds '0,x': expected numbers with commas between, such as 0,1,2"))


if __name__ == "__main__":
    unittest.main()
