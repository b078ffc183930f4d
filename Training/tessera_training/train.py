"""Train the language model: `python3 -m tessera_training.train --recipe recipes/walkback.toml --codebook runs/walkback/codebook
--out runs/walkback` (again with `--resume` to continue).

Writes state.pt (for resuming), log.jsonl (a line per step) and checkpoint/ (Hugging Face layout). With schedule "minutes" the
learning rate follows the wall clock, so a run ends on time however busy the machine is; "steps" and "tokens" are exactly repeatable.
Several processes share a run (data parallel) under `python3 -m torch.distributed.run --nproc_per_node 2 -m tessera_training.train ...`
(PyTorch 1.13 on Python 3.11 needs `--redirects 1 --tee 1` too): each draws its own batches, gradients are averaged.
"""
from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import time

import torch
import torch.distributed as distributed
import torch.nn.functional as F

from . import checkpoint, devices, files
from . import config as recipes
from .config import Recipe
from .init import latent_aliases, spelling_aliases, structured_init
from .mix import IGNORED, MixedBatch, StepCoder, mixed_batch
from .model import ModelShape, TesseraLlama
from .tasks import sources_of
from .tokenizer import Tokenizer, build
from .vqvae import Codebook


def new_model(recipe: Recipe, tokenizer: Tokenizer, codebook: Codebook | None = None) -> TesseraLlama:
    """A fresh model; with `structured_init` and a codebook, latents start next to their text token."""
    wanted = recipe.model
    model = TesseraLlama(ModelShape(tokenizer.size, wanted.dim, wanted.layers, wanted.heads, wanted.mlp_dim, wanted.ngrams,
                                    wanted.rope_theta, wanted.max_positions))
    if wanted.structured_init:
        aliases = spelling_aliases(tokenizer)
        if codebook is not None:
            aliases |= {latent: aliases.get(token, token) for latent, token in latent_aliases(codebook, tokenizer, recipe).items()}
        structured_init(model, aliases, wanted.init_scale, wanted.copy_scale)
    return model


