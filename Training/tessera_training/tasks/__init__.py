"""Reasoning tasks: each makes problems (shared facts, several questions) with checked reasoning steps.

Print a few: `python3 -m tessera_training.tasks --task prosqa --count 2 --seed 0`.
"""
from .common import Problem, Question, TaskSource, load_sources, sources_of

__all__ = ["Problem", "Question", "TaskSource", "load_sources", "sources_of"]
