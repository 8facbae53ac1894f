"""Faces a second on one thread, and accuracy: float32 against int8.

    python benchmarks/expression.py [--data FOLDER] [--seconds 5]

The int8 file is made here: static quantization (QDQ, per channel, min-max) by ONNX Runtime,
calibrated on training images. Needs the package ``onnx``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets import load_ferplus
from mien.evaluation import evaluate_ferplus, to_crops
from mien.expressions.onnx import OnnxClassifier
from mien.models.session import runtime
from mien.plugins import model_path


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="FER+; without it only speed is measured")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        files = {"float32 (stored as float16)": model_path("mien-mobilenet")}
        if options.data:
            files["int8"] = Path(folder) / "int8.onnx"
            quantize(files["float32 (stored as float16)"], files["int8"], options.data)
        print(f"one thread, batches of {options.batch}, preprocessing included\n")
        print("| weights | MB | faces/s | literature_test | ECE to votes |")
        print("|---|--:|--:|--:|--:|")
        for name, path in files.items():
            rate = speed(path, options.batch, options.seconds)
            accuracy = error = "-"
            if options.data:
                found = {
                    f.name: f.value for f in evaluate_ferplus(OnnxClassifier(path), options.data)
                }
                accuracy = f"{100 * found['literature_test']:.2f} %"
                error = f"{found['ece_votes']:.4f}"
            size = path.stat().st_size / 1e6
            print(f"| {name} | {size:.1f} | {rate:.0f} | {accuracy} | {error} |", flush=True)


def speed(path: Path, batch: int, seconds: float) -> float:
    """Faces a second of `OnnxClassifier.classify` on one thread, best of five slices."""
    classifier = OnnxClassifier(path, threads=1, batch_size=batch)
    size = classifier.input_size
    crops = np.random.default_rng(0).integers(0, 255, (batch, size, size, 3)).astype(np.uint8)
    classifier.classify(crops)
    best = 0.0
    for _ in range(5):
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds / 5:
            classifier.classify(crops)
            count += batch
        best = max(best, count / (time.perf_counter() - started))
    return best


def quantize(source: Path, target: Path, data: Path) -> None:
    """Write an int8 copy of a model with its card."""
    import onnx

    quantization: Any = runtime("quantization")
    base: Any = quantization.CalibrationDataReader
    classifier = OnnxClassifier(source)
    images = load_ferplus(data, "train").images[:: 28558 // 256]
    crops = to_crops(images, classifier.input_size)

    class Reader(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(np.array_split(crops, 16))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"input": classifier.prepare(batch)}

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float32.onnx"
        _widen(source, plain)
        form = quantization.QuantFormat.QDQ
        quantization.quantize_static(plain, target, Reader(), form, per_channel=True)
    model = onnx.load(str(target))
    card = classifier.card.to_json()
    onnx.helper.set_model_props(model, {"mien.card": card})
    onnx.save(model, str(target))


def _widen(source: Path, target: Path) -> None:
    """Replace float16 weights and their casts by float32 weights, which the quantiser wants."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    halves = {w.name: w for w in graph.initializer if w.data_type == onnx.TensorProto.FLOAT16}
    for node in [n for n in graph.node if n.op_type == "Cast" and n.input[0] in halves]:
        wide = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(wide, node.output[0]))
        graph.initializer.remove(halves[node.input[0]])
        graph.node.remove(node)
    onnx.save(model, str(target))


if __name__ == "__main__":
    main()
