"""`python3 -m unittest tests.test_config`"""
import glob
import os
import unittest

from tessera_training import config


class ConfigTests(unittest.TestCase):
    def test_unknown_keys_are_refused_with_their_path(self):
        for values, name in (({"nam": "x"}, "nam"), ({"train": {"learning_rate": 1.0}}, "train.learning_rate")):
            with self.assertRaisesRegex(ValueError, name):
                config.parse(values)

    def test_wrong_types_are_refused(self):
        for values in ({"seed": "0"}, {"seed": True}, {"train": 3}, {"tasks": {"names": "prosqa"}}, {"model": {"structured_init": 1}}):
            with self.assertRaises(ValueError):
                config.parse(values)

    def test_impossible_values_are_refused(self):
        for values in ({"train": {"schedule": "epochs"}}, {"model": {"dim": 100, "heads": 4}}):
            with self.assertRaises(ValueError):
                config.parse(values)

    def test_a_plan_needs_candidates_with_names_behind_them_and_layers_to_ask(self):
        forward, deep, plan = {"tasks": {"step_order": "forward"}}, {"model": {"layers": 4}}, {"train": {"planning_weight": 1.0}}
        self.assertEqual(config.parse(forward | deep | plan).train.planning_weight, 1.0)
        for values in (deep | plan, forward | {"model": {"layers": 3}} | plan, forward | deep | {"train": {"planning_weight": -1.0}}):
            with self.assertRaisesRegex(ValueError, "train.planning_weight"):
                config.parse(values)

    def test_whole_numbers_serve_as_floats(self):
        self.assertEqual(config.parse({"train": {"length": 3}}).train.length, 3.0)

    def test_all_recipes_load(self):
        folder = os.path.join(os.path.dirname(__file__), "..", "recipes")
        paths = glob.glob(os.path.join(folder, "*.toml"))
        self.assertTrue(paths)
        for path in paths:
            self.assertTrue(config.load(path).name)


if __name__ == "__main__":
    unittest.main()
