"""Make ``src/mien/weights/mtcnn_*.onnx``, MTCNN's three networks, from the published weights.

    pip install mtcnn==1.0.0 && python scripts/convert_mtcnn.py

The weights are data inside that package (MIT license). They are read from its folder without
importing it, because importing it would need TensorFlow. The graphs follow Zhang et al. 2016,
"Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks"
(arXiv 1604.02878), with three changes that leave the answers as they are: pixels come in as 0 to
255 (the normalization is folded into the first layer), the softmax of two classes is left to the
caller as the sigmoid of their difference, and all outputs of a network are one matrix product.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

MODELS = Path(__file__).resolve().parents[1] / "src" / "mien" / "weights"
RECIPE = "mien mtcnn 1"
HALVED = 200_000  # the dense layer of the O-Net is stored as float16, which saves 0.6 MB
WEIGHTS = {  # SHA-256 of the files of mtcnn 1.0.0: they are pickles, so nothing else is opened
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
# What follows each convolution's activation: (side, stride, pad) of a max pooling, or nothing.
# "Pad" is TensorFlow's "same", whose odd pixel goes to the right and the bottom.
POOLS: dict[str, list[tuple[int, int, bool] | None]] = {
    "pnet": [(2, 2, True), None, None],
    "rnet": [(3, 2, True), (3, 2, False), None],
    "onet": [(3, 2, True), (3, 2, False), (2, 2, True), None],
}
PATCH: dict[str, int | str] = {"pnet": "height", "rnet": 24, "onet": 48}


class Graph:
    """Collects nodes and weights; every method adds one layer after the last one."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.last = "image"

    def add(self, kind: str, *constants: Any, inputs: list[str] | None = None, **keys: Any) -> str:
        """Append one node on the last output (or on `inputs`) and its constants."""
        name = f"{kind.lower()}{len(self.nodes)}"
        names = [f"{name}.{i}" for i in range(len(constants))]
        for key, value in zip(names, constants, strict=True):
            array = np.ascontiguousarray(value, np.float32)
            if array.size >= HALVED:
                half = f"{key}.half"
                self.weights.append(numpy_helper.from_array(array.astype(np.float16), half))
                self.nodes.append(helper.make_node("Cast", [half], [key], to=TensorProto.FLOAT))
            else:
                self.weights.append(numpy_helper.from_array(array, key))
        self.nodes.append(
            helper.make_node(kind, (inputs or [self.last]) + names, [name], name=name, **keys)
        )
        self.last = name
        return name

    def conv(self, kernel: Any, bias: Any) -> str:
        """Add a convolution without padding; `kernel` is (out, in, height, width)."""
        return self.add("Conv", kernel, bias, kernel_shape=list(kernel.shape[2:]))

    def prelu(self, slope: Any) -> str:
        """Add a PReLU, ``x + (1 - slope) * relu(-x)``, one slope for each channel.

        ONNX Runtime leaves its blocked memory layout for a PRelu node, but not for convolutions
        of 1x1; and it runs each of these together with what follows it.
        """
        x, shape = self.last, (len(slope), 1, 1, 1)
        keys: dict[str, Any] = {"kernel_shape": [1, 1], "group": len(slope)}
        self.add("Conv", 0 * slope.reshape(shape) - 1, **keys)
        self.add("Relu")
        bent = self.add("Conv", 1 - slope.reshape(shape), **keys)
        return self.add("Add", inputs=[bent, x])


def fill(array: Any, axis: int) -> Any:
    """Add zeros up to a multiple of 8 channels, which ONNX Runtime's blocks need."""
    pads = [(0, 0)] * array.ndim
    pads[axis] = (0, -array.shape[axis] % 8)
    return np.pad(array, pads)


def heads(weights: list[Any]) -> tuple[Any, Any]:
    """Join the last layers: column 0 is face minus no-face, then the offsets, then landmarks."""
    pairs = [(weights[i], weights[i + 1]) for i in range(0, len(weights), 2)]
    *others, (kernel, bias) = pairs
    difference = (kernel[..., 1:] - kernel[..., :1], bias[1:] - bias[:1])
    joined = [difference, *others]
    return np.concatenate([k for k, _ in joined], -1), np.concatenate([b for _, b in joined])


