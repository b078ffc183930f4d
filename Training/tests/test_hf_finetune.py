"""`python3 -m unittest tests.test_hf_finetune`"""
import dataclasses
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

import torch

from tessera_training import devices, files, finetune, safetensors_file
from tessera_training.generate import Mode
from tessera_training.hf import codebook as codebooks
from tessera_training.hf import data, extend, recipe
from tessera_training.hf.config import load, parse
from tessera_training.hf.errors import CheckpointError
from tessera_training.hf.evaluate import evaluate, normalised, write
from tessera_training.hf.generate import generate
from tessera_training.hf.prepare import initial_model, opened, prepare
from tessera_training.hf.recipe import FinetuneMix
from tessera_training.hf.trainer import FinetuneRun
from tessera_training.hf.traces import IGNORED, draw_replaced, pad_rows, row
from tessera_training.hf.weights import load_model, read_tensors

HERE = os.path.dirname(__file__)
FAMILIES = os.path.join(HERE, "..", "..", "tests", "Exporter.Tests", "fixtures", "families")
GSM8K = os.path.join(HERE, "data", "gsm8k_sample.jsonl")
PROBLEMS = [{"prompt": f"Tom has {n} clips and buys {m} more.", "steps": [f"Tom has {n} clips.", f"{n} + {m} = {n + m}."], "answer": str(n + m)}
            for n in range(2, 7) for m in range(3, 7)]
RECIPE = """
[data]
validation_share = 0.2
[codebook]
codes = 8
dim = 16
code_dim = 4
heads = 1
steps = 6
batch = 4
final_traces = 50
[train]
bf16 = false
steps = 4
batch = 4
micro_batch = 4
lr = 1e-3
evaluate_every = 2
"""


def setUpModule() -> None:
    global FOLDER, CHECKPOINT, DATA, BASE
    FOLDER = tempfile.mkdtemp()
    CHECKPOINT, DATA, BASE = os.path.join(FAMILIES, "qwen2-padded-base"), os.path.join(FOLDER, "problems.jsonl"), os.path.join(FOLDER, "base")
    with open(DATA, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(problem) + "\n" for problem in PROBLEMS)
    with open(os.path.join(FOLDER, "recipe.toml"), "w", encoding="utf-8") as file:
        file.write(RECIPE)
    prepare(made_recipe(), BASE, None, devices.CPU, lambda text: None)


def tearDownModule() -> None:
    shutil.rmtree(FOLDER)


def made_recipe(**changes: object) -> recipe.FinetuneRecipe:
    made = recipe.load(os.path.join(FOLDER, "recipe.toml"))
    made.checkpoint, made.data.file = CHECKPOINT, DATA
    return dataclasses.replace(made, **changes)


def new_run(name: str, **train: object) -> FinetuneRun:
    """A run of its own in a copy of the prepared folder."""
    folder = os.path.join(FOLDER, name)
    shutil.copytree(BASE, folder)
    prepared = opened(folder)
    prepared.recipe.train = dataclasses.replace(prepared.recipe.train, **train)
    return FinetuneRun(prepared, folder, devices.Placement())


def quietly(call, *arguments: object, **named: object) -> str:
    with redirect_stdout(io.StringIO()) as output:
        call(*arguments, **named)
    return output.getvalue()


