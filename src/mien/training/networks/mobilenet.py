"""MobileNet-v1 (Howard et al. 2017, arXiv 1704.04861), with TensorFlow's SAME padding."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from mien.training.networks.layers import ConvBN, Network

# (output channels, stride) of the 13 depthwise-separable blocks.
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5
BLOCKS += [(1024, 2), (1024, 1)]


class MobileNetV1(Network):
    """3.2 million parameters, embedding of 1024; at 112 px a map of 4x4."""

    # ImageNet means, RGB order, subtracted from values 0..255: faceres was trained so.
    MEAN: tuple[float, ...] = (123.68, 116.78, 103.94)
    stage_ends: Mapping[int, int] = {2: 64, 6: 128, 10: 256, 22: 512, 26: 1024}

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        layers = [ConvBN(3, 32, 3, 2)]
        channels = 32
        for outputs, stride in BLOCKS:
            layers.append(ConvBN(channels, channels, 3, stride, channels))
            layers.append(ConvBN(channels, outputs, 1))
            channels = outputs
        super().__init__(nn.Sequential(*layers), channels, classes, dropout)