def body(graph: Graph, name: str, weights: list[Any]) -> list[Any]:
    """Add the convolutions of a network; returns the weights that are left over."""
    graph.add("Transpose", perm=[0, 3, 1, 2])
    for depth, pool in enumerate(POOLS[name]):
        kernel, bias, slope = weights[:3]
        weights = weights[3:]
        kernel = kernel.transpose(3, 2, 0, 1).astype("float64")
        if depth == 0:  # the networks were trained on (pixel - 127.5) / 128
            bias = bias - kernel.sum((1, 2, 3)) * 127.5 / 128
            kernel = kernel / 128
        inputs = kernel if depth == 0 else fill(kernel, 1)
        graph.conv(fill(inputs, 0), fill(bias, 0))
        graph.prelu(fill(slope.reshape(-1), 0))
        if pool:
            side, stride, pad = pool
            graph.add("MaxPool", kernel_shape=[side] * 2, strides=[stride] * 2, ceil_mode=int(pad))
    return weights


def network(name: str, weights: list[Any]) -> Any:
    """One of the three networks as an ONNX model, from Keras's list of weights.

    Input ``image``: (n, height, width, 3) float32 RGB, 0 to 255. Outputs: ``logit``, whose
    sigmoid is the probability of a face, ``offsets`` (4) and, for the O-Net, ``landmarks`` (10);
    all along axis 1.
    """
    graph = Graph()
    weights = body(graph, name, weights)
    if name == "pnet":
        kernel, bias = heads(weights)
        joint = graph.conv(kernel.transpose(3, 2, 0, 1), bias)
    else:
        dense, bias, slope, *rest = weights
        side = 3  # both networks end in 3x3 places
        channels = len(dense) // side**2
        # Keras flattened (width, height, channel), ONNX flattens (channel, height, width).
        dense = dense.reshape(side, side, channels, -1).transpose(2, 1, 0, 3)
        graph.add("Flatten")
        graph.add("Gemm", dense.reshape(-1, len(bias)), bias)
        graph.add("PRelu", slope)
        joint = graph.add("Gemm", *heads(rest))
    outputs = {"logit": 1, "offsets": 4} | ({"landmarks": 10} if name == "onet" else {})
    split = helper.make_tensor("sizes", TensorProto.INT64, [len(outputs)], list(outputs.values()))
    graph.nodes.append(helper.make_node("Split", [joint, "sizes"], list(outputs), axis=1))
    n, height = ("n", PATCH[name])
    width = "width" if isinstance(height, str) else height
    tail = ["rows", "columns"] if name == "pnet" else []
    real = TensorProto.FLOAT
    made = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info("image", real, [n, height, width, 3])],
        [helper.make_tensor_value_info(k, real, [n, v, *tail]) for k, v in outputs.items()],
        [*graph.weights, split],
    )
    model = helper.make_model(
        made, producer_name="mien", ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    helper.set_model_props(model, {"recipe": RECIPE, "weights": WEIGHTS[name]})
    checker.check_model(model)
    return model


def make(folder: Path = MODELS) -> list[Path]:
    """Write the networks into `folder` and return the three paths."""
    paths = {name: folder / f"mtcnn_{name}.onnx" for name in WEIGHTS}
    for name, path in paths.items():
        model = network(name, joblib.load(asset(name)))
        path.write_bytes(model.SerializeToString(deterministic=True))
    return list(paths.values())


def asset(name: str) -> Path:
    """The weights file inside the installed package ``mtcnn``, after a look at its SHA-256."""
    spec = importlib.util.find_spec("mtcnn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The weights are in the PyPI package mtcnn: pip install mtcnn==1.0.0.")
    path = Path(spec.submodule_search_locations[0]) / "assets" / "weights" / f"{name}.lz4"
    if hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS[name]:
        raise SystemExit(f"{path.name} is not the file of mtcnn 1.0.0: its SHA-256 differs.")
    return path


if __name__ == "__main__":
    for written in make():
        print(f"{written}: {written.stat().st_size:,} bytes")
