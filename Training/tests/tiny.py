"""Small recipes for tests."""
import dataclasses

from tessera_training.config import Recipe, parse


def recipe(**changes) -> Recipe:
    made = parse({
        "name": "tiny", "tasks": {"names": ["prosqa", "prontoqa", "arithmetic"]},
        "codebook": {"codes": 24, "dim": 32, "code_dim": 8, "heads": 2, "steps": 12, "batch": 8, "measured_traces": 40, "final_traces": 20},
        "model": {"layers": 2, "dim": 64, "heads": 4, "mlp_dim": 64, "max_positions": 512},
        "mix": {"recall_rate": 0.0},
        "train": {"schedule": "steps", "length": 6, "warmup_steps": 2, "prompts": 1, "long_questions": 2, "short_questions": 3,
                  "easy_until": 1.0, "log_every": 3},
    })
    return dataclasses.replace(made, **changes)
