"""From a trained network to one small, self-describing ``.onnx`` file.

The graph is written node by node from a trace of the network: BatchNorm folded into the
convolutions, weights stored as float16 and computed in float32 (half the file, the same speed:
ONNX Runtime widens them once when it opens the file), and besides the logits the embedding, the
last feature map and the last layer's weights as outputs.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from mien.files import write_bytes
from mien.models.card import METADATA_KEY, ModelCard
from mien.training.networks import CBAM, ConvBN, Network

OPSET = 17
SCORES, EMBEDDED, MAP, HEAD = "logits", "embedding", "feature_map", "head_weights"


def export(model: Network, card: ModelCard, path: Path, *, half: bool = True) -> None:
    """Write the network and its card to `path`.

    The input is ``(n, c, S, S)`` float32, prepared as the card says.
    """
    judge = _Judge(model.eval())
    traced = _Tracer().trace(judge)
    channels = 1 if model.color == "gray" else 3
    blank = torch.zeros(1, channels, card.input_size, card.input_size)
    with torch.no_grad():
        ShapeProp(fx.GraphModule(judge, traced)).propagate(blank)
    graph = _Graph(half)
    for node in traced.nodes:
        graph.take(judge, node)
    logits, embedding, maps = graph.outputs
    value = helper.make_tensor_value_info
    outputs = [
        value(SCORES, TensorProto.FLOAT, ["n", *logits]),
        value(EMBEDDED, TensorProto.FLOAT, ["n", *embedding]),
        value(MAP, TensorProto.FLOAT, ["n", *maps]),
        value(HEAD, TensorProto.FLOAT, [*logits, *embedding]),
    ]
    pixels = value("input", TensorProto.FLOAT, ["n", *blank.shape[1:]])
    # ONNX wants nodes after what they read.
    nodes = sorted(graph.nodes, key=lambda node: node.op_type != "Cast")
    body = helper.make_graph(nodes, card.name, [pixels], outputs, graph.weights)
    file = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(file, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, file.SerializeToString(deterministic=True))


def write_card(path: Path, card: ModelCard) -> None:
    """Replace the card inside an ONNX file."""
    model = onnx.load(str(path))
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    write_bytes(path, model.SerializeToString(deterministic=True))


def stored_layers(model: Network, attention: bool = True) -> list[tuple[str, str, nn.Module]]:
    """The convolutions of a network with the names of kernel and bias in its file.

    In the order of the file; a layer that is used twice comes twice.

    Args:
        model: the network.
        attention: False for the names in the file of the same network without attention blocks.
    """
    blocks = [] if attention else [block for block in model.modules() if isinstance(block, CBAM)]
    left_out = {layer for block in blocks for layer in block.modules()}
    judge = _Judge(model)
    found: list[tuple[str, str, nn.Module]] = []
    counts = {"wb": 0, "vc": 0}
    for node in _Tracer().trace(judge).nodes:
        layer = judge.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, ConvBN | nn.Conv2d) and layer not in left_out:
            kind = "wb" if isinstance(layer, ConvBN) else "vc"
            kernel, bias = (f"{letter}{counts[kind]}" for letter in kind)
            found.append((kernel, bias, layer))
            counts[kind] += 1
    return found


class _Judge(nn.Module):
    """A network without its preparation of the pixels, which the card tells."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.judge(x)


