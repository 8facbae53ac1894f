"""A head as a small ``.onnx`` file with its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.errors import ModelError
from mien.expressions.heads import INPUT, METADATA_KEY, OUTPUT, Head, HeadCard
from mien.training.expressions.export import OPSET
from mien.types import FloatArray

Last = Literal["softmax", "sigmoid", "tanh", "none"]
Layer = tuple[FloatArray, FloatArray]
_NODES = {"softmax": "Softmax", "sigmoid": "Sigmoid", "tanh": "Tanh", "none": "Identity"}
_PARITY = 1e-3


def write_head(path: Path, card: HeadCard, layers: Sequence[Layer], last: Last) -> Head:
    """Write linear layers with ReLU between them and `last` at the end; returns it, opened.

    Args:
        path: where to; a file that is there is replaced.
        card: see `HeadCard`; `d` and the columns must fit the layers.
        layers: weights ``(out, in)`` and biases ``(out,)`` of each.
        last: what turns the last layer's numbers into the outputs.

    Raises:
        ModelError: the file does not give what the layers give.
    """
    weights, nodes, values = [], [], INPUT
    for number, (kernel, bias) in enumerate(layers):
        names = f"w{number}", f"b{number}"
        for name, array in zip(names, (kernel, bias), strict=True):
            weights.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        nodes.append(helper.make_node("Gemm", [values, *names], [f"linear{number}"], transB=1))
        values = f"linear{number}"
        if number < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [values], [f"relu{number}"]))
            values = f"relu{number}"
    options: dict[str, Any] = {"axis": 1} if last == "softmax" else {}
    nodes.append(helper.make_node(_NODES[last], [values], [OUTPUT], **options))
    graph = helper.make_graph(
        nodes,
        card.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", card.d])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", len(card.columns)])],
        weights,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.partial.onnx")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    some = np.random.default_rng(0).random((8, card.d), np.float32)
    wanted = apply(layers, last, some)
    difference = np.abs(Head(partial).values(some) - wanted).max() / max(1, np.abs(wanted).max())
    if not difference < _PARITY:
        partial.unlink()
        raise ModelError(f"{path} differs from what was trained by {100 * difference:.2g} %.")
    partial.replace(path)
    return Head(path)


def apply(layers: Sequence[Layer], last: Last, features: FloatArray) -> FloatArray:
    """``(n, k)``: what the layers give for ``(n, d)`` features."""
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
