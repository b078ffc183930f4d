"""`python3 -m unittest tests.test_vqvae`"""
import json
import os
import tempfile
import unittest

import torch

from tessera_training.train_vqvae import chunk, conclusion, new_word_weights, prompt_tail, train
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.vqvae import Codebook
from tests import tiny


class VqVaeTests(unittest.TestCase):
    def test_training_lowers_the_loss_and_writes_a_codebook(self):
        recipe = tiny.recipe()
        recipe.codebook.steps, recipe.codebook.batch = 60, 16
        with tempfile.TemporaryDirectory() as folder:
            train(recipe, folder)
            with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as file:
                losses = [json.loads(line)["reconstruction"] for line in file]
            with open(os.path.join(folder, "codebook.json"), encoding="utf-8") as file:
                described = json.load(file)
            loaded = Codebook.load(folder)
        self.assertLess(losses[-1], 0.6 * losses[0])
        self.assertEqual((described["codes"], described["chunk_tokens"], described["max_steps"]), (24, 10, 24))
        self.assertGreater(described["measured"]["text_tokens_per_latent"], 4)
        self.assertEqual(loaded.codes.shape, (24, 8))

    @torch.no_grad()
    def test_decoder_sees_no_later_latents(self):
        torch.manual_seed(0)
        codebook = Codebook(tiny.recipe().codebook, 677).eval()
        prompt, codes = torch.randint(0, 677, (1, 12)), torch.randint(0, 24, (1, 6))
        torch.testing.assert_close(codebook.decode(codes, prompt)[:, :4], codebook.decode(codes[:, :4], prompt), atol=1e-5, rtol=1e-4)

    @torch.no_grad()
    def test_encoder_reads_the_step_and_the_last_prompt_token_alone(self):
        torch.manual_seed(0)
        codebook = Codebook(tiny.recipe().codebook, 677).eval()
        text, prompt = torch.randint(0, 677, (1, 30)), torch.randint(0, 677, (1, 12))
        other = torch.cat([torch.randint(0, 677, (1, 5)), prompt[:, -1:]], 1)
        self.assertEqual(codebook.encode(text, prompt).tolist(), codebook.encode(text, other).tolist())
        self.assertEqual(codebook.encode(text[:, 10:20], prompt).tolist(), codebook.encode(text, prompt)[:, 1:2].tolist())

    def test_known_words_weigh_one(self):
        class Batch:
            text = torch.tensor([[[5, 6, 0], [6, 7, 8]]])
            prompt = torch.tensor([[8, 9]])

        self.assertEqual(new_word_weights(Batch, 4.0).tolist(), [[[4.0, 4.0, 1.0], [1.0, 4.0, 1.0]]])

    def test_steps_become_chunks(self):
        tokenizer = Tokenizer(build(2))
        self.assertEqual(len(chunk(tokenizer, " Every lempus is a numpus.", 10)), 10)
        with self.assertRaises(ValueError):
            chunk(tokenizer, " Every lempus is a numpus.", 4)
        self.assertEqual(prompt_tail([3, 4], 4), [0, 0, 3, 4])

    def test_conclusion_is_the_new_information(self):
        self.assertEqual(conclusion("prosqa", " Every lempus is a numpus."), "lempus")
        self.assertEqual(conclusion("prosqa", " Tom is a numpus."), "Tom")
        self.assertEqual(conclusion("prontoqa", " Every wumpus is an impus. Fae is an impus."), "impus")
        self.assertEqual(conclusion("prontoqa", " Every wumpus is not hot. Fae is not hot."), "not hot")


if __name__ == "__main__":
    unittest.main()
