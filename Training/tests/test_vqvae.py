"""`python3 -m unittest tests.test_vqvae`"""
import json
import os
import random
import tempfile
import unittest

import torch

from tessera_training import quantizers
from tessera_training.train_vqvae import TraceBatch, canonical_ids, conclusion, new_word_weights, prompt_tail, representative_vectors, train
from tessera_training.tasks import Problem, Question, TaskSource
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.vqvae import Codebook, chunks_of, padded
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
        self.assertLess(losses[-1], 0.7 * losses[0])
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

        self.assertEqual(new_word_weights(Batch, 4.0, torch.arange(300)).tolist(), [[[4.0, 4.0, 1.0], [1.0, 4.0, 1.0]]])

    def test_variants_of_a_word_count_as_known(self):
        tokenizer = Tokenizer(build(2))
        canonical = canonical_ids(tokenizer)
        traces = [("arithmetic", " have?", (" Tom depends on Leo.", " Tom has 5."))]
        weights = new_word_weights(TraceBatch(traces, tokenizer, tiny.recipe()), 4.0, canonical)
        self.assertEqual(weights[0, 1, :4].tolist(), [1.0, 4.0, 1.0, 1.0])  # ` Tom has`, ` 5`, `.`, padding

    def test_straight_through_and_rotation_give_the_code_and_a_gradient(self):
        torch.manual_seed(1)
        vectors, codes = torch.randn(5, 8, requires_grad=True), torch.randn(5, 8)
        weight = torch.randn(5, 8)
        straight = quantizers.straight_through(vectors, codes)
        torch.testing.assert_close(straight, codes)
        (straight * weight).sum().backward()
        torch.testing.assert_close(vectors.grad, weight)  # unchanged
        vectors.grad = None
        turned = quantizers.rotated(vectors, codes)
        torch.testing.assert_close(turned, codes, atol=1e-5, rtol=1e-4)
        (turned * weight).sum().backward()
        scale = codes.norm(dim=-1) / vectors.detach().norm(dim=-1)
        torch.testing.assert_close(vectors.grad.norm(dim=-1), scale * weight.norm(dim=-1), atol=1e-4, rtol=1e-3)  # turned and scaled
        self.assertGreater((vectors.grad - weight).abs().max().item(), 0.1)

    def test_finite_scalar_codes_are_a_grid_and_stay(self):
        recipe = tiny.recipe()
        recipe.codebook.quantizer, recipe.codebook.fsq_levels, recipe.codebook.code_dim, recipe.codebook.codes = "fsq", [3, 4, 2], 3, 24
        with tempfile.TemporaryDirectory() as folder:
            codebook = train(recipe, folder)
        self.assertTrue(torch.equal(codebook.codes, quantizers.grid([3, 4, 2])))
        self.assertEqual(codebook.codes[0].tolist(), [-1.0, -1.5, -0.5])
        vectors = torch.tensor([[0.4, -9.0, 0.1]])
        self.assertEqual(codebook.codes[codebook.nearest(vectors)].tolist(), [[0.0, -1.5, 0.5]])

    def test_rotation_quantizer_trains(self):
        recipe = tiny.recipe()
        recipe.codebook.quantizer, recipe.codebook.steps = "rotation", 30
        with tempfile.TemporaryDirectory() as folder:
            train(recipe, folder)
            with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
        self.assertGreater(records[-1]["commitment"], 0)
        self.assertLess(records[-1]["reconstruction"], records[0]["reconstruction"])

    def test_noise_rises_during_the_first_phase(self):
        recipe = tiny.recipe()
        recipe.codebook.steps, recipe.codebook.warmup_share, recipe.codebook.warmup_noise, recipe.codebook.warmup_noise_end = 100, 0.5, 0.5, 1.5
        made = quantizers.TwoPhase(Codebook(recipe.codebook, 677), recipe.codebook)
        self.assertEqual([round(made.noise(step), 3) for step in (0, 15, 30, 49)], [0.5, 1.0, 1.5, 1.5])

    def test_merged_cells_give_a_wide_group_one_code(self):
        torch.manual_seed(3)
        wide = torch.tensor([[0.0, 0.05 * index] for index in range(40)])  # 2 long
        near = torch.cat([torch.tensor([[3.0, 0.0]]) + 0.05 * torch.randn(30, 2), torch.tensor([[4.5, 0.0]]) + 0.05 * torch.randn(30, 2)])
        vectors = torch.cat([wide, near])
        single = vectors[::4]
        codes = quantizers.merged_cells(vectors, single, 3)
        groups = torch.cdist(torch.tensor([[0.0, 0.975], [3.0, 0.0], [4.5, 0.0]]), codes).argmin(1)
        self.assertEqual(sorted(groups.tolist()), [0, 1, 2])
        self.assertLess((codes[groups] - torch.tensor([[0.0, 0.975], [3.0, 0.0], [4.5, 0.0]])).abs().max().item(), 0.1)
        self.assertEqual(quantizers.merged_cells(vectors[:2], vectors[:2], 3).shape, (3, 2))  # fewer vectors than codes

    def test_scaling_the_encoder_leaves_a_pass_under_way_intact(self):
        torch.manual_seed(4)
        codebook = Codebook(tiny.recipe().codebook, 677)
        vectors = codebook.latent_vectors(torch.randint(0, 677, (2, 3, 10)), torch.tensor([5, 6]))
        before = vectors.detach().clone()
        codebook.fold_scale(vectors.detach().flatten(0, 1).mean(0), torch.full((8,), 2.0))
        vectors.sum().backward()  # in fp32 it read the very weights that were being changed
        after = codebook.latent_vectors(torch.randint(0, 677, (1, 1, 10)), torch.tensor([5]))
        self.assertEqual(after.shape, (1, 1, 8))
        self.assertTrue(torch.equal(before, vectors.detach()))

    def test_rare_steps_count_in_the_final_codes(self):
        torch.manual_seed(2)
        tokenizer, recipe = Tokenizer(build(24)), tiny.recipe()
        codebook = Codebook(recipe.codebook, tokenizer.text_size).eval()
        source = TaskSource("x", lambda rng, count, easy: Problem("x", "", tuple(
            Question(" How many?", (" Tom has 5.",) if rng.random() < 0.99 else (" Tom has 87.",), " 5", 1) for _ in range(count))))
        vectors = representative_vectors(codebook, tokenizer, [source], random.Random(3), 400)
        usual = vectors[0]
        self.assertEqual(len(vectors), 1600)
        rare = (vectors - usual).abs().max(-1).values > 1e-4
        self.assertAlmostEqual(rare.float().mean().item(), 0.25, delta=0.05)  # half of the distinct half; 1 % as drawn

    def test_steps_become_chunks(self):
        tokenizer, config = Tokenizer(build(2)), tiny.recipe().codebook
        steps = (" Every lempus is a numpus.", " Tom is a lempus.")
        found = chunks_of(tokenizer, steps, config)
        self.assertEqual([tokenizer.decode(list(ids)) for ids in found], list(steps))
        self.assertEqual(len(padded(found[0], 10)), 10)
        config.chunk_tokens = 4
        with self.assertRaisesRegex(ValueError, "Every lempus is a numpus.*5 tokens, a chunk holds 4"):
            chunks_of(tokenizer, steps, config)
        self.assertEqual(prompt_tail([3, 4], 4), [0, 0, 3, 4])

    def test_token_chunks_cut_the_text_every_so_many_tokens(self):
        tokenizer, recipe = Tokenizer(build(2)), tiny.recipe()
        recipe.codebook.chunking, recipe.codebook.chunk_tokens = "tokens", 4
        steps = (" Every lempus is a numpus.", " Tom is a lempus.")
        found = chunks_of(tokenizer, steps, recipe.codebook)
        self.assertEqual([len(ids) for ids in found], [4, 4, 1])
        self.assertEqual([token for ids in found for token in ids], tokenizer.encode("".join(steps)))
        batch = TraceBatch([("prosqa", " Is Tom a lempus or numpus?", steps)], tokenizer, recipe)
        self.assertEqual((batch.text.shape, batch.valid.tolist()), ((1, 3, 4), [[True] * 3]))
        self.assertEqual(batch.text[0, 2].tolist(), [*found[2], 0, 0, 0])

    def test_conclusion_is_the_new_information(self):
        self.assertEqual(conclusion("prosqa", " Every lempus is a numpus."), "lempus")
        self.assertEqual(conclusion("prosqa", " Tom is a numpus."), "Tom")
        self.assertEqual(conclusion("prosqa", " Every lempus is a numpus.", "forward"), "numpus")
        self.assertEqual(conclusion("prontoqa", " Every wumpus is an impus. Fae is an impus."), "impus")
        self.assertEqual(conclusion("prontoqa", " Every wumpus is not hot. Fae is not hot."), "not hot")
        self.assertEqual([conclusion("arithmetic", step) for step in (" Start with Leo.", " Tom depends on Leo.", " Tom has 12.")], ["Leo", "Tom", "12"])
        self.assertEqual([conclusion("maze", step) for step in (" Head for 45.", " Go left from 64 to 54.", " Take red.")], ["Head 45", "Go 54", "Take red"])


if __name__ == "__main__":
    unittest.main()
