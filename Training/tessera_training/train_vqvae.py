"""Train the codebook: `python3 -m tessera_training.train_vqvae --recipe recipes/walkback.toml --out runs/walkback/codebook`.

The first part of the run has no codes: noise on the encoder's vectors, scaled to unit variance over the batch, limits what they can
carry, so the encoder drops what the decoder knows already (the question, earlier steps) and its vectors gather by a step's new
information. k-means then finds the first codes, which move a little with the encoder until both are frozen; the decoder learns
on, and the language model can start. With codes from the first step on and unscaled vectors, codes stayed mixtures (purity 0.5).
"""
from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter, defaultdict

import torch
import torch.nn.functional as F

from . import config as recipes
from . import devices, files, quantizers
from .config import Recipe
from .init import spelling_aliases
from .tasks import TaskSource, sources_of
from .tokenizer import Tokenizer, build
from .vqvae import Codebook, chunks_of, padded


class TraceBatch:
    """Reasoning traces as tensors: text [N, S, L], prompt tails [N, Q], valid [N, S], and the chunks' texts."""

    def __init__(self, traces: list[tuple[str, str, tuple[str, ...]]], tokenizer: Tokenizer, recipe: Recipe) -> None:
        length, tail, limit = recipe.codebook.chunk_tokens, recipe.codebook.question_tokens, recipe.codebook.max_steps
        chunks = [chunks_of(tokenizer, steps, recipe.codebook)[:limit] for _, _, steps in traces]
        self.tasks = [task for task, _, _ in traces]
        self.steps = [[tokenizer.decode(list(ids)) for ids in row] for row in chunks]
        most = max(map(len, chunks))
        self.text = torch.zeros(len(traces), most, length, dtype=torch.long)
        self.valid = torch.zeros(len(traces), most, dtype=torch.bool)
        self.prompt = torch.zeros(len(traces), tail, dtype=torch.long)
        for row, (_, prompt, _) in enumerate(traces):
            self.prompt[row] = torch.tensor(prompt_tail(tokenizer.encode(prompt), tail))
            for column, ids in enumerate(chunks[row]):
                self.text[row, column] = torch.tensor(padded(ids, length))
                self.valid[row, column] = True


def prompt_tail(ids: list[int], count: int) -> list[int]:
    """The last `count` ids, padded on the left."""
    return [0] * (count - len(ids)) + ids[-count:]


def draw_traces(rng: random.Random, sources: list[TaskSource], count: int) -> list[tuple[str, str, tuple[str, ...]]]:
    """(task, end of the prompt, steps); a few questions per problem, because a trace does not depend on the others."""
    traces = []
    while len(traces) < count:
        source = rng.choice(sources)
        problem = source.make(rng, 4, rng.random() < 0.3)
        tail = problem.facts[-120:]
        traces += [(problem.task, tail + question.text, question.steps) for question in problem.questions]
    return traces[:count]


def equal_sources(recipe: Recipe) -> list[TaskSource]:
    """Every task once, however often the language model's batches draw it: codes follow what is frequent."""
    return sources_of(recipe.tasks, list(dict.fromkeys(recipe.tasks.names)))


def canonical_ids(tokenizer: Tokenizer) -> torch.Tensor:
    """[text vocabulary]: the id of the word that a token spells, alike for variants (` Tom`, `Tom`, ` Tom has`)."""
    ids = torch.arange(tokenizer.text_size)
    for token, source in spelling_aliases(tokenizer).items():
        ids[token] = source
    return ids


def new_word_weights(batch: TraceBatch, weight: float, canonical: torch.Tensor) -> torch.Tensor:
    """[N, S, L]: `weight` for words that neither the step before nor the question holds, else 1.

    Codes carry first what costs most, so they become the step's new information and not what the decoder can know. Words are compared
    by their canonical ids: with ` Tom has` new after ` Tom depends on Leo.`, the codes of counts were split by persons.
    """
    text, prompt = canonical[batch.text], canonical[batch.prompt]
    before = torch.cat([torch.zeros_like(text[:, :1]), text[:, :-1]], 1)
    known = (text[..., :, None] == before[..., None, :]).any(-1)
    known |= (text[..., None] == prompt[:, None, None, :]).any(-1)
    return torch.where(known | (batch.text == 0), 1.0, weight)


