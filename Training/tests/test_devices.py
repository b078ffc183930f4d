"""`python3 -m unittest tests.test_devices`"""
import os
import tempfile
import unittest

import torch

from tessera_training import devices
from tessera_training.config import CodebookConfig
from tessera_training.model import ModelShape, TesseraLlama
from tessera_training.vqvae import Codebook


class DeviceTests(unittest.TestCase):
    def test_devices_that_are_not_here_are_refused(self):
        self.assertEqual(devices.choose("cpu"), torch.device("cpu"))
        with self.assertRaisesRegex(devices.DeviceError, "--device: expected cpu or cuda, found 'gpu'"):
            devices.choose("gpu")
        with self.assertRaisesRegex(devices.DeviceError, "--device cuda: expected a (CUDA device|GPU for each process), found "):
            devices.choose("cuda", 10_000)

    def test_sharding_is_refused_where_it_cannot_be(self):
        model, two = torch.nn.Linear(2, 2), devices.Placement(devices.CPU, 0, 2)
        with self.assertRaisesRegex(devices.DeviceError, "--sharding fsdp: expected --device cuda"):
            devices.parallel(model, two, "fsdp")
        with self.assertRaisesRegex(devices.DeviceError, "--sharding fsdp: expected several processes"):
            devices.parallel(model, devices.Placement(torch.device("cuda", 0), 0, 1), "fsdp")
        with self.assertRaisesRegex(devices.DeviceError, "--sharding: expected one of none, fsdp, found 'zero'"):
            devices.parallel(model, two, "zero")
        self.assertIs(devices.parallel(model, devices.Placement()), model)

    def test_bf16_is_for_processors_that_multiply_it(self):
        self.assertTrue(devices.names_bf16("fpu avx512f avx512_bf16 amx_tile"))
        self.assertTrue(devices.names_bf16("avx512f amx_bf16"))
        self.assertFalse(devices.names_bf16("fpu avx2 fma avx512f avx512vl"))  # PyTorch emulates bf16 there
        self.assertEqual(devices.compute_type(torch.device("cuda", 0)), torch.bfloat16)

    def test_autocast_computes_in_the_compute_type_when_on(self):
        layer, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
        with devices.autocast(devices.CPU):
            self.assertEqual(layer(x).dtype, devices.compute_type(devices.CPU))
        with devices.autocast(devices.CPU, False):
            self.assertEqual(layer(x).dtype, torch.float32)

    def test_state_survives(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state.pt")
            torch.save({"model": {"w": torch.ones(2)}, "seconds": 1.5, "step": 3}, path)
            self.assertEqual((devices.load(path)["seconds"], devices.load(path)["step"]), (1.5, 3))


class ModelsOnAnotherDeviceTests(unittest.TestCase):
    """The meta device computes nothing, but it refuses operands of another device as a GPU would."""

    def ids(self, *shape: int) -> torch.Tensor:
        return torch.zeros(*shape, dtype=torch.long, device="meta")

    def test_meta_refuses_tensors_of_the_cpu(self):
        with self.assertRaises(RuntimeError):
            torch.zeros(3, 3, device="meta") + torch.zeros(3, 3)

    def test_training_pass_makes_its_tensors_on_the_models_device(self):
        model = TesseraLlama(ModelShape(60, dim=64, layers=2, heads=4, mlp_dim=96, ngrams=3, max_positions=64)).to("meta")
        self.assertEqual(model(self.ids(2, 9)).shape, (2, 9, 60))
        hidden = model.branch_hidden(self.ids(3, 16), self.ids(3), self.ids(3, 4, 7), torch.bfloat16)
        self.assertEqual((hidden.shape, hidden.device.type), ((3, 4, 7, 64), "meta"))

    def test_codebook_makes_its_tensors_on_its_device(self):
        codebook = Codebook(CodebookConfig(codes=8, dim=32, code_dim=8, heads=2), 50).to("meta")
        self.assertEqual(codebook.encode(self.ids(2, 30), self.ids(2, 9)).shape, (2, 3))
        self.assertEqual(codebook.decode(self.ids(2, 3), self.ids(2, 9)).device.type, "meta")


if __name__ == "__main__":
    unittest.main()
