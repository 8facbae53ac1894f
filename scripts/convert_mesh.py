"""Make the face mesh and blendshape networks of the package from MediaPipe's face landmarker.

    pip install tflite==2.18.0 && python scripts/convert_mesh.py face_landmarker.task

The bundle (Google, Apache-2.0) is at `SOURCE`. Three files are written to
``src/mien/weights``: ``face_mesh.onnx``, ``face_blendshapes.onnx``, and ``canonical_face.npz``, the
mean face that head poses are fitted to. Weights stay float16, as published, and are computed with
in float32.

The layers are rebuilt in the channel order of ONNX Runtime rather than converted one by one: the
general converter (tf2onnx) writes PReLU as five operations and pads channels, both of which make
ONNX Runtime leave its blocked memory layout, and takes 18 ms a face instead of 4.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import tflite
from convert_faceres import Graph
from onnx import TensorProto, helper

WEIGHTS = Path(__file__).resolve().parents[1] / "src" / "mien" / "weights"
BUNDLE = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
KINDS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name.isupper()}
SIDE = 256
POINTS = 478
POINTS_TENSOR, PRESENCE_TENSOR = 473, 472  # of the mesh's file
SOURCE = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task"
)
#: The points that the blendshapes are computed from: kLandmarksSubsetIdxs of MediaPipe's
#: mediapipe/tasks/cc/vision/face_landmarker/face_blendshapes_graph.cc.
SUBSET = [
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65),
    *(66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136),
    *(144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168),
    *(172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276),
    *(282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318),
    *(321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380),
    *(381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466),
    *range(468, 478),
]
Array = npt.NDArray[Any]
Shapes = dict[str, list[Any]]


class Layer(NamedTuple):
    """One operation of a TensorFlow Lite file: its kind, and the numbers of its tensors."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    stride: int = 1
    same: bool = False


