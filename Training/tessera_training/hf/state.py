"""The whole state of a model and its optimizer, alike for a plain, a DDP and an FSDP model, on the CPU."""
from __future__ import annotations

import torch
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel


def _is_sharded(model: nn.Module) -> bool:
    return type(model).__name__ == "FullyShardedDataParallel"


def full_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict, dict]:
    """Weights by the layout's names, and the optimizer's state; every process of a sharded model must call it."""
    if _is_sharded(model):
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        return get_state_dict(model, optimizer, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    plain = model.module if isinstance(model, DistributedDataParallel) else model
    return plain.state_dict(), optimizer.state_dict()


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> None:
    """The opposite. A sharded run's optimizer state goes by names, a plain one's by numbers: a run is resumed with the sharding it began with."""
    if _is_sharded(model):
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"],
                       options=StateDictOptions(full_state_dict=True))
        return
    plain = model.module if isinstance(model, DistributedDataParallel) else model
    plain.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
