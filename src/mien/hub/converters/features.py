"""A second output for networks that only give scores: what their last layer sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import InputNotFoundError, MissingExtraError, ModelError
from mien.labels import FEATURES


def give_features(source: str | Path, target: str | Path) -> Path:
    """Write the network at `source` to `target` with the further output ``features``, ``(n, d)``.

    It is what goes into the last linear layer, as heads on frozen features want it. The scores stay
    what they are; a card's ``embedding`` has to name the output.

    Raises:
        InputNotFoundError: there is no such file.
        MissingExtraError: onnx is not installed.
        ModelError: the file is no ONNX network, or does not end in a linear layer.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            "this needs onnx; install it with: pip install 'mien[keras]'."
        ) from error
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise InputNotFoundError(f"there is no model file {source}.")
    try:
        model = onnx.load(str(source))
    except Exception as error:
        raise ModelError(f"{source} is not an ONNX network.") from error
    graph = model.graph
    if any(output.name == FEATURES for output in graph.output):
        raise ModelError(f"{source} has an output {FEATURES!r} already.")
    seen, size = _last_layer(graph, source)
    graph.node.append(onnx.helper.make_node("Identity", [seen], [FEATURES], name=FEATURES))
    kind = onnx.TensorProto.FLOAT
    graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, kind, ["n", size]))
    onnx.checker.check_model(model)
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    partial.replace(target)
    return target


def _last_layer(graph: Any, source: Path) -> tuple[str, int]:
    """What the last linear layer sees, and how many numbers that are."""
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
    raise ModelError(f"{source} does not end in a linear layer, so its features are not known.")
