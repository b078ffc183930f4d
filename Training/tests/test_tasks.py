"""`python3 -m unittest tests.test_tasks`"""
import random
import re
import unittest

from tessera_training import suites
from tessera_training.tasks import arithmetic, load_sources, maze, prontoqa, prosqa


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
                self.assertEqual(starts[:2], [first, second][:len(starts)])
                for before, after in zip(pairs, pairs[1:]):
                    self.assertTrue(before[0][0].isupper() or after[1] == before[0])
                self.assertEqual(pairs[-1][0], entity)
                concluded = question.answer.split()[-1].rstrip(".")
                self.assertEqual((question.answer.split()[0], concluded in (first, second)), (entity, True))
                if len(starts) <= 2:
                    self.assertEqual(concluded, starts[-1])
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

    def test_forward_questions_know_the_names_behind_their_candidates(self):
        rng, source = random.Random(5), load_sources(["prosqa"], "forward")[0]
        problem = source.make(rng, 8, False)
        parents: dict[str, set[str]] = {}
        for parent, child in edges_of(problem.facts):
            parents.setdefault(child, set()).add(parent)
        for question in problem.questions:
            candidates = [name for name, _ in question.behind]
            self.assertEqual(question.text.rstrip("?").split()[-3::2], candidates)
            for candidate, names in question.behind:
                reached, frontier, hops = {candidate: 0}, {candidate}, 0
                while frontier:  # by sentences, not by the generator's own distances
                    hops += 1
                    frontier = {p for name in frontier for p in parents.get(name, ())} - set(reached)
                    reached |= dict.fromkeys(frontier, hops)
                self.assertEqual(names, reached)
            entity, answer = question.answer.strip().rstrip(".").split(" is a ")
            self.assertEqual({entity in names for name, names in question.behind if name == answer}, {True})
            self.assertEqual({entity in names for name, names in question.behind if name != answer}, {False})
        self.assertEqual(load_sources(["prosqa"])[0].make(rng, 1, False).questions[0].behind, ())

    def test_excluded_graph_is_drawn_again_whatever_its_order_and_case(self):
        first = prosqa.ProblemMaker().make(random.Random(5), 1, True)
        sentences = first.facts.rstrip(".").split(". ")
        other_order = ". ".join(sentences[::-1]).upper() + "." + first.questions[0].text
        again = prosqa.ProblemMaker(excluded={prosqa.prompt_key(other_order)}).make(random.Random(5), 1, True)
        self.assertNotEqual(prosqa.prompt_key(first.facts), prosqa.prompt_key(again.facts))

    def test_a_second_try_says_again_where_it_goes_on_and_takes_a_new_edge(self):
        rng, again, passed = random.Random(4), 0, 0
        for _ in range(1500):
            graph = prosqa.sample_graph(rng, 28, 3, 6)
            steps = prosqa.walk_back_steps(rng, graph, graph.root, graph.target, graph.other, rng.random() < 0.5, dead_end_rate=0.5)
            trails: dict[int, list[tuple[int, int]]] = {}
            taken: set[tuple[int, int]] = set()
            walks, walk = [], []
            for edge in steps:
                walk.append(edge)
                if not graph.parents[edge[0]]:
                    walks, walk = walks + [walk], []
            self.assertEqual(walk, [])
            self.assertEqual([walks[index][-1][0] == graph.root for index in range(len(walks))], [False] * (len(walks) - 1) + [True])
            turns = (walks[0][0][1], graph.target if walks[0][0][1] == graph.other else graph.other)
            for number, walk in enumerate(walks):
                open_nodes = {node: [p for p in graph.parents[node] if (p, node) not in taken] for node in range(graph.node_count)}
                start = turns[number % 2]  # candidates take turns, always
                if number < 2:
                    self.assertEqual(walk[0][1], start)
                else:  # the latest node of its trail that had an edge left is said again, or the candidate has one, or it passes with its last step
                    again += 1
                    choices = [edge for edge in trails[start] if open_nodes[edge[0]]]
                    fresh = walk[1:] if choices else walk
                    if choices:
                        self.assertEqual(walk[0], choices[-1])
                    if choices or open_nodes[start]:
                        self.assertEqual(fresh[0][1], choices[-1][0] if choices else start)
                        self.assertNotIn(fresh[0], taken)
                    else:
                        passed += 1
                        self.assertEqual(walk, [trails[start][-1]])
                self.assertTrue(all(child == before for (before, _), (_, child) in zip(walk, walk[1:])), walk)
                trails.setdefault(start, []).extend(walk[1:] if number > 1 and walk[0] in trails[start] else walk)
                taken.update(walk)
        self.assertGreater(passed, 5)
        self.assertGreater(again, 50)

    def test_wrong_turns_are_those_that_leave_the_way_back_to_the_entity(self):
        rng, wrong = random.Random(6), 0
        for _ in range(300):
            graph = prosqa.sample_graph(rng, 28, 3, 6)
            question = prosqa.make_question(rng, graph, prosqa.assign_names(rng, graph), graph.root, graph.target, graph.other, "walk_back", 0.5)
            steps = [step.strip().rstrip(".").replace("Every ", "").split(" is a ") for step in question.steps]
            wrong += len(question.unlearned)
            for index in question.unlearned:
                child = steps[index][1]
                later = [step for step in steps[index + 1:] if step[1] == child]
                self.assertTrue(later, "the node that was left wrongly is come back to")
                self.assertNotIn(later[-1], [steps[i] for i in question.unlearned])
        self.assertGreater(wrong, 10)
        forward = prosqa.make_question(rng, graph, prosqa.assign_names(rng, graph), graph.root, graph.target, graph.other, "forward")
        self.assertEqual(forward.unlearned, frozenset())

    def test_trap_rate_says_how_often_a_walk_back_can_end_at_a_wrong_name(self):
        for rate, low, high in ((0.0, 0.02, 0.15), (0.4, 0.33, 0.55), (1.0, 1.0, 1.0)):
            source, rng = load_sources(["prosqa"], trap_rate=rate)[0], random.Random(2)
            traps = 0
            for _ in range(200):
                problem = source.make(rng, 1, False)
                traps += len(prosqa.persons_behind(problem.facts, problem.questions[0].answer.split()[-1].rstrip("."))) > 1
            self.assertTrue(low <= traps / 200 <= high, (rate, traps))

    def test_persons_behind_a_concept_are_read_from_the_prompt(self):
        facts = "Tom is a lempus. Every lempus is a numpus. Rex is a gorpus. Every gorpus is a numpus. Sam is a impus."
        self.assertEqual(prosqa.persons_behind(facts, "numpus"), {"Tom", "Rex"})
        self.assertEqual(prosqa.persons_behind(facts, "impus"), {"Sam"})
        for case in suites.dead_end_cases(5):
            facts, _, _ = case.prompt.partition(" Is ")
            person, concept = case.answer.strip().rstrip(".").split(" is a ")
            behind = prosqa.persons_behind(facts, concept)
            self.assertIn(person, behind)
            self.assertGreater(len(behind), 1)

    def test_varied_prompts_tell_the_same_graph(self):
        rng, source, lower = random.Random(10), load_sources(["prosqa"], variant_rate=1.0)[0], 0
        forms = set()
        for _ in range(40):
            problem = source.make(rng, 2, False)
            forms |= {sentence.split()[0].lower() for sentence in problem.facts.split(". ")} & {"every", "each"}
            lower += problem.facts == problem.facts.lower()
            facts = {(a.lower(), b) for a, b, _ in (canonical(s) for s in problem.facts.rstrip(".").split(". "))}
            for question in problem.questions:
                self.assertLessEqual({(a.lower(), b) for a, b, _ in (canonical(s.strip().rstrip(".")) for s in question.steps)}, facts)
                self.assertTrue(question.answer.split()[0][0].isupper())
        self.assertEqual(forms, {"every", "each"})
        self.assertTrue(5 <= lower <= 25, lower)

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

    def test_sentences_match_the_published_statistics(self):
        rng, forms, subsumptions, facts, negated, entities = random.Random(14), {"plural": 0, "every": 0, "each": 0}, 0, 0, 0, set()
        count = 200
        for _ in range(count):
            problem = prontoqa.make_problem(rng, 1, False, only_full=True)
            sentences = problem.facts.rstrip(".").split(". ")
            self.assertEqual(len(sentences), 26 - 1)
            entity = problem.questions[0].text.split()[3]
            entities.add(entity)
            for sentence in sentences:
                words = sentence.split()
                if words[0] == entity:
                    facts += 1
                    continue
                forms[words[0].lower() if words[0] in ("Every", "Each") else "plural"] += 1
                subsumptions += words[-1].rstrip("es").endswith("pu")
                negated += "not" in words
        self.assertEqual((facts, subsumptions), (2 * count, 11 * count))
        for form, share in (("plural", 0.5), ("every", 0.25), ("each", 0.25)):
            self.assertAlmostEqual(forms[form] / (23 * count), share, delta=0.02)
        self.assertAlmostEqual(negated / (12 * count), 0.36, delta=0.04)  # a third; the asked property and its contrary make it more
        self.assertEqual(entities, set(prontoqa.ENTITIES))

    def test_six_hops_need_four_sentences_more(self):
        problem = prontoqa.make_problem(random.Random(15), 1, False, only_full=True, hop_count=6)
        self.assertEqual((problem.questions[0].hop_count, len(problem.questions[0].steps)), (6, 7))
        self.assertEqual(len(problem.facts.rstrip(".").split(". ")), 25 + 3 + 1 - 0)

    def test_full_questions_have_five_hops(self):
        question = prontoqa.make_problem(random.Random(8), 1, False, only_full=True).questions[0]
        self.assertEqual((question.hop_count, len(question.steps)), (5, 6))


