"""Training form of an exported package, to train on from it: `python3 -m tessera_training.from_package --package DIR --out RUN`.

Writes RUN/checkpoint and RUN/codebook; `train --codebook RUN/codebook --weights RUN/checkpoint` goes on from there. The package must hold model.safetensors and the codebook's
ONNX graphs as `tessera-export` writes them; reading those needs the Python package `onnx`. Optimizer state is not in a package.
"""
from __future__ import annotations

import argparse
import json
import os

import torch

from . import checkpoint, files, safetensors_file
from .config import CodebookConfig
from .model import ModelShape
from .tokenizer import Tokenizer
from .vqvae import Codebook


def graph_tensors(path: str) -> dict[str, torch.Tensor]:
    """float32 initializers of an ONNX graph by name."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    return {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT}


def codebook_weights(encoder: dict[str, torch.Tensor], decoder: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of a `Codebook`: graphs hold matrices as [in, out], and one that reads two things as a left and a right part."""
    found = encoder | decoder
    weights = {}
    for name, value in expected.items():
        if name == "codes":
            weight = found["code_table"]
        elif name + ".left" in found:
            weight = torch.cat([found[name + ".left"], found[name + ".right"]]).t()
        elif name not in found:
            raise ValueError(f"codebook graphs: no initializer {name}")
        else:
            is_matrix = value.dim() == 2 and name.endswith(".weight") and not name.startswith("embed.")
            weight = found[name].t() if is_matrix else found[name]
        if weight.shape != value.shape:
            raise ValueError(f"codebook graphs: {name}: expected shape {tuple(value.shape)}, found {tuple(weight.shape)}")
        weights[name] = weight.contiguous()
    return weights


def codebook_config(manifest: dict, decoder: dict[str, torch.Tensor], heads: int) -> CodebookConfig:
    """Sizes from the manifest and the tensors; the count of heads is in neither."""
    described, (codes, code_dim) = manifest["codebook"], decoder["code_table"].shape
    return CodebookConfig(codes=codes, code_dim=code_dim, dim=decoder["embed.weight"].shape[1], heads=heads, chunk_tokens=described["chunk_tokens"],
                          question_tokens=described["min_prompt_tokens"], max_steps=described["max_codes"])


def model_shape(manifest: dict, tensors: dict[str, torch.Tensor]) -> ModelShape:
    described = manifest["architecture"]
    if described["family"] != "tessera_llama" or described["head_count"] != described["kv_head_count"]:
        raise ValueError(f"package {manifest['name']}: family {described['family']} is not what tessera_training.train trains; see docs/finetuning.md")
    return ModelShape(vocab_size=described["vocabulary_size"], dim=described["hidden_size"], layers=described["layer_count"], heads=described["head_count"],
                      mlp_dim=tensors["model.layers.0.mlp.gate_proj.weight"].shape[0], ngrams=described["ngram_embeddings"],
                      rope_theta=described["rope_theta"], max_positions=described["max_positions"])


def restore(package: str, out: str, heads: int = CodebookConfig.heads) -> None:
    """Writes `out`/checkpoint and `out`/codebook from a package."""
    with open(os.path.join(package, "tessera.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    path = os.path.join(package, "model.safetensors")
    if not os.path.exists(path):
        raise ValueError(f"{path}: not there; a package without its checkpoint's weights cannot be trained on")
    tensors = safetensors_file.read(path)
    shape = model_shape(manifest, tensors)
    checkpoint.check_tensors(path, shape, tensors)
    encoder, decoder = (graph_tensors(os.path.join(package, f"codebook-{part}.onnx")) for part in ("encoder", "decoder"))
    codebook = Codebook(codebook_config(manifest, decoder, heads), manifest["codebook"]["text_vocabulary_size"])
    codebook.load_state_dict(codebook_weights(encoder, decoder, codebook.state_dict()))
    described = {key: manifest[key] for key in ("name", "version", "license", "description", "special_tokens", "latents", "chat", "sampling")}
    checkpoint.save(os.path.join(out, "checkpoint"), checkpoint.from_tensors(shape, tensors), Tokenizer.load(os.path.join(package, "tokenizer.json")),
                    described | {"limits": [], "evaluation": []})
    codebook.eval().save(os.path.join(out, "codebook"), {"from_package": f"{manifest['name']} {manifest['version']}",
                                                         "measured": {"text_tokens_per_latent": manifest["latents"]["text_tokens_per_latent"]}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", required=True, help="folder with tessera.json")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--heads", type=int, default=CodebookConfig.heads, help="attention heads of the codebook's decoder")
    args = parser.parse_args()
    restore(args.package, args.out, args.heads)


if __name__ == "__main__":
    files.run(main)
