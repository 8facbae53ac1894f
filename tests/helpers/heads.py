"""Features and labels for heads, made of colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien import EmotionAnalyzer, ModelCard, load_classifier
from mien.expressions.heads import HeadCard
from mien.sinks.tables import TableSink
from mien.training.heads.alignment import LabeledFeatures
from mien.training.trained import Trained
from mien.types import Crops, FloatArray, Frame, Image

QUIET = {"report": lambda line: None}


def color_network(
    path: Path, labels: tuple[str, ...] = ("neutral", "happiness", "sadness")
) -> Path:
    """A model whose three features are the mean red, green and blue, 0 to 1."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["features"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["features", "head", "bias"], ["scores"], transB=1),
    ]
    head = np.array([[0, 0, 0], [4, 0, -4], [-4, 0, 4]], np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        path.stem,
        [value("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [
            value("scores", TensorProto.FLOAT, ["n", 3]),
            value("features", TensorProto.FLOAT, ["n", 3]),
            value("head", TensorProto.FLOAT, [3, 3]),
        ],
        [
            numpy_helper.from_array(head, "head"),
            numpy_helper.from_array(np.array([1, 0, 0], np.float32), "bias"),
        ],
    )
    card = ModelCard(
        path.stem, labels, 8, temperature=0.8, scores="scores", embedding="features", head="head"
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"mien.card": card.to_json()})
    onnx.save(model, str(path))
    return path


def colored(colors: FloatArray) -> Crops:
    """A crop of each color, 0 to 1."""
    squares = np.rint(255 * colors).astype(np.uint8)[:, None, None, :]
    return np.ascontiguousarray(np.broadcast_to(squares, (len(colors), 8, 8, 3)))


def labeled_rows(
    values: FloatArray, columns: tuple[str, ...], features: FloatArray
) -> LabeledFeatures:
    """Labeled rows of thirty people, a video each."""
    n = len(values)
    people = np.array([f"p{i * 30 // n}" for i in range(n)], dtype=object)
    nothing, times = np.full(n, "", dtype=object), np.arange(n) / 25
    return LabeledFeatures(features, values, columns, people, people, nothing, times, "tiny", "abc")


def figures(trained: Trained[HeadCard]) -> dict[str, float]:
    return {figure.name: figure.value for figure in trained.figures}


def analyzed_table(folder: Path, model: Path, name: str, count: int = 120) -> Path:
    """A table with features of a video in which one face changes its color."""

    def shown(frame: int) -> Image:
        color = np.rint(255 * np.array(color_at(frame, count))).astype(np.uint8)
        return np.broadcast_to(color, (40, 40, 3)).copy()

    frames = [Frame(name, lambda i=i: shown(i), i, i / 25) for i in range(count)]  # type: ignore[misc]
    classifier = load_classifier(model, also=("features",))
    analyzer = EmotionAnalyzer(lambda image: [(4, 4, 36, 36, 0.9)], classifier)
    path = folder / f"{Path(name).stem}.parquet"
    with TableSink(path, analyzer) as sink:
        for result in analyzer.analyze(frames):
            sink.write(result)
    return path


def color_at(frame: int, count: int) -> tuple[float, float, float]:
    """The color of a face that goes from blue to red and flickers in green."""
    return (frame / count, float(frame % 3 == 0), 1 - frame / count)
