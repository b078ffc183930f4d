"""`python3 -m unittest tests.test_hf_tokenizer`"""
import copy
import json
import os
import random
import unittest

from tessera_training.hf import bpe, extend, fixtures, sentencepiece_reference
from tessera_training.hf.errors import CheckpointError
from tessera_training.hf.patterns import BYTE_LEVEL, LLAMA3, QWEN2, translate
from tessera_training.hf.tokenizer import BpeTokenizer, _isolate, merge
from tessera_training.hf.traces import LatentTokenizer

FAMILIES = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "Exporter.Tests", "fixtures", "families")
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>"]


def described(style: str = "llama3") -> dict:
    return bpe.describe(style, fixtures.CORPUS, 24, SPECIAL)


class PatternTests(unittest.TestCase):
    def pieces(self, pattern: str, text: str) -> list[str]:
        return _isolate(translate(pattern, "tokenizer.json", "pattern"), text)

    def test_published_patterns_split_as_published(self):
        text = "I'll pay 12345 dollars!!\n\n  Ok, naïve Ελλάδα_x"
        self.assertEqual(self.pieces(LLAMA3, text),
                         ["I", "'ll", " pay", " ", "123", "45", " dollars", "!!\n\n", " ", " Ok", ",", " naïve", " Ελλάδα", "_x"])
        self.assertEqual(self.pieces(QWEN2, text)[3:9], [" ", "1", "2", "3", "4", "5"])
        self.assertEqual(self.pieces(BYTE_LEVEL, text)[3:6], [" 12345", " dollars", "!!"])
        self.assertEqual(self.pieces(LLAMA3, "WE'VE it'S"), ["WE", "'VE", " it", "'S"])

    def test_classes_are_those_of_unicode(self):
        self.assertEqual(self.pieces(r"\p{L}+", "a𝒜漢1²"), ["a𝒜漢", "1²"])
        self.assertEqual(self.pieces(r"\p{N}+", "a1²Ⅷ½"), ["a", "1²Ⅷ½"])
        self.assertEqual(self.pieces(r"[^\s\p{L}]+", "a\u001cb \u0085!"), ["a", "\u001c", "b \u0085", "!"])  # a separator is a space for `re`, not here
        self.assertEqual(self.pieces(r"\P{Lu}", "aB"), ["a", "B"])
        self.assertEqual(self.pieces(r"\p{^L}|\pL+", "ab1"), ["ab", "1"])

    def test_what_the_server_refuses_is_refused(self):
        for pattern in (r"\w+", r"^a", r"a$", r"\ba", r"[a[b]]", r"[]a]", r"\p{Han}", r"(a", "a" * 20_000, r"[^\S]"):
            with self.assertRaisesRegex(CheckpointError, "tokenizer.json: pattern: expected "):
                translate(pattern, "tokenizer.json", "pattern")


