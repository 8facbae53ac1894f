"""From a trained network to one small, self-describing ``.onnx`` file.

The graph is written node by node: BatchNorm folded into the convolutions, weights stored as
float16 and computed in float32 (half the file, the same speed: ONNX Runtime widens them once when
it opens the file), and besides the logits the embedding, the last feature map and the last
layer's weights as outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.cards import METADATA_KEY, ModelCard
from mien.training.backbone import EMBEDDING, ConvBN, MobileNetV1

OPSET = 17
SCORES, EMBEDDED, MAP, HEAD = "logits", "embedding", "feature_map", "head_weights"


class _Graph:
    """Collects nodes and float16 weights."""

    def __init__(self, half: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.half = half

    def weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        if not self.half or values.size < 64:
            self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
            return name
        stored = f"{name}.half"
        self.weights.append(numpy_helper.from_array(values.astype(np.float16), stored))
        self.add("Cast", [stored], name, to=TensorProto.FLOAT)
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def export(model: MobileNetV1, card: ModelCard, path: Path, *, half: bool = True) -> None:
    """Write the network and its card to `path`.

    The input is ``(n, 3, S, S)`` float32 with the mean already subtracted, as the card says.
    """
    graph = _Graph(half)
    size, x = card.input_size, "input"
    for i, layer in enumerate(model.features):
        assert isinstance(layer, ConvBN)
        kernel, bias = _folded(layer)
        before = size % 2 if layer.stride == 2 else (layer.kernel - 1) // 2
        after = 1 if layer.stride == 2 else before
        inputs = [x, graph.weight(f"w{i}", kernel), graph.weight(f"b{i}", bias)]
        graph.add(
            "Conv",
            inputs,
            f"conv{i}",
            kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[before, before, after, after],
            group=layer.conv.groups,
        )
        size = -(-size // layer.stride)
        last = i == len(model.features) - 1
        x = graph.add("Clip", [f"conv{i}", "low", "high"], MAP if last else f"relu{i}")
    graph.weight("low", np.zeros((), np.float32))
    graph.weight("high", np.full((), 6, np.float32))
    graph.add("ReduceMean", [x], EMBEDDED, axes=[2, 3], keepdims=0)
    head = model.head.weight.detach().numpy()
    graph.weight(HEAD, head)
    graph.weight("head_bias", model.head.bias.detach().numpy())
    graph.add("Gemm", [EMBEDDED, HEAD, "head_bias"], SCORES, transB=1)
    _save(graph, card, (len(head), size), path)


def _folded(layer: ConvBN) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    bn = layer.bn
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    kernel = layer.conv.weight * scale.view(-1, 1, 1, 1)
    bias = bn.bias - bn.running_mean * scale
    return kernel.detach().contiguous().numpy(), bias.detach().numpy()


def _save(graph: _Graph, card: ModelCard, shape: tuple[int, int], path: Path) -> None:
    classes, side = shape
    value = helper.make_tensor_value_info
    outputs = [
        value(SCORES, TensorProto.FLOAT, ["n", classes]),
        value(EMBEDDED, TensorProto.FLOAT, ["n", EMBEDDING]),
        value(MAP, TensorProto.FLOAT, ["n", EMBEDDING, side, side]),
        value(HEAD, TensorProto.FLOAT, [classes, EMBEDDING]),
    ]
    pixels = value("input", TensorProto.FLOAT, ["n", 3, card.input_size, card.input_size])
    # ONNX wants nodes after what they read.
    nodes = sorted(graph.nodes, key=lambda node: node.op_type != "Cast")
    body = helper.make_graph(nodes, card.name, [pixels], outputs, graph.weights)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_card(path: Path, card: ModelCard) -> None:
    """Replace the card inside an ONNX file."""
    model = onnx.load(str(path))
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    path.write_bytes(model.SerializeToString(deterministic=True))
