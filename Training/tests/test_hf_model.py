"""`python3 -m unittest tests.test_hf_model`"""
import json
import math
import os
import tempfile
import unittest

import numpy as np
import torch

from tessera_training import safetensors_file
from tessera_training.hf import fixtures
from tessera_training.hf.config import load, parse
from tessera_training.hf.errors import CheckpointError
from tessera_training.hf.model import Cache, HfDecoder, attention_mask
from tessera_training.hf.rope import read_rope
from tessera_training.hf.weights import load_model, model_tensors, read_tensors, to_model, write_tensors

FAMILIES = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "Exporter.Tests", "fixtures", "families")
SMALL = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 30,
         "max_position_embeddings": 64}


def decoder(**changes) -> HfDecoder:
    torch.manual_seed(0)
    model = HfDecoder(parse(SMALL | changes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


class RopeTests(unittest.TestCase):
    def frequencies(self, scaling: dict, dim: int = 16, theta: float = 10000.0) -> np.ndarray:
        return np.array(read_rope({"rope_theta": theta, "rope_scaling": scaling}, "config.json", dim, 256).frequencies)

    def test_plain_and_linear(self):
        plain = 10000.0 ** (-np.arange(0, 16, 2) / 16)
        np.testing.assert_allclose(self.frequencies({}), plain, rtol=1e-7)
        np.testing.assert_allclose(self.frequencies({"type": "linear", "factor": 4}), plain / 4, rtol=1e-7)

    def test_llama3_keeps_short_wavelengths_divides_long_ones_and_blends_between(self):
        scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
        plain = 500000.0 ** (-np.arange(0, 128, 2) / 128)
        found = self.frequencies(scaling, 128, 500000.0)
        wavelength = 2 * math.pi / plain
        np.testing.assert_allclose(found[wavelength < 2048], plain[wavelength < 2048], rtol=1e-7)
        np.testing.assert_allclose(found[wavelength > 8192], plain[wavelength > 8192] / 8, rtol=1e-7)
        between = (wavelength >= 2048) & (wavelength <= 8192)
        self.assertEqual(between.sum(), 6)
        smooth = (8192 / wavelength[between] - 1) / 3
        np.testing.assert_allclose(found[between], (1 - smooth) * plain[between] / 8 + smooth * plain[between], rtol=1e-6)

    def test_yarn_blends_over_the_dimensions_that_turn_between_32_times_and_once(self):
        scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
        found, plain = self.frequencies(scaling, 128, 1e6), 1e6 ** (-np.arange(0, 128, 2) / 128)
        # 128 ln(32768 / (32 * 2 pi)) / (2 ln 1e6) = 23.6 and the same for one turn = 39.6
        np.testing.assert_allclose(found[:24], plain[:24], rtol=1e-7)
        np.testing.assert_allclose(found[40:], plain[40:] / 4, rtol=1e-7)
        ramp = (np.arange(24, 40) - 23) / 17
        np.testing.assert_allclose(found[24:40], plain[24:40] * (1 - ramp) + plain[24:40] / 4 * ramp, rtol=1e-6)
        rope = read_rope({"rope_theta": 1e6, "rope_scaling": scaling}, "config.json", 128, 131072)
        self.assertAlmostEqual(rope.attention_factor, 1.138629436, places=8)
        cos, sin = rope.tables(torch.tensor([[0, 7]]))
        self.assertAlmostEqual(cos[0, 0, 0].item(), 1.138629436, places=8)
        self.assertAlmostEqual(sin[0, 1, 0].item(), 1.138629436 * math.sin(7), places=6)

    def test_newer_files_name_it_rope_parameters(self):
        old = read_rope({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}}, "config.json", 16, 256)
        new = read_rope({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}}, "config.json", 16, 256)
        self.assertEqual(old, new)

    def test_unknown_scaling_and_missing_numbers_are_refused_by_name(self):
        for scaling, named in (({"rope_type": "dynamic", "factor": 2.0}, "rope_scaling.rope_type"), ({"rope_type": "linear"}, "rope_scaling.factor"),
                               ({"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}, "rope_scaling.high_freq_factor"),
                               ({"type": "yarn", "factor": 0}, "rope_scaling.factor")):
            with self.assertRaisesRegex(CheckpointError, f"config.json: {named}: expected"):
                self.frequencies(scaling)


class ModelTests(unittest.TestCase):
    @torch.no_grad()
    def test_one_layer_equals_the_formulas(self):
        """Written out once more with numpy, head by head and position by position."""
        for changes in ({"num_key_value_heads": 1}, {"model_type": "qwen2"}, {"model_type": "qwen3", "head_dim": 12, "num_key_value_heads": 1},
                        {"model_type": "mistral", "sliding_window": 3}, {"attention_bias": True, "mlp_bias": True}):
            model = decoder(num_hidden_layers=1, **changes).double()
            ids = torch.tensor([3, 9, 1, 27, 9, 14, 2])
            np.testing.assert_allclose(model(ids[None])[0].numpy(), _by_hand(model, ids.tolist()), rtol=1e-9, atol=1e-9)

    @torch.no_grad()
    def test_cached_steps_equal_the_whole_pass(self):
        for changes in ({}, {"model_type": "mistral", "sliding_window": 4}):
            model = decoder(**changes)
            ids = torch.randint(0, 30, (2, 12))
            whole, cache = model(ids), Cache(2)
            parts = [model.logits(model.hidden(ids[:, start:end], None, torch.ones(2, end, dtype=torch.bool), cache))
                     for start, end in ((0, 5), (5, 6), (6, 12))]
            torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)

    def test_window_counts_the_query_itself(self):
        mask = attention_mask(torch.arange(5), None, 2)[0, 0]
        self.assertEqual((mask == 0).int().tolist(), [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]])

    def test_windows_by_layer(self):
        base = SMALL | {"num_hidden_layers": 3}
        self.assertEqual(parse(base | {"model_type": "mistral"}).windows, (4096,) * 3)
        self.assertEqual(parse(base | {"model_type": "mistral", "sliding_window": None}).windows, (None,) * 3)
        self.assertEqual(parse(base | {"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 1}).windows, (None,) * 3)
        self.assertEqual(parse(base | {"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 1, "use_sliding_window": True}).windows, (None, 8, 8))
        kinds = ["sliding_attention", "full_attention", "sliding_attention"]
        self.assertEqual(parse(base | {"model_type": "qwen3", "sliding_window": 8, "layer_types": kinds}).windows, (8, None, 8))

    def test_configurations_that_are_not_done_are_refused_by_name(self):
        for changes, named in (({"model_type": "gemma"}, "model_type"), ({"hidden_act": "gelu"}, "hidden_act"), ({"hidden_size": None}, "hidden_size"),
                               ({"num_key_value_heads": 3}, "num_key_value_heads"), ({"vocab_size": "30"}, "vocab_size"), ({"vocab_size": True}, "vocab_size"),
                               ({"quantization_config": {}}, "quantization_config"), ({"torch_dtype": "float8"}, "torch_dtype"),
                               ({"tie_word_embeddings": 1}, "tie_word_embeddings"), ({"rms_norm_eps": -1}, "rms_norm_eps")):
            with self.assertRaisesRegex(CheckpointError, f"^config.json: {named}: expected .*, found "):
                parse(SMALL | changes)


def _by_hand(model: HfDecoder, ids: list[int]) -> np.ndarray:
    config, weights = model.config, {name: parameter.numpy() for name, parameter in model.named_parameters()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config.norm_eps) * weights[name]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

    def turn(vector: np.ndarray, position: int) -> np.ndarray:
        half, turned = config.head_dim // 2, np.empty_like(vector)
        for i in range(half):
            angle = float(np.float32(position) * np.float32(config.rope.theta ** (-i / half)))
            turned[i] = vector[i] * math.cos(angle) - vector[i + half] * math.sin(angle)
            turned[i + half] = vector[i + half] * math.cos(angle) + vector[i] * math.sin(angle)
        return turned

    x = weights["model.embed_tokens.weight"][ids]
    prefix = "model.layers.0."
    h = norm(x, prefix + "input_layernorm.weight")
    q, k, v = (linear(h, f"{prefix}self_attn.{name}_proj").reshape(len(ids), -1, config.head_dim) for name in "qkv")
    if config.qk_norm:
        q, k = norm(q, prefix + "self_attn.q_norm.weight"), norm(k, prefix + "self_attn.k_norm.weight")
    mixed = np.zeros_like(q)
    for head in range(config.heads):
        shared = head * config.kv_heads // config.heads
        for t in range(len(ids)):
            seen = [s for s in range(t + 1) if config.windows[0] is None or t - s < config.windows[0]]
            scores = np.array([turn(q[t, head], t) @ turn(k[s, shared], s) / math.sqrt(config.head_dim) for s in seen])
            share = np.exp(scores - scores.max())
            mixed[t, head] = (share / share.sum()) @ v[seen, shared]
    x = x + linear(mixed.reshape(len(ids), -1), prefix + "self_attn.o_proj")
    h = norm(x, prefix + "post_attention_layernorm.weight")
    gate = linear(h, prefix + "mlp.gate_proj")
    x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, prefix + "mlp.up_proj"), prefix + "mlp.down_proj")
    return norm(x, "model.norm.weight") @ weights["lm_head.weight"].T


class FixtureTests(unittest.TestCase):
    def test_command_gives_the_committed_bytes_again(self):
        listed = sorted(name for name in os.listdir(FAMILIES) if os.path.isdir(os.path.join(FAMILIES, name)))
        self.assertEqual(listed, sorted(variant.name for variant in fixtures.VARIANTS))
        with tempfile.TemporaryDirectory() as folder:
            for index, variant in enumerate(fixtures.VARIANTS):
                fixtures.write_variant(variant, os.path.join(folder, variant.name), index)
                committed = os.path.join(FAMILIES, variant.name)
                self.assertEqual(sorted(os.listdir(committed)), sorted(os.listdir(os.path.join(folder, variant.name))))
                for name in os.listdir(committed):
                    with open(os.path.join(committed, name), "rb") as one, open(os.path.join(folder, variant.name, name), "rb") as other:
                        self.assertEqual(one.read(), other.read(), f"{variant.name}/{name}")
            fixtures.write_tokenizer_reference(folder, 0)
            with open(os.path.join(FAMILIES, fixtures.TOKENIZER_REFERENCE), "rb") as one, open(os.path.join(folder, fixtures.TOKENIZER_REFERENCE), "rb") as other:
                self.assertEqual(one.read(), other.read())

    @torch.no_grad()
    def test_single_precision_gives_the_recorded_logits(self):
        for variant in fixtures.VARIANTS:
            folder = os.path.join(FAMILIES, variant.name)
            model, reference = load_model(folder), safetensors_file.read(os.path.join(folder, "reference.safetensors"))
            for index in range(2):
                logits = model(reference[f"case_{index}.input_ids"][None])[0][reference[f"case_{index}.rows"]]
                torch.testing.assert_close(logits, reference[f"case_{index}.logits"], atol=2e-4, rtol=1e-4)

    @torch.no_grad()
    def test_long_sequences_show_scaling_and_window(self):
        """Without the variant's special feature the recorded rows are far away, so a parity test on them can fail."""
        plain = {"rope_scaling": None, "sliding_window": None}
        for name in ("llama3-rope-llama3", "llama32-tied", "llama-linear", "llama-yarn", "qwen2-yarn-untied", "mistral-window"):
            folder = os.path.join(FAMILIES, name)
            model = to_model(parse(load(folder).raw | plain), read_tensors(folder)).eval()
            reference = safetensors_file.read(os.path.join(folder, "reference.safetensors"))
            found = model(reference["case_1.input_ids"][None])[0][reference["case_1.rows"]]
            self.assertGreater((found - reference["case_1.logits"]).abs().max().item(), 0.1, name)

    def test_fixtures_are_small(self):
        for variant in fixtures.VARIANTS:
            self.assertLess(sum(entry.stat().st_size for entry in os.scandir(os.path.join(FAMILIES, variant.name))), 300_000)


class WeightTests(unittest.TestCase):
    def test_shards_and_types_survive(self):
        with tempfile.TemporaryDirectory() as folder:
            for dtype in (torch.float32, torch.float16, torch.bfloat16):
                tensors = model_tensors(decoder(), dtype)
                place = os.path.join(folder, str(dtype))
                os.makedirs(place)
                write_tensors(place, tensors, 2000)
                self.assertGreater(len(os.listdir(place)), 3)
                back = read_tensors(place)
                self.assertEqual(back.keys(), tensors.keys())
                self.assertTrue(all(torch.equal(back[name], tensor) and back[name].dtype == dtype for name, tensor in tensors.items()))

    def test_broken_weights_are_refused_by_name(self):
        tensors, config = model_tensors(decoder(), torch.float32), parse(SMALL)
        without = {name: tensor for name, tensor in tensors.items() if name != "model.norm.weight"}
        for changed, named in ((without, "model.norm.weight"), (tensors | {"lm_head.weight": torch.zeros(29, 16)}, "lm_head.weight"),
                               (tensors | {"model.layers.0.self_attn.q_proj.bias": torch.zeros(16)}, "q_proj.bias")):
            with self.assertRaisesRegex(CheckpointError, f"{named}: expected .*, found "):
                to_model(config, changed)
        to_model(config, tensors | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(4)})  # old files have these
        to_model(parse(SMALL | {"tie_word_embeddings": True}), tensors)  # a copy of the tied head is allowed

    def test_index_and_file_must_agree(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(CheckpointError, "model.safetensors.index.json"):
                read_tensors(folder)
            write_tensors(folder, model_tensors(decoder(), torch.float32), 2000)
            path = os.path.join(folder, "model.safetensors.index.json")
            with open(path, encoding="utf-8") as file:
                index = json.load(file)
            for value in ("../model.safetensors", "model-00009-of-00009.safetensors", "model-00001-of-00002.safetensors", 3):
                with open(path, "w", encoding="utf-8") as file:
                    json.dump({"weight_map": index["weight_map"] | {"model.norm.weight": value}}, file)
                with self.assertRaises(CheckpointError):
                    read_tensors(folder)
            with open(os.path.join(folder, "model.safetensors"), "wb") as file:
                file.write(b"\xff" * 40)
            with self.assertRaisesRegex(CheckpointError, "model.safetensors: the file: expected a safetensors file"):
                read_tensors(folder)


if __name__ == "__main__":
    unittest.main()
