"""Cost of identity vectors: an expression model alone, and with the identity network beside it.

    python benchmarks/person.py [--seconds 20]

The ways take turns, slice by slice, so that a noisy machine is as noisy for each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from mien.expressions.onnx import OnnxClassifier
from mien.plugins import load_identity, model_path

SLICE_S = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args(arguments)
    shape = (options.batch, 112, 112, 3)
    crops = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    classifier = OnnxClassifier(model_path("mien-mobilenet"), threads=1, batch_size=options.batch)
    identity = load_identity(threads=1, batch_size=options.batch)
    ways: dict[str, Callable[[], object]] = {
        "expression": lambda: classifier.classify(crops),
        "identity": lambda: identity.embed(crops),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(max(1, round(options.seconds / SLICE_S / len(ways)))):
        for name, way in ways.items():
            spent[name].append(milliseconds(way) / options.batch)
    print(f"one thread, batches of {options.batch}, median of {len(spent['identity'])} slices\n")
    print("| network | ms a face | faces a second |\n|---|--:|--:|")
    for name, values in spent.items():
        middle = float(np.median(values))
        print(f"| {name} | {middle:.2f} | {1000 / middle:.0f} |")


def milliseconds(way: Callable[[], object]) -> float:
    """Of one call, over a slice."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SLICE_S:
        way()
        count += 1
    return 1000 * (time.perf_counter() - started) / count


if __name__ == "__main__":
    main()
