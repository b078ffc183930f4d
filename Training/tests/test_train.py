"""`python3 -m unittest tests.test_train`"""
import json
import math
import os
import random
import tempfile
import types
import unittest

import torch

from tessera_training import checkpoint, fixture, safetensors_file
from tessera_training.config import ModelConfig, TaskConfig
from tessera_training.curves import Curves
from tessera_training.evaluate import Evaluator, add_answer_only, dial, evaluate, fitted, package_rows, scope, token_kinds, wilson, write
from tessera_training.suites import Case, Suite, generalisation, pronto_cases, standard
from tessera_training.generate import Grammar, Mode, Phase, generate
from tessera_training.mix import IGNORED, NOT_BEHIND, StepCoder, draw_plan, leading, mixed_batch, planned_row, recall_row, row
from tessera_training.reference import record
from tessera_training.refine_vqvae import refine
from tessera_training.tasks import Problem, Question, load_sources
from tessera_training.tokenizer import Tokenizer, build
from tessera_training.train import Run, planning_loss, train
from tessera_training.train_vqvae import train as train_codebook
from tessera_training.vqvae import Codebook
from tests import tiny


def codebook() -> Codebook:
    torch.manual_seed(0)
    return Codebook(tiny.recipe().codebook, Tokenizer(build(24)).text_size).eval()