class DataTests(unittest.TestCase):
    def read(self, *lines: str) -> list[data.Example]:
        path = os.path.join(FOLDER, "some.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        return data.read(path)

    def test_both_forms_are_read(self):
        examples = data.read(GSM8K)
        self.assertEqual(len(examples), 12)
        self.assertEqual(examples[0].steps, ("Natalia sold 48/2 = 24 clips in May.", "Natalia sold 48+24 = 72 clips altogether in April and May."))
        self.assertEqual(examples[0].answer, "72")
        self.assertIn("<<48/2=24>>24", data.read(GSM8K, keep_annotations=True)[0].steps[0])
        self.assertEqual(data.read(DATA)[0], data.Example("Tom has 2 clips and buys 3 more.", ("Tom has 2 clips.", "2 + 3 = 5."), "5"))

    def test_a_bad_line_is_one_error_with_file_and_line(self):
        good = json.dumps(PROBLEMS[0])
        for bad, named in (("{", "the line"), ("[]", "the line"), ('{"prompt": "a", "steps": [], "answer": ""}', "answer"),
                           ('{"prompt": "a", "steps": "b", "answer": "c"}', "steps"), ('{"prompt": "a", "steps": ["b", 3], "answer": "c"}', "steps"),
                           ('{"prompt": 1, "steps": ["b"], "answer": "c"}', "prompt"), ('{"prompt": "a", "steps": [], "answer": "c", "id": 1}', "id"),
                           ('{"question": "a", "answer": "no result"}', "answer"), ('{"prompt": "\\ud800", "steps": [], "answer": "c"}', "prompt")):
            with self.assertRaisesRegex(CheckpointError, f"some.jsonl, line 3: {named}: expected .*, found "):
                self.read(good, "", bad)
        with self.assertRaisesRegex(CheckpointError, "some.jsonl: the file: expected at least one problem, found none"):
            self.read("", "")
        with self.assertRaisesRegex(CheckpointError, "none.jsonl: the file"):
            data.read(os.path.join(FOLDER, "none.jsonl"))

    def test_recipes_refuse_unknown_keys_and_bad_values(self):
        self.assertEqual(recipe.parse({"codebook": {"codes": 9}}).codebook.max_steps, 64)
        with open(os.path.join(HERE, "..", "recipes", "finetune", "gsm8k.toml"), "rb") as file:
            shipped = recipe.load(file.name)
        self.assertEqual((shipped.codebook.codes, shipped.codebook.chunk_tokens, shipped.codebook.chunking), (1024, 16, "tokens"))
        for values, named in (({"trian": {}}, "trian"), ({"codebook": {"kodes": 1}}, "codebook.kodes"), ({"mix": {"text_rate": 0.9}}, "mix"),
                              ({"train": {"batch": 0}}, "train.batch"), ({"latents": {"rows": "zero"}}, "latents.rows"),
                              ({"codebook": {"chunking": "words"}}, "codebook.chunking"), ({"codebook": {"quantizer": "lfq"}}, "codebook.quantizer"),
                              ({"codebook": {"quantizer": "fsq", "fsq_levels": [2]}}, "codebook.fsq_levels"), ({"codebook": 3}, "codebook"),
                              ({"data": {"validation_share": 1.0}}, "data.validation_share"), ({"train": {"steps": "many"}}, "train.steps")):
            with self.assertRaisesRegex(ValueError, f"recipe: .*{named}"):
                recipe.parse(values)


class RowTests(unittest.TestCase):
    def test_rows_and_labels_have_the_documented_form(self):
        prepared = opened(BASE)
        tokenizer, found = prepared.tokenizer, prepared.training[0]
        self.assertGreater(len(found.chunks), 1)
        codes = list(range(len(found.chunks)))
        steps = [tokenizer.decode(chunk) for chunk in found.chunks]
        for replaced, reasoning in ((None, ""), (0, "".join(steps)), (1, "<boLatent><latent_0><eoLatent>" + "".join(steps[1:])),
                                    (len(codes), "<boLatent>" + "".join(f"<latent_{code}>" for code in codes) + "<eoLatent>")):
            ids, start = row(tokenizer, found, codes, replaced)
            self.assertEqual(tokenizer.decode(ids), tokenizer.decode(found.prompt) + f"<think>{reasoning}</think>{tokenizer.decode(found.answer)}<|im_end|>")
            self.assertEqual(ids[start - 1], tokenizer.think)
            padded, labels = pad_rows([(ids, start), (ids + [5] * 9, start)], tokenizer.pad)
            self.assertEqual(labels[0, start - 1:len(ids) - 1].tolist(), ids[start:])
            self.assertTrue((labels[0, :start - 1] == IGNORED).all() and (labels[0, len(ids) - 1:] == IGNORED).all())
            self.assertTrue((padded[0, len(ids):] == tokenizer.pad).all())

    def test_chunks_hold_the_steps_text(self):
        for chunks, sizes in (("step", lambda lengths: all(lengths)), ("tokens", lambda lengths: all(length == 16 for length in lengths[:-1]))):
            made = made_recipe()
            made.codebook = dataclasses.replace(made.codebook, chunking=chunks, steps=2)
            folder = os.path.join(FOLDER, f"chunks-{chunks}")
            prepare(made, folder, None, devices.CPU, lambda text: None)
            prepared = opened(folder)
            self.assertEqual(prepared.codebook.config.chunking, chunks)
            for found in prepared.training:
                text = prepared.tokenizer.decode([token for chunk in found.chunks for token in chunk])
                self.assertIn(text.splitlines(), [problem["steps"] for problem in PROBLEMS])
                self.assertTrue(sizes([len(chunk) for chunk in found.chunks]) and max(map(len, found.chunks)) <= 16)

    def test_m_follows_the_rates(self):
        import random

        rng, mix = random.Random(0), FinetuneMix(none_rate=0.1, text_rate=0.2, full_rate=0.3)
        drawn = [draw_replaced(rng, mix, 4) for _ in range(4000)]
        self.assertAlmostEqual(drawn.count(None) / 4000, 0.1, delta=0.02)
        self.assertAlmostEqual(drawn.count(0) / 4000, 0.2 + 0.4 / 5, delta=0.03)
        self.assertAlmostEqual(drawn.count(4) / 4000, 0.3 + 0.4 / 5, delta=0.03)
        self.assertAlmostEqual(drawn.count(2) / 4000, 0.4 / 5, delta=0.02)


class PreparedTests(unittest.TestCase):
    def test_old_rows_keep_every_bit_and_new_rows_follow_the_rule(self):
        for name in ("qwen2-padded-base", "llama3-base"):
            folder = os.path.join(FAMILIES, name)
            config, tensors = load(folder), read_tensors(folder)
            size = extend.BpeTokenizer.load(os.path.join(folder, "tokenizer.json")).size
            vocabulary = extend.LatentVocabulary(extend.DELIMITERS, size, 30)
            grown = extend.extend_config(config, vocabulary)
            self.assertEqual(grown.vocab_size, size + 34)
            extended = extend.extend_tensors(tensors, grown, vocabulary, 0, {2: [7, 7, 9]}, noise=0.0)
            for key, tensor in tensors.items():
                table = key in (extend.EMBEDDINGS, extend.HEAD)
                self.assertTrue(torch.equal(extended[key][:size] if table else extended[key], tensor[:size] if table else tensor), key)
            rows, old = extended[extend.EMBEDDINGS], tensors[extend.EMBEDDINGS][:size].double()
            self.assertTrue(torch.equal(rows[size], old.mean(0).to(rows.dtype)))
            self.assertTrue(torch.equal(rows[vocabulary.first_latent + 2], ((2 * old[7] + old[9]) / 3).to(rows.dtype)))
            noisy = extend.extend_tensors(tensors, grown, vocabulary, 0, noise=0.5)[extend.EMBEDDINGS][size:].double()
            self.assertAlmostEqual(((noisy - old.mean(0)) / old.std(0, unbiased=False)).std().item(), 0.5, delta=0.05)

    def test_padding_gets_a_token_of_its_own_where_the_end_served_for_it(self):
        folder = os.path.join(FOLDER, "no-pad")
        shutil.copytree(CHECKPOINT, folder)
        path = os.path.join(folder, "config.json")
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        for pad in (None, values["eos_token_id"]):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(values | {"pad_token_id": pad, "eos_token_id": [values["eos_token_id"]]}, file)
            made = made_recipe(checkpoint=folder)
            out = os.path.join(FOLDER, f"padded-{pad}")
            prepare(made, out, None, devices.CPU, lambda text: None)
            prepared = opened(out)
            size = extend.BpeTokenizer.load(os.path.join(folder, "tokenizer.json")).size
            self.assertEqual((prepared.tokenizer.pad, prepared.config.raw["pad_token_id"], prepared.tokenizer.think), (size, size, size + 1))
            table = initial_model(prepared, codebooks.codes_of(prepared.codebook, prepared.training, size)).head_weight
            self.assertTrue(torch.equal(table[:size], read_tensors(folder)[extend.EMBEDDINGS][:size].float()))

    def test_a_checkpoint_with_latents_keeps_its_rows(self):
        made = made_recipe(checkpoint=os.path.join(FAMILIES, "llama3-rope-llama3"))
        out = os.path.join(FOLDER, "extended-before")
        prepare(made, out, None, devices.CPU, lambda text: None)
        prepared = opened(out)
        self.assertEqual(prepared.package["chat"]["user"], {"prefix": "<|begin_of_text|>", "suffix": "\n"})
        self.assertEqual(prepared.training[0].prompt[0], prepared.tokenizer.added["<|begin_of_text|>"])
        model = initial_model(prepared, codebooks.codes_of(prepared.codebook, prepared.training, prepared.tokenizer.pad))
        self.assertTrue(torch.equal(model.head_weight, read_tensors(made.checkpoint)[extend.HEAD]))

    def test_padded_rows_are_used_before_the_table_grows(self):
        config = load(CHECKPOINT)
        vocabulary = extend.LatentVocabulary(extend.DELIMITERS, config.vocab_size - 20, 8)
        extended = extend.extend_config(config, vocabulary)
        self.assertEqual(extended.vocab_size, config.vocab_size)
        tensors = extend.extend_tensors(read_tensors(CHECKPOINT), extended, vocabulary, 0)
        self.assertTrue(torch.equal(tensors[extend.EMBEDDINGS][vocabulary.end:], read_tensors(CHECKPOINT)[extend.EMBEDDINGS][vocabulary.end:]))
        with self.assertRaisesRegex(CheckpointError, "config.json: vocab_size: expected at least the tokenizer's"):
            extend.extend_config(config, extend.LatentVocabulary(extend.DELIMITERS, config.vocab_size + 1, 8))

    def test_latents_start_at_the_text_they_stand_for(self):
        prepared = opened(BASE)
        codes = codebooks.codes_of(prepared.codebook, prepared.training, prepared.tokenizer.pad)
        self.assertEqual([len(own) for own in codes], [len(found.chunks) for found in prepared.training])
        tokens = codebooks.tokens_by_code(codes, prepared.training)
        prepared.recipe.latents.noise = 0.0
        table = initial_model(prepared, codes).head_weight
        code, ids = next(iter(tokens.items()))
        torch.testing.assert_close(table[prepared.tokenizer.first_latent + code], table[torch.tensor(ids)].mean(0), atol=2e-2, rtol=2e-2)  # bf16 rows

    def test_codebook_measures_what_it_decodes(self):
        prepared = opened(BASE)
        with open(os.path.join(BASE, "codebook", "codebook.json"), encoding="utf-8") as file:
            described = json.load(file)
        self.assertEqual(described["pad_token_id"], prepared.tokenizer.pad)
        again = codebooks.measure(prepared.codebook, prepared.validation, prepared.tokenizer.pad)
        self.assertEqual(again, described["measured"])
        lengths = [len(chunk) for found in prepared.validation for chunk in found.chunks]
        self.assertAlmostEqual(again["text_tokens_per_latent"], sum(lengths) / len(lengths), places=3)

    def test_codebook_learns_the_traces(self):
        prepared = opened(BASE)
        settings = dataclasses.replace(prepared.codebook.config, steps=120, batch=8, dim=32, heads=2, code_dim=8)
        short = [dataclasses.replace(found, chunks=found.chunks[:1]) for found in prepared.training[:4]]
        scalar = dataclasses.replace(settings, quantizer="fsq", fsq_levels=[2, 2, 2], code_dim=3, steps=20)
        for wanted, least in ((settings, 0.9), (scalar, 0.0)):
            found = codebooks.train(wanted, short, prepared.tokenizer.text_size, prepared.tokenizer.pad, 0, devices.CPU, lambda record: None)
            self.assertGreater(codebooks.measure(found, short, prepared.tokenizer.pad)["token_accuracy"], least)
        self.assertEqual(sorted(set(found.codes.flatten().tolist())), [-0.5, 0.5])  # FSQ's grid does not move


class RunTests(unittest.TestCase):
    def test_resumed_run_equals_an_unbroken_one(self):
        whole = new_run("whole")
        quietly(whole.train)
        part = new_run("part")
        quietly(part.train, until=2)
        resumed = FinetuneRun(opened(part.folder), part.folder, devices.Placement())
        self.assertEqual((resumed.step, resumed.best, resumed.worse), (2, part.best, part.worse))
        quietly(resumed.train)
        self.assertEqual(resumed.step, 4)
        self.assertTrue(all(torch.equal(one, other) for one, other in zip(whole.model.parameters(), resumed.model.parameters())))

        def losses(run: FinetuneRun) -> list:
            with open(os.path.join(run.folder, "log.jsonl"), encoding="utf-8") as file:
                return [(record["step"], record["loss"], record.get("validation")) for record in map(json.loads, file)]

        self.assertEqual(losses(whole), losses(resumed))
        self.assertEqual([validation is not None for _, _, validation in losses(whole)], [False, True, False, True])

    def test_accumulated_and_recomputed_gradients_are_the_same(self):
        whole, parts = new_run("one-pass"), new_run("passes", micro_batch=1, recompute=True)
        for run in (whole, parts):
            run.train_step()
        for (name, one), other in zip(whole.model.named_parameters(), parts.model.parameters()):
            torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4, msg=name)

    def test_training_lowers_the_loss_and_keeps_the_best_checkpoint(self):
        run = new_run("learns", steps=30, evaluate_every=15, lr=1e-2)
        before = run.validate()
        quietly(run.train)
        self.assertLess(run.best, 0.7 * before)
        kept = FinetuneRun(opened(run.folder), run.folder, devices.Placement())
        kept.model.load_state_dict(load_model(os.path.join(run.folder, "checkpoint")).state_dict())
        self.assertAlmostEqual(kept.validate(), run.best, delta=0.02 * run.best)  # stored as bf16

    def test_early_stop_ends_a_run_that_does_not_improve(self):
        run = new_run("stops", steps=10, evaluate_every=1, patience=2, lr=1e-9)
        run.best = 0.0  # nothing is better
        self.assertIn("early stop", quietly(run.train))
        self.assertEqual((run.step, run.stopped), (2, True))
        self.assertFalse(os.path.exists(os.path.join(run.folder, "checkpoint")))

    def test_rate_warms_up_and_falls_as_a_cosine(self):
        run = new_run("rates", steps=100, warmup_share=0.1, lr=1.0, min_lr_share=0.2)
        rates = []
        for run.step in (0, 9, 10, 55, 100):
            rates.append(round(run.learning_rate(), 6))
        self.assertEqual(rates, [0.1, 1.0, 1.0, 0.6, 0.2])

    def test_rows_do_not_depend_on_processes_and_cover_all_problems(self):
        run = new_run("rows")
        count = len(run.prepared.training)
        seen = [tuple(ids[:start]) for step in range(count // 4) for ids, start in run.rows_of_step(step)]
        self.assertEqual(len(set(seen)), count)
        run.place = devices.Placement(devices.CPU, 1, 2)
        self.assertEqual(run.rows_of_step(1), new_run("rows-again").rows_of_step(1))

    def test_batch_must_fit_the_processes(self):
        prepared = opened(BASE)
        with self.assertRaisesRegex(CheckpointError, "train.batch: expected a multiple of the 3 processes, found 4"):
            FinetuneRun(prepared, BASE, devices.Placement(devices.CPU, 0, 3))


class LearningTests(unittest.TestCase):
    def test_a_run_learns_its_problems_in_every_mode(self):
        """All parts together: rows, codes, training, checkpoint, decoding under the grammar, answers."""
        data_file, out = os.path.join(FOLDER, "few.jsonl"), os.path.join(FOLDER, "few")
        with open(data_file, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(problem) + "\n" for problem in PROBLEMS[:12:3])
        made = made_recipe()
        made.data.file, made.data.validation_share = data_file, 0.0
        made.train = dataclasses.replace(made.train, steps=160, batch=12, micro_batch=12, lr=2e-2, weight_decay=0.0, evaluate_every=160)
        made.mix = FinetuneMix(none_rate=0.3, text_rate=0.3, full_rate=0.4)
        prepare(made, out, None, devices.CPU, lambda text: None)
        run = FinetuneRun(opened(out), out, devices.Placement())
        quietly(run.train)
        examples, rows = data.read(data_file), []
        quietly(lambda: rows.extend(evaluate(os.path.join(out, "checkpoint"), examples, "few", [Mode.LATENT, Mode.TEXT, Mode.NONE], limit=48)))
        self.assertEqual([found["mode"] for found in rows], ["latent", "latent, random latents", "text", "none"])
        self.assertTrue(all(found["accuracy"] >= 0.75 for found in rows if "random" not in found["mode"]), rows)  # of four problems; untrained: none
        latent = rows[0]["tokens"]
        self.assertEqual((latent["reasoning_text"], latent["control"]), (0.0, 3.0))
        self.assertAlmostEqual(latent["latent"], sum(len(found.chunks) for found in run.prepared.training) / len(examples), delta=0.5)

    def test_matrices_decay_and_vectors_do_not(self):
        run = new_run("decay")
        decayed, plain = (group["params"] for group in run.optimizer.param_groups)
        self.assertTrue(all(p.dim() == 2 for p in decayed) and all(p.dim() == 1 for p in plain))
        self.assertEqual(len(decayed) + len(plain), len(list(run.model.parameters())))
        self.assertEqual([group["weight_decay"] for group in run.optimizer.param_groups], [0.01, 0.0])


class GenerationTests(unittest.TestCase):
    def test_batch_equals_alone_and_obeys_the_grammar(self):
        torch.manual_seed(0)
        prepared = opened(BASE)
        tokenizer, model = prepared.tokenizer, initial_model(prepared, codebooks.codes_of(prepared.codebook, prepared.training, 0)).eval()
        prompts = [tokenizer.encode(text) + [tokenizer.think] for text in ("Tom has 2 clips and buys 3 more.", "Hi", "How many?")]
        for mode in (Mode.TEXT, Mode.LATENT):
            together = generate(model, tokenizer, prompts, mode, limit=10, latent_budget=3)
            self.assertEqual([found.ids for found in together], [generate(model, tokenizer, [prompt], mode, limit=10, latent_budget=3)[0].ids for prompt in prompts])
            if mode is Mode.LATENT:
                self.assertTrue(all(found.ids[0] == tokenizer.bo_latent and tokenizer.eo_latent in found.ids[:5] for found in together))
            self.assertFalse({token for found in together for token in found.ids} & {tokenizer.pad, *range(tokenizer.size, prepared.config.vocab_size)})

    def test_answers_are_compared_without_spaces_and_commas(self):
        self.assertEqual(normalised(" $1,234\n"), "1234")


class CommandTests(unittest.TestCase):
    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        given, sys.argv = sys.argv, ["finetune", *arguments]
        try:
            with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
                try:
                    finetune.main()
                except SystemExit as end:
                    return end.code, output.getvalue(), errors.getvalue()
                return 0, output.getvalue(), errors.getvalue()
        finally:
            sys.argv = given

    def test_command_makes_a_checkpoint_that_evaluates(self):
        out = os.path.join(FOLDER, "command")
        code, output, errors = self.run_command("--checkpoint", CHECKPOINT, "--data", DATA, "--recipe", os.path.join(FOLDER, "recipe.toml"),
                                                "--codebook", os.path.join(BASE, "codebook"), "--out", out, "--steps", "2")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("100.0% step 2", output)
        checkpoint = os.path.join(out, "checkpoint")
        self.assertEqual(sorted(os.listdir(checkpoint)), ["config.json", "model.safetensors", "reference.safetensors", "tessera.json", "tokenizer.json"])
        reference, model = safetensors_file.read(os.path.join(checkpoint, "reference.safetensors")), load_model(checkpoint)
        with torch.no_grad():
            logits = model(reference["case_0.input_ids"][None])[0]
        torch.testing.assert_close(logits[reference["case_0.rows"]], reference["case_0.logits"], atol=1e-4, rtol=1e-4)
        self.assertEqual(reference["codebook_0.text_logits"].shape[1:], (reference["codebook_0.codes"].shape[1], 16, opened(out).tokenizer.text_size))
        with redirect_stdout(io.StringIO()):
            rows = evaluate(checkpoint, data.read(DATA)[:2], "sums", [Mode.LATENT, Mode.NONE], limit=6)
        self.assertEqual([found["mode"] for found in rows], ["latent", "latent, random latents", "none"])
        write(checkpoint, rows, 1, False)
        with open(os.path.join(checkpoint, "tessera.json"), encoding="utf-8") as file:
            self.assertEqual([found["mode"] for found in json.load(file)["evaluation"]], ["latent", "latent, random latents", "none"])
        code, output, _ = self.run_command("--out", out, "--resume", "--steps", "3")
        self.assertEqual((code, "step 2 of 3" in output and "100.0% step 3" in output), (0, True))

    def test_bad_input_is_one_line_and_leaves_nothing(self):
        wrong = os.path.join(FOLDER, "wrong")
        shutil.copytree(CHECKPOINT, wrong)
        with open(os.path.join(wrong, "config.json"), encoding="utf-8") as file:
            values = json.load(file)
        with open(os.path.join(wrong, "config.json"), "w", encoding="utf-8") as file:
            json.dump(values | {"intermediate_size": 65}, file)
        broken = os.path.join(FOLDER, "broken.jsonl")
        with open(broken, "w", encoding="utf-8") as file:
            file.write(json.dumps(PROBLEMS[0]) + "\nno problem\n")
        other_codebook = os.path.join(FOLDER, "other-codebook")
        shutil.copytree(os.path.join(BASE, "codebook"), other_codebook)
        with open(os.path.join(other_codebook, "codebook.json"), "r+", encoding="utf-8") as file:
            text = file.read().replace('"text_vocab_size": ', '"text_vocab_size": 9')
            file.seek(0)
            file.write(text)
        clash = os.path.join(FOLDER, "clash")
        shutil.copytree(os.path.join(FAMILIES, "llama2"), clash)
        os.remove(os.path.join(clash, "tessera.json"))
        out = os.path.join(FOLDER, "never")
        for arguments, named in (
            (["--checkpoint", wrong, "--data", DATA], "model.safetensors: model.layers.0.mlp.gate_proj.weight: expected shape [65, 32]"),
            (["--checkpoint", CHECKPOINT, "--data", broken], "broken.jsonl, line 2: the line: expected a JSON object"),
            (["--checkpoint", clash, "--data", DATA], "tokenizer.json: added_tokens: expected no token '<think>'"),
            (["--checkpoint", CHECKPOINT, "--data", DATA, "--codebook", other_codebook], "codebook.json: the file: expected a codebook"),
            (["--checkpoint", os.path.join(FAMILIES, "padded-vocabulary"), "--data", DATA], "recipe: codebook.codes: expected 8, the latents"),
            (["--checkpoint", FOLDER, "--data", DATA], "config.json: the file: expected a file, found none"),
            (["--checkpoint", CHECKPOINT], "a new run needs --checkpoint and --data"),
            (["--checkpoint", CHECKPOINT, "--data", DATA, "--device", "cuda:x"], "--device: expected cpu or cuda"),
        ):
            code, _, errors = self.run_command("--out", out, *arguments)
            self.assertEqual((code, errors.count("\n")), (1, 1), errors)
            self.assertIn("error: ", errors)
            self.assertIn(named, errors)
            self.assertFalse([name for name in os.listdir(FOLDER) if name.startswith("never")])
        code, _, errors = self.run_command("--out", BASE, "--checkpoint", CHECKPOINT, "--data", DATA)
        self.assertEqual((code, "--out: expected a folder that is not there yet" in errors), (1, True))

    def test_folders_are_complete_or_absent(self):
        target = os.path.join(FOLDER, "target")
        with files.replaced(target) as part, open(os.path.join(part, "a"), "w", encoding="utf-8"):
            self.assertFalse(os.path.exists(target))
        with self.assertRaises(KeyError):
            with files.replaced(target):
                raise KeyError
        self.assertEqual(os.listdir(target), ["a"])
        self.assertEqual([name for name in os.listdir(FOLDER) if name.startswith("target")], ["target"])


class DeviceTests(unittest.TestCase):
    def test_model_makes_its_tensors_on_its_device(self):
        """The meta device computes nothing, but refuses operands of another device as a GPU would."""
        from tessera_training.hf.model import HfDecoder

        for name in ("qwen3", "mistral-window", "llama-yarn"):
            model = HfDecoder(parse(load(os.path.join(FAMILIES, name)).raw)).to("meta")
            self.assertEqual(model(torch.zeros(2, 9, dtype=torch.long, device="meta")).device.type, "meta")


if __name__ == "__main__":
    unittest.main()
