"""`python3 -m unittest tests.test_carry_over`: training goes on from a checkpoint, with another codebook, from a package."""
import copy
import os
import tempfile
import unittest

import torch

from tessera_training import checkpoint, safetensors_file
from tessera_training.carry_over import carry_over, shares, text_rows
from tessera_training.from_package import restore
from tessera_training.graft_vqvae import graft
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train import Run
from tessera_training.vqvae import Codebook
from tests import tiny

PACKAGE = os.path.join(os.path.dirname(__file__), "..", "..", "Models", "packages", "tessera-logic")


def codebook(recipe, seed: int = 0) -> Codebook:
    torch.manual_seed(seed)
    return Codebook(recipe.codebook, Tokenizer(build(recipe.codebook.codes, recipe.tasks.names)).text_size).eval()


class WeightsTests(unittest.TestCase):
    def test_weights_of_a_checkpoint_are_taken_latents_included(self):
        recipe = tiny.recipe()
        with tempfile.TemporaryDirectory() as folder:
            first = Run(recipe, codebook(recipe), os.path.join(folder, "a"))
            first.train_step()
            first.save()
            second = Run(recipe, codebook(recipe), os.path.join(folder, "b"))
            second.take_weights(os.path.join(folder, "a", "checkpoint"))
            for name, value in first.model.state_dict().items():
                torch.testing.assert_close(second.model.state_dict()[name], value, atol=1e-6, rtol=1e-5)
            second.train_step()
            recipe.model.layers = 3
            with self.assertRaisesRegex(ValueError, "a/checkpoint: expected shape .*layers=3.*, found .*layers=2"):
                Run(recipe, codebook(recipe), os.path.join(folder, "c")).take_weights(os.path.join(folder, "a", "checkpoint"))


class CarryOverTests(unittest.TestCase):
    def test_shares_follow_the_chunks_that_codes_stand_for(self):
        recipe = tiny.recipe()
        old = codebook(recipe)
        tokenizer = Tokenizer(build(recipe.codebook.codes, recipe.tasks.names))
        with torch.no_grad():  # codes where the vectors are, so that more than one is used
            vectors = old.latent_vectors(torch.randint(2, old.text_size, (1, 40, 10)), torch.tensor([5]))[0]
            old.codes.copy_(vectors[:24])
        turned = copy.deepcopy(old)
        turned.codes.copy_(old.codes.flip(0))  # the same codes under other numbers
        share = shares(old, turned, recipe, tokenizer, tokenizer, 60)
        used = (share == 1.0).any(1)
        self.assertGreater(int(used.sum()), 1)
        for code in used.nonzero()[:, 0].tolist():
            self.assertEqual(share[code].argmax().item(), 23 - code)
        torch.testing.assert_close(share.sum(1), torch.ones(24))

    def test_tokens_keep_their_rows_and_new_spellings_take_those_of_their_word(self):
        known = build(4)
        words = known["model"]["vocab"]
        lost = {"ĠtomĠhas", "Ġ3"}  # Ġ is a space
        kept = [word for word in words if word not in lost]
        known["model"]["vocab"] = {word: index for index, word in enumerate(kept)}
        for token in known["added_tokens"][2:]:
            token["id"] -= len(words) - len(kept)
        before, after = Tokenizer(known), Tokenizer(build(4))
        rows = text_rows(before, after)
        self.assertEqual(len(rows), after.first_latent)
        for index, row in enumerate(rows):
            token = after.token(index)
            expected = {"ĠtomĠhas": "ĠTom", "Ġ3": None}.get(token, token)
            self.assertEqual(None if row is None else before.token(row), expected, token)
        self.assertEqual(rows[after.think], before.think)

    def test_rows_of_latents_are_weighted_means_and_others_stay(self):
        tensors = {"model.embed_tokens.weight": torch.arange(10.0).view(5, 2), "model.norm.weight": torch.ones(2),
                   "model.ngram_embeddings.1.weight": torch.ones(5, 2)}
        carried = carry_over(tensors, [0, 2, 1, None, 2], torch.tensor([[0.25, 0.75]]), 3)
        self.assertEqual(carried["model.embed_tokens.weight"].tolist(), [[0, 1], [4, 5], [2, 3], [2, 3], [4, 5], [7.5, 8.5]])
        self.assertEqual(carried["model.ngram_embeddings.1.weight"].shape, (6, 2))
        self.assertIs(carried["model.norm.weight"], tensors["model.norm.weight"])


class GraftTests(unittest.TestCase):
    @torch.no_grad()
    def test_a_decoder_computes_the_same_under_a_turned_encoder(self):
        recipe = tiny.recipe()
        donor, new = codebook(recipe), codebook(recipe, 1)
        turn, _ = torch.linalg.qr(torch.randn(donor.codes.shape[1], donor.codes.shape[1]))
        other, _ = torch.linalg.qr(torch.randn(donor.embed.weight.shape[1], donor.embed.weight.shape[1]))
        new.codes.copy_((donor.codes @ turn).flip(0))  # the same codes in other coordinates and order
        new.embed.weight.copy_(donor.embed.weight @ other)
        share = torch.eye(len(donor.codes)).flip(0)
        encoder = new.encoder_in.weight.clone()
        graft(new, donor, list(range(donor.text_size)), share, list(range(2, 400)))
        codes, prompt = torch.randint(0, len(donor.codes), (3, 5)), torch.randint(2, 400, (3, donor.config.question_tokens))
        torch.testing.assert_close(new.decode(len(donor.codes) - 1 - codes, prompt), donor.decode(codes, prompt), atol=2e-2, rtol=1e-2)
        self.assertTrue(torch.equal(new.encoder_in.weight, encoder))


class PackageTests(unittest.TestCase):
    def test_a_package_gives_its_checkpoint_and_codebook_back(self):
        with tempfile.TemporaryDirectory() as folder:
            restore(PACKAGE, folder)
            model, _ = checkpoint.load(os.path.join(folder, "checkpoint"))
            restored = Codebook.load(os.path.join(folder, "codebook"))
        recorded = safetensors_file.read(os.path.join(PACKAGE, "reference.safetensors"))
        with torch.no_grad():
            for case in range(3):
                logits = model(recorded[f"case_{case}.input_ids"][None])[0][recorded[f"case_{case}.rows"]]
                torch.testing.assert_close(logits, recorded[f"case_{case}.logits"], atol=2e-3, rtol=1e-3)
                prompt = recorded[f"codebook_{case}.prompt_ids"]
                codes = restored.encode(recorded[f"codebook_{case}.text_ids"], prompt)
                self.assertEqual(codes.tolist(), recorded[f"codebook_{case}.encoded"].tolist())
                torch.testing.assert_close(restored.decode(codes, prompt), recorded[f"codebook_{case}.text_logits"], atol=2e-3, rtol=1e-3)

    def test_a_folder_without_weights_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.write_json(os.path.join(folder, "tessera.json"), {"name": "x"})
            with self.assertRaisesRegex(ValueError, "model.safetensors: not there"):
                restore(folder, os.path.join(folder, "out"))
            self.assertFalse(os.path.exists(os.path.join(folder, "out")))


if __name__ == "__main__":
    unittest.main()
