"""Two processes on the CPU: `python3 -m unittest tests.test_hf_processes`"""
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tessera_training import devices
from tessera_training.hf import recipe
from tessera_training.hf.prepare import opened, prepare
from tessera_training.hf.trainer import FinetuneRun

HERE = os.path.dirname(__file__)
CHECKPOINT = os.path.join(HERE, "..", "..", "tests", "Exporter.Tests", "fixtures", "families", "llama32-tied")
SETTINGS = {"data": {"validation_share": 0.2}, "codebook": {"codes": 8, "dim": 16, "code_dim": 4, "heads": 1, "steps": 3, "batch": 4, "final_traces": 20},
            "train": {"bf16": False, "steps": 3, "batch": 6, "micro_batch": 2, "lr": 1e-3, "evaluate_every": 3}}


def launch(count: int, *arguments: str) -> subprocess.CompletedProcess:
    # PyTorch 1.13 on Python 3.11 starts processes only when their output is redirected.
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(count), "--redirects", "1", "--tee", "1", "--rdzv_backend", "c10d",
               "--rdzv_endpoint", "localhost:0", "-m", "tessera_training.finetune", *arguments]
    return subprocess.run(command, cwd=os.path.join(HERE, ".."), capture_output=True, text=True, timeout=300, check=False)


class ProcessTests(unittest.TestCase):
    def test_two_processes_compute_what_one_does(self):
        with tempfile.TemporaryDirectory() as folder:
            data, base, one, two = (os.path.join(folder, name) for name in ("data.jsonl", "base", "one", "two"))
            with open(data, "w", encoding="utf-8") as file:
                file.writelines(json.dumps({"prompt": f"What is {n} + {n}?", "steps": [f"{n} + {n} = {2 * n}."], "answer": str(2 * n)}) + "\n" for n in range(9))
            made = recipe.parse(SETTINGS)
            made.checkpoint, made.data.file = CHECKPOINT, data
            prepare(made, base, None, devices.CPU, lambda text: None)
            for target in (one, two):
                shutil.copytree(base, target)
            single = FinetuneRun(opened(one), one, devices.Placement())
            with contextlib.redirect_stdout(io.StringIO()):
                single.train()
            ended = launch(2, "--resume", "--out", two)
            self.assertEqual(ended.returncode, 0, ended.stderr[-3000:])
            self.assertIn("2 processes on cpu", ended.stdout)
            logs = []
            for target in (one, two):
                with open(os.path.join(target, "log.jsonl"), encoding="utf-8") as file:
                    logs.append([json.loads(line) for line in file])
            self.assertEqual([[record["step"] for record in log] for log in logs], [[1, 2, 3]] * 2)
            for mine, theirs in zip(*logs):
                self.assertAlmostEqual(mine["loss"], theirs["loss"], delta=2e-5)
                self.assertEqual(mine["tokens"], theirs["tokens"])
            self.assertAlmostEqual(logs[0][-1]["validation"], logs[1][-1]["validation"], delta=1e-4)
            states = [devices.load(os.path.join(target, "state.pt"))["model"] for target in (one, two)]
            for name, tensor in states[0].items():
                # Sums in another order, through the sign-like first steps of Adam.
                self.assertLess((tensor - states[1][name]).abs().mean().item(), 1e-4, name)
            self.assertEqual(sorted(os.listdir(os.path.join(one, "checkpoint"))), sorted(set(os.listdir(os.path.join(two, "checkpoint"))) - {"reference.safetensors"}))

    def test_an_error_of_one_process_ends_all(self):
        with tempfile.TemporaryDirectory() as folder:
            ended = launch(2, "--out", os.path.join(folder, "run"), "--checkpoint", CHECKPOINT, "--data", os.path.join(folder, "none.jsonl"))
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn("error: recipe: codebook.codes: expected 8, the latents that the checkpoint has, found 256", ended.stderr)
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main()
