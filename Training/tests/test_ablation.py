"""`python3 -m unittest tests.test_ablation`"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import torch

from tessera_training import ablation, config
from tessera_training.suites import Suite, pronto_cases
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train import Run, train
from tessera_training.vqvae import Codebook
from tests import tiny


SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "loadtests", "datasets", "prosqa", "prosqa_valid.json")


def codebook(recipe) -> Codebook:
    torch.manual_seed(0)
    return Codebook(recipe.codebook, Tokenizer(build(recipe.codebook.codes, recipe.tasks.names)).text_size).eval()


class AblationTests(unittest.TestCase):
    def test_settings_change_a_recipe_or_say_what_is_wrong(self):
        recipe = config.changed(tiny.recipe(), ["mix.strategy=poisson", "train.length=12", "tasks.names=[\"prosqa\"]", "name=other"])
        self.assertEqual((recipe.mix.strategy, recipe.train.length, recipe.tasks.names, recipe.name), ("poisson", 12.0, ["prosqa"], "other"))
        for setting, said in (("mix.strategy", "expected key=value"), ("mix.strateg=all", "no key 'mix.strateg'"), ("mix.strategy=none", "known are 'leading'"),
                              ("seed.x=1", "no key 'seed.x'"), ("train.length=long", "train.length is 'long'")):
            with self.assertRaisesRegex(ValueError, said):
                config.changed(tiny.recipe(), [setting])
        self.assertEqual(ablation.settings_of("mix.strategy=all,poisson"), ["mix.strategy=all", "mix.strategy=poisson"])
        with self.assertRaisesRegex(ValueError, "--vary 'mix.strategy'"):
            ablation.settings_of("mix.strategy")

    def test_a_run_can_go_on_from_a_checkpoint_and_keeps_its_weights_until_it_trains(self):
        recipe = tiny.recipe()
        recipe.train.length = 1
        with tempfile.TemporaryDirectory() as folder:
            first = Run(recipe, codebook(recipe), os.path.join(folder, "first"))
            first.train_step()
            first.save()
            recipe.train.lr = 0.0
            run = ablation.run_of(recipe, "seed=3", codebook(recipe), os.path.join(folder, "on"), os.path.join(folder, "first", "checkpoint"))
            self.assertEqual((run.step, run.recipe.seed), (1, 3))
            torch.testing.assert_close(run.model.embed.weight, first.model.embed.weight, atol=1e-6, rtol=1e-5)

    def test_a_checkpoint_says_how_much_text_a_latent_of_its_codebook_replaces(self):
        recipe = tiny.recipe()
        recipe.train.length = 2
        with tempfile.TemporaryDirectory() as folder:
            codebook(recipe).save(os.path.join(folder, "codebook"), {"measured": {"text_tokens_per_latent": 4.5}})
            begun = Run(config.changed(recipe, ["seed=3"]), Codebook.load(os.path.join(folder, "codebook")), os.path.join(folder, "run"))
            begun.train_step()
            begun.save()
            for _ in range(2):  # begun, and gone on from the run's own copy of the codebook
                with open(os.path.join(folder, "run", "checkpoint", "tessera.json"), encoding="utf-8") as file:
                    self.assertEqual(json.load(file)["latents"]["text_tokens_per_latent"], 4.5)
                train(Run.open(os.path.join(folder, "run")))

    def test_a_run_of_another_recipe_is_not_taken_for_this_one(self):
        recipe = tiny.recipe()
        recipe.train.length = 1
        with tempfile.TemporaryDirectory() as folder:
            ablation.run_of(recipe, "seed=3", codebook(recipe), folder)
            recipe.train.length, recipe.mix.text_rate = 2, 0.5
            with self.assertRaisesRegex(ValueError, "a run of another recipe: mix.text_rate is 0.65, expected 0.5; train.length is 1.0, expected 2.0; seed is 3, expected 4"):
                ablation.run_of(recipe, "seed=4", codebook(recipe), folder)
            recipe.train.length, recipe.mix.text_rate = 1, 0.65
            self.assertEqual(ablation.run_of(recipe, "seed=3", codebook(recipe), folder).step, 1)

    def test_an_interrupted_run_ends_as_one_that_was_not(self):
        recipe = tiny.recipe()
        recipe.train.length = 3
        with tempfile.TemporaryDirectory() as folder:
            whole = ablation.run_of(recipe, "seed=3", codebook(recipe), os.path.join(folder, "whole"))
            begun = Run(config.changed(recipe, ["seed=3"]), codebook(recipe), os.path.join(folder, "begun"))
            begun.train_step()
            begun.save()
            ended = ablation.run_of(recipe, "seed=3", codebook(recipe), os.path.join(folder, "begun"))
        self.assertEqual((whole.step, ended.step), (3, 3))
        for name, value in whole.model.state_dict().items():
            self.assertTrue(torch.equal(value, ended.model.state_dict()[name]), name)

    def test_a_run_by_tokens_ends_when_it_has_seen_them(self):
        recipe = tiny.recipe()
        recipe.train.schedule, recipe.train.length = "tokens", 0.002
        with tempfile.TemporaryDirectory() as folder:
            run = Run(recipe, codebook(recipe), folder)
            seen = []
            while run.progress < 1:
                seen.append(run.progress)
                run.train_step()
            self.assertGreaterEqual(run.tokens, 2000)
            self.assertTrue(all(one < other for one, other in zip(seen, seen[1:])))

    def test_each_setting_is_trained_once_and_has_its_line(self):
        recipe = tiny.recipe()
        recipe.tasks.names, recipe.train.length = ["prontoqa"], 2
        measured = [Suite("prontoqa", pronto_cases(2), "test")]
        with tempfile.TemporaryDirectory() as folder:
            rows = []
            for setting in ("mix.strategy=leading", "mix.strategy=all"):
                run = ablation.run_of(recipe, setting, codebook(recipe), os.path.join(folder, setting))
                again = ablation.run_of(recipe, setting, codebook(recipe), os.path.join(folder, setting))
                self.assertEqual((run.step, again.step, again.recipe.mix.strategy), (2, 2, setting.split("=")[1]))
                rows.append(ablation.row(setting, again, measured))
        lines = ablation.table(rows).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[2], r"^\| mix\.strategy=leading \| 0\.0 \| prontoqa \| \d+\.\d \(\d+\.\d - \d+\.\d\) \| \d+\.\d \| ")
        self.assertEqual([row["mode"] for row in rows[0]["rows"]], ["latent", "text"])

    def test_the_command_takes_another_length_than_the_recipe_s(self):
        with tempfile.TemporaryDirectory() as folder:
            recipe, path = tiny.recipe(), os.path.join(folder, "recipe.toml")
            codebook(recipe).save(os.path.join(folder, "codebook"))
            with open(path, "w", encoding="utf-8") as file:
                file.write('[tasks]\nnames = ["prontoqa", "prosqa"]\n[model]\nlayers = 1\ndim = 64\nmlp_dim = 64\n[train]\nschedule = "steps"\nlength = 5\nprompts = 1\n')
            for arguments, code in ((("--length", "2", "--prosqa", SAMPLE), 0), (("--length", "0"), 2)):
                done = subprocess.run([sys.executable, "-m", "tessera_training.ablation", "--recipe", path, "--codebook", os.path.join(folder, "codebook"), "--out",
                                       os.path.join(folder, "out"), "--vary", "seed=3", "--count", "1", *arguments], capture_output=True, text=True,
                                      cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
                self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn("argument --length: 0 is not above 0", done.stderr)
            with open(os.path.join(folder, "out", "ablation.json"), encoding="utf-8") as file:
                self.assertEqual([row["steps"] for row in json.load(file)["rows"]], [2])

    def test_seeds_end_with_mean_and_spread(self):
        def entry(seed: int, latent: float, text: float) -> dict:
            rows = [{"task": "prosqa", "mode": mode, "accuracy": accuracy, "low": 0.0, "high": 1.0, "mean_tokens": 10.0 + seed}
                    for mode, accuracy in (("latent", latent), ("text", text))]
            return {"setting": f"seed={seed}", "tokens": 2_000_000, "rows": rows}

        rows = [entry(0, 0.96, 0.9), entry(1, 0.98, 0.93), entry(2, 0.97, 0.93)]
        self.assertEqual(ablation.table(rows).splitlines()[-1], "| mean of 3 seeds | 2.0 | prosqa | 97.0 (96.0 to 98.0) | 11.0 | 92.0 (90.0 to 93.0) | 11.0 |")
        self.assertEqual(ablation.spreads(rows[:1]), [])
        self.assertEqual(ablation.spreads([rows[0], rows[1] | {"setting": "mix.strategy=all"}]), [])


if __name__ == "__main__":
    unittest.main()