class Run:
    """One training run: model, optimizer and counters; `state.pt` holds all of it.

    Batches are drawn from a generator seeded by (seed, rank, step), so there is no random state to keep.
    """

    def __init__(self, recipe: Recipe, codebook: Codebook, folder: str, device: torch.device = devices.CPU) -> None:
        self.device = device
        self.recipe, self.codebook, self.folder = recipe, codebook, folder
        self.tokenizer = Tokenizer(build(codebook.config.codes, recipe.tasks.names))
        if codebook.text_size != self.tokenizer.text_size:
            raise ValueError(f"codebook: made for a vocabulary of {codebook.text_size} text tokens, the recipe's tasks have {self.tokenizer.text_size}")
        place = devices.current(device)
        self.rank, self.world = place.rank, place.world
        torch.manual_seed(recipe.seed)
        self.model = new_model(recipe, self.tokenizer, codebook).to(device)
        settings = recipe.train
        matrices = [p for p in self.model.parameters() if p.dim() == 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        self.optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
                                           lr=settings.lr, betas=(0.9, 0.95))
        self.sources = sources_of(recipe.tasks)
        self.coder = StepCoder(codebook, self.tokenizer)
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        os.makedirs(folder, exist_ok=True)

    @classmethod
    def open(cls, folder: str, device: torch.device = devices.CPU) -> "Run":
        """The run saved in `folder`."""
        with open(os.path.join(folder, "recipe.json"), encoding="utf-8") as file:
            recipe = recipes.parse(json.load(file))
        run = cls(recipe, Codebook.load(os.path.join(folder, "codebook")), folder, device)
        path = os.path.join(folder, "state.pt")
        state = devices.load(path)
        for name, value in run.model.state_dict().items():
            found = tuple(state["model"][name].shape) if name in state["model"] else "none"
            if found != tuple(value.shape):
                raise ValueError(f"{path}: {name}: recipe.json expects shape {tuple(value.shape)}, found {found}")
        run.model.load_state_dict(state["model"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.step, run.tokens, run.seconds = state["step"], state["tokens"], state["seconds"]
        return run

    @torch.no_grad()
    def warm_start(self, folder: str) -> None:
        """Weights of another run with the same vocabulary; latents start again next to their text token."""
        weights = devices.load(os.path.join(folder, "state.pt"))["model"]
        self.model.load_state_dict(weights)
        if self.rank == 0:
            print(f"warm start from {folder}", flush=True)
        aliases = latent_aliases(self.codebook, self.tokenizer, self.recipe)
        generator = torch.Generator().manual_seed(self.recipe.seed)
        for table in (self.model.embed, *self.model.ngram):
            for latent, token in aliases.items():
                noise = torch.randn(table.weight.shape[1], generator=generator).to(self.device) * table.weight[token].std()
                table.weight[latent] = 0.9 * table.weight[token] + 0.3 * noise

    @torch.no_grad()
    def take_weights(self, folder: str) -> None:
        """Weights of a checkpoint (its embedding scale taken out again); the optimizer starts anew."""
        model, tokenizer = checkpoint.load(folder)
        if tokenizer.size != self.tokenizer.size or model.shape != self.model.shape:
            raise ValueError(f"{folder}: expected shape {self.model.shape}, found {model.shape}")
        scale = self.model.embedding_scale
        if not torch.allclose(model.embed.weight, model.head.weight * scale, rtol=1e-4, atol=1e-5):
            raise ValueError(f"{folder}: lm_head is not the token embedding: not a checkpoint of this trainer")
        for table in (model.embed, *model.ngram):
            table.weight.div_(scale)
        model.head = None
        self.model.load_state_dict(model.state_dict())

    def save(self) -> None:
        if self.rank:
            return
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step, "tokens": self.tokens,
                 "seconds": self.seconds}
        path = os.path.join(self.folder, "state.pt")
        torch.save(state, path + ".part")
        os.replace(path + ".part", path)
        checkpoint.write_json(os.path.join(self.folder, "recipe.json"), dataclasses.asdict(self.recipe))
        own = os.path.join(self.folder, "codebook")
        if not os.path.exists(os.path.join(own, "codebook.json")):
            self.codebook.save(own, {"measured": self.codebook.measured})
        self.write_checkpoint()

    def write_checkpoint(self) -> str:
        """Weights in the Hugging Face layout; returns the folder."""
        folder = os.path.join(self.folder, "checkpoint")
        ratio = self.codebook.measured.get("text_tokens_per_latent", 0.0)
        checkpoint.save(folder, self.model, self.tokenizer, checkpoint.package_description(self.recipe, self.tokenizer, ratio))
        return folder

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        settings = self.recipe.train
        done = {"minutes": self.seconds / 60, "steps": self.step, "tokens": self.tokens / 1e6}
        return done[settings.schedule] / settings.length

    def learning_rate(self) -> float:
        settings = self.recipe.train
        warm = min(1.0, (self.step + 1) / settings.warmup_steps)
        decay = 1.0 if self.progress < settings.decay_from else max(0.02, (1 - self.progress) / (1 - settings.decay_from))
        return settings.lr * warm * decay

    def draw_batch(self) -> tuple[str, MixedBatch]:
        settings, shared = self.recipe.train, random.Random(f"{self.recipe.seed}/{self.step}")
        easy = self.progress < settings.easy_until or shared.random() < settings.easy_rate
        long_batch = shared.random() >= self.recipe.mix.short_batch_rate  # alike on all ranks, so that none waits
        rng = random.Random(f"{self.recipe.seed}/{self.step}/{self.rank}")
        source = self.sources[(self.step + self.rank) % len(self.sources)]
        count = settings.long_questions if long_batch else settings.short_questions
        count = -(-count // source.prompt_factor)
        problems = [source.make(rng, count, easy) for _ in range(settings.prompts * source.prompt_factor)]
        return source.name, mixed_batch(rng, problems, self.tokenizer, self.coder, self.recipe.mix, long_batch, settings.last_step_weight,
                                         self.progress, settings.answer_weight).to(self.device)

    def train_step(self) -> dict:
        """One optimizer step; returns the log record."""
        started = time.time()
        settings = self.recipe.train
        name, batch = self.draw_batch()
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with devices.autocast(self.device):
            plans = settings.planning_weight > 0 and len(batch.candidates) > 0
            outputs: list[torch.Tensor] | None = [] if plans else None
            hidden = self.model.branch_hidden(batch.prompts, batch.lengths, batch.branches, devices.compute_type(self.device), outputs)
            kept = batch.labels != IGNORED
            logits = self.model.logits(hidden[kept]).float()  # [supervised tokens, vocab]
            plan = planning_loss(self.model, outputs, batch) if plans else None
        labels = batch.labels[kept]
        weights = batch.weights[kept]
        loss = (F.cross_entropy(logits, labels, reduction="none") * weights).sum() / weights.sum()
        objective = loss if plan is None else loss + settings.planning_weight * plan
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        token_count = self._average_gradients(batch.token_count)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.tokens += token_count
        self.seconds = self._agree(self.seconds + time.time() - started)
        record = {"step": self.step, "task": name, "loss": round(loss.item(), 4), "lr": rate, "tokens": self.tokens,
                  "seconds": round(self.seconds, 1), "progress": round(self.progress, 4)}
        if plan is not None:
            record["plan"] = round(plan.item(), 4)
        return record | self._accuracies(logits.argmax(-1) == labels, labels, batch, kept)

    def _average_gradients(self, token_count: int) -> int:
        """Mean gradient over the ranks; returns the token count of all of them."""
        if self.world == 1:
            return token_count
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        flat = torch.cat([p.grad.flatten() for p in parameters] + [torch.tensor([float(token_count)], device=self.device)])
        distributed.all_reduce(flat)
        offset = 0
        for parameter in parameters:
            parameter.grad.copy_(flat[offset:offset + parameter.numel()].view_as(parameter) / self.world)
            offset += parameter.numel()
        return int(flat[-1])

    def _agree(self, seconds: float) -> float:
        """The first rank's clock, so that all ranks have the same progress."""
        if self.world == 1:
            return seconds
        clock = torch.tensor([seconds], dtype=torch.float64, device=self.device)
        distributed.broadcast(clock, 0)
        return clock.item()

    def _accuracies(self, right: torch.Tensor, labels: torch.Tensor, batch: MixedBatch, kept: torch.Tensor) -> dict:
        """Teacher-forced accuracy on this fresh batch: latents, answers (after reasoning or without), other text."""
        tokenizer, ids = self.tokenizer, batch.branches
        ended = (ids == tokenizer.end_think).cumsum(-1) > 0
        direct = ((ids == tokenizer.think) & (ids.roll(-1, -1) == tokenizer.end_think)).any(-1, keepdim=True).expand_as(ids)
        latent = labels >= tokenizer.first_latent
        groups = {"latent": latent, "answer": ended[kept] & ~direct[kept], "answer_only": ended[kept] & direct[kept], "text": ~ended[kept] & ~latent}
        return {key: round(right[mask].float().mean().item(), 4) for key, mask in groups.items() if mask.any()}


def planning_loss(model: TesseraLlama, outputs: list[torch.Tensor], batch: MixedBatch) -> torch.Tensor:
    """How far each layer's state at a candidate is from the even distribution over the names up to as many hops behind it as layers have looked (KL divergence, mean).

    The first layer sees no whole sentence and the last two put the plan to use: of n layers, i = 1 .. n - 3 are asked.
    """
    rows, positions = batch.candidates.unbind(1)
    losses = []
    for layer in range(1, len(outputs) - 2):
        logits = model.logits(outputs[layer].flatten(0, 1)[rows, positions])[:, :batch.behind.shape[1]].float()  # [M, text vocabulary]
        wanted = (batch.behind <= layer).float()
        known = wanted.sum(-1)
        losses.append(-(F.log_softmax(logits, -1) * wanted).sum(-1) / known - known.log())
    return torch.stack(losses).mean()


def train(run: Run) -> None:
    """Until progress reaches 1; saves on the way."""
    settings = run.recipe.train
    saved = run.seconds
    sums: dict[str, list[float]] = {}
    with open(os.path.join(run.folder, "log.jsonl") if run.rank == 0 else os.devnull, "a", encoding="utf-8") as log:
        while run.progress < 1:
            record = run.train_step()
            log.write(json.dumps(record) + "\n")
            for key in ("loss", "plan", "latent", "answer", "answer_only", "text"):
                if key in record:
                    sums.setdefault(f"{record['task']}.{key}", []).append(record[key])
            if run.step % settings.log_every == 0 and run.rank == 0:
                log.flush()
                means = " ".join(f"{key} {sum(values) / len(values):.3f}" for key, values in sorted(sums.items()))
                bar = "#" * int(20 * run.progress)
                print(f"[{bar:<20}] {100 * run.progress:5.1f}% step {run.step} {run.seconds:.0f} s {run.tokens / 1e6:.2f} M tokens "
                      f"{run.tokens / max(run.seconds, 1e-9):.0f}/s lr {record['lr']:.1e} {means}", flush=True)
                sums = {}
            if run.seconds - saved > 60 * settings.checkpoint_minutes:
                run.save()
                saved = run.seconds
    run.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", help="recipe of a new run")
    parser.add_argument("--codebook", help="codebook folder of a new run")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--seed", type=int, help="overrides the recipe's seed")
    parser.add_argument("--length", type=float, help="overrides train.length (minutes, steps or millions of tokens)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="changes a key of a new run's recipe, such as mix.strategy=all")
    parser.add_argument("--warm", help="folder of a run whose weights a new run starts from")
    parser.add_argument("--weights", help="checkpoint folder whose weights, latents included, a new run starts from")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    args = parser.parse_args()
    device = devices.start(args.device).device
    if args.resume:
        run = Run.open(args.out, device)
        run.recipe.train.length = args.length or run.recipe.train.length
    else:
        if not args.recipe or not args.codebook:
            parser.error("a new run needs --recipe and --codebook")
        recipe = recipes.changed(recipes.load(args.recipe), args.settings)
        recipe.seed = recipe.seed if args.seed is None else args.seed
        recipe.train.length = args.length or recipe.train.length
        codebook = Codebook.load(args.codebook)
        recipe.codebook.codes = codebook.config.codes
        run = Run(recipe, codebook, args.out, device)
        if args.warm:
            run.warm_start(args.warm)
        if args.weights:
            run.take_weights(args.weights)
    torch.set_num_threads(run.recipe.threads)
    print(f"seed {run.recipe.seed}, {sum(p.numel() for p in run.model.parameters()):,} parameters, vocabulary {run.tokenizer.size}, "
          f"step {run.step}, {run.recipe.train.length} {run.recipe.train.schedule}", flush=True)
    train(run)


if __name__ == "__main__":
    files.run(main)
