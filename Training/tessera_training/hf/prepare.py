"""What a fine-tuning run starts from: problems as ids, the codebook, the extended checkpoint. Everything is checked before anything is written."""
from __future__ import annotations

import dataclasses
import json
import os
import random
from dataclasses import dataclass

import torch

from .. import files
from ..vqvae import Codebook
from . import codebook as codebooks
from . import data, extend
from .config import CONFIG, HfConfig, load, parse, read_json
from .errors import CheckpointError
from .extend import LatentVocabulary
from .model import HfDecoder
from .recipe import FinetuneRecipe
from .tokenizer import FILE
from .traces import LatentTokenizer, Trace, trace
from .weights import check_tensors, read_tensors, to_model, write_json

PACKAGE, RECIPE, CODEBOOK = "tessera.json", "recipe.json", "codebook"


@dataclass(frozen=True)
class Prepared:
    """The immutable inputs of a run; `traces` of the training and the validation part."""

    recipe: FinetuneRecipe
    config: HfConfig  # extended
    tokenizer: LatentTokenizer
    package: dict  # tessera.json
    codebook: Codebook
    training: list[Trace]
    validation: list[Trace]

    @property
    def vocabulary(self) -> LatentVocabulary:
        return self.tokenizer.latent_vocabulary


def _extended(recipe: FinetuneRecipe) -> tuple[HfConfig, LatentTokenizer, dict]:
    """Configuration, tokenizer and tessera.json with latents: the checkpoint's own where it was extended before."""
    config, description = load(recipe.checkpoint), read_json(os.path.join(recipe.checkpoint, FILE))
    about = {"name": recipe.name, "version": recipe.version, "license": recipe.license, "description": recipe.description, "limits": recipe.limits}
    if has_latents(recipe):
        package = read_json(os.path.join(recipe.checkpoint, PACKAGE)) | about | {"evaluation": []}
        tokenizer = LatentTokenizer.of_package(description, package)
        if tokenizer.latent_count != recipe.codebook.codes:
            raise CheckpointError("recipe", "codebook.codes", f"{tokenizer.latent_count}, the latents that the checkpoint has", recipe.codebook.codes)
        user = package["chat"].get("user", {})
        recipe.data.user_prefix = recipe.data.user_prefix or user.get("prefix", "")
    else:
        bos = extend.beginning_of_text(description)
        tokens, new_pad = extend.closing_tokens(extend.BpeTokenizer(description), config, bos)
        recipe.data.user_prefix = recipe.data.user_prefix or bos or ""
        extended, vocabulary = extend.extend_tokenizer(description, recipe.codebook.codes, tuple(recipe.latents.delimiters), new_pad)
        config = extend.extend_config(config, vocabulary)
        tokenizer = LatentTokenizer(extended, vocabulary, tokens["pad"], tokens["eos"])
        package = extend.description(vocabulary, tokens, 1.0, tokenizer.adds_leading_space, **about)
    package["chat"]["user"] = {"prefix": recipe.data.user_prefix, "suffix": recipe.data.user_suffix}
    return config, tokenizer, package


def has_latents(recipe: FinetuneRecipe) -> bool:
    return os.path.exists(os.path.join(recipe.checkpoint, PACKAGE))


def _traces(recipe: FinetuneRecipe, tokenizer: LatentTokenizer, max_positions: int) -> tuple[list[Trace], list[Trace], int]:
    """Training and validation problems (a seeded split), and how many were too long."""
    found = [trace(tokenizer, example, recipe.data, recipe.codebook)
             for example in data.read(recipe.data.file, recipe.data.keep_annotations)]
    limit = min(recipe.data.max_tokens, max_positions)
    kept = [one for one in found if one.text_length <= limit and len(one.chunks) <= recipe.codebook.max_steps]
    if not any(one.chunks for one in kept):
        raise CheckpointError(recipe.data.file, "steps", f"a problem with reasoning of at most {limit} tokens and {recipe.codebook.max_steps} chunks", "none")
    random.Random(f"{recipe.seed}/split").shuffle(kept)
    held_out = round(recipe.data.validation_share * len(kept))
    if held_out == len(kept):
        raise CheckpointError(recipe.data.file, "the file", "problems beside those for validation", f"{len(kept)}")
    return kept[held_out:], kept[:held_out], len(found) - len(kept)


