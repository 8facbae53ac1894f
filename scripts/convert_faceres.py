"""Make ``src/mien/weights/faceres.onnx``, apparent age and gender, from the published weights.

    mien models pull faceres && python scripts/convert_faceres.py

The published file is a TensorFlow.js graph model: MobileNet-v1 with BatchNorm folded into the
convolutions, a layer of 256, and two heads. The ONNX file has the same layers with the same float16
weights. Besides them it holds what the network was trained with, the subtraction of the ImageNet
means in BGR order, and the decoding of the age, so that RGB crops go in and columns come out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.expressions.attributes import AttributeCard
from mien.hub import find, path_of
from mien.labels import ATTRIBUTES
from mien.models.card import CropSpec
from mien.training.expressions.pretrained import read_tfjs

TARGET = Path(__file__).resolve().parents[1] / "src" / "mien" / "weights" / "faceres.onnx"
SIDE = 224
MEANS = (123.68, 116.78, 103.94)  # of red, green and blue
STRIDES = {2: 2, 4: 2, 6: 2, 12: 2}  # of depthwise convolutions; the others have 1
AGE, FEMALE = ATTRIBUTES["age"], ATTRIBUTES["gender"]
CARD = AttributeCard(
    "faceres",
    SIDE,
    CropSpec(margin=0.3),
    licence="MIT",
    commercial="unclear",
    training_data="VGGFace2 identities (a research set); age and gender labels",
    source=find("faceres").source,
    accuracy={
        "mae_age": 3.6,
        "mae_age_of_predicting_the_mean": 5.61,
        "gender": 0.985,
        "gender_black_women": 0.90,
        "people": 102,
        "people_black_women": 5,
    },
    protocol=(
        "measured for this project on the Face Research Lab London Set: 102 people, one neutral "
        "and one smiling studio portrait each, aged 18 to 54, self-reported gender",
        "mae_age: years, 3.55 to 3.63 with margins of 20 to 40 %; gender: shares of the portraits",
        "not measured: children, people over 54, photos outside a studio",
        "not to be used on individuals: errors by group in docs/person.md",
    ),
)


class Graph:
    """Collects nodes and float16 weights, which are computed with in float32."""

    def __init__(self) -> None:
        self.casts: list[onnx.NodeProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """A weight; returns its name."""
        values = np.ascontiguousarray(values)
        if values.dtype == np.float16:
            self.weights.append(numpy_helper.from_array(values, f"{name}.half"))
            wide = helper.make_node("Cast", [f"{name}.half"], [name], name, to=TensorProto.FLOAT)
            self.casts.append(wide)
        else:
            self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """A node; returns the name of its first output."""
        node = helper.make_node(kind, inputs, list(outputs), name=outputs[0], **attributes)
        self.nodes.append(node)
        return outputs[0]


class Faceres(Graph):
    """The network, layer by layer."""

    def __init__(self, weights: dict[str, npt.NDArray[np.float32]]) -> None:
        super().__init__()
        self.stored = {name: values.astype(np.float16) for name, values in weights.items()}
        self.side = SIDE
        self.constant("low", np.zeros((), np.float32))
        self.constant("high", np.full((), 6, np.float32))

    def model(self) -> onnx.ModelProto:
        """The whole file."""
        self.heads(self.trunk(self.prepared()))
        value = helper.make_tensor_value_info
        outputs = [value(name, TensorProto.FLOAT, ["n"]) for name in (AGE, FEMALE)]
        image = value("image", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])
        nodes = [*self.casts, *self.nodes]
        body = helper.make_graph(nodes, CARD.name, [image], outputs, self.weights)
        made = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(made, {AttributeCard.key: CARD.to_json()})
        onnx.checker.check_model(made)
        return made

    def prepared(self) -> str:
        """RGB pixels, 0 to 255, as planes around 0."""
        means = self.constant("means", np.array(MEANS, np.float32).reshape(1, 3, 1, 1))
        planes = self.add("Transpose", ["image"], "planes", perm=[0, 3, 1, 2])
        return self.add("Sub", [planes, means], "centered")

    def trunk(self, x: str) -> str:
        """The 27 convolutions and the mean over places, ``(n, 1024)``."""
        # It was trained on BGR; with the planes of its first kernel reversed it takes RGB.
        first = self.stored["conv1/convolution/merged_input"].transpose(3, 2, 0, 1)[:, ::-1]
        x = self.convolution("conv1", first, x, 2)
        for block in range(1, 14):
            name = f"conv_dw_{block}"
            scale = self.stored[f"{name}_bn/batchnorm_1/mul"].astype(np.float32)
            depth = self.stored[f"{name}/depthwise_kernel"].transpose(2, 3, 0, 1)
            x = self.convolution(name, depth * scale.reshape(-1, 1, 1, 1), x, STRIDES.get(block, 1))
            name = f"conv_pw_{block}"
            kernel = self.stored[f"{name}/convolution/merged_input"].transpose(3, 2, 0, 1)
            x = self.convolution(name, kernel, x)
        return self.add("ReduceMean", [x], "pooled", axes=[2, 3], keepdims=0)

    def convolution(self, name: str, kernel: npt.NDArray[Any], x: str, stride: int = 1) -> str:
        """A convolution with TensorFlow's SAME padding, its bias and ReLU6."""
        size = kernel.shape[-1]
        after = -(-self.side // stride)
        pad = max((after - 1) * stride + size - self.side, 0)
        self.side = after
        bias = self.stored[f"{name}_bn/batchnorm_1/sub"]
        weights = [self.constant(f"{name}.w", kernel), self.constant(f"{name}.b", bias)]
        total = self.add(
            "Conv",
            [x, *weights],
            f"{name}.sum",
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2],
            group=len(kernel) if kernel.shape[1] == 1 else 1,
        )
        return self.add("Clip", [total, "low", "high"], name)

    def linear(self, name: str, x: str) -> str:
        """A linear layer."""
        parts = [self.constant(f"{name}.{part}", self.stored[f"{name}/{part}"]) for part in PARTS]
        return self.add("Gemm", [x, *parts], name)

    def heads(self, x: str) -> None:
        """Age: the expectation over the two most probable of 100 years, as its author decodes it.

        Gender: the network gives the probability of "male".
        """
        x = self.add("Relu", [self.linear("feats", x)], "hidden")
        two = self.constant("two", np.array([2]))
        axis = self.constant("axis", np.array([1]))
        shares = self.add("Softmax", [self.linear("age_pred", x)], "shares", axis=1)
        top = self.add("TopK", [shares, two], "top", "places", axis=1)
        years = self.add("Cast", ["places"], "years", to=TensorProto.FLOAT)
        products = self.add("Mul", [top, years], "products")
        total = self.add("ReduceSum", [products, axis], "total", keepdims=0)
        weight = self.add("ReduceSum", [top, axis], "weight", keepdims=0)
        self.add("Div", [total, weight], AGE)
        male = self.add("Squeeze", [self.linear("gender_pred", x), axis], "male")
        self.add("Sigmoid", [self.add("Neg", [male], "female")], FEMALE)


PARTS = ("kernel", "bias")


def main() -> None:
    """Write the file."""
    model = Faceres(read_tfjs(path_of("faceres").parent, "faceres")).model()
    TARGET.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
