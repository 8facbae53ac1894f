"""Cost of identity vectors: one pass with and without.

    python benchmarks/person.py [--seconds 20]

Three ways take turns, slice by slice, so that a noisy machine is as noisy for each: the file
without its branch, the file as it ships with only the expression asked for, and with everything
asked for. Needs the package ``onnx``, to take the branch away.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from mien.expressions.onnx import OnnxClassifier
from mien.models.card import METADATA_KEY
from mien.plugins import model_path
from mien.training.expressions.attach import prune

SLICE_S = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args(arguments)
    shipped = model_path("mien-mobilenet")
    everything = ("identity", "features")
    with tempfile.TemporaryDirectory() as folder:
        bare = without_branch(shipped, Path(folder) / "bare.onnx")
        ways = {
            "no branch in the file": OnnxClassifier(bare, threads=1, batch_size=options.batch),
            "expression only": OnnxClassifier(shipped, threads=1, batch_size=options.batch),
            "everything": OnnxClassifier(
                shipped, threads=1, batch_size=options.batch, also=everything
            ),
        }
        crops = np.random.default_rng(0).integers(
            0, 255, (options.batch, 112, 112, 3), dtype=np.uint8
        )
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for model in ways.values():
            model.classify(crops)
        for _ in range(max(1, round(options.seconds / SLICE_S / len(ways)))):
            for name, model in ways.items():
                spent[name].append(milliseconds(model, crops))
    base = float(np.median(spent["no branch in the file"]))
    print(f"one thread, batches of {options.batch}, median of {len(spent['everything'])} slices\n")
    print("| asked for | ms a face | against no branch |\n|---|--:|--:|")
    for name, values in spent.items():
        middle = float(np.median(values))
        print(f"| {name} | {middle:.2f} | {100 * (middle / base - 1):+.1f} % |")


def milliseconds(model: OnnxClassifier, crops: np.ndarray) -> float:
    """A face's share of a slice."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SLICE_S:
        model.classify(crops)
        count += len(crops)
    return 1000 * (time.perf_counter() - started) / count


def without_branch(source: Path, target: Path) -> Path:
    """A copy of a model's file without its branch."""
    model = onnx.load(str(source))
    prune(model.graph)
    card = replace(OnnxClassifier(source).card, identity="")
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.save(model, str(target))
    return target


if __name__ == "__main__":
    main()
