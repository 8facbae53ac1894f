"""MobileFaceNet (Chen et al. 2018, arXiv 1804.07573), as far as its 512 embedded numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.training.networks.layers import ConvBN, Network

# (expanded channels, channels, blocks, stride of the first) of the stages of inverted residuals.
STAGES = ((128, 64, 5, 2), (256, 128, 1, 2), (256, 128, 6, 1), (512, 128, 1, 2), (256, 128, 2, 1))


class Residual(nn.Module):
    """Inverted residual with a linear bottleneck (arXiv 1801.04381), with PReLU."""

    def __init__(self, inputs: int, wide: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.expand: ConvBN = ConvBN(inputs, wide, 1, activation="prelu")
        self.depthwise: ConvBN = ConvBN(wide, wide, 3, stride, wide, activation="prelu")
        self.project: ConvBN = ConvBN(wide, outputs, 1, activation="none")
        self.residual: bool = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` to ``(n, outputs, h / stride, w / stride)``."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class PlaceWeights(nn.Module):
    """Weighs every place of every channel, so that the mean over places is a global depthwise
    convolution, and the weighed map is what class activation maps are made of.

    Maps of another size than the weights', from inputs of another size, get interpolated ones.
    """

    SIDE = 7

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight: nn.Parameter = nn.Parameter(torch.ones(channels, self.SIDE, self.SIDE))
        self.bias: nn.Parameter = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to the same shape."""
        return x * self.weights(x.shape[-2], x.shape[-1]) + self.bias

    def weights(self, height: int, width: int) -> Tensor:
        """``(c, height, width)``: the weights of a map of that size."""
        if (height, width) == (self.SIDE, self.SIDE):
            return self.weight
        return F.interpolate(self.weight[None], (height, width), mode="bilinear")[0]


class MobileFaceNet(Network):
    """1.0 million parameters, embedding of 512; at 112 px a map of 7x7."""

    MEAN: tuple[float, ...] = (127.5, 127.5, 127.5)
    STD = 128.0
    stage_ends: Mapping[int, int] = {7: 64, 14: 128, 17: 128, 18: 512}

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = [
            ConvBN(3, 64, 3, 2, activation="prelu"),
            ConvBN(64, 64, 3, 1, 64, activation="prelu"),
            ConvBN(64, 64, 1, activation="none"),
        ]
        channels = 64
        for wide, outputs, blocks, stride in STAGES:
            for place in range(blocks):
                layers.append(Residual(channels, wide, outputs, 1 if place else stride))
                channels = outputs
        layers += [ConvBN(channels, 512, 1, activation="prelu"), PlaceWeights(512)]
        super().__init__(nn.Sequential(*layers), 512, classes, dropout)
