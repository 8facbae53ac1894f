"""InceptionResNet-v1 as FaceNet uses it, cut short after the Block17s.

Szegedy et al. 2016, arXiv 1602.07261. The end is that of the project that mien carries on: of
Mixed_7a only one branch, with stride 1, and no Block8, so that a map of 8x8x256 at 160 px is left
for heatmaps. 10.44 million parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.training.networks.layers import Activation, ConvBN, Network, Padding


def _conv(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: Padding = "same",
    activation: Activation = "relu",
) -> ConvBN:
    return ConvBN(inputs, outputs, kernel, stride, padding=padding, activation=activation)


class Branches(nn.Module):
    """Several ways side by side, their channels put one after the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches: nn.ModuleList = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to ``(n, sum of the branches' channels, h', w')``."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Residual(nn.Module):
    """``relu(x + scale * up(branches(x)))``; `up` is a 1x1 convolution with bias, no BatchNorm."""

    def __init__(self, channels: int, inner: int, scale: float, *branches: nn.Module) -> None:
        super().__init__()
        self.scale = scale
        self.branches: Branches = Branches(*branches)
        self.up: nn.Conv2d = nn.Conv2d(inner, channels, 1)
        self.relu: nn.ReLU = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to the same shape."""
        out: Tensor = self.relu(x + self.up(self.branches(x)) * self.scale)
        return out


def _block35() -> Residual:
    return Residual(
        256,
        96,
        0.17,
        _conv(256, 32, 1),
        nn.Sequential(_conv(256, 32, 1), _conv(32, 32, 3)),
        nn.Sequential(_conv(256, 32, 1), _conv(32, 32, 3), _conv(32, 32, 3)),
    )


def _block17() -> Residual:
    return Residual(
        896,
        256,
        0.10,
        _conv(896, 128, 1),
        nn.Sequential(_conv(896, 128, 1), _conv(128, 128, (1, 7)), _conv(128, 128, (7, 1))),
    )


class InceptionResNetV1(Network):
    """Embedding of 256; the last layer has no bias."""

    MEAN: tuple[float, ...] = (0.0, 0.0, 0.0)
    STD = 255.0
    head_bias = False
    stage_ends: Mapping[int, int] = {11: 256, 22: 896}

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        stem = [
            _conv(3, 32, 3, 2, "valid"),
            _conv(32, 32, 3, 1, "valid"),
            _conv(32, 64, 3),
            nn.MaxPool2d(3, 2),
            _conv(64, 80, 1),
            _conv(80, 192, 3, 1, "valid"),
            _conv(192, 256, 3, 2, "valid"),
        ]
        narrower = Branches(
            _conv(256, 384, 3, 2, "valid"),
            nn.Sequential(_conv(256, 192, 1), _conv(192, 192, 3), _conv(192, 256, 3, 2, "valid")),
            nn.MaxPool2d(3, 2),
        )
        layers = [*stem, *(_block35() for _ in range(5)), narrower]
        layers += [*(_block17() for _ in range(10)), _conv(896, 256, 1), _conv(256, 256, 3)]
        super().__init__(nn.Sequential(*layers), 256, classes, dropout)
