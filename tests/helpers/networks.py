"""Small networks whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def channel_network(
    path: Path, *, batch: int | str = "n", channels: int = 3, card: str = ""
) -> Path:
    """A network whose scores are the mean of each input channel, times 0.02."""
    shape = [batch, channels, 8, 8]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["means", "k"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, channels])],
        [numpy_helper.from_array(np.array(0.02, np.float32), "k")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if card:
        helper.set_model_props(model, {"mien.card": card})
    onnx.save(model, str(path))
    return path
