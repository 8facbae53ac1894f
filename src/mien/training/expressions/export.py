"""Export of a trained network to one small, self-describing ``.onnx`` file.

The graph is written node by node from a trace of the network: BatchNorm folded into the
convolutions, weights stored as float16 and computed in float32 (half the file, the same speed:
ONNX Runtime widens them once when it opens the file), and besides the logits the embedding, the
last feature map and the last layer's weights as outputs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from mien.models.card import METADATA_KEY, ModelCard
from mien.models.graph import Graph, read_model, write_model
from mien.training.networks import CBAM, ConvBN, Network, PlaceWeights

SCORES, EMBEDDED, MAP, HEAD = "logits", "embedding", "feature_map", "head_weights"
#: The weights of the layer that weighs places.
PLACES = "place_weights"


def export(
    model: Network,
    card: ModelCard,
    path: Path,
    *,
    half: bool = True,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Write the network and its card to `path`.

    The input is ``(n, c, S, S)`` float32, prepared as the card says.

    Args:
        model: a trained network.
        card: its card.
        path: the new file.
        half: store weights as float16.
        check: see `mien.models.graph.write_model`.
    """
    outputs = _Outputs(model.eval())
    traced = _Tracer().trace(outputs)
    channels = 1 if model.color == "gray" else 3
    blank = torch.zeros(1, channels, card.input_size, card.input_size)
    with torch.no_grad():
        ShapeProp(fx.GraphModule(outputs, traced)).propagate(blank)
    network = _Network(half)
    for node in traced.nodes:
        network.add_node(outputs, node)
    logits, embedding, maps = network.outputs
    graph = network.graph
    graph.input("input", ["n", *blank.shape[1:]])
    shapes = {SCORES: logits, EMBEDDED: embedding, MAP: maps}
    for name, shape in shapes.items():
        graph.output(name, ["n", *shape])
    graph.output(HEAD, [*logits, *embedding])
    # ONNX wants nodes after what they read.
    graph.proto.node.sort(key=lambda node: node.op_type != "Cast")
    write_model(graph.model(card.name), path, {METADATA_KEY: card.to_json()}, check)


def write_card(path: Path, card: ModelCard) -> None:
    """Replace the card inside an ONNX file."""
    write_model(read_model(path), path, {METADATA_KEY: card.to_json()})


def stored_layers(model: Network, attention: bool = True) -> list[tuple[str, str, nn.Module]]:
    """The convolutions of a network with the names of kernel and bias in its file.

    In the order of the file; a layer that is used twice comes twice.

    Args:
        model: the network.
        attention: False for the names in the file of the same network without attention blocks.
    """
    blocks = [] if attention else [block for block in model.modules() if isinstance(block, CBAM)]
    left_out = {layer for block in blocks for layer in block.modules()}
    outputs = _Outputs(model)
    layers: list[tuple[str, str, nn.Module]] = []
    counts = {"wb": 0, "vc": 0}
    for node in _Tracer().trace(outputs).nodes:
        layer = outputs.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, ConvBN | nn.Conv2d) and layer not in left_out:
            kind = "wb" if isinstance(layer, ConvBN) else "vc"
            kernel, bias = (f"{letter}{counts[kind]}" for letter in kind)
            layers.append((kernel, bias, layer))
            counts[kind] += 1
    return layers


class _Outputs(nn.Module):
    """A network without its preparation of the pixels, which the card describes."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.judge(x)


class _Tracer(fx.Tracer):
    """Keeps the network's own layers whole, each a few nodes of the file."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ConvBN | PlaceWeights) or super().is_leaf_module(
            m, module_qualified_name
        )


