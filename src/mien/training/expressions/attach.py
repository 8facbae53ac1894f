"""Adds a trained branch to an exported ``.onnx`` file, whose other weights stay bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mien.errors import ModelError
from mien.labels import IDENTITY
from mien.models.card import METADATA_KEY, ModelCard
from mien.models.graph import FLOAT, Graph, read_model, write_model
from mien.training.expressions.branch import Branch
from mien.training.expressions.export import EMBEDDED, folded
from mien.training.networks import ConvBN

#: Outputs of age and gender in older files; they were useless and are no longer attached.
_FORMER = ("apparent_age", "apparent_female")


def attach_branch(
    source: Path,
    branch: Branch,
    place: tuple[int, int],
    card: ModelCard,
    path: Path,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Write `path`: the file `source` with the branch (in place of an older one) and the card.

    Only the branch's identity is attached; age and gender were auxiliary tasks of its training.

    Args:
        source: a file that `mien.training.expressions.export` wrote.
        branch: trained; it is exported for inference.
        place: the layer of the trunk whose output it takes, and the side of that map, pixels.
        card: the new card.
        path: the new file.
        check: see `mien.models.graph.write_model`.

    Raises:
        ModelError: `source` is no such file.
    """
    model = read_model(source)
    prune(model.graph)
    names = {name for node in model.graph.node for name in node.output}
    layer_number, side = place
    start = f"network_features_{layer_number}"
    if start not in names or EMBEDDED not in names:
        raise ModelError(f"{source} is no trunk that a branch can be attached to.")
    graph = _BranchGraph(model.graph)
    x = start
    for layer in branch.eval().body:
        assert isinstance(layer, ConvBN)
        x, side = graph.convolution(layer, x, side)
    x = graph.add("ReduceMean", [x], "branch.mean", axes=[2, 3], keepdims=0)
    x = graph.add("Concat", [x, EMBEDDED], "branch.pooled", axis=1)
    x = graph.norm(branch.norm, x, "branch.norm")
    vectors = graph.linear(branch.identity, x, "branch.identity")
    length = graph.add("ReduceL2", [vectors], "branch.length", axes=[1], keepdims=1)
    least = graph.weight("branch.least", np.full((), 1e-12, np.float32))
    length = graph.add("Max", [length, least], "branch.length_")
    graph.add("Div", [vectors, length], IDENTITY)
    graph.output(IDENTITY, ["n", branch.identity.out_features])
    write_model(model, path, {METADATA_KEY: card.to_json()}, check)


def prune(graph: Any) -> None:
    """Remove an older branch."""

    def kept(name: str) -> bool:
        return not name.startswith("branch.") and name not in (IDENTITY, *_FORMER)

    for parts in (graph.node, graph.initializer, graph.output):
        rest = [part for part in parts if kept(part.name)]
        del parts[:]
        parts.extend(rest)


class _BranchGraph(Graph):
    """A graph to which layers with int8 weights are added."""

    def __init__(self, proto: Any) -> None:
        super().__init__(proto)
        self._convolutions = 0

    def convolution(self, layer: ConvBN, x: str, side: int) -> tuple[str, int]:
        """A convolution with ReLU6; returns its output's name and side."""
        number, self._convolutions = self._convolutions, self._convolutions + 1
        kernel, bias = folded(layer)
        names = [x, self._int8(f"branch.w{number}", kernel)]
        names.append(self.weight(f"branch.b{number}", bias))
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
        x = self.add("Mul", [x, self.weight(f"{name}.scale", scale.numpy())], f"{name}.scaled")
        return self.add("Add", [x, self.weight(f"{name}.shift", shift.numpy())], name)

    def linear(self, layer: nn.Linear, x: str, name: str) -> str:
        """A linear layer."""
        inputs = [x, self._int8(f"{name}.w", layer.weight.detach().numpy())]
        inputs.append(self.weight(f"{name}.b", layer.bias.detach().numpy()))
        return self.add("Gemm", inputs, name, transB=1)

    def _int8(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Add an array in int8 with a scale for each row, widened once when the file is opened.

        By Cast and Mul, since ONNX Runtime would run DequantizeLinear each time.
        """
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.maximum(largest, 1e-12).astype(np.float32) / 127
        stored = self.weight(f"{name}.int8", np.rint(values / scale).astype(np.int8))
        wide = self.add("Cast", [stored], f"{name}.wide", to=FLOAT)
        return self.add("Mul", [wide, self.weight(f"{name}.scale", scale)], name)