@torch.no_grad()
def representative_vectors(codebook: Codebook, tokenizer: Tokenizer, sources: list[TaskSource], rng: random.Random, trace_count: int) -> torch.Tensor:
    """Encoder outputs [n, code_dim] that count rare steps too: of each task half as drawn, half from its distinct steps.

    Over steps as drawn, frequent ones take most codes and rare ones (large counts) share theirs with others.
    """
    chosen = []
    for source in sources:
        drawn = [(last_token(tokenizer, prompt), ids) for _, prompt, steps in draw_traces(rng, [source], trace_count)
                 for ids in chunks_of(tokenizer, steps, codebook.config)]
        distinct = list(dict.fromkeys(drawn))
        chosen += rng.choices(drawn, k=2 * trace_count) + rng.choices(distinct, k=2 * trace_count)
    text = torch.tensor([[padded(ids, codebook.config.chunk_tokens)] for _, ids in chosen])
    return codebook.latent_vectors(text, torch.tensor([token for token, _ in chosen]))[:, 0]


def last_token(tokenizer: Tokenizer, prompt: str) -> int:
    return tokenizer.encode(prompt[-60:])[-1]


def train(recipe: Recipe, folder: str) -> Codebook:
    settings = recipe.codebook
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    print(f"seed {recipe.seed}, codes {settings.codes}, steps {settings.steps}", flush=True)
    tokenizer = Tokenizer(build(settings.codes, recipe.tasks.names))
    sources, canonical = equal_sources(recipe), canonical_ids(tokenizer)
    codebook = Codebook(settings, tokenizer.text_size)
    quantizer = quantizers.make(codebook, settings)
    optimizer = torch.optim.AdamW(codebook.parameters(), lr=settings.lr, weight_decay=0.01, betas=(0.9, 0.95))
    os.makedirs(folder, exist_ok=True)
    started = time.time()
    with open(os.path.join(folder, "log.jsonl"), "w", encoding="utf-8") as log:
        for step in range(settings.steps):
            rate = settings.lr * min(1.0, (step + 1) / 50) * min(1.0, 2 * (1 - step / settings.steps) + 0.02)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = TraceBatch(draw_traces(rng, sources, settings.batch), tokenizer, recipe)
            with devices.autocast(devices.CPU):
                vectors = codebook.latent_vectors(batch.text, batch.prompt[:, -1])
            given, commitment, restarted = quantizer(step, vectors, batch.valid)
            if step == quantizer.frozen_from:
                codebook.freeze_codes()
                quantizer.finish(representative_vectors(codebook, tokenizer, sources, rng, settings.final_traces))
                codebook.save(folder, {"seed": recipe.seed, "note": "codes are final, the decoder is still learning"})
                print(f"codes are final: {folder}", flush=True)
            with devices.autocast(devices.CPU):
                logits = codebook.decode_vectors(given, batch.prompt, batch.valid)
            targets = batch.text[batch.valid]  # [steps, L]
            errors = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
            weights = new_word_weights(batch, settings.new_word_weight, canonical)[batch.valid].flatten()
            reconstruction = (errors * weights).sum() / weights.sum()
            optimizer.zero_grad(set_to_none=True)
            (reconstruction + settings.commitment * commitment).backward()
            torch.nn.utils.clip_grad_norm_(codebook.parameters(), 1.0)
            optimizer.step()
            exact = (logits.argmax(-1) == targets).all(-1).float().mean().item()
            record = {"step": step + 1, "reconstruction": round(reconstruction.item(), 4), "commitment": round(commitment.item(), 4),
                      "step_exact": round(exact, 4), "restarted": restarted, "lr": rate, "seconds": round(time.time() - started, 1)}
            log.write(json.dumps(record) + "\n")
            if (step + 1) % 50 == 0 or step + 1 == settings.steps:
                log.flush()
                print(f"[{step + 1}/{settings.steps}] {record}", flush=True)
    codebook.eval()
    measured = measure_tasks(codebook, tokenizer, recipe, recipe.seed + 1_000_003, settings.measured_traces)
    print(json.dumps(measured), flush=True)
    codebook.measured = measured
    codebook.save(folder, {"measured": measured, "seed": recipe.seed, "steps": settings.steps})
    return codebook