class _Network:
    """Turns the trace's nodes into ONNX nodes and float16 weights."""

    def __init__(self, half: bool) -> None:
        self.graph = Graph()
        self.outputs: tuple[list[int], ...] = ()
        self._half = half
        self._names: dict[fx.Node, str] = {}
        self._convolutions = self._others = 0
        self._weight("low", np.zeros((), np.float32))
        self._weight("high", np.full((), 6, np.float32))

    def add_node(self, root: nn.Module, node: fx.Node) -> None:
        """Add what `node` computes."""
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
        if isinstance(module, PlaceWeights):
            sides = source.meta["tensor_meta"].shape[2:]
            weights = self._weight(PLACES, _array(module.weights(*sides)))
            weighed = self.graph.add("Mul", [x, weights], f"{name}.weighed")
            bias = self._weight(f"{PLACES}_bias", _array(module.bias))
            return self.graph.add("Add", [weighed, bias], name)
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            number, self._others = self._others, self._others + 1
            inputs = [
                x,
                self._weight(f"v{number}", _array(module.weight)),
                self._weight(f"c{number}", _array(module.bias)),
            ]
            top, left = (int(pad) for pad in module.padding)
            return self.graph.add("Conv", inputs, name, pads=[top, left, top, left])
        if isinstance(module, nn.Linear):
            inputs = [x, self._weight(HEAD, _array(module.weight))]
            if module.bias is not None:
                inputs.append(self._weight("head_bias", _array(module.bias)))
            return self.graph.add("Gemm", inputs, SCORES, transB=1)
        if isinstance(module, nn.MaxPool2d):
            sides = {"kernel_shape": [module.kernel_size] * 2, "strides": [module.stride] * 2}
            return self.graph.add("MaxPool", [x], name, **sides)
        kinds = {nn.ReLU: "Relu", nn.Sigmoid: "Sigmoid"}
        return self.graph.add(kinds[type(module)], [x], name)

    def _convolution(self, layer: ConvBN, x: str, source: fx.Node, name: str) -> str:
        number, self._convolutions = self._convolutions, self._convolutions + 1
        kernel, bias = folded(layer)
        shape = source.meta["tensor_meta"].shape
        inputs = [x, self._weight(f"w{number}", kernel), self._weight(f"b{number}", bias)]
        last = name if layer.activation == "none" else f"conv{number}"
        self.graph.add(
            "Conv",
            inputs,
            last,
            kernel_shape=list(layer.kernel),
            strides=[layer.stride] * 2,
            pads=list(layer.pads(shape[2], shape[3])),
            group=layer.conv.groups,
        )
        if layer.activation == "relu6":
            return self.graph.add("Clip", [last, "low", "high"], name)
        if layer.activation == "prelu":
            return self._prelu(last, _array(layer.slope), number, name)
        return self.graph.add("Relu", [last], name) if layer.activation == "relu" else last

    def _prelu(self, x: str, slope: npt.NDArray[np.float32], number: int, name: str) -> str:
        """PReLU as ``slope x + (1 - slope) relu(x)``.

        ONNX Runtime keeps its fast layout through depthwise convolutions and sums, but leaves it
        for each PRelu, which takes 2.4 times as long in all.
        """
        channels = len(slope)
        rectified = self.graph.add("Relu", [x], f"{name}.relu")
        parts = []
        for part, source, values in (("s", x, slope), ("t", rectified, 1 - slope)):
            kernel = self._weight(f"{part}{number}", values.reshape(channels, 1, 1, 1))
            parts.append(
                self.graph.add(
                    "Conv", [source, kernel], f"{name}.{part}", kernel_shape=[1, 1], group=channels
                )
            )
        return self.graph.add("Add", parts, name)

    def _function(self, node: fx.Node) -> str:
        name = self._name(node)
        if node.op == "call_method":  # mean and amax, over places or channels
            source = node.args[0]
            assert isinstance(source, fx.Node)
            axes = node.kwargs["dim"]
            kind = {"mean": "ReduceMean", "amax": "ReduceMax"}[str(node.target)]
            reduced = list(axes) if isinstance(axes, tuple) else [axes]
            keep = int(bool(node.kwargs.get("keepdim", False)))
            return self.graph.add(kind, [self._names[source]], name, axes=reduced, keepdims=keep)
        if node.target is torch.cat:
            parts: Any = node.args[0]
            inputs = [self._names[part] for part in parts]
            return self.graph.add("Concat", inputs, name, axis=node.kwargs["dim"])
        kinds: dict[Any, str] = {operator.add: "Add", operator.mul: "Mul"}
        inputs = [
            self._names[arg]
            if isinstance(arg, fx.Node)
            else self._weight(f"{name}.factor", np.array(arg, np.float32))
            for arg in node.args
        ]
        return self.graph.add(kinds[node.target], inputs, name)

    def _name(self, node: fx.Node) -> str:
        """Outputs have fixed names; everything else is named as in the trace."""
        ends = next(reversed(node.graph.nodes)).args[0]
        assert isinstance(ends, tuple)
        fixed: dict[Any, str] = dict(zip(ends, (SCORES, EMBEDDED, MAP), strict=True))
        return fixed.get(node, str(node.name))

    def _finish(self, node: fx.Node) -> None:
        ends: Any = node.args[0]
        self.outputs = tuple(list(end.meta["tensor_meta"].shape[1:]) for end in ends)

    def _weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        if self._half and values.size >= 64:
            return self.graph.half(name, values)
        return self.graph.weight(name, values.astype(np.float32))


def _array(values: Tensor) -> npt.NDArray[np.float32]:
    return values.detach().contiguous().numpy()


def folded(layer: ConvBN) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Kernel and bias of a convolution with its BatchNorm folded in."""
    bn = layer.bn
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    kernel = layer.conv.weight * scale.view(-1, 1, 1, 1)
    return _array(kernel), _array(bn.bias - bn.running_mean * scale)