class BpeTests(unittest.TestCase):
    def test_merges_go_by_rank_and_then_from_the_left(self):
        ranks = {("b", "c"): 0, ("a", "b"): 1, ("a", "bc"): 2, ("a", "a"): 3}
        self.assertEqual(merge(list("abc"), ranks), ["abc"])
        self.assertEqual(merge(list("abab"), ranks), ["ab", "ab"])
        self.assertEqual(merge(list("aaa"), ranks), ["aa", "a"])
        self.assertEqual(merge(list("x"), ranks), ["x"])

    def test_training_takes_the_commonest_pair_first(self):
        self.assertEqual(bpe.train_merges("lo low lo lot", LLAMA3, 3), [("l", "o"), ("Ġ", "lo"), ("Ġlo", "t")])

    def test_whole_words_need_no_merges_where_the_file_says_so(self):
        description = described()
        description["model"]["vocab"]["Ġzq"] = len(description["model"]["vocab"]) + len(SPECIAL)
        ignoring, plain = BpeTokenizer(description), copy.deepcopy(description)
        plain["model"]["ignore_merges"] = False
        self.assertEqual(len(ignoring.encode(" zq")), 1)
        self.assertEqual(len(BpeTokenizer(plain).encode(" zq")), 3)

    def test_every_text_survives(self):
        rng = random.Random(3)
        for style in ("llama3", "smollm2"):
            tokenizer = BpeTokenizer(described(style))
            for _ in range(200):
                text = fixtures.random_text(rng)
                self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)

    def test_qwen_composes_first(self):
        tokenizer = BpeTokenizer(described("qwen2"))
        self.assertEqual(tokenizer.encode("e\u0301"), tokenizer.encode("é"))

    def test_smollm_keeps_digits_apart(self):
        tokenizer = BpeTokenizer(described("smollm2"))
        self.assertEqual([tokenizer.decode([token]) for token in tokenizer.encode("in 2024")][-5:], [" ", "2", "0", "2", "4"])

    def test_special_text_is_special_only_when_allowed(self):
        tokenizer = BpeTokenizer(described())
        ids = tokenizer.encode("a<|pad|>b", allow_special=True)
        self.assertEqual(ids[1], tokenizer.added["<|pad|>"])
        self.assertEqual(tokenizer.decode(ids, skip_special=True), "ab")
        self.assertFalse(set(tokenizer.encode("a<|pad|>b")) & tokenizer.special_ids)

    def test_files_that_are_not_done_are_refused_by_field(self):
        def change(path: str, value: object) -> dict:
            description = described()
            *owners, last = path.split(".")
            target = description
            for owner in owners:
                target = target[int(owner)] if isinstance(target, list) else target[owner]
            target[int(last) if isinstance(target, list) else last] = value
            return description

        for path, value, named in (
            ("model.type", "Unigram", "model.type"), ("model.byte_fallback", True, "model.vocab"), ("model.unk_token", "<unk>", "model.unk_token"),
            ("normalizer", {"type": "Lowercase"}, "normalizer.type"), ("decoder", {"type": "Metaspace"}, "decoder.type"), ("decoder", None, "decoder"),
            ("pre_tokenizer", {"type": "Metaspace"}, "pre_tokenizer"), ("pre_tokenizer.pretokenizers.0.behavior", "Removed", "pre_tokenizer.pretokenizers"),
            ("added_tokens.0.lstrip", True, "added_tokens"), ("added_tokens.0.id", 5, "model.vocab"), ("added_tokens.2.id", 900, "model.vocab"),
            ("model.merges.0", "a", "model.merges"), ("model.merges.0", "Ġ 漢", "model.merges"),
        ):
            with self.assertRaisesRegex(CheckpointError, f"^tokenizer.json: {named}.*: expected .*, found "):
                BpeTokenizer(change(path, value))

    def test_recorded_ids_are_those_of_the_files(self):
        with open(os.path.join(FAMILIES, fixtures.TOKENIZER_REFERENCE), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        tokenizers = {name: BpeTokenizer.load(os.path.join(FAMILIES, name, "tokenizer.json")) for name in fixtures.REFERENCE_STYLES}
        self.assertEqual(len(lines), 600)
        self.assertTrue(all(tokenizers[line["tokenizer"]].encode(line["text"]) == line["ids"] for line in lines))


class SentencePieceTests(unittest.TestCase):
    RECORDED = os.path.join(FAMILIES, "..", "..", "..", "Models.Tests", "fixtures", "sentencepiece")

    def setUp(self):
        self.description = bpe.describe("llama2", fixtures.CORPUS, 100, sentencepiece_reference.SPECIAL)

    def test_words_begin_with_the_mark_and_unknown_characters_are_bytes(self):
        tokenizer = BpeTokenizer(self.description)
        self.assertEqual([tokenizer.tokens[token] for token in tokenizer.encode("Tom é")], ["\u2581Tom", "\u2581", "<0xC3>", "<0xA9>"])
        self.assertEqual(tokenizer.decode(tokenizer.encode("  Tom é\n"), skip_special=True), "  Tom é\n")
        self.assertEqual(tokenizer.decode(tokenizer.encode("Tom")), "Tom")
        self.assertTrue(tokenizer.adds_leading_space)

    def test_recorded_ids_are_what_the_file_gives(self):
        with open(os.path.join(self.RECORDED, "reference.json"), encoding="utf-8") as file:
            recorded = json.load(file)
        with open(os.path.join(self.RECORDED, "tokenizer.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), self.description)
        self.assertEqual(recorded["cases"], sentencepiece_reference.cases(self.description, 0, 60))

    def test_other_stages_are_refused_by_field(self):
        for change, named in (({"normalizer": {"type": "NFC"}}, "normalizer"), ({"pre_tokenizer": {"type": "ByteLevel"}}, "pre_tokenizer"),
                              ({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "last"}}, "pre_tokenizer.prepend_scheme"),
                              ({"decoder": {"type": "ByteFallback"}}, "decoder")):
            with self.assertRaisesRegex(CheckpointError, f"^tokenizer.json: {named}: expected .*, found "):
                BpeTokenizer(self.description | change)

    def test_extending_moves_the_first_token_and_adds_a_pad(self):
        self.assertEqual(extend.beginning_of_text(self.description), "<s>")
        extended, vocabulary = extend.extend_tokenizer(self.description, 2, pad="<pad>")
        self.assertIsNone(extended["post_processor"])
        self.assertEqual(BpeTokenizer(extended).added["<latent_1>"], vocabulary.first_latent + 1)


class ExtendTests(unittest.TestCase):
    def test_new_tokens_follow_in_the_order_of_packages(self):
        description = described()
        extended, vocabulary = extend.extend_tokenizer(description, 3)
        size = BpeTokenizer(description).size
        self.assertEqual([(token["id"], token["content"], token["special"]) for token in extended["added_tokens"][3:]],
                         [(size + i, token, True) for i, token in enumerate(("<think>", "</think>", "<boLatent>", "<eoLatent>", "<latent_0>", "<latent_1>", "<latent_2>"))])
        self.assertEqual((vocabulary.first_latent, vocabulary.end), (size + 4, size + 7))
        self.assertEqual(extended["model"], description["model"])

    def test_the_token_that_texts_begin_with_moves_to_the_chat_format(self):
        description = described()
        self.assertEqual(extend.beginning_of_text(description), "<|begin_of_text|>")
        extended, _ = extend.extend_tokenizer(description, 3)
        self.assertEqual(extended["post_processor"]["type"], "ByteLevel")
        self.assertIsNone(extend.beginning_of_text(described("qwen2")))

    def test_taken_names_are_refused(self):
        extended, _ = extend.extend_tokenizer(described(), 3)
        with self.assertRaisesRegex(CheckpointError, "tokenizer.json: added_tokens: expected no token '<think>'.*, found id "):
            extend.extend_tokenizer(extended, 3)
        other, _ = extend.extend_tokenizer(bpe.describe("qwen2", "", 0, ["<think>", "</think>"]), 3, ("<reason>", "</reason>", "<boLatent>", "<eoLatent>"))
        self.assertEqual(other["added_tokens"][2]["content"], "<reason>")

    def test_prompts_are_encoded_as_the_server_does_it(self):
        extended, vocabulary = extend.extend_tokenizer(described(), 3)
        tokenizer = LatentTokenizer(extended, vocabulary, "<|pad|>", "<|end_of_text|>")
        self.assertEqual(tokenizer.encode_between("<|begin_of_text|>Q: ", "Tom <think>", "\n"),
                         [tokenizer.added["<|begin_of_text|>"], *tokenizer.encode("Q: Tom <think>\n")])
        self.assertEqual(tokenizer.text_mask().sum().item(), tokenizer.text_size - len(SPECIAL))


if __name__ == "__main__":
    unittest.main()
