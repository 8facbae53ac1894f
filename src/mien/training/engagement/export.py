"""Several single-attention networks as one ``.onnx`` file with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.engagement import EngagementCard
from mien.files import write_bytes
from mien.models.card import ENGAGEMENT_KEY
from mien.types import FloatArray

_OPSET = 17


@dataclass(frozen=True)
class Networks:
    """The weights of m networks over f numbers a moment (twice the features), h of them hidden.

    Attributes:
        mean, scale: ``(f,)``; the networks see ``(value - mean) / scale``.
        attention: ``(m, f)``.
        hidden, hidden_bias: ``(m, f, h)``, ``(m, h)``.
        last, last_bias: ``(m, h)``, ``(m,)``.
    """

    mean: FloatArray
    scale: FloatArray
    attention: FloatArray
    hidden: FloatArray
    hidden_bias: FloatArray
    last: FloatArray
    last_bias: FloatArray


def write_networks(networks: Networks, card: EngagementCard, path: Path) -> None:
    """Write the networks and their card, the large weights in float16, computed in float32.

    The input is ``(n, steps, f)``, the output ``engagement`` ``(n, m, 1)``.
    """
    weights = {
        "mean": networks.mean,
        "scale": networks.scale,
        "attention": networks.attention.T,
        "hidden.half": networks.hidden.astype(np.float16),
        "hidden_bias": networks.hidden_bias[:, None],
        "last": networks.last[:, :, None],
        "last_bias": networks.last_bias[:, None, None],
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Cast", ["hidden.half"], "hidden", {"to": TensorProto.FLOAT}),
        ("Sub", ["windows", "mean"], "shifted", {}),
        ("Div", ["shifted", "scale"], "seen", {}),
        ("MatMul", ["seen", "attention"], "scores", {}),
        ("Softmax", ["scores"], "shares", {"axis": 1}),
        ("Transpose", ["shares"], "of_moments", {"perm": [0, 2, 1]}),
        ("MatMul", ["of_moments", "seen"], "contexts", {}),
        ("Transpose", ["contexts"], "by_network", {"perm": [1, 0, 2]}),
        ("MatMul", ["by_network", "hidden"], "inner", {}),
        ("Add", ["inner", "hidden_bias"], "biased", {}),
        ("Relu", ["biased"], "outer", {}),
        ("MatMul", ["outer", "last"], "sums", {}),
        ("Add", ["sums", "last_bias"], "logits", {}),
        ("Sigmoid", ["logits"], "levels", {}),
        ("Transpose", ["levels"], "engagement", {"perm": [1, 0, 2]}),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, a, [b], name=b, **more) for kind, a, b, more in steps],
        card.name,
        [value("windows", TensorProto.FLOAT, ["n", "steps", len(networks.mean)])],
        [value("engagement", TensorProto.FLOAT, ["n", len(networks.attention), 1])],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in weights.items()],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    helper.set_model_props(file, {ENGAGEMENT_KEY: card.to_json()})
    onnx.checker.check_model(file)
    write_bytes(path, file.SerializeToString(deterministic=True))
