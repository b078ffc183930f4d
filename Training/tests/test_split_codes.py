"""`python3 -m unittest tests.test_split_codes`"""
import os
import tempfile
import unittest

import torch

from tessera_training.from_package import restore
from tessera_training.split_codes import confusion, distinct_vectors, divided, split, traces
from tessera_training.tasks.arithmetic import NAMES, held_apart
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train_vqvae import canonical_ids
from tessera_training.vqvae import Codebook, padded
from tests import tiny
from tests.test_carry_over import PACKAGE


class DividedTests(unittest.TestCase):
    def setUp(self):
        self.generator = torch.Generator().manual_seed(3)

    def test_two_groups_are_told_apart_though_something_else_varies_more(self):
        group = torch.arange(88) % 2 == 0
        vectors = 0.05 * torch.randn(88, 8, generator=self.generator)
        vectors[:, 0] += torch.randn(88, generator=self.generator)  # what both share, such as the other person of a comparison
        vectors[:, 1] += torch.where(group, 0.5, -0.5)
        mask, gap = divided(vectors, self.generator)
        self.assertTrue(torch.equal(mask, group) or torch.equal(mask, ~group))
        self.assertGreater(gap, 8)

    def test_one_round_group_has_no_wide_gap(self):
        _, gap = divided(torch.randn(400, 8, generator=self.generator), self.generator)
        self.assertLess(gap, 3.5)


class SplitTests(unittest.TestCase):
    def setUp(self):
        self.recipe = tiny.recipe()
        self.recipe.tasks.names = ["arithmetic"]
        torch.manual_seed(0)
        self.tokenizer = Tokenizer(build(self.recipe.codebook.codes, self.recipe.tasks.names))
        self.codebook = Codebook(self.recipe.codebook, self.tokenizer.text_size).eval()
        self.batch = traces(self.recipe, self.tokenizer, 120)
        self.canonical = canonical_ids(self.tokenizer)
        with torch.no_grad():
            self.codebook.codes.fill_(50.0)  # far from every step
            vectors = torch.cat(list(distinct_vectors(self.codebook, self.batch).values()))
            self.codebook.codes[:3] = vectors[torch.linspace(0, len(vectors) - 1, 3).long()]

    def test_a_divided_code_shares_its_steps_with_one_that_had_none_and_the_rest_stays(self):
        errors, steps = confusion(self.codebook, self.batch, self.canonical)
        self.assertEqual(int(steps.sum()), int(self.batch.valid.sum()))
        self.assertTrue((errors[steps == 0] == 0).all())
        made, done = split(self.codebook, self.batch, self.canonical, error=0.0, gap=0.0, seed=0)
        self.assertEqual(made.config.codes, self.codebook.config.codes)
        self.assertEqual([one["other"] for one in done], list(range(3, 3 + len(done))))
        before = self.codebook.encode(self.batch.text.flatten(1), self.batch.prompt)[self.batch.valid]
        after = made.encode(self.batch.text.flatten(1), self.batch.prompt)[self.batch.valid]
        for one in done:
            self.assertGreater(int((after == one["code"]).sum()), 0)
            self.assertGreater(int((after == one["other"]).sum()), 0)
            self.assertGreater(int((after[before == one["code"]] == one["other"]).sum()), 0)
        for name, value in self.codebook.state_dict().items():
            if name != "codes":
                self.assertTrue(torch.equal(made.state_dict()[name], value), name)

    def test_codes_are_appended_when_none_is_unused_and_sure_ones_are_left_alone(self):
        self.codebook.codes = self.codebook.codes[:3].clone()
        self.recipe.codebook.codes = 3
        made, done = split(self.codebook, self.batch, self.canonical, error=0.0, gap=0.0, seed=0)
        self.assertEqual((made.config.codes, len(made.codes)), (3 + len(done), 3 + len(done)))
        for setting in ({"error": 1e6, "gap": 0.0}, {"error": 0.0, "gap": 1e6}):
            same, none = split(self.codebook, self.batch, self.canonical, seed=0, **setting)
            self.assertEqual(none, [])
            self.assertTrue(torch.equal(same.codes, self.codebook.codes))


class ShippedCodebookTests(unittest.TestCase):
    def test_no_two_persons_share_a_code_where_training_compares_them(self):  # Dan and Polly did in 0.4.0, behind nearly all of its wrong arithmetic latents
        with tempfile.TemporaryDirectory() as folder:
            restore(PACKAGE, folder)
            codebook = Codebook.load(os.path.join(folder, "codebook"))
            tokenizer = Tokenizer.load(os.path.join(folder, "checkpoint", "tokenizer.json"))
        question = torch.tensor([tokenizer.encode(" How many coins does Tom have?")[-codebook.config.question_tokens:]])
        for sentence in (" {0} depends on {1}.", " Start with {0}."):
            persons = {}
            for person in NAMES:
                for other in NAMES:
                    ids = padded(tuple(tokenizer.encode(sentence.format(person, other))), codebook.config.chunk_tokens)
                    if other != person and not held_apart(person, other):
                        persons.setdefault(int(codebook.encode(torch.tensor([ids]), question)[0, 0]), set()).add(person)
            self.assertEqual([found for found in persons.values() if len(found) > 1], [], sentence)


if __name__ == "__main__":
    unittest.main()
