"""`python3 -m unittest tests.test_tasks`"""
import random
import re
import unittest

from tessera_training.tasks import load_sources, prontoqa, prosqa


def edges_of(facts: str) -> set[tuple[str, str]]:
    return {(words[-4], words[-1]) for words in (s.split() for s in facts.rstrip(".").split(". "))}


class ProsQa(unittest.TestCase):
    def test_walk_back_steps_are_edges_and_end_at_the_entity(self):
        rng, source = random.Random(1), load_sources(["prosqa"])[0]
        retried = 0
        for _ in range(40):
            problem = source.make(rng, 6, False)
            edges = edges_of(problem.facts)
            for question in problem.questions:
                entity, first, second = re.fullmatch(r" Is (\w+) a (\w+) or (\w+)\?", question.text).groups()
                pairs = [tuple(s.strip().rstrip(".").replace("Every ", "").split(" is a ")) for s in question.steps]
                self.assertLessEqual(set(pairs), edges)
                starts = [pair[1] for index, pair in enumerate(pairs) if index == 0 or pairs[index - 1][0][0].isupper()]
                self.assertEqual(starts, [(first, second)[index % 2] for index in range(len(starts))])
                for before, after in zip(pairs, pairs[1:]):
                    self.assertTrue(before[0][0].isupper() or after[1] == before[0])
                self.assertEqual(pairs[-1][0], entity)
                self.assertEqual(question.answer, f" {entity} is a {starts[-1]}.")
                retried += len(starts) > 2
        self.assertGreater(retried, 0)

    def test_graph_answer_is_reachable_and_the_other_is_not(self):
        rng = random.Random(2)
        for _ in range(100):
            graph = prosqa.sample_graph(rng)
            self.assertIn(graph.distance[graph.root][graph.target], (3, 4, 5, 6))
            self.assertEqual(graph.distance[graph.root][graph.other], prosqa.UNREACHED)
            self.assertIn(graph.root, graph.persons)

    def test_graph_sizes_match_the_released_files(self):
        rng = random.Random(3)
        graphs = [prosqa.sample_graph(rng) for _ in range(400)]
        self.assertAlmostEqual(sum(g.node_count for g in graphs) / 400, 22.9, delta=0.5)
        self.assertAlmostEqual(sum(len(g.edges) for g in graphs) / 400, 36.3, delta=1.5)
        self.assertAlmostEqual(sum(g.distance[g.root][g.target] for g in graphs) / 400, 3.79, delta=0.15)

    def test_forward_order_is_one_path_from_the_entity(self):
        rng, source = random.Random(4), load_sources(["prosqa"], "forward")[0]
        for question in source.make(rng, 8, False).questions:
            pairs = [s.strip().rstrip(".").replace("Every ", "").split(" is a ") for s in question.steps]
            self.assertEqual(len(pairs), question.hop_count)
            self.assertEqual(pairs[0][0], question.answer.split()[0])
            self.assertEqual(pairs[-1][1], question.answer.split()[-1].rstrip("."))

    def test_excluded_prompt_is_drawn_again(self):
        first = prosqa.ProblemMaker().make(random.Random(5), 1, True)
        prompt = first.facts + first.questions[0].text
        again = prosqa.ProblemMaker(excluded={prompt}).make(random.Random(5), 1, True)
        self.assertNotEqual(prompt, again.facts + again.questions[0].text)

    def test_same_seed_gives_same_problem(self):
        source = load_sources(["prosqa"])[0]
        self.assertEqual(source.make(random.Random(6), 3, False), source.make(random.Random(6), 3, False))


class ProntoQa(unittest.TestCase):
    def test_steps_follow_from_the_facts_and_decide_the_answer(self):
        rng = random.Random(7)
        for _ in range(60):
            problem = prontoqa.make_problem(rng, 4, False)
            self.assertEqual(len(problem.facts.split(". ")), 26 - 1)
            facts = {canonical(sentence) for sentence in problem.facts.rstrip(".").split(". ")}
            for question in problem.questions:
                entity = question.text.split()[3]
                self.assertIn(canonical(question.steps[0].strip().rstrip(".")), facts)
                known = canonical(question.steps[0].strip().rstrip("."))[1]
                for step in question.steps[1:]:
                    rule, conclusion = (canonical(part) for part in step.strip().rstrip(".").split(". "))
                    self.assertIn(rule, facts)
                    self.assertEqual(rule[0], known)
                    self.assertEqual(conclusion, (entity, *rule[1:]))
                    known = rule[1]
                asked = canonical(question.text.split(": ")[1].rstrip("."))
                self.assertEqual(asked[1], known)
                self.assertEqual(question.answer, " True" if asked == conclusion else " False")

    def test_full_questions_have_five_hops(self):
        question = prontoqa.make_problem(random.Random(8), 1, False, only_full=True).questions[0]
        self.assertEqual((question.hop_count, len(question.steps)), (5, 6))


def canonical(sentence: str) -> tuple[str, str, bool]:
    """(subject, object, positive) of any surface form."""
    words = [w for w in sentence.split() if w not in ("Every", "Each", "a", "an", "is", "are")]
    singular = [re.sub(r"puses$", "pus", w.lower() if w.lower().rstrip("es").endswith("p") or "pus" in w.lower() else w) for w in words if w != "not"]
    return singular[0], singular[1], "not" not in words


if __name__ == "__main__":
    unittest.main()
