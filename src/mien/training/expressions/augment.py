"""Changes to a training batch that keep what the face shows: geometry, light, erased patches.

Everything works on whole batches of tensors; the small source images are resampled straight to
the network's input size, so that augmentation costs one interpolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed; the defaults are the published recipe's."""

    flip: float = 0.5
    rotate_deg: float = 15.0
    scale: float = 0.15
    shift: float = 0.08
    brightness: float = 0.25
    contrast: float = 0.25
    tint: float = 0.12
    erase: float = 0.5
    erase_area: tuple[float, float] = (0.02, 0.2)

    def scaled(self, strength: float) -> Augmentation:
        """The same changes, `strength` times as far and erased as often; mirrored as before."""
        names = ("rotate_deg", "scale", "shift", "brightness", "contrast", "tint", "erase")
        return replace(self, **{name: strength * getattr(self, name) for name in names})


def to_input(images: Tensor, size: int) -> Tensor:
    """Resize ``(n, h, w)`` or ``(n, 3, h, w)`` uint8 to ``(n, 3, size, size)`` float 0..255."""
    batch = images.unsqueeze(1) if images.ndim == 3 else images
    batch = F.interpolate(batch.float(), size=(size, size), mode="bilinear", align_corners=False)
    return batch.expand(-1, 3, -1, -1) if batch.shape[1] == 1 else batch


def augment(images: Tensor, size: int, how: Augmentation, rng: torch.Generator) -> Tensor:
    """Like `to_input`, with every image changed at random."""
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng) * (high - low) + low

    angle = uniform(-how.rotate_deg, how.rotate_deg, n) * (math.pi / 180)
    zoom_x = 1 + uniform(-how.scale, how.scale, n)
    zoom_y = zoom_x * (1 + uniform(-how.scale, how.scale, n) / 3)
    mirror = torch.where(torch.rand(n, generator=rng) < how.flip, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = torch.cos(angle) * zoom_x * mirror
    theta[:, 0, 1] = -torch.sin(angle) * zoom_y
    theta[:, 1, 0] = torch.sin(angle) * zoom_x * mirror
    theta[:, 1, 1] = torch.cos(angle) * zoom_y
    theta[:, :, 2] = uniform(-2 * how.shift, 2 * how.shift, n, 2)
    batch = images.unsqueeze(1) if images.ndim == 3 else images
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    batch = F.grid_sample(
        batch.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    ).expand(-1, 3, -1, -1)
    level = batch.mean(dim=(1, 2, 3), keepdim=True)
    gain = 1 + uniform(-how.contrast, how.contrast, n, 1, 1, 1)
    offset = 255 * uniform(-how.brightness, how.brightness, n, 1, 1, 1)
    tint = 1 + uniform(-how.tint, how.tint, n, 3, 1, 1)
    batch = (((batch - level) * gain + level + offset) * tint).clamp_(0, 255)
    return _erase(batch, how, uniform)


def _erase(batch: Tensor, how: Augmentation, uniform) -> Tensor:  # type: ignore[no-untyped-def]
    """Random erasing (Zhong et al. 2017, arXiv 1708.04896), a rectangle of one grey an image."""
    n, _, height, width = batch.shape
    area = uniform(*how.erase_area, n)
    ratio = torch.exp(uniform(-math.log(3), math.log(3), n))
    h = torch.sqrt(area * ratio).clamp(max=0.8) * height
    w = torch.sqrt(area / ratio).clamp(max=0.8) * width
    top, left = uniform(0, 1, n) * (height - h), uniform(0, 1, n) * (width - w)
    y, x = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    inside = (y >= top.view(-1, 1, 1)) & (y < (top + h).view(-1, 1, 1))
    inside = inside & (x >= left.view(-1, 1, 1)) & (x < (left + w).view(-1, 1, 1))
    inside = inside & (uniform(0, 1, n) < how.erase).view(-1, 1, 1)
    grey = uniform(0, 255, n, 1, 1, 1)
    return torch.where(inside.unsqueeze(1), grey, batch)
