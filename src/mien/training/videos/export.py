"""A support-vector machine for videos as one ``.onnx`` file.

The file takes descriptors of any length and normalizes them itself. It computes in float64, since
differences of nearly equal vectors, times large dual coefficients, would lose digits in float32;
only the many support vectors of an RBF kernel are stored as float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.errors import ModelError
from mien.models.graph import DOUBLE, FLOAT, Graph, write_model
from mien.timeline.classifier import DESCRIPTOR, MARGINS, PROBABILITIES, VideoCard, VideoModel
from mien.training.videos.svm import TINY, Svm

#: Largest difference of a margin between scikit-learn and the file, relative above 1.
PARITY = 1e-4


def export_svm(
    svm: Svm,
    card: VideoCard,
    path: Path,
    descriptors: npt.NDArray[np.floating] | None = None,
    margins: npt.NDArray[np.floating] | None = None,
) -> None:
    """Write the machine and its card to `path`, whole or not at all.

    Args:
        svm: a fitted machine.
        card: its card.
        path: the new file.
        descriptors, margins: ``(n, 4 d)`` and the ``(n, k)`` that scikit-learn computes of them,
            which the file must reproduce; None checks nothing.

    Raises:
        ModelError: the file computes something else.
    """
    graph = Graph()

    def exact(name: str, values: npt.ArrayLike) -> str:
        return graph.weight(name, np.asarray(values, np.float64))

    def squared(name: str) -> str:
        return graph.add("Mul", [name, name], f"{name}.squared")

    graph.add("Cast", [graph.input(DESCRIPTOR, ["n", 4 * card.size])], "wide", to=DOUBLE)
    graph.add("ReduceSum", [squared("wide"), graph.weight("axis", [1])], "sum", keepdims=1)
    graph.add("Sqrt", ["sum"], "length")
    graph.add("Max", ["length", exact("tiny", [TINY])], "divisor")
    graph.add("Div", ["wide", "divisor"], "unit")
    if svm.kernel == "linear":
        inputs = ["unit", exact("weights", svm.weights), exact("bias", svm.bias)]
        graph.add("Gemm", inputs, "exact", transB=1)
    else:  # exp(-gamma |unit - support|^2), where |a - b|^2 = |a|^2 - 2 ab + |b|^2
        stored = svm.units.astype(np.float32)
        graph.add("Cast", [graph.weight("supports.single", stored)], "supports", to=DOUBLE)
        graph.add("Gemm", ["unit", "supports"], "products", alpha=-2.0, transB=1)
        graph.add("ReduceSum", [squared("unit"), "axis"], "own", keepdims=1)
        graph.add("Add", ["products", "own"], "partial")
        squares = (stored.astype(np.float64) ** 2).sum(axis=1)
        graph.add("Add", ["partial", exact("squares", squares)], "distance")
        graph.add("Mul", ["distance", exact("gamma", [-svm.gamma])], "power")
        graph.add("Exp", ["power"], "kernel")
        graph.add("Gemm", ["kernel", exact("duals", svm.duals), exact("bias", svm.bias)], "exact")
    graph.add("Cast", ["exact"], MARGINS, to=FLOAT)
    graph.add("Div", ["exact", exact("temperature", [card.temperature])], "cooled")
    graph.add("Softmax", ["cooled"], "shares", axis=1)
    graph.add("Cast", ["shares"], PROBABILITIES, to=FLOAT)
    for name in (MARGINS, PROBABILITIES):
        graph.output(name, ["n", len(card.labels)])

    def check(written: Path) -> None:
        if descriptors is None or margins is None:
            return
        error = np.abs(VideoModel(written).margins(descriptors) - margins)
        worst = float((error / np.maximum(np.abs(margins), 1)).max())
        if not worst <= PARITY:
            raise ModelError(f"{path} differs from the trained machine by {worst:.2g}.")

    write_model(graph.model(card.name), path, card.metadata, check)
