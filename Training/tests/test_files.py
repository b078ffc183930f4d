"""`python3 -m unittest tests.test_files`"""
import contextlib
import io
import json
import os
import struct
import tempfile
import unittest
import zlib
from unittest import mock

import torch

from tessera_training import checkpoint, config, evaluate, files, png, safetensors_file
from tessera_training.curves import Curves
from tessera_training.model import ModelShape, TesseraLlama
from tessera_training.tasks import prosqa
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train import Run
from tessera_training.vqvae import Codebook
from tests import tiny


def codebook(codes: int = 24) -> Codebook:
    settings = tiny.recipe().codebook
    settings.codes = codes
    return Codebook(settings, Tokenizer(build(codes)).text_size).eval()


class WritingTests(unittest.TestCase):
    def test_nothing_is_left_after_a_failure(self):
        with tempfile.TemporaryDirectory() as place:
            folder = os.path.join(place, "out")
            with files.written_together(folder) as temporary, open(os.path.join(temporary, "a"), "w") as file:
                file.write("first")
            with self.assertRaises(KeyError):
                with files.written_together(folder) as temporary:
                    with open(os.path.join(temporary, "a"), "w") as file:
                        file.write("second")
                    raise KeyError
            self.assertEqual(os.listdir(place), ["out"])
            with open(os.path.join(folder, "a")) as file:
                self.assertEqual(file.read(), "first")

    def test_bad_input_ends_with_one_line_and_status_2(self):
        def main():
            raise ValueError("x.toml: unknown\n keys")

        written = io.StringIO()
        with contextlib.redirect_stderr(written), self.assertRaises(SystemExit) as ended:
            files.run(main)
        self.assertEqual((ended.exception.code, written.getvalue()), (2, "error: x.toml: unknown keys\n"))


class BadInputTests(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def path(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_evaluator_refuses_tasks_that_it_does_not_know_and_a_scope_without_any(self):
        for options, said in ((["--tasks", "prosqa,proof"], "--tasks: unknown ['proof']"), (["--tasks", "none", "--scope"], "--scope: ")):
            with mock.patch("sys.argv", ["evaluate", "--checkpoint", self.folder, *options]), self.assertRaises(ValueError) as raised:
                evaluate.main()
            self.assertIn(said, str(raised.exception))

    def test_recipe_errors_name_file_and_key(self):
        for text, expected in (("seed = ", "bad.toml: "), ("[mix]\nrate = 1", r"bad.toml: .*mix\.rate"), ("[mix]\nstrategy = 'x'", "bad.toml: mix.strategy"),
                               ("[codebook]\nquantizer = 'fsq'", "bad.toml: codebook.fsq_levels"), ("[codebook]\nchunking = 'x'", "codebook.chunking")):
            with self.assertRaisesRegex(ValueError, expected):
                config.load(self.path("bad.toml", text))

    def test_released_file_errors_name_file_and_entry(self):
        with self.assertRaisesRegex(ValueError, "p.json: not JSON"):
            prosqa.read_released(self.path("p.json", "[{"))
        good = {"question": "A is a b. Is A a b or c?", "answer": "A is a b.", "idx_to_symbol": ["A", "b", "c"], "edges": [[0, 1]], "target": 1, "neg_target": 2}
        with self.assertRaisesRegex(ValueError, "p.json: entry 1: .*'edges'"):
            prosqa.read_released(self.path("p.json", json.dumps([good, {key: good[key] for key in good if key != "edges"}])))

    def test_checkpoint_of_another_shape_is_refused_by_tensor(self):
        tokenizer = Tokenizer(build(4))
        shape = ModelShape(tokenizer.size, dim=32, layers=1, heads=2, mlp_dim=32, ngrams=0, max_positions=64)
        checkpoint.save(self.folder, TesseraLlama(shape), tokenizer, {"evaluation": []})
        path = os.path.join(self.folder, "model.safetensors")
        tensors = safetensors_file.read(path)
        tensors["model.norm.weight"] = torch.ones(16)
        safetensors_file.write(path, tensors)
        with self.assertRaisesRegex(ValueError, r"model.safetensors: model.norm.weight: expected shape \(32,\), found \(16,\)"):
            checkpoint.load(self.folder)

    def test_codebook_of_another_vocabulary_or_shape_is_refused(self):
        other = codebook()
        other.text_size -= 1
        with self.assertRaisesRegex(ValueError, "vocabulary of .* text tokens"):
            Run(tiny.recipe(), other, os.path.join(self.folder, "run"))
        codebook().save(self.folder)
        path = os.path.join(self.folder, "codebook.safetensors")
        tensors = safetensors_file.read(path)
        tensors["codes"] = tensors["codes"][:3].clone()
        safetensors_file.write(path, tensors)
        with self.assertRaisesRegex(ValueError, r"codebook.safetensors: codes: codebook.json expects shape \(24, 8\), found \(3, 8\)"):
            Codebook.load(self.folder)

    def test_state_of_another_shape_is_refused(self):
        run = Run(tiny.recipe(), codebook(), self.folder)
        run.save()
        path = os.path.join(self.folder, "recipe.json")
        with open(path, encoding="utf-8") as file:
            recipe = json.load(file)
        recipe["model"]["mlp_dim"] = 32
        checkpoint.write_json(path, recipe)
        with self.assertRaisesRegex(ValueError, "state.pt: blocks.0.gate_up.weight: recipe.json expects shape"):
            Run.open(self.folder)


class CurveTests(unittest.TestCase):
    def test_png_decodes_to_the_drawn_pixels(self):
        image = png.blank(30, 20)
        png.line(image, [(2, 3), (12, 3)], "#ff0000", thickness=1)
        png.text(image, 5, 8, "1")
        data = png.encode(image)
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", data[16:24]), (30, 20))
        start = data.index(b"IDAT")
        (length,) = struct.unpack(">I", data[start - 4:start])
        raw = zlib.decompress(data[start + 4:start + 4 + length])
        rows = [raw[91 * row + 1:91 * (row + 1)] for row in range(20)]
        self.assertEqual((rows[3][6:9], rows[3][36:39], rows[4][6:9]), (b"\xff\0\0", b"\xff\0\0", b"\xff" * 3))
        self.assertEqual(rows[8][3 * 7:3 * 8], b"\0\0\0")  # the tip of the 1

    def test_curves_have_a_line_per_task_and_series(self):
        records = [{"task": task, "tokens": 100 * step, "text": 0.5, "answer": step / 10} for step in range(1, 10) for task in ("prosqa", "arithmetic")]
        curves = Curves(records)
        self.assertEqual([(task, name) for task, name, _, _ in curves.lines],
                         [("prosqa", "text"), ("prosqa", "answer"), ("arithmetic", "text"), ("arithmetic", "answer")])
        self.assertEqual(curves.lines[0][2][-1], curves.place(900, 0.5))
        self.assertIn("arithmetic: answer 0.90", curves.svg())
        self.assertGreater(len(curves.png()), 1000)


if __name__ == "__main__":
    unittest.main()