class _Tracer(fx.Tracer):
    """Does not look into a convolution with BatchNorm: it is one node of the file."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ConvBN) or super().is_leaf_module(m, module_qualified_name)


class _Graph:
    """Turns the trace's nodes into ONNX nodes and float16 weights."""

    def __init__(self, half: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.outputs: tuple[list[int], ...] = ()
        self._half = half
        self._names: dict[fx.Node, str] = {}
        self._convolutions = self._others = 0
        self._weight("low", np.zeros((), np.float32))
        self._weight("high", np.full((), 6, np.float32))

    def take(self, root: nn.Module, node: fx.Node) -> None:
        """Add what `node` does."""
        if node.op == "placeholder":
            self._names[node] = "input"
        elif node.op == "output":
            self._finish(node)
        elif node.op == "call_module":
            self._names[node] = self._module(root.get_submodule(str(node.target)), node)
        else:
            self._names[node] = self._function(node)

    def _module(self, module: nn.Module, node: fx.Node) -> str:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        x, name = self._names[source], self._name(node)
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            return x
        if isinstance(module, ConvBN):
            return self._convolution(module, x, source, name)
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            number, self._others = self._others, self._others + 1
            inputs = [
                x,
                self._weight(f"v{number}", _array(module.weight)),
                self._weight(f"c{number}", _array(module.bias)),
            ]
            top, left = (int(pad) for pad in module.padding)
            return self._add("Conv", inputs, name, pads=[top, left, top, left])
        if isinstance(module, nn.Linear):
            inputs = [x, self._weight(HEAD, _array(module.weight))]
            if module.bias is not None:
                inputs.append(self._weight("head_bias", _array(module.bias)))
            return self._add("Gemm", inputs, SCORES, transB=1)
        if isinstance(module, nn.MaxPool2d):
            sides = {"kernel_shape": [module.kernel_size] * 2, "strides": [module.stride] * 2}
            return self._add("MaxPool", [x], name, **sides)
        kinds = {nn.ReLU: "Relu", nn.Sigmoid: "Sigmoid"}
        return self._add(kinds[type(module)], [x], name)

    def _convolution(self, layer: ConvBN, x: str, source: fx.Node, name: str) -> str:
        number, self._convolutions = self._convolutions, self._convolutions + 1
        kernel, bias = folded(layer)
        shape = source.meta["tensor_meta"].shape
        inputs = [x, self._weight(f"w{number}", kernel), self._weight(f"b{number}", bias)]
        last = name if layer.activation == "none" else f"conv{number}"
        self._add(
            "Conv",
            inputs,
            last,
            kernel_shape=list(layer.kernel),
            strides=[layer.stride] * 2,
            pads=list(layer.pads(shape[2], shape[3])),
            group=layer.conv.groups,
        )
        if layer.activation == "relu6":
            return self._add("Clip", [last, "low", "high"], name)
        return self._add("Relu", [last], name) if layer.activation == "relu" else last

    def _function(self, node: fx.Node) -> str:
        name = self._name(node)
        if node.op == "call_method":  # mean and amax, over places or channels
            source = node.args[0]
            assert isinstance(source, fx.Node)
            axes = node.kwargs["dim"]
            kind = {"mean": "ReduceMean", "amax": "ReduceMax"}[str(node.target)]
            told = {"axes": list(axes) if isinstance(axes, tuple) else [axes]}
            kept = int(bool(node.kwargs.get("keepdim", False)))
            return self._add(kind, [self._names[source]], name, keepdims=kept, **told)
        if node.target is torch.cat:
            parts: Any = node.args[0]
            inputs = [self._names[part] for part in parts]
            return self._add("Concat", inputs, name, axis=node.kwargs["dim"])
        kinds: dict[Any, str] = {operator.add: "Add", operator.mul: "Mul"}
        inputs = [
            self._names[arg]
            if isinstance(arg, fx.Node)
            else self._weight(f"{name}.factor", np.array(arg, np.float32))
            for arg in node.args
        ]
        return self._add(kinds[node.target], inputs, name)

    def _name(self, node: fx.Node) -> str:
        """Outputs have fixed names; everything else is called as in the trace."""
        ends = next(reversed(node.graph.nodes)).args[0]
        assert isinstance(ends, tuple)
        known: dict[Any, str] = dict(zip(ends, (SCORES, EMBEDDED, MAP), strict=True))
        return known.get(node, str(node.name))

    def _finish(self, node: fx.Node) -> None:
        ends: Any = node.args[0]
        self.outputs = tuple(list(end.meta["tensor_meta"].shape[1:]) for end in ends)

    def _weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        if not self._half or values.size < 64:
            self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
            return name
        stored = f"{name}.half"
        self.weights.append(numpy_helper.from_array(values.astype(np.float16), stored))
        return self._add("Cast", [stored], name, to=TensorProto.FLOAT)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def _array(values: Tensor) -> npt.NDArray[np.float32]:
    return values.detach().contiguous().numpy()


def folded(layer: ConvBN) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Kernel and bias of a convolution that does what it and its BatchNorm do together."""
    bn = layer.bn
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    kernel = layer.conv.weight * scale.view(-1, 1, 1, 1)
    return _array(kernel), _array(bn.bias - bn.running_mean * scale)
