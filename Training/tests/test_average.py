"""`python3 -m unittest tests.test_average`"""
import os
import tempfile
import unittest

import torch

from tessera_training import checkpoint
from tessera_training.average import average
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train import Run
from tessera_training.vqvae import Codebook
from tests import tiny


class AverageTests(unittest.TestCase):
    def test_every_weight_is_the_mean_and_training_can_go_on_from_it(self):
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for seed in (0, 1, 2):
                recipe = tiny.recipe(seed=seed)
                run = Run(recipe, self.codebook(recipe), os.path.join(folder, str(seed)))
                run.train_step()
                run.save()
                runs.append(run)
            model, tokenizer = average([os.path.join(folder, str(seed), "checkpoint") for seed in (0, 1, 2)])
            tensors = [checkpoint.to_tensors(run.model) for run in runs]
            for name, value in checkpoint.to_tensors(model).items():
                torch.testing.assert_close(value, sum(one[name] for one in tensors) / 3)
                self.assertFalse("norm" not in name and torch.equal(value, tensors[0][name]), name)
            checkpoint.save(os.path.join(folder, "mean"), model, tokenizer, checkpoint.package_description(recipe, tokenizer, 0.0))
            again = Run(recipe, self.codebook(recipe), os.path.join(folder, "on"))
            again.take_weights(os.path.join(folder, "mean"))
            again.train_step()

    def test_other_shapes_vocabularies_and_single_checkpoints_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, recipe in (("a", tiny.recipe()), ("b", tiny.recipe())):
                if name == "b":
                    recipe.codebook.codes = 25
                Run(recipe, self.codebook(recipe), os.path.join(folder, name)).save()
            a, b = (os.path.join(folder, name, "checkpoint") for name in "ab")
            with self.assertRaisesRegex(ValueError, "b/checkpoint: another shape or vocabulary than .*a/checkpoint"):
                average([a, b])
            with self.assertRaisesRegex(ValueError, "--checkpoints: expected two or more, found 1"):
                average([a])

    @staticmethod
    def codebook(recipe) -> Codebook:
        torch.manual_seed(0)
        return Codebook(recipe.codebook, Tokenizer(build(recipe.codebook.codes, recipe.tasks.names)).text_size).eval()


if __name__ == "__main__":
    unittest.main()
