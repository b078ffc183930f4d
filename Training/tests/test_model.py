"""`python3 -m unittest tests.test_model`"""
import os
import tempfile
import unittest

import torch

from tessera_training import checkpoint, safetensors_file
from tessera_training.init import copying_layers, latent_aliases, matching_layers, spelling_aliases, structured_init
from tessera_training.model import GenerationState, ModelShape, SwiGlu, TesseraLlama
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.vqvae import Codebook
from tests import tiny


def model(ngrams: int = 3, vocab: int = 60, tied: bool = True) -> TesseraLlama:
    torch.manual_seed(0)
    made = TesseraLlama(ModelShape(vocab, dim=64, layers=2, heads=4, mlp_dim=96, ngrams=ngrams, max_positions=256), tied)
    for block in made.blocks:
        torch.nn.init.normal_(block.o.weight, std=0.2)
        torch.nn.init.normal_(block.down.weight, std=0.2)
    return made.eval()


class SwiGluTests(unittest.TestCase):
    def test_value_and_gradient_are_those_of_autograd(self):
        torch.manual_seed(0)
        fused = torch.randn(3, 5, 8, dtype=torch.double, requires_grad=True)
        gate, up = fused.chunk(2, -1)
        torch.testing.assert_close(SwiGlu.apply(fused), torch.nn.functional.silu(gate) * up)
        self.assertTrue(torch.autograd.gradcheck(SwiGlu.apply, (fused,)))


class ModelTests(unittest.TestCase):
    @torch.no_grad()
    def test_branches_equal_the_plain_pass(self):
        for ngrams in (0, 3):
            m = model(ngrams)
            lengths = [9, 2, 14]
            prompts = torch.zeros(3, 16, dtype=torch.long)
            for index, length in enumerate(lengths):
                prompts[index, :length] = torch.randint(1, 60, (length,))
            branches = torch.randint(1, 60, (3, 4, 7))
            outputs: list[torch.Tensor] = []
            hidden = m.branch_hidden(prompts, torch.tensor(lengths), branches, outputs=outputs)
            self.assertEqual([tuple(output.shape) for output in outputs], [tuple(hidden.shape)] * m.shape.layers)
            self.assertTrue(torch.equal(outputs[-1], hidden))
            logits = m.logits(hidden)
            for index, length in enumerate(lengths):
                for branch in range(4):
                    whole = m(torch.cat([prompts[index, :length], branches[index, branch]])[None])[0, length:]
                    torch.testing.assert_close(logits[index, branch], whole, atol=2e-4, rtol=1e-4)

    @torch.no_grad()
    def test_cached_steps_equal_the_plain_pass(self):
        m = model()
        prompts = [torch.randint(1, 60, (length,)).tolist() for length in (5, 1, 11)]
        state, tokens = GenerationState(m, prompts, 6), torch.randint(1, 60, (3, 6))
        forked = state.fork()
        seen = [state.next_logits] + [state.append(tokens[:, index]) for index in range(6)]
        for index, prompt in enumerate(prompts):
            whole = m(torch.tensor([prompt + tokens[index].tolist()]))[0, len(prompt) - 1:]
            torch.testing.assert_close(torch.stack([logits[index] for logits in seen]), whole, atol=2e-4, rtol=1e-4)
        torch.testing.assert_close(forked.append(tokens[:, 0]), seen[1])

    @torch.no_grad()
    def test_checkpoint_keeps_the_logits(self):
        torch.manual_seed(1)
        tokenizer = Tokenizer(build(8))
        for ngrams in (0, 3):
            m = model(ngrams, tokenizer.size)
            with tempfile.TemporaryDirectory() as folder:
                description = checkpoint.package_description(tiny.recipe(), tokenizer, 5.0)
                checkpoint.save(folder, m, tokenizer, description)
                loaded, _ = checkpoint.load(folder)
                again = os.path.join(folder, "again")
                checkpoint.save(again, loaded, tokenizer, description)
                first, second = (safetensors_file.read(os.path.join(f, "model.safetensors")) for f in (folder, again))
            ids = torch.randint(0, tokenizer.size, (2, 20))
            torch.testing.assert_close(loaded(ids), m(ids), atol=2e-4, rtol=1e-4)
            self.assertEqual(first.keys(), second.keys())
            self.assertTrue(all(torch.equal(first[name], second[name]) for name in first))
            self.assertEqual("model.ngram_embeddings.3.weight" in first, ngrams == 3)
            self.assertEqual(checkpoint.model_config(m.shape)["model_type"], "tessera_llama" if ngrams else "llama")

    def test_evaluation_rows_survive_a_new_checkpoint(self):
        tokenizer = Tokenizer(build(8))
        description = checkpoint.package_description(tiny.recipe(), tokenizer, 5.0)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.save(folder, model(0, tokenizer.size), tokenizer, description | {"evaluation": [{"task": "x"}]})
            checkpoint.save(folder, model(0, tokenizer.size), tokenizer, description)
            with open(os.path.join(folder, "tessera.json"), encoding="utf-8") as file:
                self.assertIn('"task": "x"', file.read())

    def test_structured_init_shares_codes_and_matches_sentences(self):
        tokenizer = Tokenizer(build(8))
        aliases = spelling_aliases(tokenizer)
        token = {text: tokenizer.encode(text)[0] for text in (" lemp", " Lemp", "Lemp", " Tom", "Tom", " numpus")}
        self.assertEqual((aliases[token[" Lemp"]], aliases[token["Lemp"]], aliases[token["Tom"]]), (token[" lemp"], token[" lemp"], token[" Tom"]))
        m = model(3, tokenizer.size)
        structured_init(m, aliases, scale=1.3, copy_scale=0.5)
        rows = m.embed.weight[:, :16]
        similar = torch.cosine_similarity(rows[token[" lemp"]], rows[token["Lemp"]], dim=0)
        other = torch.cosine_similarity(rows[token[" lemp"]], rows[token[" numpus"]], dim=0)
        self.assertGreater(similar, 0.7)
        self.assertLess(other, 0.7)

    def test_deeper_models_start_with_more_hops(self):
        self.assertEqual([(list(matching_layers(n)), list(copying_layers(n))) for n in (5, 8)], [([1, 2, 3], [1, 2]), ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5])])

    def test_latent_starts_as_the_token_that_tells_most_about_it(self):
        recipe = tiny.recipe()
        torch.manual_seed(0)
        tokenizer = Tokenizer(build(24))
        aliases = latent_aliases(Codebook(recipe.codebook, tokenizer.text_size), tokenizer, recipe, count=60)
        self.assertTrue(aliases)
        self.assertTrue(all(latent >= tokenizer.first_latent and 1 < source < tokenizer.text_size for latent, source in aliases.items()))


class SafetensorsTests(unittest.TestCase):
    def test_tensors_survive_and_broken_files_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.safetensors")
            tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "scalar": torch.tensor(2.5)}
            safetensors_file.write(path, tensors, {"format": "pt"})
            back = safetensors_file.read(path)
            self.assertTrue(all(torch.equal(tensors[name], back[name]) for name in tensors))
            with open(path, "r+b") as file:
                file.truncate(os.path.getsize(path) - 8)
            with self.assertRaises(ValueError):
                safetensors_file.read(path)
            with self.assertRaises(ValueError):
                safetensors_file.write(path, {"d": torch.zeros(2, dtype=torch.float64)})


if __name__ == "__main__":
    unittest.main()
