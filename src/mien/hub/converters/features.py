"""Adds the output ``features`` to networks that only have scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.labels import FEATURES
from mien.models.graph import Graph, read_model, write_model


def give_features(source: str | Path, target: str | Path) -> Path:
    """Write the network at `source` to `target` with the further output ``features``, ``(n, d)``.

    It is the input of the last linear layer, which heads on frozen features take. The scores stay
    as they are; a card's ``embedding`` has to name the output.

    Raises:
        InputNotFoundError: there is no such file.
        MissingExtraError: onnx is not installed.
        ModelError: the file is no ONNX network, or does not end in a linear layer.
    """
    source = Path(source)
    model = read_model(source)
    if any(output.name == FEATURES for output in model.graph.output):
        raise ModelError(f"{source} has an output {FEATURES!r} already.")
    name, size = _last_layer(model.graph, source)
    graph = Graph(model.graph)
    graph.add("Identity", [name], FEATURES)
    graph.output(FEATURES, ["n", size])
    return write_model(model, Path(target))


def _last_layer(graph: Any, source: Path) -> tuple[str, int]:
    """Name and size of the input of the last linear layer."""
    makers = {output: node for node in graph.node for output in node.output}
    shapes = {weight.name: list(weight.dims) for weight in graph.initializer}
    name = graph.output[0].name if graph.output else ""
    while name in makers:
        node = makers[name]
        if node.op_type in ("Gemm", "MatMul") and node.input[1] in shapes:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            return str(node.input[0]), int(shapes[node.input[1]][1 if turned else 0])
        if node.op_type not in ("Add", "Softmax", "Identity", "Sigmoid"):
            break
        name = next((each for each in node.input if each in makers), "")
    raise ModelError(f"{source} does not end in a linear layer, so it has no features to add.")
