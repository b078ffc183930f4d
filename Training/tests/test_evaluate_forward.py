"""`python3 -m unittest tests.test_evaluate_forward`"""
import os
import tempfile
import unittest

import torch

from tessera_training import evaluate_forward
from tessera_training.evaluate_forward import Count
from tessera_training.generate import Mode
from tessera_training.mix import StepCoder, first_token
from tessera_training.tasks import Question
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train import Run
from tessera_training.vqvae import Codebook
from tests import tiny

TOKENIZER = Tokenizer(build(24, ["prosqa"]))
FACTS = "Tom is a lempus. Every lempus is a numpus. Every gorpus is a impus. Every lempus is a gorpus. Every numpus is a impus. Sam is a yumpus. Every lempus is a yimpus."
QUESTION = Question(" Is Tom a impus or yumpus?", (" Tom is a lempus.", " Every lempus is a numpus.", " Every numpus is a impus."), " Tom is a impus.", 3,
                    behind=(("impus", {"impus": 0, "numpus": 1, "gorpus": 1, "lempus": 2, "Tom": 3}), ("yumpus", {"yumpus": 0, "Sam": 1})))


class SpellingCodebook:
    """A code per name that a step ends with."""

    config = Codebook(tiny.recipe().codebook, TOKENIZER.text_size).config
    names = [first_token(TOKENIZER, name) for name in ("lempus", "numpus", "gorpus", "impus", "yimpus")]

    def encode(self, text: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[max((row.tolist().index(name), code) for code, name in enumerate(self.names) if name in row.tolist())[1]] for row in text])


def model(replaced: dict[int, int]):
    """Says of every token the next one, or what `replaced` has in its place."""
    def logits(ids: torch.Tensor) -> torch.Tensor:
        following = [replaced.get(token, token) for token in ids[0].tolist()[1:] + [0]]
        return torch.nn.functional.one_hot(torch.tensor(following), TOKENIZER.size)[None].float()
    return logits


class EvaluateForwardTests(unittest.TestCase):
    def counts(self, wrong: str | None) -> dict:
        """With `wrong` said wherever numpus is right."""
        coder, counts, replaced = StepCoder(SpellingCodebook(), TOKENIZER), {}, {}
        if wrong is not None:
            names = SpellingCodebook.names
            numpus, other = (first_token(TOKENIZER, name) for name in ("numpus", wrong))
            replaced = {numpus: other, TOKENIZER.first_latent + names.index(numpus): TOKENIZER.first_latent + names.index(other)}
        evaluate_forward.add(counts, model(replaced), TOKENIZER, coder, FACTS, QUESTION)
        return counts

    def test_right_is_every_sentence_that_leads_one_hop_closer(self):
        chance = {3: 1.0, 2: 2 / 3, 1: 1.0}
        for guess in (None, "gorpus"):  # two shortest ways
            self.assertEqual(self.counts(guess), {(mode, left): Count(1, 1, chance[left]) for mode in (Mode.LATENT, Mode.TEXT) for left in (1, 2, 3)})
        wrong = self.counts("yimpus")  # goes on from lempus, but not to impus
        self.assertEqual({key: count.right for key, count in wrong.items()}, {(mode, left): int(left != 2) for mode in (Mode.LATENT, Mode.TEXT) for left in (1, 2, 3)})

    def test_a_run_is_measured_alike_each_time_and_another_chunking_is_refused(self):
        recipe = tiny.recipe()
        recipe.tasks.names, recipe.tasks.step_order = ["prosqa"], "forward"
        with tempfile.TemporaryDirectory() as folder:
            Run(recipe, Codebook(recipe.codebook, TOKENIZER.text_size).eval(), os.path.join(folder, "run")).save()
            one, other = (evaluate_forward.measure(os.path.join(folder, "run"), 4) for _ in range(2))
            self.assertEqual(one, other)
            self.assertEqual(one[Mode.TEXT, 1].asked, 4)
            self.assertTrue(evaluate_forward.table(one).startswith("| hops left | steps |"))
            recipe.codebook.chunking = "tokens"
            Run(recipe, Codebook(recipe.codebook, TOKENIZER.text_size).eval(), os.path.join(folder, "tokens")).save()
            with self.assertRaisesRegex(ValueError, "codebook.chunking"):
                evaluate_forward.measure(os.path.join(folder, "tokens"), 1)


if __name__ == "__main__":
    unittest.main()