class Arithmetic(unittest.TestCase):
    def test_answers_follow_from_the_sentences_and_fit_one_token(self):
        rng = random.Random(11)
        for index in range(300):
            problem = arithmetic.make_problem(rng, 4, False, held_out=index % 2 == 0)
            for question in problem.questions:
                asked = question.text.split()[-2]
                self.assertEqual(arithmetic.brute_force(problem.facts, asked), int(question.answer))
                counts = [int(step.split()[2].rstrip(".")) for step in question.steps if " has " in step]
                self.assertTrue(all(0 <= count <= 99 for count in counts))
                self.assertEqual(counts[-1], int(question.answer))

    def test_steps_meet_a_source_before_who_depends_on_it(self):
        rng = random.Random(12)
        for _ in range(100):
            problem = arithmetic.make_problem(rng, 3, False)
            for question in problem.questions:
                known = set()
                for who, count in zip(question.steps[::2], question.steps[1::2]):
                    words = who.strip().rstrip(".").split()
                    if words[0] == "Start":
                        known.add(words[2])
                    else:
                        self.assertIn(words[3], known)
                        self.assertNotIn(words[0], known)
                        known.add(words[0])
                    self.assertEqual(arithmetic.brute_force(problem.facts, count.split()[0]), int(count.split()[2].rstrip(".")))
                self.assertEqual(words[-1] if words[0] == "Start" else words[0], question.text.split()[-2])

    def test_every_comparison_follows_the_person_it_compares_with(self):
        source, returns = load_sources(["arithmetic"], fork_rate=1.0)[0], 0
        for seed in range(100):
            question = source.make(random.Random(seed), 1, False).questions[0]
            latest, met = None, set()
            for who in question.steps[::2]:
                words = who.strip().rstrip(".").split()
                if words[0] == "Start":
                    latest = words[2]
                    returns += latest in met
                else:
                    self.assertEqual(words[3], latest)  # a latent need only tell the next person
                    latest = words[0]
                met.add(latest)
        self.assertGreater(returns, 30)

    def test_chain_lengths_are_spread_and_wordings_are_held_out(self):
        rng, lengths, pairs = random.Random(13), [], {False: set(), True: set()}
        for held_out in (False, True):
            for _ in range(300):
                problem = arithmetic.make_problem(rng, 1, False, held_out=held_out)
                lengths.append(problem.questions[0].hop_count)
                for sentence in problem.facts.rstrip(".").split(". "):
                    for phrase in (p for phrases in arithmetic.PHRASES.values() for p in phrases):
                        if f" {phrase} " in sentence:
                            pairs[held_out].add((sentence.split()[1], phrase))
        self.assertEqual(pairs[True], set(arithmetic.HELD_OUT_PAIRS))
        self.assertFalse(pairs[False] & pairs[True])
        self.assertEqual({verb for verb, _ in pairs[False]}, set(arithmetic.VERBS))
        for length in range(2, 7):
            self.assertAlmostEqual(lengths.count(length) / len(lengths), 0.2, delta=0.06)

    def test_fork_rate_says_how_many_problems_have_a_branch(self):
        def share(rate: float) -> float:
            source, found = load_sources(["arithmetic"], fork_rate=rate)[0], 0
            for seed in range(300):
                sources = [sentence.split()[-1] for sentence in source.make(random.Random(seed), 1, False).facts.rstrip(".").split(". ")]
                found += len(set(sources)) < len(sources)
            return found / 300

        self.assertEqual(share(1.0), 1.0)
        self.assertLess(share(0.0), 0.2)  # two given counts end in the same word, too
        self.assertGreater(share(0.9), share(0.35) + 0.3)

    def test_who_is_compared_with_whom_is_held_out(self):
        rng, seen = random.Random(3), {False: set(), True: set()}
        for held_out in (False, True):
            for _ in range(300):
                problem = arithmetic.make_problem(rng, 1, False, length=rng.randint(1, 7), held_out=held_out)
                for words in (sentence.split() for sentence in problem.facts.rstrip(".").split(". ")):
                    if words[-1] not in arithmetic.ITEMS:
                        seen[held_out].add(frozenset((words[0], words[-1])))
        self.assertFalse(seen[False] & seen[True])
        self.assertTrue(all(arithmetic.held_apart(*pair) for pair in seen[True]))
        self.assertEqual(len({name for pair in seen[True] for name in pair}), len(arithmetic.NAMES))
        self.assertEqual(len({name for pair in seen[False] for name in pair}), len(arithmetic.NAMES))
        self.assertFalse(set(arithmetic.UNKNOWN_NAMES) & set(arithmetic.NAMES))
        unknown = arithmetic.make_problem(rng, 1, False, names=arithmetic.UNKNOWN_NAMES).facts
        self.assertIn(unknown.split()[0], arithmetic.UNKNOWN_NAMES)

    def test_a_share_of_prompts_is_in_lower_case(self):
        rng = random.Random(3)
        facts = [arithmetic.make_problem(rng, 1, False, variant_rate=0.3).facts for _ in range(200)]
        self.assertAlmostEqual(sum(text == text.lower() for text in facts) / 200, 0.3, delta=0.1)

    def test_shortcut_and_unseen_template(self):
        prompt = "Tom has 4 fewer than Leo. Leo has 9 eggs. Ann keeps half as many as Tom. How many eggs does Ann have?"
        self.assertEqual(arithmetic.one_step_guess(prompt), 4)
        self.assertEqual(arithmetic.turned_around(prompt),
                         "Against Leo, Tom has 4 fewer. Leo has 9 eggs. Against Tom, Ann keeps half as many. How many eggs does Ann have?")


