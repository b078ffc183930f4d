"""`python3 -m unittest tests.test_tokenizer`"""
import json
import os
import random
import tempfile
import unittest

from tessera_training.tasks import load_sources
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.tokenizer_reference import random_text

TOKENIZER = Tokenizer(build(32))


def pieces(text: str) -> list[str]:
    return [TOKENIZER.decode([token]) for token in TOKENIZER.encode(text)]


class TokenizerTests(unittest.TestCase):
    def test_sentences_split_as_documented(self):
        for text, expected in (
            (" Every lempus is a numpus.", [" Every", " lemp", "us is a", " nump", "us."]),
            (" Tom is a lempus.", [" Tom", " is a", " lemp", "us."]),
            (" Wumpuses are tumpuses.", [" Wump", "uses are", " tump", "uses."]),
            (" Is Tom a lempus or scrompus?", [" Is", " Tom", " a", " lemp", "us or", " scromp", "us?"]),
            (" Every wumpus is not hot.", [" Every", " wump", "us is not", " hot", "."]),
            (" True or false: Fae is angry.", [" True or false:", " Fae", " is", " angry", "."]),
            ("Each impus is an impus.", ["Each", " imp", "us is an", " imp", "us."]),
            ("Tom has 4 fewer than Leo.", ["Tom has", " 4 fewer than", " Leo", "."]),
            (" Zoe keeps 14 eggs. Kim owns half as many as Zoe.",
             [" Zoe keeps", " 14", " eggs", ".", " Kim owns", " half as many as", " Zoe", "."]),
            (" How many eggs does Kim have?", [" How many", " eggs", " does", " Kim", " have?"]),
            (" Tom depends on Leo. Tom has 5.", [" Tom", " depends on", " Leo", ".", " Tom has", " 5", "."]),
            ("every lempus is a numpus. tom is a lempus.", ["every", " lemp", "us is a", " nump", "us.", " tom", " is a", " lemp", "us."]),
            ("7 73 735", ["7", " 73", " 73", "5"]),
        ):
            self.assertEqual(pieces(text), expected)

    def test_random_text_survives(self):
        rng = random.Random(0)
        for _ in range(2000):
            text = random_text(rng)
            self.assertEqual(TOKENIZER.decode(TOKENIZER.encode(text)), text)

    def test_task_text_needs_no_byte_tokens_but_punctuation(self):
        rng = random.Random(1)
        for source in load_sources(["prosqa", "prontoqa", "arithmetic"], variant_rate=0.5):
            problem = source.make(rng, 3, False)
            for question in problem.questions:
                for token in TOKENIZER.encode(problem.facts + question.text + "".join(question.steps) + question.answer):
                    self.assertTrue(token >= 258 or TOKENIZER.decode([token]) == ".")

    def test_maze_words_come_with_the_maze_alone(self):
        tokenizer, rng = Tokenizer(build(8, ["maze"])), random.Random(5)
        self.assertEqual(len(Tokenizer(build(8)).encode(" door")), 5)
        for _ in range(5):
            problem = load_sources(["maze"])[0].make(rng, 2, False)
            for question in problem.questions:
                for token in tokenizer.encode(problem.facts + question.text + "".join(question.steps) + question.answer):
                    self.assertTrue(token >= 258 or tokenizer.decode([token]) in ".?:123", tokenizer.decode([token]))

    def test_ids_are_laid_out_text_delimiters_latents(self):
        t = TOKENIZER
        self.assertEqual((t.pad, t.eos), (0, 1))
        self.assertEqual([t.think, t.end_think, t.bo_latent, t.eo_latent, t.first_latent], [t.text_size + i for i in range(5)])
        self.assertEqual((t.latent_count, t.size), (32, t.first_latent + 32))
        self.assertEqual(t.token(t.first_latent + 31), "<latent_31>")

    def test_special_text_is_special_only_when_allowed(self):
        t, text = TOKENIZER, "a<eos><latent_3><think>"
        self.assertEqual(t.encode(text, allow_special=True)[1:], [t.eos, t.first_latent + 3, t.think])
        self.assertTrue(all(token < t.text_size and token > 1 for token in t.encode(text)))
        self.assertEqual(t.decode(t.encode(text)), text)
        self.assertEqual(t.decode(t.encode(text, allow_special=True), skip_special=True), "a")

    def test_saved_file_is_what_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokenizer.json")
            TOKENIZER.save(path)
            again = Tokenizer.load(path)
            with open(path, encoding="utf-8") as file:
                self.assertTrue(json.load(file)["model"]["ignore_merges"])
        self.assertEqual(again.encode(" Tom is a lempus. é"), TOKENIZER.encode(" Tom is a lempus. é"))

    def test_merges_are_refused(self):
        description = build(2)
        description["model"]["merges"] = ["a b"]
        with self.assertRaises(ValueError):
            Tokenizer(description)


if __name__ == "__main__":
    unittest.main()
