"""Brightness of an image, and brightening of dark ones: networks were trained on well-lit faces."""

from __future__ import annotations

import numpy as np

from mien.types import Image

DARK = 51  # a fifth of the range: an image is dark if 99 % of its pixels are below
_SHARE = 0.01  # of the pixels may be brighter: lamps and reflections
_FULL = 220.0  # level to which the brightest parts are scaled
_SIDE = 96  # pixels along the longer side on which brightness is measured


def is_dark(image: Image) -> bool:
    """Whether fewer than 1 % of the pixels of ``(H, W, 3)`` uint8 reach a fifth of the range."""
    return bool((_sample(image) >= DARK).mean() < _SHARE)


def brightened(image: Image) -> Image:
    """A dark image ``(H, W, 3)`` uint8 scaled as by a longer exposure; any other unchanged.

    The input is not modified.
    """
    if not is_dark(image):
        return image
    level = max(1.0, float(np.quantile(_sample(image), 1 - _SHARE)))
    levels = np.minimum(np.arange(256) * (_FULL / level) + 0.5, 255).astype(np.uint8)
    return np.asarray(levels[image], np.uint8)


def _sample(image: Image) -> Image:
    """The brightest channel on a coarse grid of pixels, ``(h, w)``."""
    step = max(1, max(image.shape[:2]) // _SIDE)
    red, green, blue = np.moveaxis(image[::step, ::step], 2, 0)
    return np.asarray(np.maximum(np.maximum(red, green), blue), np.uint8)
