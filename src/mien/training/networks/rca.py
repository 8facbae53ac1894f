"""RCA, "repeated convolution and attention": a small network for grey faces of 48 px.

The project that mien carries on had a network of this name for FER2013, of blocks of two
convolutions with CBAM between them; no paper defines it, so this is the definition. Four blocks,
each convolution - BatchNorm - ReLU - CBAM - convolution - BatchNorm - ReLU - max pooling; kernels
of 5, 5, 3 and 3. Ours is a third as wide as that one (32, 64, 256, 256 channels), and ends in the
mean over places and one linear layer in place of 6912 flattened values and two more layers, so
that it has 2.1 million parameters, trains without a GPU, and heatmaps can be read off.
"""

from __future__ import annotations

from torch import nn

from mien.models.card import Color
from mien.training.networks.layers import CBAM, ConvBN, Network

# Channels and kernel of the four blocks.
BLOCKS = ((32, 5), (64, 5), (256, 3), (256, 3))


class RCA(Network):
    """Input grey; embedding of 256; at 48 px a map of 6x6."""

    color: Color = "gray"
    MEAN: tuple[float, ...] = (0.0,)
    STD = 255.0

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        channels = 1
        for place, (outputs, kernel) in enumerate(BLOCKS):
            layers.append(ConvBN(channels, outputs, kernel, activation="relu"))
            layers.append(CBAM(outputs, ratio=8))
            layers.append(ConvBN(outputs, outputs, kernel, activation="relu"))
            if place < len(BLOCKS) - 1:  # the last map keeps its places for heatmaps
                layers += [nn.MaxPool2d(2, 2), nn.Dropout2d(dropout / 2)]
            channels = outputs
        super().__init__(nn.Sequential(*layers), channels, classes, dropout)

    def attend(self) -> None:
        """Nothing: CBAM is part of it."""
