"""Converter of the single-attention engagement network from Keras to ONNX, without TensorFlow.

The file that is published holds weights only, no layers, so the network is written down here as its
authors describe it (Savchenko et al. 2022): a score for each moment, softmax over the moments, the
weighted sum, a hidden layer, and two columns, distracted and engaged. Where a file describes its
layers, they must be these; the code that Keras keeps for a Lambda layer is never run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mien.errors import MissingExtraError, ModelError
from mien.models.graph import Graph, write_model

_LAYERS = {
    *("Activation", "Dense", "Dropout", "InputLayer", "Lambda", "Multiply", "Permute"),
    *("RepeatVector", "Reshape", "Softmax"),
}


class Dense(NamedTuple):
    """Weights of one layer: ``(inputs, outputs)`` and ``(outputs,)``."""

    kernel: np.ndarray
    bias: np.ndarray


def convert_attention(source: Path, target: Path, metadata: Mapping[str, str]) -> None:
    """Write `target`, an ``.onnx`` that takes ``(n, steps, features)``, from `source`.

    The output ``engagement`` is ``(n, 2)``, softmax, or ``(n, 1)``, sigmoid, as the network has it.

    Args:
        source: a Keras file with the whole model or with its weights only.
        target: where to; a file that is there is replaced.
        metadata: kept in the file, such as the card of `mien.engagement`.

    Raises:
        MissingExtraError: h5py or onnx is not installed.
        ModelError: the file holds something else.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            "Keras models need h5py and onnx; run: pip install h5py onnx."
        ) from error
    try:
        with h5py.File(source) as file:
            description = file.attrs.get("model_config")
            layers = _layers(file.get("model_weights", file), h5py.Dataset)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source} is not a Keras file that can be read: {error}.") from error
    parts = _parts(source, layers)
    if description is not None:
        _check(source, description, columns=parts[2].kernel.shape[1])
    write_model(_network(*parts).model(source.stem), target, metadata)


def _layers(stored: Any, dataset: type) -> list[Dense]:
    """All layers that have a kernel and a bias, whatever their names."""
    arrays: dict[str, dict[str, np.ndarray]] = {}

    def take(path: str, item: Any) -> None:
        folder, _, name = path.rpartition("/")
        if isinstance(item, dataset) and not path.startswith("optimizer"):
            values = np.asarray(item, np.float32)
            arrays.setdefault(folder, {})[name.split(":")[0]] = values

    stored.visititems(take)
    return [Dense(a["kernel"], a["bias"]) for a in arrays.values() if {"kernel", "bias"} <= set(a)]


def _parts(source: Path, layers: list[Dense]) -> tuple[Dense, Dense, Dense]:
    """Attention, hidden and last layer, recognized by how their sizes fit each other."""
    fitting = [
        (attention, hidden, last)
        for attention, hidden, last in permutations(layers, 3)
        if all(layer.kernel.ndim == 2 for layer in (attention, hidden, last))
        and attention.kernel.shape == (hidden.kernel.shape[0], 1)
        and hidden.kernel.shape[1] == last.kernel.shape[0]
        and last.kernel.shape[1] in (1, 2)
        and all(len(layer.bias) == layer.kernel.shape[1] for layer in (attention, hidden, last))
    ]
    if len(layers) != 3 or len(fitting) != 1:
        sizes = ", ".join(str(layer.kernel.shape) for layer in layers) or "none"
        raise ModelError(
            f"{source} is no single-attention network: it needs three layers, (d, 1), (d, h) and "
            f"(h, 2) or (h, 1), and has {sizes}."
        )
    return fitting[0]


def _check(source: Path, description: str | bytes, columns: int) -> None:
    """Refuse a file whose own description is of another network."""
    try:
        layers = json.loads(description)["config"]["layers"]
        kinds = [layer["class_name"] for layer in layers]
        ends = [layer["config"]["activation"] for layer in layers if "Dense" in layer["class_name"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source} does not describe its layers: {error}.") from error
    strange = [kind for kind in kinds if kind not in _LAYERS]
    if strange:
        raise ModelError(f"{source}: a layer of kind {strange[0]} cannot be converted.")
    last = "softmax" if columns == 2 else "sigmoid"
    if sorted(ends) != sorted(["linear", "relu", last]):
        raise ModelError(
            f"{source}: the layers must be linear, relu and {last}, not {', '.join(ends)}."
        )


def _network(attention: Dense, hidden: Dense, last: Dense) -> Graph:
    graph = Graph()

    def weights(name: str, layer: Dense) -> tuple[str, str]:
        kernel = graph.weight(f"{name}.kernel", layer.kernel)
        return kernel, graph.weight(f"{name}.bias", layer.bias)

    graph.input("windows", ["n", "steps", hidden.kernel.shape[0]])
    kernel, bias = weights("attention", attention)
    graph.add("Add", [graph.add("MatMul", ["windows", kernel], "scores"), bias], "scored")
    graph.add("Softmax", ["scored"], "shares", axis=1)
    graph.add("Mul", ["windows", "shares"], "weighted")
    time = graph.weight("time", np.array([1], np.int64))
    graph.add("ReduceSum", ["weighted", time], "context", keepdims=0)
    graph.add("Gemm", ["context", *weights("hidden", hidden)], "inner")
    graph.add("Relu", ["inner"], "outer")
    graph.add("Gemm", ["outer", *weights("last", last)], "logits")
    columns = last.kernel.shape[1]
    if columns == 2:
        graph.add("Softmax", ["logits"], "engagement", axis=1)
    else:
        graph.add("Sigmoid", ["logits"], "engagement")
    graph.output("engagement", ["n", columns])
    return graph