class MixTests(unittest.TestCase):
    def test_rows_have_the_documented_form(self):
        tokenizer, rng = Tokenizer(build(24)), random.Random(0)
        question = load_sources(["prontoqa"])[0].make(rng, 1, False).questions[0]
        coder = StepCoder(codebook(), tokenizer)
        coder.prepare([question])
        latents = coder.latents(question)
        n = len(question.steps)
        for replaced, reasoning in ((None, ""), (0, "".join(question.steps)), (n, None), (2, "".join(question.steps[2:]))):
            ids = row(tokenizer, question, latents, replaced)
            text = tokenizer.decode(ids)
            self.assertTrue(text.startswith(question.text + "<think>"))
            self.assertTrue(text.endswith("</think>" + question.answer + "<eos>"))
            if replaced:
                span = "<boLatent>" + "".join(tokenizer.token(latent) for latent in latents[:replaced]) + "<eoLatent>"
                self.assertIn("<think>" + span + (reasoning or "") + "</think>", text)
            else:
                self.assertIn("<think>" + reasoning + "</think>", text)

    def test_labels_start_after_think(self):
        tokenizer, rng, recipe = Tokenizer(build(24)), random.Random(1), tiny.recipe()
        problem = load_sources(["prosqa"])[0].make(rng, 2, True)
        batch = mixed_batch(rng, [problem], tokenizer, StepCoder(codebook(), tokenizer), recipe.mix, True)
        for branch, labels in zip(batch.branches[0], batch.labels[0]):
            think = branch.tolist().index(tokenizer.think)
            end = branch.tolist().index(tokenizer.eos)
            self.assertTrue((labels[:think] == IGNORED).all() and (labels[end:] == IGNORED).all())
            self.assertEqual(labels[think:end].tolist(), branch[think + 1:end + 1].tolist())

    def test_recall_rows_ask_for_what_follows_a_subject(self):
        tokenizer, facts = Tokenizer(build(24)), "Every lempus is not hot. Wumpuses are tumpuses. Tom is a lempus."
        ids, labels = recall_row(random.Random(0), tokenizer, facts, 3)
        asked = [label for label in labels if label != IGNORED]
        self.assertEqual(sorted(tokenizer.decode([token]) for token in asked),
                         sorted(["us is not", " hot", ".", "uses are", " tump", "uses.", " is a", " lemp", "us."]))
        self.assertTrue(all(label in (IGNORED, following) for label, following in zip(labels, ids[1:])))
        mix = tiny.recipe().mix
        mix.recall_rate = 1.0
        problem = load_sources(["prontoqa"])[0].make(random.Random(1), 3, False)
        batch = mixed_batch(random.Random(2), [problem], tokenizer, StepCoder(codebook(), tokenizer), mix, False)
        self.assertFalse((batch.branches == tokenizer.think).any())
        self.assertEqual(batch.weights.max(), 1.0)

    def test_last_step_weighs_more(self):
        tokenizer, rng = Tokenizer(build(24)), random.Random(3)
        problem = load_sources(["prontoqa"])[0].make(rng, 6, False)
        for long_batch in (False, True):
            batch = mixed_batch(rng, [problem], tokenizer, StepCoder(codebook(), tokenizer), tiny.recipe().mix, long_batch, 4.0)
            for question, branch, labels, weights in zip(problem.questions, batch.branches[0], batch.labels[0], batch.weights[0]):
                heavy = tokenizer.decode(labels[weights > 1].tolist())
                ids = branch.tolist()
                latents = [token for token in ids if tokenizer.is_latent(token)]
                if tokenizer.end_think == ids[ids.index(tokenizer.think) + 1]:
                    self.assertEqual(heavy, "")
                elif len(latents) == len(question.steps):
                    self.assertEqual(heavy, tokenizer.token(latents[-1]))
                else:
                    self.assertEqual(heavy, question.steps[-1])

    def test_latents_are_the_commonest_first_choice(self):
        rng, mix = random.Random(2), tiny.recipe().mix
        settings = tiny.recipe().train.__class__()
        short = [draw_plan(rng, mix, 5, False) for _ in range(500 * settings.short_questions // settings.long_questions)]
        long = [draw_plan(rng, mix, 5, True) for _ in range(500)]
        drawn = short + long
        self.assertGreater(sum(bool(plan) and any(plan) for plan in drawn), 0.6 * len(drawn))
        self.assertAlmostEqual(sum(plan is None for plan in drawn) / len(drawn), 0.1, delta=0.03)

    def test_rows_of_any_plan_are_exact(self):
        tokenizer = Tokenizer(build(24))
        question = Question(" Is Tom a lempus or numpus?", (" Every gorpus is a lempus.", " Every impus is a gorpus.", " Tom is a impus."), " Tom is a lempus.", 3)
        latents = [tokenizer.first_latent + code for code in (3, 1, 4)]
        first, second, third = question.steps
        for plan, reasoning, last in (
            (None, "", ""),
            ((False, False, False), first + second + third, third),
            ((True, True, True), "<boLatent><latent_3><latent_1><latent_4><eoLatent>", "<latent_4>"),
            ((True, False, False), "<boLatent><latent_3><eoLatent>" + second + third, third),
            ((False, True, False), first + "<boLatent><latent_1><eoLatent>" + third, third),
            ((True, False, True), "<boLatent><latent_3><eoLatent>" + second + "<boLatent><latent_4><eoLatent>", "<latent_4>"),
        ):
            ids, spans = planned_row(tokenizer, question, [tuple(tokenizer.encode(step)) for step in question.steps], latents, plan)
            self.assertEqual(tokenizer.decode(ids), f"{question.text}<think>{reasoning}</think>{question.answer}<eos>")
            self.assertEqual("".join(tokenizer.decode(ids[start:end]) for start, end in spans[-1:]), last)
            self.assertEqual(len(spans), 0 if plan is None else 3)

    def test_wrong_turns_are_context_without_loss(self):
        tokenizer, recipe = Tokenizer(build(24)), tiny.recipe()
        question = Question(" Is Tom a lempus or numpus?", (" Every gorpus is a lempus.", " Rex is a gorpus.", " Every impus is a lempus.", " Tom is a impus."),
                            " Tom is a lempus.", 2, frozenset({0}))
        coder = StepCoder(Codebook(recipe.codebook, tokenizer.text_size), tokenizer)
        recipe.mix.recall_rate, recipe.mix.full_rate = 0.0, 1.0
        for long_batch, text_rate, taught in ((True, 1.0, "".join(question.steps[1:])), (False, 0.0, None)):
            recipe.mix.text_rate = text_rate
            batch = mixed_batch(random.Random(1), [Problem("prosqa", "Tom is a impus.", (question,))], tokenizer, coder, recipe.mix, long_batch)
            labels = [label for label in batch.labels.flatten().tolist() if label != IGNORED]
            if taught is None:  # latents of steps 1 to 3 between the delimiters
                self.assertEqual(labels[:5], [tokenizer.bo_latent, *coder.latents(question)[1:], tokenizer.eo_latent])
            else:
                self.assertEqual(tokenizer.decode(labels), f"{taught}</think>{question.answer}<eos>")

    def test_answer_and_deciding_step_have_their_weights(self):
        tokenizer, recipe = Tokenizer(build(24)), tiny.recipe()
        question = Question(" Is Tom a lempus or numpus?", (" Every impus is a lempus.", " Tom is a impus."), " Tom is a lempus.", 2)
        coder = StepCoder(Codebook(recipe.codebook, tokenizer.text_size), tokenizer)
        recipe.mix.recall_rate, recipe.mix.text_rate = 0.0, 1.0
        batch = mixed_batch(random.Random(1), [Problem("prosqa", "Tom is a impus.", (question,))], tokenizer, coder, recipe.mix, True, 3.0, 0.0, 5.0)
        kept = batch.labels != IGNORED
        by_weight = {weight: tokenizer.decode(batch.labels[kept & (batch.weights == weight)].tolist()) for weight in (1.0, 3.0, 5.0)}
        self.assertEqual(by_weight, {1.0: question.steps[0] + "</think><eos>", 3.0: question.steps[1], 5.0: question.answer})

    def test_strategies_replace_what_they_say(self):
        rng, mix = random.Random(4), tiny.recipe().mix
        mix.full_rate = 1.0
        mix.strategy = "all"
        self.assertEqual({draw_plan(rng, mix, 4, long_batch) for long_batch in (False, True)}, {(True,) * 4})
        mix.strategy = "curriculum"
        for progress, count in ((0.0, 0), (0.2, 3), (0.35, 6), (0.7, 12), (1.0, 12)):
            self.assertEqual(draw_plan(rng, mix, 12, True, progress), leading(count, 12))
        mix.strategy = "poisson"
        plans = [draw_plan(rng, mix, 6, True) for _ in range(2000)]
        self.assertAlmostEqual(sum(map(sum, plans)) / 2000, 2.95, delta=0.15)
        self.assertTrue(all(min(column) is False and max(column) is True for column in zip(*plans)))
        mix.strategy = "leading"
        drawn = [draw_plan(rng, mix, 6, True) for _ in range(2000)]
        self.assertTrue(all(plan == leading(sum(plan), 6) for plan in drawn))
        self.assertAlmostEqual(sum(not any(plan) for plan in drawn) / 2000, mix.text_rate, delta=0.04)


class GrammarTests(unittest.TestCase):
    def setUp(self):
        self.tokenizer = Tokenizer(build(24))

    def ids(self, mode: Mode, phase: Phase, latents: int = 0) -> set[int]:
        return set(Grammar(self.tokenizer, mode).allowed(phase, latents).nonzero()[:, 0].tolist())

    def test_start_depends_on_the_mode(self):
        t = self.tokenizer
        text = set(range(2, t.text_size))
        self.assertEqual(self.ids(Mode.LATENT, Phase.START), {t.bo_latent})
        self.assertEqual(self.ids(Mode.NONE, Phase.START), {t.end_think})
        self.assertEqual(self.ids(Mode.TEXT, Phase.START), text)
        self.assertEqual(self.ids(Mode.AUTO, Phase.START), text | {t.bo_latent, t.end_think})

    def test_latent_span_holds_latents_and_is_not_empty(self):
        t = self.tokenizer
        latents = set(range(t.first_latent, t.size))
        self.assertEqual(self.ids(Mode.AUTO, Phase.LATENTS, 0), latents)
        self.assertEqual(self.ids(Mode.AUTO, Phase.LATENTS, 1), latents | {t.eo_latent})

    def test_text_holds_no_latents_and_never_pad(self):
        t = self.tokenizer
        text = set(range(2, t.text_size))
        self.assertEqual(self.ids(Mode.AUTO, Phase.REASONING), text | {t.end_think})
        self.assertEqual(self.ids(Mode.AUTO, Phase.ANSWER), text | {t.eos})

    def test_untrained_model_obeys_it_in_every_mode(self):
        torch.manual_seed(0)
        recipe, t = tiny.recipe(), self.tokenizer
        with tempfile.TemporaryDirectory() as folder:
            model = Run(recipe, codebook(), folder).model.eval()
        prompts = [t.encode(" Tom is a lempus.") + [t.think], t.encode("Hello") + [t.think]]
        for mode in Mode:
            for result in generate(model, t, prompts, mode, limit=24):
                phase, latents = Phase.START, 0
                for token in result.ids:
                    self.assertIn(token, self.ids(mode, phase, latents))
                    latents += t.is_latent(token)
                    phase = Grammar(t, mode).next_phase(phase, token)

    def test_batch_equals_alone(self):
        torch.manual_seed(0)
        t = self.tokenizer
        with tempfile.TemporaryDirectory() as folder:
            model = Run(tiny.recipe(), codebook(), folder).model.eval()
        prompts = [t.encode(text) + [t.think] for text in ("Every lempus is a numpus. Is Tom a lempus or numpus?", "Hi", " Tom is a lempus.")]
        together = [result.ids for result in generate(model, t, prompts, Mode.TEXT, limit=12)]
        self.assertEqual(together, [generate(model, t, [prompt], Mode.TEXT, limit=12)[0].ids for prompt in prompts])


class PlanningTests(unittest.TestCase):
    def test_batches_say_where_candidates_are_and_what_is_behind_them(self):
        tokenizer, rng, recipe = Tokenizer(build(24)), random.Random(3), tiny.recipe()
        recipe.mix.recall_rate = 0.5  # such rows have no question
        problem = load_sources(["prosqa"], "forward")[0].make(rng, 6, True)
        batch = mixed_batch(rng, [problem, problem], tokenizer, StepCoder(codebook(), tokenizer), recipe.mix, True)
        rows = batch.branches.flatten(0, 1)
        asked = [row for row in range(len(rows)) if tokenizer.think in rows[row].tolist()]
        self.assertTrue(0 < len(asked) < len(rows))
        self.assertEqual(batch.candidates[:, 0].tolist(), [row for row in asked for _ in range(2)])
        for (row_index, position), behind in zip(batch.candidates.tolist(), batch.behind):
            question = problem.questions[row_index % 6]
            token = rows[row_index, position].item()
            name = next(name for name, _ in question.behind if tokenizer.decode([token]).strip() in name)
            self.assertTrue(f" a {name} or" in question.text or f"or {name}?" in question.text)
            expected = {tokenizer.encode(" " + other)[0]: hops for other, hops in dict(question.behind)[name].items()}
            self.assertEqual({index: hops for index, hops in enumerate(behind.tolist()) if hops != NOT_BEHIND}, expected)
        self.assertEqual(tuple(mixed_batch(rng, [load_sources(["prosqa"])[0].make(rng, 2, True)], tokenizer, StepCoder(codebook(), tokenizer), recipe.mix, True)
                               .candidates.shape), (0, 2))

    def test_loss_is_zero_where_layers_know_what_is_behind_and_grows_with_what_they_miss(self):
        text_size, names = 6, {2: 0, 3: 1, 4: 2}
        behind = torch.tensor([[names.get(token, NOT_BEHIND) for token in range(text_size)]])
        batch = types.SimpleNamespace(candidates=torch.tensor([[1, 2]]), behind=behind)
        model = types.SimpleNamespace(logits=lambda hidden: hidden)

        def outputs(*known: list[int]) -> list[torch.Tensor]:  # 5 layers, of which 1 and 2 are asked
            states = [torch.full((1, 2, 3, text_size + 1), 9.0) for _ in range(5)]
            for state, tokens in zip(states[1:], known):
                state[0, 1, 2] = -30.0
                state[0, 1, 2, tokens] = 0.0
            return states

        self.assertAlmostEqual(planning_loss(model, outputs([2, 3], [2, 3, 4]), batch).item(), 0.0, places=5)
        # one name of two instead: half of the mass is at -30; the second layer has three names evenly
        self.assertAlmostEqual(planning_loss(model, outputs([2], [2, 3, 4]), batch).item(), (15.0 - math.log(2)) / 2, places=4)
        self.assertAlmostEqual(planning_loss(model, outputs([2, 3], [2, 3, 4, 5]), batch).item(), math.log(4 / 3) / 2, places=4)

    def test_a_run_with_it_logs_it_and_it_falls(self):
        recipe = tiny.recipe(tasks=TaskConfig(names=["prosqa"], step_order="forward"), model=ModelConfig(layers=4, dim=64, heads=4, mlp_dim=64, max_positions=512))
        recipe.train.planning_weight, recipe.train.length = 1.0, 30
        made = Codebook(recipe.codebook, Tokenizer(build(24, ["prosqa"])).text_size).eval()
        with tempfile.TemporaryDirectory() as folder:
            run = Run(recipe, made, folder)
            plans = [run.train_step()["plan"] for _ in range(30)]
            self.assertLess(sum(plans[-5:]), 0.8 * sum(plans[:5]))
            self.assertNotIn("plan", Run(tiny.recipe(), codebook(), os.path.join(folder, "without")).train_step())


class RunTests(unittest.TestCase):
    def test_resumed_run_equals_an_uninterrupted_one(self):
        with tempfile.TemporaryDirectory() as folder:
            whole = Run(tiny.recipe(), codebook(), os.path.join(folder, "a"))
            train(whole)
            part = Run(tiny.recipe(), codebook(), os.path.join(folder, "b"))
            for _ in range(3):
                part.train_step()
            part.save()
            resumed = Run.open(os.path.join(folder, "b"))
            self.assertEqual(resumed.step, 3)
            train(resumed)
            self.assertEqual(resumed.step, whole.step)
            for one, other in zip(whole.model.parameters(), resumed.model.parameters()):
                self.assertTrue(torch.equal(one, other))

    def test_warm_start_takes_weights_and_renews_latents(self):
        with tempfile.TemporaryDirectory() as folder:
            first = Run(tiny.recipe(), codebook(), os.path.join(folder, "a"))
            first.train_step()
            first.save()
            second = Run(tiny.recipe(), codebook(), os.path.join(folder, "b"))
            second.warm_start(os.path.join(folder, "a"))
            text = first.tokenizer.text_size
            self.assertTrue(torch.equal(first.model.embed.weight[:text], second.model.embed.weight[:text]))
            self.assertTrue(torch.equal(first.model.blocks[0].qkv.weight, second.model.blocks[0].qkv.weight))
            self.assertFalse(torch.equal(first.model.embed.weight[text:], second.model.embed.weight[text:]))

    def test_all_stages_work_together(self):
        recipe = tiny.recipe()
        with tempfile.TemporaryDirectory() as folder:
            before = train_codebook(recipe, os.path.join(folder, "first"))
            trained = refine(recipe, os.path.join(folder, "first"), os.path.join(folder, "codebook"), steps=2, lr=1e-3)
            self.assertTrue(torch.equal(before.codes, trained.codes))
            run = Run(recipe, trained, folder)
            train(run)
            with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
            self.assertEqual([record["step"] for record in records], [1, 2, 3, 4, 5, 6])
            self.assertIn("prontoqa: latent", Curves(records).svg())
            place = os.path.join(folder, "checkpoint")
            measured = [Suite("prontoqa", pronto_cases(2), "test", 0.5)]
            result = evaluate(place, measured, [Mode.LATENT, Mode.NONE], True, 1, 2, dial_to=1, beyond=[Suite("prontoqa, odd", pronto_cases(1), "")],
                              with_scope=True)
            ablated = [f"latent, {kind}" for kind in ("own latents replayed", "own latents shuffled", "random latents", "foreign latents")]
            self.assertEqual([row["mode"] for row in result["rows"]], ["latent", *ablated, "none", "latent", "text"])
            self.assertEqual([row["mode"] for row in package_rows(result["rows"])], ["latent", *ablated, "none"])
            self.assertEqual([row["mode"] for row in result["dial"]], ["latent, budget 0", "latent, budget 1"])
            self.assertTrue(all(row["low"] <= row["accuracy"] <= row["high"] for row in result["rows"]))
            self.assertTrue(all(abs(sum(row["tokens"].values()) - row["mean_tokens"]) < 0.03 for row in result["rows"] + result["dial"]))
            self.assertLessEqual(result["dial"][1]["tokens"]["latent"], 1.0)
            self.assertEqual(result["shortcuts"], {"prontoqa": 0.5})
            write(place, result)
            add_answer_only(place, place)
            with open(os.path.join(place, "tessera.json"), encoding="utf-8") as file:
                rows = json.load(file)["evaluation"]
            self.assertEqual([row["mode"] for row in rows], ["latent", *ablated, "none", "answer-only model"])
            model, tokenizer = checkpoint.load(place)
            tensors = record(model, tokenizer, trained, seed=1, case_count=1)
            self.assertEqual(tensors["case_0.logits"].shape, (32, tokenizer.size))
            self.assertEqual(tensors["codebook_0.text_logits"].shape[1:], (tensors["codebook_0.codes"].shape[1], 10, tokenizer.text_size))

    def test_fixture_is_the_same_for_the_same_seed(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a", "b"):
                fixture.write(os.path.join(folder, name), seed=3)
            one, other = (safetensors_file.read(os.path.join(folder, name, "reference.safetensors")) for name in ("a", "b"))
            self.assertTrue(all(torch.equal(one[key], other[key]) for key in one))


class EvaluateTests(unittest.TestCase):
    def test_wilson_interval_of_known_shares(self):
        low, high = wilson(95, 100)
        self.assertAlmostEqual(low, 0.8882, places=3)
        self.assertAlmostEqual(high, 0.9785, places=3)

    def test_row_counts_tokens_and_unfinished(self):
        t = Tokenizer(build(24))
        from tessera_training.generate import Generated

        answer = t.encode(" True")
        results = [Generated([t.end_think, *answer, t.eos], True), Generated([t.bo_latent], False)]
        made = Evaluator(None, t).row("x", [Case("p", " True")] * 2, results, "none", "")
        self.assertEqual((made["accuracy"], made["mean_tokens"], made["unfinished"]), (0.5, 2.0, 1))


if __name__ == "__main__":
    unittest.main()
