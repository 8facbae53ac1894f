"""Make ``src/mien/weights/yunet.onnx``, the default face detector, from OpenCV Zoo's file.

    python scripts/convert_yunet.py ../shared/models/face_detection_yunet_2023mar.onnx

The same weights and answers, arranged for ONNX Runtime: images of any size (multiples of 32) as
RGB bytes instead of BGR floats of 640 x 640 pixels; and the four heads of each level, which are
twelve small convolutions in a row, as one of 16 channels. What is left to the caller is the
arithmetic on the few places that may be faces: see `mien.faces.detectors.yunet`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from mien.models.graph import FLOAT, Graph, read_model, write_model

TARGET = Path(__file__).resolve().parents[1] / "src" / "mien" / "weights" / "yunet.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
HEADS = ("cls", "obj", "bbox", "kps")
Weights = npt.NDArray[np.float32]


class Converter:
    """Takes a published file apart and builds the network anew."""

    def __init__(self, path: Path) -> None:
        if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
            raise SystemExit(f"{path} is not OpenCV Zoo's face_detection_yunet_2023mar.onnx.")
        proto = read_model(path).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.initializer}
        self.kernels: list[tuple[Weights, Weights]] = [
            (arrays[node.input[1]], arrays[node.input[2]])
            for node in proto.node
            if node.op_type == "Conv"
        ]
        self.graph = Graph()

    def convolution(
        self, name: str, kernel: Weights, bias: Weights, x: str, stride: int = 1
    ) -> str:
        """A convolution with padding; one kernel a channel where `kernel` has one input."""
        side = kernel.shape[-1]
        weights = [self.graph.weight(f"{name}.{k}", v) for k, v in (("w", kernel), ("b", bias))]
        return self.graph.add(
            "Conv", [x, *weights], name, kernel_shape=[side, side], pads=[side // 2] * 4,
            strides=[stride, stride], group=len(kernel) if kernel.shape[1] == 1 else 1,
        )  # fmt: skip

    def block(self, name: str, x: str) -> str:
        """The next two convolutions, of channels and of places, and their ReLU."""
        for part in ("channels", "places"):
            x = self.convolution(f"{name}.{part}", *self.kernels.pop(0), x)
        return self.graph.add("Relu", [x], name)

    def pool(self, x: str) -> str:
        """Half the size."""
        return self.graph.add("MaxPool", [x], f"{x}.half", kernel_shape=[2, 2], strides=[2, 2])

    def backbone(self) -> list[str]:
        """Features at strides 8, 16 and 32."""
        planes = self.graph.add("Transpose", ["image"], "bytes", perm=[0, 3, 1, 2])
        pixels = self.graph.add("Cast", [planes], "pixels", to=FLOAT)
        kernel, bias = self.kernels.pop(0)
        x = self.convolution("stem.first", np.ascontiguousarray(kernel[:, ::-1]), bias, pixels, 2)
        x = self.pool(self.block("stem", self.graph.add("Relu", [x], "stem.relu")))
        levels = []
        for stage, name in enumerate(("stride4", "stride8", "stride16", "stride32")):
            for part in range(4 if stage == 0 else 2):
                x = self.block(f"{name}.{part}", x)
            levels.append(x)
            x = self.pool(x) if stage < 3 else x
        return levels[1:]

    def neck(self, levels: list[str]) -> list[str]:
        """The features of each level with those of the coarser ones."""
        scales = self.graph.weight("twice", np.array([1, 1, 2, 2], np.float32))
        merged: list[str] = []
        x = levels[-1]
        for level, features in reversed(list(enumerate(levels))):
            if merged:
                large = self.graph.add(
                    "Resize", [x, "", scales], f"large.{level}", mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                )  # fmt: skip
                x = self.graph.add("Add", [features, large], f"sum.{level}")
            x = self.block(f"neck.{level}", x)
            merged.append(x)
        return merged[::-1]

    def heads(self, levels: list[str]) -> None:
        """Per level 16 numbers a place: two logits, the box, five points."""
        pairs: dict[tuple[int, str], list[tuple[Weights, Weights]]] = {}
        for head in ("cls", "bbox", "obj", "kps"):  # as the file has them
            for level in range(3):
                pairs[level, head] = [self.kernels.pop(0), self.kernels.pop(0)]
        for level, x in enumerate(levels):
            for part, name in enumerate(("channels", "places")):
                parts = [pairs[level, head][part] for head in HEADS]
                kernel, bias = (np.concatenate(column) for column in zip(*parts, strict=True))
                output = f"stride{8 << level}" if part else f"head.{level}.{name}"
                x = self.convolution(output, kernel, bias, x)
            self.graph.output(x, ["n", 16, f"rows{8 << level}", f"columns{8 << level}"])

    def model(self) -> Any:
        """The whole network."""
        image = helper.make_tensor_value_info(
            "image", TensorProto.UINT8, ["n", "height", "width", 3]
        )
        self.graph.proto.input.append(image)
        self.heads(self.neck(self.backbone()))
        assert not self.kernels
        return self.graph.model("yunet")


def convert(source: Path, target: Path) -> Path:
    """Write the converted file; returns its path."""
    return write_model(Converter(source).model(), target, {"source_sha256": SHA256})


def main() -> None:
    """Convert the file that is named on the command line."""
    made = convert(Path(sys.argv[1]), TARGET)
    print(f"{made}: {made.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
