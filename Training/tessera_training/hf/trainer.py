"""The loop of a fine-tuning run: batches that do not depend on the number of processes, gradient accumulation, cosine schedule, early stop, resuming.

Rows of a step, their order and their m are functions of the seed and the step alone, and the loss is divided by the step's count of supervised tokens, so one
process, several processes, and small or large micro-batches compute the same step.
"""
from __future__ import annotations

import json
import math
import os
import random
import time
from contextlib import nullcontext

import torch
import torch.distributed as distributed
import torch.nn.functional as F

from .. import devices, files
from ..devices import Placement
from . import codebook as codebooks
from .config import CONFIG
from .errors import CheckpointError
from .model import Layer
from .prepare import PACKAGE, Prepared, initial_model
from .state import full_state, restore
from .tokenizer import FILE
from .traces import IGNORED, Trace, draw_replaced, pad_rows, row
from .weights import stored_dtype, write_json, write_tensors

STATE, CHECKPOINT = "state.pt", "checkpoint"
SHARD_BYTES = 5 << 30


def is_vector(name: str) -> bool:
    """Biases and norms, which do not decay."""
    return name.endswith("bias") or name.split(".")[-2].endswith("norm")


class FinetuneRun:
    """Model, optimizer and counters of one process."""

    def __init__(self, prepared: Prepared, folder: str, place: Placement, sharding: str = "none") -> None:
        self.prepared, self.folder, self.place, self.recipe = prepared, folder, place, prepared.recipe
        settings = self.recipe.train
        if settings.batch % place.world:
            raise CheckpointError("recipe", "train.batch", f"a multiple of the {place.world} processes", settings.batch)
        pad = prepared.tokenizer.pad
        self.codes = codebooks.codes_of(prepared.codebook, prepared.training, pad)
        self.validation_codes = codebooks.codes_of(prepared.codebook, prepared.validation, pad)
        model = initial_model(prepared, self.codes)
        if sharding == "none":  # a sharded model goes to the device in shards
            model = model.to(place.device)
        model.model.recompute = settings.recompute
        self.model = devices.parallel(model, place, sharding, Layer)
        # By name: a shard of a matrix has one dimension.
        vectors = [p for name, p in self.model.named_parameters() if is_vector(name)]
        matrices = [p for name, p in self.model.named_parameters() if not is_vector(name)]
        self.optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
                                           lr=settings.lr, betas=(0.9, 0.95))
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.best, self.worse = math.inf, 0  # best validation loss; validations since then
        if os.path.exists(os.path.join(folder, STATE)):
            self._restore()

    def _restore(self) -> None:
        state = devices.load(os.path.join(self.folder, STATE))
        restore(self.model, self.optimizer, state)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.best, self.worse = state["best"], state["worse"]

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine to `min_lr_share`."""
        settings = self.recipe.train
        warm = max(1, round(settings.warmup_share * settings.steps))
        if self.step < warm:
            return settings.lr * (self.step + 1) / warm
        done = min(1.0, (self.step - warm) / max(1, settings.steps - warm))
        return settings.lr * (settings.min_lr_share + (1 - settings.min_lr_share) * 0.5 * (1 + math.cos(math.pi * done)))

    def rows_of_step(self, step: int) -> list[tuple[list[int], int]]:
        """All rows of a step, whatever the processes: problems in a new order each time round, m drawn for each row."""
        count, batch, rows = len(self.prepared.training), self.recipe.train.batch, []
        for number in range(step * batch, (step + 1) * batch):
            index = self._order(number // count)[number % count]
            rng = random.Random(f"{self.recipe.seed}/row/{number}")
            rows.append(self._row(self.prepared.training[index], self.codes[index], rng))
        return rows

    def _order(self, round_number: int) -> list[int]:
        if getattr(self, "_ordered", (None,))[0] != round_number:
            order = list(range(len(self.prepared.training)))
            random.Random(f"{self.recipe.seed}/order/{round_number}").shuffle(order)
            self._ordered = (round_number, order)
        return self._ordered[1]

    def _row(self, found: Trace, codes: list[int], rng: random.Random) -> tuple[list[int], int]:
        return row(self.prepared.tokenizer, found, codes, draw_replaced(rng, self.recipe.mix, len(codes)))

    def train_step(self) -> dict:
        """One optimizer step; the record of the log."""
        started, settings, place = time.time(), self.recipe.train, self.place
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rows = self.rows_of_step(self.step)
        supervised = sum(len(ids) - start for ids, start in rows)
        own = rows[place.rank::place.world]
        passes = [own[start:start + settings.micro_batch] for start in range(0, len(own), settings.micro_batch)]
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=place.device)
        for index, part in enumerate(passes):
            last = index + 1 == len(passes)
            with nullcontext() if last or place.world == 1 else self.model.no_sync():
                errors = self._error_sum(part)
                # Gradients are averaged over the processes, so that each counts its share of all supervised tokens `world` times.
                (errors * (place.world / supervised)).backward()
            total += errors.detach()
        if hasattr(self.model, "clip_grad_norm_"):  # FSDP: the norm over all shards
            self.model.clip_grad_norm_(settings.clip)
        else:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        self.optimizer.step()
        self.step += 1
        self.tokens += sum(len(ids) for ids, _ in rows)
        loss = self._sum(total).item() / supervised
        self.seconds += time.time() - started
        if not math.isfinite(loss):
            raise CheckpointError(self.folder, f"loss of step {self.step}", "a number", loss)
        return {"step": self.step, "loss": round(loss, 5), "lr": rate, "tokens": self.tokens, "seconds": round(self.seconds, 2)}

    def _error_sum(self, rows: list[tuple[list[int], int]]) -> torch.Tensor:
        ids, labels = (tensor.to(self.place.device) for tensor in pad_rows(rows, self.prepared.tokenizer.pad))
        kept = labels != IGNORED
        with devices.autocast(self.place.device, self.recipe.train.bf16):
            logits = self.model(ids, kept)
        return F.cross_entropy(logits.float(), labels[kept], reduction="sum")

    def _sum(self, value: torch.Tensor) -> torch.Tensor:
        if self.place.world > 1:
            distributed.all_reduce(value)
        return value

    @torch.no_grad()
    def validate(self) -> float:
        """Loss per supervised token of the held-out problems, each with the m of its place."""
        traces, size = self.prepared.validation, self.recipe.train.micro_batch
        rows = [self._row(found, codes, random.Random(f"{self.recipe.seed}/validation/{index}"))
                for index, (found, codes) in enumerate(zip(traces, self.validation_codes))]
        supervised = sum(len(ids) - start for ids, start in rows)
        # Sharded models need every process in every pass: a process without rows of its own runs the first one and counts nothing.
        passes = -(-len(rows) // (size * self.place.world))
        self.model.eval()
        total = torch.zeros((), device=self.place.device)
        for index in range(passes):
            first = (index * self.place.world + self.place.rank) * size
            part = rows[first:first + size]
            errors = self._error_sum(part or rows[:1])
            total += errors if part else 0
        return self._sum(total).item() / supervised

    def save(self, is_best: bool) -> None:
        """state.pt; and checkpoint/ when this is the one to keep."""
        model, optimizer = full_state(self.model, self.optimizer)  # collective where the model is sharded
        if not self.place.is_first:
            return
        path = os.path.join(self.folder, STATE)
        torch.save({"model": model, "optimizer": optimizer, "step": self.step, "tokens": self.tokens, "seconds": self.seconds, "best": self.best,
                    "worse": self.worse}, path + ".part")
        os.replace(path + ".part", path)
        if is_best:
            self._write_checkpoint(model)

    def _write_checkpoint(self, weights: dict[str, torch.Tensor]) -> None:
        """checkpoint/ in the Hugging Face layout, with tessera.json."""
        prepared, dtype = self.prepared, stored_dtype(self.prepared.config)
        tensors = {name: tensor.to(dtype) for name, tensor in weights.items()}
        with files.replaced(os.path.join(self.folder, CHECKPOINT)) as part:
            write_json(os.path.join(part, CONFIG), prepared.config.raw)
            write_json(os.path.join(part, FILE), prepared.tokenizer.description)
            write_json(os.path.join(part, PACKAGE), prepared.package)
            write_tensors(part, tensors, SHARD_BYTES)

    def train(self, until: int | None = None) -> None:
        """To the last step (or `until`), or until validation stops improving."""
        settings, end = self.recipe.train, min(self.recipe.train.steps, until or self.recipe.train.steps)
        log_path = os.path.join(self.folder, "log.jsonl") if self.place.is_first else os.devnull
        with open(log_path, "a", encoding="utf-8") as log:
            while self.step < end and not self.stopped:
                record = self.train_step()
                if self.step % settings.evaluate_every == 0 or self.step == settings.steps:
                    record |= self._evaluate_and_save()
                log.write(json.dumps(record) + "\n")
                if self.place.is_first and (self.step % settings.log_every == 0 or "validation" in record or self.step == end):
                    log.flush()
                    self._show(record)

    @property
    def stopped(self) -> bool:
        return bool(self.recipe.train.patience) and self.worse >= self.recipe.train.patience

    def _evaluate_and_save(self) -> dict:
        found = {"validation": round(self.validate(), 5)} if self.prepared.validation else {}
        loss = found.get("validation", -math.inf)
        is_best = loss < self.best or not self.prepared.validation
        self.best, self.worse = (loss, 0) if is_best else (self.best, self.worse + 1)
        self.save(is_best)
        return found

    def _show(self, record: dict) -> None:
        done = self.step / self.recipe.train.steps
        rate = self.tokens / max(self.seconds, 1e-9)
        held_out = f" validation {record['validation']:.4f} (best {self.best:.4f})" if "validation" in record else ""
        print(f"[{'#' * int(20 * done):<20}] {100 * done:5.1f}% step {self.step} {self.seconds:.0f} s {self.tokens / 1e6:.2f} M tokens {rate:.0f}/s "
              f"lr {record['lr']:.1e} loss {record['loss']:.4f}{held_out}{' early stop' if self.stopped else ''}", flush=True)