class TfliteFile:
    """Layers and constants of a TensorFlow Lite network; half-precision weights stay so."""

    def __init__(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(data, 0)
        self._graph = self._model.Subgraphs(0)
        self._halves = {
            layer.outputs[0]: layer.inputs[0] for layer in self._all() if layer.kind == "DEQUANTIZE"
        }

    def layers(self) -> Iterator[Layer]:
        """The operations in order, without those that widen weights."""
        return (layer for layer in self._all() if layer.kind != "DEQUANTIZE")

    def constant(self, tensor: int) -> Array:
        """The values of a weight."""
        tensor = self._halves.get(tensor, tensor)
        info = self._graph.Tensors(tensor)
        values = self._model.Buffers(info.Buffer()).DataAsNumpy()
        dtype = {0: np.float32, 1: np.float16, 2: np.int32}[info.Type()]
        shape = info.ShapeAsNumpy() if info.ShapeLength() else ()
        return np.asarray(values.view(dtype).reshape(shape))

    def _all(self) -> Iterator[Layer]:
        for place in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(place)
            kind = KINDS[self._model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
            inputs, outputs = (
                numbers.tolist()
                for numbers in (operator.InputsAsNumpy(), operator.OutputsAsNumpy())
            )
            form = {
                "CONV_2D": tflite.Conv2DOptions,
                "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
                "MAX_POOL_2D": tflite.Pool2DOptions,
            }.get(kind)
            if form is None:
                yield Layer(kind, inputs, outputs)
                continue
            options, table = form(), operator.BuiltinOptions()
            options.Init(table.Bytes, table.Pos)
            same = options.Padding() == tflite.Padding.SAME
            yield Layer(kind, inputs, outputs, options.StrideH(), same)


class MeshNetwork(Graph):
    """The convolutional network: 256 px crops in, points and the presence of a face out."""

    def __init__(self, file: TfliteFile) -> None:
        super().__init__()
        self.file = file
        self.sides = {"planes": SIDE}
        self.names = {0: self.add("Transpose", ["image"], "planes", perm=[0, 3, 1, 2])}

    def model(self) -> onnx.ModelProto:
        """The whole file."""
        for layer in self.file.layers():
            if layer.kind in ("LOGISTIC", "RESHAPE"):
                break  # of a third output, which MediaPipe leaves unused
            name = f"x{layer.outputs[0]}"
            self.layer(layer, self.names[layer.inputs[0]], name)
            self.names[layer.outputs[0]] = name
        rows = self.constant("rows", np.array([-1, POINTS, 3]))
        flat = self.constant("flat", np.array([-1]))
        self.add("Reshape", [self.names[POINTS_TENSOR], rows], "points")
        logit = self.add("Reshape", [self.names[PRESENCE_TENSOR], flat], "logit")
        self.add("Sigmoid", [logit], "presence")
        outputs: Shapes = {"points": ["n", POINTS, 3], "presence": ["n"]}
        return packed(self, "face_mesh", {"image": ["n", SIDE, SIDE, 3]}, outputs)

    def layer(self, layer: Layer, x: str, name: str) -> None:
        """Add one operation, with planes before rows and columns."""
        side = self.sides[x]
        if layer.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            side = self.convolution(layer, x, name)
        elif layer.kind == "PRELU":
            self.prelu(self.file.constant(layer.inputs[1]).astype(np.float32), x, name)
        elif layer.kind == "MAX_POOL_2D":
            self.add("MaxPool", [x], name, kernel_shape=[2, 2], strides=[2, 2])
            side //= 2
        elif layer.kind == "PAD":  # by channels of zeros; a convolution keeps the memory layout
            more = int(self.file.constant(layer.inputs[1])[3].sum())
            eye = np.eye(2 * more, more, dtype=np.float16).reshape(-1, more, 1, 1)
            self.add("Conv", [x, self.constant(f"{name}.w", eye)], name, kernel_shape=[1, 1])
        elif layer.kind == "ADD":
            self.add("Add", [x, self.names[layer.inputs[1]]], name)
        else:
            raise ValueError(f"unknown layer {layer.kind}")
        self.sides[name] = side

    def convolution(self, layer: Layer, x: str, name: str) -> int:
        """A convolution, with TensorFlow's SAME padding; returns the side of its result."""
        depthwise = layer.kind == "DEPTHWISE_CONV_2D"
        kernel = self.file.constant(layer.inputs[1])
        kernel = kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        size, side, pad = int(kernel.shape[-1]), self.sides[x], 0
        after = (side - size) // layer.stride + 1
        if layer.same:
            after = -(-side // layer.stride)
            pad = max((after - 1) * layer.stride + size - side, 0)
        if x == "planes":  # pixels from 0 to 255 go in
            kernel = kernel.astype(np.float32) / 255
        bias = self.constant(f"{name}.b", self.file.constant(layer.inputs[2]))
        self.add(
            "Conv",
            [x, self.constant(f"{name}.w", kernel), bias],
            name,
            kernel_shape=[size, size],
            strides=[layer.stride] * 2,
            pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2],
            group=len(kernel) if depthwise else 1,
        )
        return after

    def prelu(self, slopes: Array, x: str, name: str) -> None:
        """``x + (1 - slope) * relu(-x)``, see `convert_mtcnn.Graph.prelu`."""
        rest = 1 - slopes.reshape(-1, 1, 1, 1)
        form = {"kernel_shape": [1, 1], "group": len(rest)}
        minus = self.constant(f"{name}.minus", np.full(rest.shape, -1, np.float16))
        self.add("Conv", [x, minus], f"{name}.negative", **form)
        self.add("Relu", [f"{name}.negative"], f"{name}.below")
        self.add(
            "Conv", [f"{name}.below", self.constant(f"{name}.rest", rest)], f"{name}.bent", **form
        )
        self.add("Add", [f"{name}.bent", x], name)


class BlendshapeNetwork(Graph):
    """The mixer: all points in, in pixels of the image, coefficients of 52 shapes out.

    Four blocks over 97 tokens of 64 numbers (Tolstikhin et al. 2021, arXiv 2105.01601); the first
    token is learned and becomes the answer.
    """

    def __init__(self, file: TfliteFile) -> None:
        super().__init__()
        self.file = file
        layers = list(file.layers())
        self.linear = iter([layer for layer in layers if layer.kind == "CONV_2D"])
        scales = [layer for layer in layers if layer.kind == "MUL"]
        self.scale = file.constant(scales[1].inputs[1])
        # A normalization is two products after the one by its gamma.
        self.gammas = iter([file.constant(layer.inputs[1]) for layer in scales[2::3]])
        added = next(layer for layer in layers if layer.kind == "ADD")
        self.epsilon = float(file.constant(added.inputs[1]))
        joined = next(layer for layer in layers if layer.kind == "CONCATENATION")
        self.token = file.constant(joined.inputs[0]).reshape(-1)

    def model(self) -> onnx.ModelProto:
        """The whole file."""
        x = self.tokens(self.normalized())
        for block in range(4):
            name = f"block{block}"
            mixed = self.swapped(self.norm(x, f"{name}.norm1"), f"{name}.across")
            mixed = self.perceptron(mixed, f"{name}.tokens")
            x = self.add("Add", [self.swapped(mixed, f"{name}.back"), x], f"{name}.mixed")
            hidden = self.perceptron(self.norm(x, f"{name}.norm2"), f"{name}.channels")
            x = self.add("Add", [hidden, x], name)
        first, one = self.constant("first", np.array([0])), self.constant("one", np.array([1]))
        x = self.add(
            "Squeeze", [self.add("Gather", [x, first], "first_row", axis=1), one], "answer"
        )
        self.add("Sigmoid", [self.dense(x, "logits")], "coefficients")
        return packed(
            self, "face_blendshapes", {"points": ["n", POINTS, 2]}, {"coefficients": ["n", 52]}
        )

    def normalized(self) -> str:
        """The chosen points about their mean, divided by their mean distance from it."""
        places = self.constant("places", np.array(SUBSET))
        axis = self.constant("axis", np.array([2]))
        x = self.add("Gather", ["points", places], "chosen", axis=1)
        x = self.add("Sub", [x, self.add("ReduceMean", [x], "mean", axes=[1])], "centered")
        square = self.add("ReduceSum", [self.add("Mul", [x, x], "squares"), axis], "square")
        size = self.add("ReduceMean", [self.add("Sqrt", [square], "distances")], "size", axes=[1])
        x = self.add("Div", [x, size], "normalized")
        return self.add("Mul", [x, self.constant("scale", self.scale)], "scaled")

    def tokens(self, x: str) -> str:
        """The learned token and 96 mixtures of the points, ``(n, 97, 64)``."""
        x = self.dense(self.swapped(x, "coordinates"), "mixtures", before=1)
        x = self.dense(self.swapped(x, "pairs"), "embedded")
        bias = next(w for w in self.weights if w.name == "embedded.b.half")
        start = np.zeros((97, len(self.token)), np.float32)
        start[0] = self.token.astype(np.float32) - onnx.numpy_helper.to_array(bias)
        return self.add("Add", [x, self.constant("token", start)], "tokens")

    def swapped(self, x: str, name: str) -> str:
        """Tokens and channels exchanged."""
        return self.add("Transpose", [x], name, perm=[0, 2, 1])

    def norm(self, x: str, name: str) -> str:
        """Layer normalization without an offset."""
        gamma = self.constant(f"{name}.gamma", next(self.gammas).reshape(-1))
        return self.add("LayerNormalization", [x, gamma], name, epsilon=self.epsilon)

    def perceptron(self, x: str, name: str) -> str:
        """Two linear layers with a ReLU between them."""
        hidden = self.add("Relu", [self.dense(x, f"{name}.1")], f"{name}.hidden")
        return self.dense(hidden, f"{name}.2")

    def dense(self, x: str, name: str, before: int = 0) -> str:
        """The next linear layer of the file, after `before` outputs that are 0."""
        _, kernel, bias = next(self.linear).inputs
        weights = self.file.constant(kernel)[:, 0, 0].T
        weights = np.pad(weights, ((0, 0), (before, 0)))
        offsets = np.pad(self.file.constant(bias), (before, 0))
        product = self.add("MatMul", [x, self.constant(f"{name}.w", weights)], f"{name}.product")
        return self.add("Add", [product, self.constant(f"{name}.b", offsets)], name)


def packed(graph: Graph, name: str, inputs: Shapes, outputs: Shapes) -> onnx.ModelProto:
    """A network as a file, checked."""
    takes, gives = (
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in end.items()]
        for end in (inputs, outputs)
    )
    body = helper.make_graph([*graph.casts, *graph.nodes], name, takes, gives, graph.weights)
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"license": "Apache-2.0", "source": SOURCE, "sha256": BUNDLE})
    onnx.checker.check_model(made)
    return made