def conclusion(task: str, step: str, step_order: str = "walk_back") -> str:
    """The new information of a step: the parent in a ProsQA walk back and the child in the released order, the person or the count in arithmetic, what
    the entity is found to be in ProntoQA, the cell that a move in a maze leads to. Elsewhere, and in chunks that are no step, the text itself.
    """
    if task not in ("prosqa", "prontoqa", "arithmetic", "maze") or not step.endswith(".") or not step.startswith(" "):
        return step
    sentence = step.strip().rstrip(".").split(". ")[-1]
    words = sentence.split()
    if task == "maze":
        return f"{words[0]} {words[-1]}"
    if task == "arithmetic":
        return words[0] if words[1] == "depends" else words[2]
    if task == "prosqa" and step_order == "forward":
        return words[-1]
    if task == "prosqa":
        return words[1] if words[0] == "Every" else words[0]
    return " ".join(word for word in words[2:] if word not in ("a", "an"))


def measure_tasks(codebook: Codebook, tokenizer: Tokenizer, recipe: Recipe, seed: int, count: int) -> dict:
    """`measure` over all tasks together, and for each alone under its name."""
    sources = equal_sources(recipe)
    alone = {source.name: measure(codebook, tokenizer, [source], recipe, seed, count // 2) for source in sources}
    return measure(codebook, tokenizer, sources, recipe, seed, count) | alone


@torch.no_grad()
def measure(codebook: Codebook, tokenizer: Tokenizer, sources: list[TaskSource], recipe: Recipe, seed: int, count: int) -> dict:
    """Exactness with and without the question, code usage, and how far a code is one conclusion (purity), on fresh traces."""
    rng = random.Random(seed)
    batch = TraceBatch(draw_traces(rng, sources, count), tokenizer, recipe)
    codes = codebook.encode(batch.text.flatten(1), batch.prompt)
    result: dict[str, float] = {"traces": count, "seed": seed}
    targets = batch.text[batch.valid]
    filled = targets != tokenizer.pad
    for name, prompt in (("", batch.prompt), ("_without_question", torch.zeros_like(batch.prompt))):
        guessed = codebook.decode_vectors(codebook.codes[codes], prompt, batch.valid).argmax(-1)
        right = guessed == targets
        whole = torch.ones(batch.valid.shape, dtype=torch.bool)
        whole[batch.valid] = right.all(-1)
        result["token_accuracy" + name] = round(right[filled].float().mean().item(), 4)
        result["step_exact" + name] = round(right.all(-1).float().mean().item(), 4)
        result["trace_exact" + name] = round(whole.all(1).float().mean().item(), 4)
    share = torch.bincount(codes[batch.valid], minlength=codebook.config.codes).float()
    share /= share.sum()
    result["codes_used"] = int((share > 0).sum())
    result["perplexity"] = round(torch.exp(-(share * (share + 1e-9).log()).sum()).item(), 1)
    by_code: dict[int, Counter] = defaultdict(Counter)
    by_conclusion: dict[str, Counter] = defaultdict(Counter)
    for row, steps in enumerate(batch.steps):
        for column, step in enumerate(steps):
            found, code = conclusion(batch.tasks[row], step, recipe.tasks.step_order), int(codes[row, column])
            by_code[code][found] += 1
            by_conclusion[batch.tasks[row] + ":" + found][code] += 1
    total = sum(sum(counter.values()) for counter in by_code.values())
    result["purity"] = round(sum(max(counter.values()) for counter in by_code.values()) / total, 4)
    result["one_code_per_conclusion"] = round(sum(max(counter.values()) for counter in by_conclusion.values()) / total, 4)
    result["conclusions"] = len(by_conclusion)
    result["text_tokens_per_latent"] = round(filled.float().sum().item() / total, 3)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--codes", type=int, help="overrides codebook.codes of the recipe")
    parser.add_argument("--steps", type=int, help="overrides codebook.steps of the recipe")
    args = parser.parse_args()
    recipe = recipes.load(args.recipe)
    recipe.codebook.codes = args.codes or recipe.codebook.codes
    recipe.codebook.steps = args.steps or recipe.codebook.steps
    train(recipe, args.out)


if __name__ == "__main__":
    files.run(main)
