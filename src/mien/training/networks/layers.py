"""What the networks are made of: convolution with BatchNorm, CBAM, and the frame of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.card import Color

BN_EPS = 1e-3
Activation = Literal["relu6", "relu", "prelu", "none"]
Padding = Literal["same", "valid"]


class ConvBN(nn.Module):
    """Convolution, BatchNorm, an activation or none; pads as TensorFlow's SAME does, or not."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        groups: int = 1,
        *,
        padding: Padding = "same",
        activation: Activation = "relu6",
    ) -> None:
        super().__init__()
        self.kernel: tuple[int, int] = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.stride: int
        self.stride, self.padding, self.activation = stride, padding, activation
        self.conv: nn.Conv2d = nn.Conv2d(
            inputs, outputs, self.kernel, stride, groups=groups, bias=False
        )
        self.bn: nn.BatchNorm2d = nn.BatchNorm2d(outputs, eps=BN_EPS)
        if activation == "prelu":
            self.slope: nn.Parameter = nn.Parameter(torch.full((outputs,), 0.25))

    def pads(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Rows above, columns left, rows below, columns right for an input of that size."""
        if self.padding == "valid":
            return (0, 0, 0, 0)
        sides = []
        for length, kernel in zip((height, width), self.kernel, strict=True):
            places = -(-length // self.stride)
            needed = max((places - 1) * self.stride + kernel - length, 0)
            sides.append((needed // 2, needed - needed // 2))  # the odd pixel at the far end
        (top, bottom), (left, right) = sides
        return top, left, bottom, right

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` to ``(n, outputs, h', w')``, SAME: ``h' = ceil(h / stride)``."""
        top, left, bottom, right = self.pads(x.shape[-2], x.shape[-1])
        if (top, left) == (bottom, right):
            conv = self.conv
            x = F.conv2d(x, conv.weight, None, self.stride, (top, left), 1, conv.groups)
        else:
            x = self.conv(F.pad(x, (left, right, top, bottom)))
        x = self.bn(x)
        if self.activation == "none":
            return x
        if self.activation == "prelu":
            return F.prelu(x, self.slope.to(x.dtype))
        return F.relu6(x) if self.activation == "relu6" else F.relu(x)


class CBAM(nn.Module):
    """Convolutional block attention module (Woo et al. 2018, arXiv 1807.06521).

    First each channel is weighed, by ``sigmoid(MLP(mean) + MLP(max))`` over the places, then each
    place, by ``sigmoid(conv7x7([mean; max]))`` over the channels. Biases start high, so that the
    gates start open and a pre-trained network keeps what it knows.
    """

    OPEN = 4.0

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        hidden = max(channels // ratio, 4)
        self.mlp: nn.Sequential = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )
        self.places: nn.Conv2d = nn.Conv2d(2, 1, 7, padding=3)
        self.gate: nn.Sigmoid = nn.Sigmoid()
        last = self.mlp[2]
        assert isinstance(last, nn.Conv2d)
        for layer, bias in ((last, self.OPEN / 2), (self.places, self.OPEN)):
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to the same shape."""
        average, largest = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        x = x * self.gate(self.mlp(average) + self.mlp(largest))
        pooled = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        weighed: Tensor = x * self.gate(self.places(pooled))
        return weighed


class Network(nn.Module):
    """Image batch in, ``(logits, embedding, feature map)`` out.

    Input ``(n, 3, S, S)`` float, RGB 0..255. Logits ``(n, k)``, embedding ``(n, c)`` (the global
    average of the map), map ``(n, c, h, w)``. The last layer is linear, so class activation maps
    follow from its weights (arXiv 1512.04150).

    Attributes:
        color, MEAN, STD: how the network wants its input; `prepare` does it.
        stage_ends: places in `features` after which the resolution or the kind of block changes,
            and the channels there; attention blocks go there.
        head_bias: whether the last layer has one.
    """

    color: Color = "rgb"
    MEAN: tuple[float, ...] = (0.0, 0.0, 0.0)
    STD: float = 1.0
    stage_ends: Mapping[int, int] = {}
    head_bias = True
    mean: Tensor

    def __init__(self, features: nn.Sequential, channels: int, classes: int, dropout: float):
        super().__init__()
        self.features = features
        self.dropout: nn.Dropout = nn.Dropout(dropout)
        self.head: nn.Linear = nn.Linear(channels, classes, bias=self.head_bias)
        self.register_buffer("mean", torch.tensor(self.MEAN).view(1, -1, 1, 1))

    def attend(self) -> None:
        """Put a `CBAM` behind the end of each stage."""
        for place, channels in self.stage_ends.items():
            self.features[place] = nn.Sequential(self.features[place], CBAM(channels))

    def prepare(self, x: Tensor) -> Tensor:
        """What the card tells others to do with the pixels."""
        if self.color == "gray":
            x = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        return (x - self.mean) / self.STD

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The network itself, on prepared input."""
        maps = self.features(x)
        embedding = maps.mean(dim=(2, 3))
        return self.head(self.dropout(embedding)), embedding, maps

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        return self.judge(self.prepare(x))
