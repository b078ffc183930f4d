"""Checks ONNX graphs with the onnx package's own checker: `python3 tools/check_onnx.py GRAPH.onnx ...`.

For graphs of standard operators only (the codebook graphs); shapes and types are inferred and compared with the declared outputs.
Prints one line per graph; exits 1 if one is not valid.
"""
from __future__ import annotations

import argparse
import os
import sys
import tempfile

import onnx
import onnx.shape_inference


def check(path: str) -> str | None:
    """Checks one graph; returns what is wrong with it, or None."""
    try:
        onnx.checker.check_model(path)
        # The checker's own full check writes the inferred shapes back into the graph; a check must leave it as it is.
        with tempfile.TemporaryDirectory() as folder:
            onnx.shape_inference.infer_shapes_path(path, os.path.join(folder, "inferred.onnx"), check_type=True, strict_mode=True)
    except Exception as error:  # the checker, the parser and shape inference each raise their own
        return " ".join(str(error).split()) or type(error).__name__
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", nargs="+", metavar="GRAPH.onnx")
    failed = 0
    for path in parser.parse_args().graphs:
        problem = check(path)
        failed += problem is not None
        print(f"{path}: {'valid' if problem is None else 'error: ' + problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
