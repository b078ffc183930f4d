"""Where a run computes: a device, and its place among the processes of `torchrun` (`python3 -m torch.distributed.run --nproc_per_node N -m ...`).

CPU and CUDA, PyTorch 1.13 and 2.x. Show what is here: `python3 -m tessera_training.devices`.
"""
from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as distributed
import torch.nn as nn

CPU = torch.device("cpu")
SHARDINGS = ("none", "fsdp")


class DeviceError(ValueError):
    """A device or sharding that is not to be had here; one line for the user."""


@dataclass(frozen=True)
class Placement:
    """This process: its device, its number and how many there are."""

    device: torch.device = CPU
    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def choose(name: str, local_rank: int = 0) -> torch.device:
    """`cpu` or `cuda`; with several processes on a machine each takes the GPU of its number."""
    if name == "cpu":
        return CPU
    if name != "cuda":
        raise DeviceError(f"--device: expected cpu or cuda, found {name!r}")
    if not torch.cuda.is_available():
        raise DeviceError(f"--device cuda: expected a CUDA device, found none (PyTorch {torch.__version__})")
    if local_rank >= torch.cuda.device_count():
        raise DeviceError(f"--device cuda: expected a GPU for each process, found {torch.cuda.device_count()} for process {local_rank}")
    return torch.device("cuda", local_rank)


def start(name: str = "cpu") -> Placement:
    """Joins the processes that torchrun started, if it did: gloo on CPU, NCCL on CUDA."""
    device = choose(name, int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        # The first process may train a codebook while the others wait.
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=1))
    return current(device)


def current(device: torch.device = CPU) -> Placement:
    """This process's place in the group that is there."""
    if not distributed.is_initialized():
        return Placement(device)
    return Placement(device, distributed.get_rank(), distributed.get_world_size())


def finish() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def names_bf16(cpu_flags: str) -> bool:
    """Whether a processor with these flags (of /proc/cpuinfo) multiplies bf16; PyTorch emulates it elsewhere, many times slower than fp32."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(cpu_flags.split())


@functools.lru_cache(maxsize=None)
def _cpu_has_bf16() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return any(names_bf16(line.split(":", 1)[1]) for line in file if line.startswith(("flags", "Features")))
    except OSError:  # not Linux
        return False


def compute_type(device: torch.device) -> torch.dtype:
    """What products are computed in during training: bf16 on GPUs and on CPUs with instructions for it, else fp32."""
    return torch.bfloat16 if device.type != "cpu" or _cpu_has_bf16() else torch.float32


def autocast(device: torch.device, enabled: bool = True) -> torch.autocast:
    """bf16 autocast where `compute_type` is bf16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled and compute_type(device) == torch.bfloat16)


def load(path: str) -> dict:
    """Tensors and plain values of a file that torch.save wrote, on the CPU; from PyTorch 2 on no code in it is run (1.13 reads no floats that way)."""
    return torch.load(path, map_location="cpu", weights_only=_major() >= 2)


def _major() -> int:
    return int(torch.__version__.split(".")[0])


def parallel(model: nn.Module, placement: Placement, sharding: str = "none", layers: type[nn.Module] | None = None) -> nn.Module:
    """The model for this many processes: itself, DDP, or FSDP with `layers` as units."""
    if sharding not in SHARDINGS:
        raise DeviceError(f"--sharding: expected one of {', '.join(SHARDINGS)}, found {sharding!r}")
    if sharding == "fsdp":
        return _fsdp(model, placement, layers)
    if placement.world == 1:
        return model
    own = [placement.device.index] if placement.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=own)


def _fsdp(model: nn.Module, placement: Placement, layers: type[nn.Module] | None) -> nn.Module:
    if placement.device.type != "cuda":
        raise DeviceError("--sharding fsdp: expected --device cuda (PyTorch shards on GPUs), found cpu")
    if placement.world == 1:
        raise DeviceError("--sharding fsdp: expected several processes (torchrun), found one")
    if _major() < 2:
        raise DeviceError(f"--sharding fsdp: expected PyTorch 2.2 or later, found {torch.__version__}")
    from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecision
    from torch.distributed.fsdp.wrap import ModuleWrapPolicy

    # Autocast already computes in bf16; gradients are summed in fp32.
    return FullyShardedDataParallel(model, auto_wrap_policy=ModuleWrapPolicy({layers}) if layers else None, device_id=placement.device,
                                    mixed_precision=MixedPrecision(param_dtype=torch.bfloat16, reduce_dtype=torch.float32), use_orig_params=True)


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__}, {torch.cuda.device_count()} GPUs, {os.cpu_count()} CPU cores, training on the CPU computes in {compute_type(CPU)}")
