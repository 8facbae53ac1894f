"""Puts a trained branch into an exported ``.onnx`` file; what was in it stays bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mien.errors import ModelError
from mien.files import write_bytes
from mien.labels import IDENTITY
from mien.models.card import METADATA_KEY, ModelCard
from mien.training.expressions.branch import Branch
from mien.training.expressions.export import EMBEDDED, folded
from mien.training.networks import ConvBN

#: Outputs of age and gender in older files; they said nothing and are not attached any more.
_FORMER = ("apparent_age", "apparent_female")


def graft(source: Path, branch: Branch, place: int, side: int, card: ModelCard, path: Path) -> None:
    """Write `path`: the file `source`, grown by the branch (in place of an older), with the card.

    Of what the branch learned only the identity is attached; age and gender helped to learn it.

    Args:
        source: a file that `mien.training.expressions.export` wrote.
        branch: trained; it is exported as it judges.
        place: after which layer of the trunk it leaves.
        side: height and width of the map there, pixels.
        card: the new card; `identity` is filled in here.

    Raises:
        ModelError: `source` is no such file.
    """
    model = onnx.load(str(source))
    prune(model.graph)
    known = {name for node in model.graph.node for name in node.output}
    start = f"network_features_{place}"
    if start not in known or EMBEDDED not in known:
        raise ModelError(f"{source} is no trunk that a branch can be put on.")
    grown = _Grown(model.graph)
    x = start
    for layer in branch.eval().body:
        assert isinstance(layer, ConvBN)
        x, side = grown.convolution(layer, x, side)
    x = grown.add("ReduceMean", [x], "branch.mean", axes=[2, 3], keepdims=0)
    x = grown.add("Concat", [x, EMBEDDED], "branch.pooled", axis=1)
    x = grown.norm(branch.norm, x, "branch.norm")
    vectors = grown.linear(branch.identity, x, "branch.identity")
    length = grown.add("ReduceL2", [vectors], "branch.length", axes=[1], keepdims=1)
    least = grown.constant("branch.least", np.full((), 1e-12, np.float32))
    length = grown.add("Max", [length, least], "branch.length_")
    grown.add("Div", [vectors, length], IDENTITY)
    shape: list[str | int | None] = ["n", branch.identity.out_features]
    model.graph.output.append(helper.make_tensor_value_info(IDENTITY, TensorProto.FLOAT, shape))
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString(deterministic=True))


def prune(graph: onnx.GraphProto) -> None:
    """Take an older branch away."""

    def kept(name: str) -> bool:
        return not name.startswith("branch.") and name not in (IDENTITY, *_FORMER)

    for parts in (graph.node, graph.initializer, graph.output):
        rest = [part for part in parts if kept(part.name)]
        del parts[:]
        parts.extend(rest)


class _Grown:
    """A graph that nodes and int8 weights are added to."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._convolutions = 0

    def convolution(self, layer: ConvBN, x: str, side: int) -> tuple[str, int]:
        """A convolution with ReLU6; returns its output's name and side."""
        number, self._convolutions = self._convolutions, self._convolutions + 1
        kernel, bias = folded(layer)
        names = [x, self._weight(f"branch.w{number}", kernel)]
        names.append(self.constant(f"branch.b{number}", bias))
        name = self.add(
            "Conv",
            names,
            f"branch.conv{number}",
            kernel_shape=list(layer.kernel),
            strides=[layer.stride] * 2,
            pads=list(layer.pads(side, side)),
            group=layer.conv.groups,
        )
        return self.add("Clip", [name, "low", "high"], f"branch.x{number}"), -(
            -side // layer.stride
        )

    def norm(self, norm: nn.BatchNorm1d, x: str, name: str) -> str:
        """A BatchNorm, not folded into the next layer: its weights would not fit into int8."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        shift = norm.bias.detach() - norm.running_mean * scale
        x = self.add("Mul", [x, self.constant(f"{name}.scale", scale.numpy())], f"{name}.scaled")
        return self.add("Add", [x, self.constant(f"{name}.shift", shift.numpy())], name)

    def linear(self, layer: nn.Linear, x: str, name: str) -> str:
        """A linear layer."""
        inputs = [x, self._weight(f"{name}.w", layer.weight.detach().numpy())]
        inputs.append(self.constant(f"{name}.b", layer.bias.detach().numpy()))
        return self.add("Gemm", inputs, name, transB=1)

    def _weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Stored in int8 with a scale a row, which ONNX Runtime widens once as it opens the file.

        By Cast and Mul, since it would leave DequantizeLinear where it is and widen in every run.
        """
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.maximum(largest, 1e-12).astype(np.float32) / 127
        stored = self.constant(f"{name}.int8", np.rint(values / scale).astype(np.int8))
        wide = self.add("Cast", [stored], f"{name}.wide", to=TensorProto.FLOAT)
        return self.add("Mul", [wide, self.constant(f"{name}.scale", scale)], name)

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """A weight as it is; returns its name."""
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node with one output; returns its name."""
        self.node(kind, inputs, [output], **attributes)
        return output

    def node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """Any node."""
        made = helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes)
        self._graph.node.append(made)
