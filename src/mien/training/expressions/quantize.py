"""Int8 quantization of an exported network, and its accuracy, size and speed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.evaluation import to_crops
from mien.expressions.onnx import OnnxClassifier
from mien.models.card import METADATA_KEY, ModelCard
from mien.models.graph import read_model, write_model
from mien.models.session import runtime
from mien.training.expressions.targets import TrainingSet

CALIBRATION = 512


def quantize(plain: Path, card: ModelCard, data: TrainingSet, path: Path) -> None:
    """Write an int8 copy of the float32 file `plain`, calibrated on images of `data`.

    Convolutions only, weights with a scale for each channel (Jacob et al. 2018, arXiv 1712.05877);
    the last layer stays as it is, for it is small and decides. Weights use seven bits, because
    processors without VNNI overflow with eight.
    """
    quantization: Any = runtime("quantization")
    base: Any = quantization.CalibrationDataReader
    classifier = OnnxClassifier(plain, card)
    rows = np.linspace(0, len(data) - 1, min(len(data), CALIBRATION)).astype(int)
    crops = to_crops(data.images[rows], card.input_size)

    class Reader(base):  # type: ignore[misc]
        def __init__(self) -> None:
            batches = (crops[i : i + 32] for i in range(0, len(crops), 32))
            self.batches = ({"input": classifier.prepare(batch)} for batch in batches)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder:
        prepared, partial = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        shapes = runtime("quantization.shape_inference")
        shapes.quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(partial),
            Reader(),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        named = replace(card, name=path.stem)
        write_model(read_model(partial), path, {METADATA_KEY: named.to_json()})


def compare(path: Path, small: Path, data: TrainingSet) -> dict[str, float]:
    """Size, validation accuracy and speed of a file and of its int8 copy.

    Speed is faces a second in batches of 16 on all of the process's threads, the better of three.
    """
    figures: dict[str, float] = {}
    for name, file in (("float", path), ("int8", small)):
        classifier = OnnxClassifier(file)
        crops = to_crops(data.images, classifier.input_size)
        predicted = classifier.classify(crops).values.argmax(axis=1)
        clear = data.answers >= 0
        figures[f"{name}_mb"] = round(file.stat().st_size / 1e6, 2)
        figures[f"{name}_val_accuracy"] = float((predicted == data.answers)[clear].mean())
        figures[f"{name}_faces_per_s"] = round(_speed(classifier, crops[:16]), 1)
    return figures


def _speed(classifier: OnnxClassifier, crops: Any) -> float:
    best = 0.0
    for _ in range(3):
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < 0.5:
            classifier.classify(crops)
            done += len(crops)
        best = max(best, done / (time.perf_counter() - started))
    return best
