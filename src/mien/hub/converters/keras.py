"""Keras' ``.h5`` files as ONNX, without TensorFlow: the layers that MobileNets are made of.

Keras keeps pixels as height, width, channel; the ONNX file wants ``(n, 3, S, S)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnx

_OPSET = 17
SCORES, EMBEDDED = "scores", "embedding"


def convert_keras(source: Path, target: Path) -> None:
    """Write `target`, an ``.onnx`` with the outputs ``scores`` and ``embedding``, from `source`.

    The embedding is what the last layer sees. Scores are what the last layer gives, with its
    softmax where it has one.

    Raises:
        MissingExtraError: h5py or onnx is not installed.
        ModelError: it is no Keras model, or holds a layer that is not known here.
    """
    try:
        import h5py
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            "Keras models need h5py and onnx; install them with: pip install 'mien[keras]'."
        ) from error
    try:
        with h5py.File(source) as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            stored = file.get("model_weights", file)
            graph = _Graph()
            for layer in layers:
                graph.take(layer, _weights(stored, layer["config"]["name"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source} is not a Keras model that can be read: {error}.") from error
    model = graph.finish(source.stem)
    onnx.checker.check_model(model)
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    partial.replace(target)


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


class _Graph:
    """Turns layers into ONNX nodes, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
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
            "Activation": lambda x, told, _: self._activated(x, told["activation"], told["name"]),
            "GlobalAveragePooling2D": self._mean,
            "Dropout": lambda x, _told, _weights: x,
            "Dense": self._dense,
        }

    def take(self, layer: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
        """Add a layer."""
        kind, told = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            shape = told.get("batch_shape") or told["batch_input_shape"]
            self._side = (shape[1] or "height", shape[2] or "width")
            self._values[told["name"]] = "input"
            return
        before = _inputs(layer["inbound_nodes"])
        if kind not in self._kinds or len(before) != 1:
            raise ModelError(f"the layer {told['name']!r} of kind {kind} cannot be converted.")
        x = self._values[before[0]]
        if kind == "Dense":
            self._before_last = x
        self._last = self._values[told["name"]] = self._kinds[kind](x, told, weights)

    def finish(self, name: str) -> onnx.ModelProto:
        """The whole model."""
        from onnx import TensorProto, helper

        value = helper.make_tensor_value_info
        self._add("Identity", [self._last], SCORES)
        self._add("Identity", [self._before_last], EMBEDDED)
        pixels = value("input", TensorProto.FLOAT, ["n", 3, *self._side])
        outputs = [value(end, TensorProto.FLOAT, ["n", None]) for end in (SCORES, EMBEDDED)]
        graph = helper.make_graph(self.nodes, name, [pixels], outputs, self.constants)
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)

    def _zero_padding(self, x: str, told: dict[str, Any], _: Any) -> str:
        (top, bottom), (left, right) = told["padding"]
        pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        return self._add("Pad", [x, self._constant(f"{told['name']}.pads", pads)], told["name"])

    def _convolution(self, x: str, told: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
        name, group = told["name"], 1
        if "depthwise_kernel" in weights or told.get("depth_multiplier"):
            kernel = weights.get("depthwise_kernel", weights.get("kernel"))
            assert kernel is not None
            group = kernel.shape[2]
            kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
        else:
            kernel = weights["kernel"].transpose(3, 2, 0, 1)
        inputs = [x, self._constant(f"{name}.kernel", kernel)]
        if "bias" in weights:
            inputs.append(self._constant(f"{name}.bias", weights["bias"]))
        out = self._add(
            "Conv",
            inputs,
            f"{name}.conv",
            auto_pad="SAME_UPPER" if told["padding"] == "same" else "VALID",
            strides=list(told["strides"]),
            dilations=list(told.get("dilation_rate", (1, 1))),
            group=group,
        )
        return self._activated(out, told.get("activation", "linear"), name)

    def _normalization(self, x: str, told: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
        name, ones = told["name"], np.ones_like(weights["moving_mean"])
        parts = {
            "gamma": weights.get("gamma", ones),
            "beta": weights.get("beta", 0 * ones),
            "mean": weights["moving_mean"],
            "variance": weights["moving_variance"],
        }
        inputs = [x, *(self._constant(f"{name}.{part}", v) for part, v in parts.items())]
        return self._add("BatchNormalization", inputs, name, epsilon=float(told["epsilon"]))

    def _relu(self, x: str, told: dict[str, Any], _: Any) -> str:
        if told.get("negative_slope") or told.get("threshold"):
            raise ModelError(f"the ReLU {told['name']!r} has a slope or a threshold.")
        limit = told.get("max_value")
        if limit is None:
            return self._add("Relu", [x], told["name"])
        edges = {"low": 0.0, "high": float(limit)}
        inputs = [
            self._constant(f"{told['name']}.{k}", np.array(v, np.float32)) for k, v in edges.items()
        ]
        return self._add("Clip", [x, *inputs], told["name"])

    def _mean(self, x: str, told: dict[str, Any], _: Any) -> str:
        if told.get("keepdims"):
            raise ModelError(f"the layer {told['name']!r} keeps its dimensions.")
        return self._add("ReduceMean", [x], told["name"], axes=[2, 3], keepdims=0)

    def _dense(self, x: str, told: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
        name = told["name"]
        inputs = [x, self._constant(f"{name}.kernel", weights["kernel"])]
        if "bias" in weights:
            inputs.append(self._constant(f"{name}.bias", weights["bias"]))
        out = self._add("Gemm", inputs, f"{name}.sum")
        return self._activated(out, told.get("activation", "linear"), name)

    def _activated(self, x: str, activation: str, name: str) -> str:
        kinds = {"relu": "Relu", "softmax": "Softmax", "sigmoid": "Sigmoid"}
        if activation == "linear":
            return x
        if activation == "relu6":
            return self._relu(x, {"name": name, "max_value": 6.0}, None)
        if activation not in kinds:
            raise ModelError(f"the activation {activation!r} of {name!r} cannot be converted.")
        return self._add(kinds[activation], [x], name)

    def _constant(self, name: str, values: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output
