"""Converter of Keras' ``.h5`` files to ONNX, without TensorFlow, for the layers of MobileNets.

Keras keeps pixels as height, width, channel; the ONNX file wants ``(n, 3, S, S)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import MissingExtraError, ModelError
from mien.models.graph import Graph, write_model

SCORES, EMBEDDED = "scores", "embedding"


def convert_keras(source: Path, target: Path) -> None:
    """Write `target`, an ``.onnx`` with the outputs ``scores`` and ``embedding``, from `source`.

    The embedding is the input of the last layer. Scores are the output of the last layer, with its
    softmax where it has one.

    Raises:
        MissingExtraError: h5py or onnx is not installed.
        ModelError: it is no Keras model, or has a layer that cannot be converted.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            "Keras models need h5py and onnx; run: pip install h5py onnx."
        ) from error
    try:
        with h5py.File(source) as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            stored = file.get("model_weights", file)
            network = _Network()
            for layer in layers:
                network.add_layer(layer, _weights(stored, layer["config"]["name"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source} is not a Keras model that can be read: {error}.") from error
    write_model(network.finish().model(source.stem), target)


def _weights(stored: Any, layer: str) -> dict[str, np.ndarray]:
    """The arrays of one layer by their short names, such as "kernel"."""
    if layer not in stored:
        return {}
    group = stored[layer]
    names = [n.decode() if isinstance(n, bytes) else n for n in group.attrs["weight_names"]]
    return {n.rsplit("/", 1)[-1].split(":")[0]: np.asarray(group[n], np.float32) for n in names}


def _inputs(inbound: Any) -> list[str]:
    """Names of the layers before: in Keras 3 as a "keras_history", before as nested lists."""
    if isinstance(inbound, dict):
        history = inbound.get("config", {}).get("keras_history")
        if history:
            return [str(history[0])]
        return [name for value in inbound.values() for name in _inputs(value)]
    if isinstance(inbound, list):
        if len(inbound) >= 3 and isinstance(inbound[0], str):
            return [inbound[0]]
        return [name for value in inbound for name in _inputs(value)]
    return []


class _Network:
    """Turns layers into ONNX nodes, one after the other."""

    def __init__(self) -> None:
        self._graph = Graph()
        self._values: dict[str, str] = {}  # layer -> its output
        self._last = ""
        self._before_last = ""
        self._side: tuple[int | str, int | str] = ("height", "width")
        self._kinds: dict[str, Callable[..., str]] = {
            "ZeroPadding2D": self._zero_padding,
            "Conv2D": self._convolution,
            "DepthwiseConv2D": self._convolution,
            "BatchNormalization": self._normalization,
            "ReLU": self._relu,
            "Activation": lambda x, config, _: self._activated(
                x, config["activation"], config["name"]
            ),
            "GlobalAveragePooling2D": self._mean,
            "Dropout": lambda x, _config, _weights: x,
            "Dense": self._dense,
        }

    def add_layer(self, layer: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
        """Add a layer."""
        kind, config = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            shape = config.get("batch_shape") or config["batch_input_shape"]
            self._side = (shape[1] or "height", shape[2] or "width")
            self._values[config["name"]] = "input"
            return
        before = _inputs(layer["inbound_nodes"])
        if kind not in self._kinds or len(before) != 1:
            raise ModelError(f"the layer {config['name']!r} of kind {kind} cannot be converted.")
        x = self._values[before[0]]
        if kind == "Dense":
            self._before_last = x
        self._last = self._values[config["name"]] = self._kinds[kind](x, config, weights)

    def finish(self) -> Graph:
        """The whole network."""
        graph = self._graph
        graph.input("input", ["n", 3, *self._side])
        for source, name in ((self._last, SCORES), (self._before_last, EMBEDDED)):
            graph.add("Identity", [source], name)
            graph.output(name, ["n", None])
        return graph

    def _zero_padding(self, x: str, config: dict[str, Any], _: Any) -> str:
        (top, bottom), (left, right) = config["padding"]
        pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        return self._graph.add(
            "Pad", [x, self._graph.weight(f"{config['name']}.pads", pads)], config["name"]
        )

    def _convolution(self, x: str, config: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
        name, group = config["name"], 1
        if "depthwise_kernel" in weights or config.get("depth_multiplier"):
            kernel = weights.get("depthwise_kernel", weights.get("kernel"))
            assert kernel is not None
            group = kernel.shape[2]
            kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
        else:
            kernel = weights["kernel"].transpose(3, 2, 0, 1)
        inputs = [x, self._graph.weight(f"{name}.kernel", kernel)]
        if "bias" in weights:
            inputs.append(self._graph.weight(f"{name}.bias", weights["bias"]))
        out = self._graph.add(
            "Conv",
            inputs,
            f"{name}.conv",
            auto_pad="SAME_UPPER" if config["padding"] == "same" else "VALID",
            strides=list(config["strides"]),
            dilations=list(config.get("dilation_rate", (1, 1))),
            group=group,
        )
        return self._activated(out, config.get("activation", "linear"), name)

    def _normalization(self, x: str, config: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
        name, ones = config["name"], np.ones_like(weights["moving_mean"])
        parts = {
            "gamma": weights.get("gamma", ones),
            "beta": weights.get("beta", 0 * ones),
            "mean": weights["moving_mean"],
            "variance": weights["moving_variance"],
        }
        inputs = [x, *(self._graph.weight(f"{name}.{part}", v) for part, v in parts.items())]
        return self._graph.add("BatchNormalization", inputs, name, epsilon=float(config["epsilon"]))

    def _relu(self, x: str, config: dict[str, Any], _: Any) -> str:
        if config.get("negative_slope") or config.get("threshold"):
            raise ModelError(f"the ReLU {config['name']!r} has a slope or a threshold.")
        limit = config.get("max_value")
        if limit is None:
            return self._graph.add("Relu", [x], config["name"])
        edges = {"low": 0.0, "high": float(limit)}
        inputs = [
            self._graph.weight(f"{config['name']}.{k}", np.array(v, np.float32))
            for k, v in edges.items()
        ]
        return self._graph.add("Clip", [x, *inputs], config["name"])

    def _mean(self, x: str, config: dict[str, Any], _: Any) -> str:
        if config.get("keepdims"):
            raise ModelError(f"the layer {config['name']!r} keeps its dimensions.")
        return self._graph.add("ReduceMean", [x], config["name"], axes=[2, 3], keepdims=0)

    def _dense(self, x: str, config: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
        name = config["name"]
        inputs = [x, self._graph.weight(f"{name}.kernel", weights["kernel"])]
        if "bias" in weights:
            inputs.append(self._graph.weight(f"{name}.bias", weights["bias"]))
        out = self._graph.add("Gemm", inputs, f"{name}.sum")
        return self._activated(out, config.get("activation", "linear"), name)

    def _activated(self, x: str, activation: str, name: str) -> str:
        kinds = {"relu": "Relu", "softmax": "Softmax", "sigmoid": "Sigmoid"}
        if activation == "linear":
            return x
        if activation == "relu6":
            return self._relu(x, {"name": name, "max_value": 6.0}, None)
        if activation not in kinds:
            raise ModelError(f"the activation {activation!r} of {name!r} cannot be converted.")
        return self._graph.add(kinds[activation], [x], name)
