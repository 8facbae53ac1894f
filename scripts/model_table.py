"""One table of several models under one protocol: size, speed, accuracy on FER+'s lists.

    python scripts/model_table.py mien-mobilenet runs/*/*.onnx --data FOLDER

One crop, no flip, labels matched by name. Speed is of one thread in batches of 16, the median of
slices that the models take in turns, so that a noisy machine is as noisy for each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from mien.evaluation import evaluate_ferplus
from mien.expressions.onnx import OnnxClassifier
from mien.plugins import load_classifier

COLUMNS = ("literature_test", "literature_test_without_twins", "test_occlusion", "test_pose30")
MORE = ("test_pose45", "fer2013", "kl_votes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="names, or .onnx files with their cards")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5.0, help="of measuring speed, a model")
    options = parser.parse_args(arguments)
    models = []
    for name in options.models:
        model = load_classifier(name, threads=1, batch_size=16)
        assert isinstance(model, OnnxClassifier)
        models.append(model)
    rates = speeds(models, options.seconds)
    heads = " | ".join((*COLUMNS, *MORE))
    print(f"| model | parameters | MB | px | faces/s | {heads} |")
    print("|---|--:|--:|--:|--:|" + "--:|" * len((*COLUMNS, *MORE)))
    for model, rate in zip(models, rates, strict=True):
        found = {f.name: f.value for f in evaluate_ferplus(model, options.data)}
        shares = [f"{100 * found[name]:.2f}" for name in (*COLUMNS, *MORE[:-1])]
        parts = [
            model.card.name,
            f"{parameters(model.path) / 1e6:.2f} M",
            f"{model.path.stat().st_size / 1e6:.1f}",
            str(model.input_size),
            f"{rate:.0f}",
            *shares,
            f"{found['kl_votes']:.4f}",
        ]
        print(f"| {' | '.join(parts)} |", flush=True)


def parameters(path: Path) -> int:
    """Numbers in the file's weights, those of a branch included."""
    weights = onnx.load(str(path)).graph.initializer
    return sum(int(np.prod(weight.dims, dtype=np.int64)) for weight in weights)


def speeds(models: Sequence[OnnxClassifier], seconds: float) -> list[float]:
    """Faces a second of each."""
    rng = np.random.default_rng(0)
    sizes = [model.input_size for model in models]
    crops = [rng.integers(0, 255, (16, size, size, 3), dtype=np.uint8) for size in sizes]
    spent: list[list[float]] = [[] for _ in models]
    for _ in range(max(3, round(seconds / 0.5))):
        for place, model in enumerate(models):
            count, started = 0, time.perf_counter()
            while time.perf_counter() - started < 0.5:
                model.classify(crops[place])
                count += 16
            spent[place].append(count / (time.perf_counter() - started))
    return [float(np.median(values)) for values in spent]


if __name__ == "__main__":
    main()
