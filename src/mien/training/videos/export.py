"""A machine that judges films as one ``.onnx`` file, written node by node.

The file takes descriptors of any length and brings them to length 1 itself. It computes in
float64, since differences of nearly equal vectors, times large duals, would lose digits in
float32; only the many vectors of an RBF machine are stored as float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.errors import ModelError
from mien.files import replacing
from mien.timeline.classifier import (
    DESCRIPTOR,
    MARGINS,
    METADATA_KEY,
    PROBABILITIES,
    FilmCard,
    FilmModel,
)
from mien.training.videos.svm import _TINY, Films, Machine

OPSET = 17
#: Largest difference of a margin between scikit-learn and the file, relative above 1.
PARITY = 1e-4


def export_machine(machine: Machine, card: FilmCard, path: Path) -> None:
    """Write the machine and its card to `path`, whole or not at all."""
    graph = _Graph()
    graph.node("Cast", [DESCRIPTOR], "wide", to=TensorProto.DOUBLE)
    graph.node("ReduceSum", [*graph.squared("wide"), graph.weight("axis", [1])], "sum", keepdims=1)
    graph.node("Sqrt", ["sum"], "length")
    graph.node("Max", ["length", graph.exact("tiny", [_TINY])], "divisor")
    graph.node("Div", ["wide", "divisor"], "unit")
    if machine.kernel == "linear":
        inputs = [
            "unit",
            graph.exact("weights", machine.weights),
            graph.exact("bias", machine.bias),
        ]
        graph.node("Gemm", inputs, "exact", transB=1)
    else:
        _rbf(graph, machine)
    graph.node("Cast", ["exact"], MARGINS, to=TensorProto.FLOAT)
    graph.node("Div", ["exact", graph.exact("temperature", [card.temperature])], "cooled")
    graph.node("Softmax", ["cooled"], "shares", axis=1)
    graph.node("Cast", ["shares"], PROBABILITIES, to=TensorProto.FLOAT)

    def value(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])

    body = helper.make_graph(
        graph.nodes,
        card.name,
        [value(DESCRIPTOR, 4 * card.size)],
        [value(MARGINS, len(card.labels)), value(PROBABILITIES, len(card.labels))],
        graph.weights,
    )
    file = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(file, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(file)
    with replacing(path) as temporary:
        temporary.write_bytes(file.SerializeToString(deterministic=True))


def check_parity(
    path: Path, machine: Machine, films: Films, descriptors: npt.NDArray[np.floating]
) -> float:
    """The largest difference of a margin between the file and scikit-learn's machine.

    Raises:
        ModelError: it is larger than `PARITY`.
    """
    wanted = films.margins(machine, np.arange(len(films)))
    got = FilmModel(path).margins(descriptors)
    apart = float((np.abs(got - wanted) / np.maximum(np.abs(wanted), 1)).max())
    if not apart <= PARITY:
        raise ModelError(f"{path} differs from the machine that was trained by {apart:.2g}.")
    return apart


def _rbf(graph: _Graph, machine: Machine) -> None:
    """exp(-gamma |unit - support|^2), weighed by the duals; |a - b|^2 = |a|^2 - 2 ab + |b|^2."""
    units = machine.units.astype(np.float32).astype(np.float64)
    graph.node(
        "Gemm", ["unit", graph.wide("supports", machine.units)], "near", alpha=-2.0, transB=1
    )
    graph.node("ReduceSum", [*graph.squared("unit"), "axis"], "own", keepdims=1)
    graph.node("Add", ["near", "own"], "nearer")
    graph.node("Add", ["nearer", graph.exact("squares", (units**2).sum(axis=1))], "apart")
    graph.node("Mul", ["apart", graph.exact("gamma", [-machine.gamma])], "power")
    graph.node("Exp", ["power"], "kernel")
    inputs = ["kernel", graph.exact("duals", machine.duals), graph.exact("bias", machine.bias)]
    graph.node("Gemm", inputs, "exact")


class _Graph:
    """Nodes and weights of the file."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node that is called as its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def squared(self, name: str) -> list[str]:
        """The squares of a value."""
        return [self.node("Mul", [name, name], f"{name}.squared")]

    def weight(self, name: str, values: npt.ArrayLike) -> str:
        """Whole numbers or float64 as they are."""
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def exact(self, name: str, values: npt.ArrayLike) -> str:
        """Numbers that are kept in float64."""
        return self.weight(name, np.asarray(values, np.float64))

    def wide(self, name: str, values: npt.ArrayLike) -> str:
        """Numbers kept as float32 and widened when the file is opened."""
        stored = self.weight(f"{name}.single", np.asarray(values, np.float32))
        return self.node("Cast", [stored], name, to=TensorProto.DOUBLE)