def messages(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol-buffer message."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            at += 1
            value |= (data[at - 1] & 127) << shift
            shift += 7
            if data[at - 1] < 128:
                return value

    while at < len(data):
        field, form = divmod(varint(), 8)
        if form == 0:
            yield field, varint()
            continue
        size = varint() if form == 2 else 4
        at += size
        part = data[at - size : at]
        yield field, part if form == 2 else np.frombuffer(part, np.float32)[0]


def canonical(data: bytes) -> dict[str, Any]:
    """The mean face of MediaPipe's face geometry: points in cm, triangles, weights of the fit."""
    fields = list(messages(data))
    mesh = list(messages(next(value for field, value in fields if field == 1)))
    vertices = np.array([value for field, value in mesh if field == 3], np.float32).reshape(-1, 5)
    triangles = np.array([value for field, value in mesh if field == 4], np.uint16).reshape(-1, 3)
    weights = np.zeros(len(vertices), np.float32)
    for field, value in fields:
        if field == 2:
            basis = dict(messages(value))
            weights[basis.get(1, 0)] = basis[2]
    return {"points": vertices[:, :3], "triangles": triangles, "weights": weights}


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="face_landmarker.task")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where to write")
    options = parser.parse_args()
    if hashlib.sha256(options.bundle.read_bytes()).hexdigest() != BUNDLE:
        raise SystemExit(f"{options.bundle} is not the bundle of May 2023: its SHA-256 differs.")
    with zipfile.ZipFile(options.bundle) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    networks: dict[str, MeshNetwork | BlendshapeNetwork] = {
        "face_mesh": MeshNetwork(TfliteFile(parts["face_landmarks_detector.tflite"])),
        "face_blendshapes": BlendshapeNetwork(TfliteFile(parts["face_blendshapes.tflite"])),
    }
    for name, network in networks.items():
        path = options.folder / f"{name}.onnx"
        path.write_bytes(network.model().SerializeToString(deterministic=True))
        print(f"{path}: {path.stat().st_size:,} bytes")
    path = options.folder / "canonical_face.npz"
    np.savez_compressed(path, **canonical(parts["geometry_pipeline_metadata_landmarks.binarypb"]))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