class Maze(unittest.TestCase):
    def test_every_maze_is_solved_by_its_answer_and_read_back_from_the_text(self):
        rng, locked, lengths, swaps = random.Random(16), 0, [], 0
        for index in range(200):
            problem = maze.make_problem(rng, 2, index % 4 == 0)
            for question in problem.questions:
                prompt = problem.facts + question.text
                self.assertTrue(maze.feasible(prompt, question.answer), prompt + question.answer)
                path = question.answer.rstrip(".").split()
                self.assertFalse(maze.walk(maze.read(prompt), path[:-1]))
                locked += "open" in path
                swaps += path.count("take") > 1
                lengths.append(len(path))
                self.assertLessEqual(len(question.steps), maze.MAX_STEP_COUNT)
        self.assertGreater(locked, 240)
        self.assertGreater(swaps, 100)
        self.assertTrue(12 < sum(lengths) / len(lengths) < 24)

    def test_steps_tell_the_path_of_the_answer(self):
        rng = random.Random(18)
        for index in range(100):
            for question in maze.make_problem(rng, 3, index % 4 == 0).questions:
                told, here, target = [], re.search(r"from (\d\d)", question.text).group(1), None
                for step in question.steps:
                    words = step.rstrip(".").split()
                    if words[0] == "Head":
                        target = words[-1]
                        self.assertNotEqual(target, here)
                    elif words[0] == "Go":
                        self.assertEqual(words[3], here)
                        dx, dy = maze.MOVES[words[1]]
                        here = f"{int(here[0]) + dx}{int(here[1]) + dy}"
                        self.assertEqual(words[5], here)
                        told.append(here)
                        if maze.room_of(maze.cell_of(words[3])) != maze.room_of(maze.cell_of(here)):
                            target = None  # through a door
                    else:
                        self.assertIn(target, (here, None))
                        told.append(words[0].lower())
                self.assertEqual(told, question.answer.rstrip(".").split())

    def test_a_small_maze_is_walked_as_expected(self):
        made = maze.read("2 by 1 rooms. Doors: 32 red 42. Keys: red at 12. What path leads from 22 to 53?")
        self.assertEqual(maze.solve(made).steps, [
            " Head for 12.", " Go left from 22 to 12.", " Take red.", " Head for 32.", " Go right from 12 to 22.", " Go right from 22 to 32.", " Open red.",
            " Go right from 32 to 42.", " Head for 53.", " Go right from 42 to 52.", " Go up from 52 to 53."])

    def test_walls_doors_and_keys_bind_the_walk(self):
        prompt = "2 by 1 rooms. Doors: 32 red 42. Keys: blue at 23. red at 12. What path leads from 22 to 52?"
        for path, feasible in (
            ("12 take 22 32 open 42 52", True),
            ("32 42 52", False),  # locked
            ("32 open 42 52", False),  # no key
            ("take 12 take 22 32 open 42 52", False),  # nothing to take there
            ("23 take 22 12 take 22 32 open 42 52", True),  # the blue key is put down
            ("12 take 22 23 take 22 32 open 42 52", False),  # the red key was put down
            ("12 take 22 32 open 42 52 62", False),  # past the goal
            ("12 take 22 32 33 43 42 52", False),  # a wall
            ("12 take 32 open 42 52", False),  # no neighbour
            ("12 take 22 32 open 42 jump", False),
            ("12 take 22 32 open 42 99", False),
        ):
            self.assertEqual(maze.feasible(prompt, f" {path}."), feasible, path)

    def test_mazes_have_every_room_joined(self):
        rng = random.Random(17)
        for _ in range(60):
            made = maze.make_maze(rng, 3, 2)
            self.assertGreaterEqual(len(made.doors), 5)
            rooms = {maze.room_of(cell) for wall in made.doors for cell in wall}
            self.assertEqual(len(rooms), 6)
            self.assertEqual(set(made.keys), {colour for colour in made.doors.values() if colour})
            self.assertNotEqual(maze.room_of(made.start), maze.room_of(made.goal))

    def test_most_goals_are_behind_locked_doors(self):
        rng, opened = random.Random(19), []
        for _ in range(300):
            problem = maze.make_problem(rng, 1, False)
            self.assertTrue(problem.facts.startswith("3 by 2 rooms."))
            opened.append(problem.questions[0].answer.split().count("open"))
        self.assertLess(sum(count == 0 for count in opened), 50)
        self.assertGreater(sum(count >= 2 for count in opened), 150)


def canonical(sentence: str) -> tuple[str, str, bool]:
    """(subject, object, positive) of any surface form."""
    words = [w for w in sentence.split() if w.lower() not in ("every", "each", "a", "an", "is", "are")]
    singular = [re.sub(r"puses$", "pus", w.lower() if w.lower().rstrip("es").endswith("p") or "pus" in w.lower() else w) for w in words if w != "not"]
    return singular[0], singular[1], "not" not in words


if __name__ == "__main__":
    unittest.main()
