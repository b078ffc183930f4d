"""A real training in little: `python3 -m unittest tests.test_smoke` (about half a minute on one idle core)."""
import json
import os
import tempfile
import unittest

import torch

from tessera_training.train import Run, train
from tessera_training.train_vqvae import train as train_codebook
from tests import tiny


class SmokeTests(unittest.TestCase):
    def test_a_short_training_reaches_the_stated_losses(self):
        recipe = tiny.recipe()
        recipe.tasks.names = ["arithmetic"]
        recipe.codebook.codes, recipe.codebook.dim, recipe.codebook.code_dim, recipe.codebook.steps = 64, 64, 16, 220
        recipe.codebook.batch, recipe.codebook.final_traces = 24, 100
        recipe.train.length, recipe.train.warmup_steps, recipe.train.prompts, recipe.train.decay_from = 160, 20, 2, 0.8
        with tempfile.TemporaryDirectory() as folder:
            threads = torch.get_num_threads()
            codebook = train_codebook(recipe, os.path.join(folder, "codebook"))
            train(Run(recipe, codebook, folder))
            torch.set_num_threads(threads)
            logs = []
            for path in (os.path.join(folder, "codebook", "log.jsonl"), os.path.join(folder, "log.jsonl")):
                with open(path, encoding="utf-8") as file:
                    logs.append([json.loads(line) for line in file])
        reconstruction = [record["reconstruction"] for record in logs[0][-20:]]
        loss = [record["loss"] for record in logs[1][-20:]]
        self.assertLess(sum(reconstruction) / 20, 1.5)  # nothing learned: 6.9, the logarithm of the vocabulary
        self.assertLess(sum(loss) / 20, 2.5)  # nothing learned: 7.0


if __name__ == "__main__":
    unittest.main()
