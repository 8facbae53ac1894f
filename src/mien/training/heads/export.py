"""A head as a small ``.onnx`` file with its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mien.errors import ModelError
from mien.expressions.heads import INPUT, OUTPUT, Head, HeadCard
from mien.models.graph import Graph, write_model
from mien.types import FloatArray

Last = Literal["softmax", "sigmoid", "tanh", "none"]
Layer = tuple[FloatArray, FloatArray]
_NODES = {"softmax": "Softmax", "sigmoid": "Sigmoid", "tanh": "Tanh", "none": "Identity"}
_PARITY = 1e-3


def write_head(path: Path, card: HeadCard, layers: Sequence[Layer], last: Last) -> Head:
    """Write linear layers with ReLU between them and `last` at the end; returns the opened head.

    Args:
        path: the new file; one that is there is replaced.
        card: see `HeadCard`; its size and columns must fit the layers.
        layers: weights ``(out, in)`` and biases ``(out,)`` of each.
        last: what turns the last layer's numbers into the outputs.

    Raises:
        ModelError: the file does not compute what the layers compute.
    """
    graph = Graph()
    values = graph.input(INPUT, ["n", card.size])
    for number, (kernel, bias) in enumerate(layers):
        if number:
            values = graph.add("Relu", [values], f"relu{number - 1}")
        weights = (
            graph.weight(f"w{number}", np.asarray(kernel, np.float32)),
            graph.weight(f"b{number}", np.asarray(bias, np.float32)),
        )
        values = graph.add("Gemm", [values, *weights], f"linear{number}", transB=1)
    options: dict[str, Any] = {"axis": 1} if last == "softmax" else {}
    graph.add(_NODES[last], [values], OUTPUT, **options)
    graph.output(OUTPUT, ["n", len(card.columns)])

    def check(written: Path) -> None:
        some = np.random.default_rng(0).random((8, card.size), np.float32)
        wanted = apply(layers, last, some)
        error = np.abs(Head(written).values(some) - wanted).max() / max(1, np.abs(wanted).max())
        if not error < _PARITY:
            raise ModelError(f"{path} differs from the trained head by {100 * error:.2g} %.")

    return Head(write_model(graph.model(card.name), path, card.metadata, check))


def apply(layers: Sequence[Layer], last: Last, features: FloatArray) -> FloatArray:
    """``(n, k)``: what the layers compute of ``(n, d)`` features."""
    values = features
    for number, (kernel, bias) in enumerate(layers):
        values = values @ kernel.T + bias
        if number < len(layers) - 1:
            values = np.maximum(values, 0)
    if last == "softmax":
        raised = np.exp(values - values.max(axis=1, keepdims=True))
        values = np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)
    elif last == "sigmoid":
        values = np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
    elif last == "tanh":
        values = np.tanh(values)
    return np.asarray(values, np.float32)