def prepare(recipe: FinetuneRecipe, folder: str, given_codebook: str | None, device: torch.device, say) -> None:
    """Writes the run's folder: recipe.json, codebook/, and config.json, tokenizer.json, tessera.json of the extended checkpoint."""
    if os.path.exists(folder):
        raise CheckpointError(folder, "--out", "a folder that is not there yet (or --resume)", "one")
    codebook = None
    if given_codebook:
        codebook = codebooks.load(given_codebook)
        recipe.codebook = codebook.config
    config, tokenizer, package = _extended(recipe)
    if codebook is not None:
        codebooks.check(codebook, tokenizer.text_size)
    _check_weights(recipe, config, tokenizer)
    training, validation, left_out = _traces(recipe, tokenizer, config.max_positions)
    say(f"{len(training)} problems, {len(validation)} for validation, {left_out} left out as too long; vocabulary {tokenizer.size} of {config.vocab_size} rows")
    with files.replaced(folder) as part:
        if codebook is None:
            codebook = codebooks.train(recipe.codebook, training, tokenizer.text_size, tokenizer.pad, recipe.seed, device,
                                       lambda record: say(json.dumps(record)))
        measured = codebooks.measure(codebook, validation or training[:500], tokenizer.pad)
        say(json.dumps({"codebook": measured}))
        package["latents"]["text_tokens_per_latent"] = measured["text_tokens_per_latent"]
        codebooks.save(codebook, os.path.join(part, CODEBOOK), tokenizer.pad, measured)
        write_json(os.path.join(part, CONFIG), config.raw)
        write_json(os.path.join(part, FILE), tokenizer.description)
        write_json(os.path.join(part, PACKAGE), package)
        write_json(os.path.join(part, RECIPE), dataclasses.asdict(recipe))


def _check_weights(recipe: FinetuneRecipe, config: HfConfig, tokenizer: LatentTokenizer) -> None:
    """Shapes of the checkpoint's tensors, before time is spent on a codebook."""
    check_tensors(config, _weights(recipe, config, tokenizer.latent_vocabulary, None))


def _weights(recipe: FinetuneRecipe, config: HfConfig, vocabulary: LatentVocabulary, stands_for: dict[int, list[int]] | None) -> dict[str, torch.Tensor]:
    """The checkpoint's tensors, with new rows unless it has latents already."""
    tensors = read_tensors(recipe.checkpoint)
    return tensors if has_latents(recipe) else extend.extend_tensors(tensors, config, vocabulary, recipe.seed, stands_for, recipe.latents.noise)


def opened(folder: str) -> Prepared:
    """The inputs of the run in `folder`."""
    from .recipe import parse as parse_recipe

    recipe = parse_recipe(read_json(os.path.join(folder, RECIPE)))
    package = read_json(os.path.join(folder, PACKAGE))
    config = parse(read_json(os.path.join(folder, CONFIG)))
    tokenizer = LatentTokenizer.of_package(read_json(os.path.join(folder, FILE)), package)
    codebook = codebooks.load(os.path.join(folder, CODEBOOK))
    codebooks.check(codebook, tokenizer.text_size)
    training, validation, _ = _traces(recipe, tokenizer, config.max_positions)
    return Prepared(recipe, config, tokenizer, package, codebook, training, validation)


def initial_model(prepared: Prepared, codes: list[list[int]]) -> HfDecoder:
    """The checkpoint's weights with the new rows; `codes` are those of the training traces."""
    recipe = prepared.recipe
    stands_for = codebooks.tokens_by_code(codes, prepared.training) if recipe.latents.rows == "codebook" else None
    return to_model(prepared.config, _weights(recipe, prepared.config, prepared.vocabulary, stands_for))
