"""Vectorized operations on candidate boxes: non-maximum suppression, squares, refinement, patches.

A candidate array is ``(n, 4)`` float64, x1 y1 x2 y2 in pixels of the whole image.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mien.types import Boxes, FloatArray, Image
from mien.types import Floats as Values

Rows = npt.NDArray[np.intp]
Value = TypeVar("Value", bound=np.generic)

_CHUNK = 256  # candidates processed at a time, which bounds the memory
_GRAY = 127.5  # zero for the networks, used where a patch exceeds the image


def suppress(boxes: Boxes, scores: Values, limit: float, *, nested: bool = False) -> Rows:
    """Rows of the candidates that no better one suppresses, best first.

    A candidate is suppressed if its overlap with *any* higher-scored one exceeds `limit`, even with
    one that is suppressed itself: so all pairs are compared at once, unlike in the usual greedy
    algorithm. Overlap is intersection over union or, with `nested`, intersection over the smaller
    of the two areas.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    x1, y1, x2, y2 = boxes[order].T
    area = (x2 - x1) * (y2 - y1)
    down = np.argsort(y1, kind="stable")  # far apart in y is no overlap: skip most of the pairs
    tops = y1[down]
    keep = np.ones(len(order), bool)
    for start in range(0, len(order), _CHUNK):
        a = down[start : start + _CHUNK]
        b = down[: np.searchsorted(tops, y2[a].max())]
        b = b[(y2[b] > y1[a].min()) & (b < a.max())]
        wide = np.minimum(x2[a, None], x2[b]) - np.maximum(x1[a, None], x1[b])
        high = np.minimum(y2[a, None], y2[b]) - np.maximum(y1[a, None], y1[b])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        both = area[a, None] + area[b]
        whole = np.minimum(area[a, None], area[b]) if nested else both - shared
        beaten = (shared > limit * whole) & (b < a[:, None])
        keep[a] = ~beaten.any(axis=1)
    return order[keep]


def squares(boxes: Boxes) -> Boxes:
    """Grow each box to a square about its center, with its longer side."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([center - half, center + half], axis=1)


def refine(boxes: Boxes, offsets: FloatArray) -> Boxes:
    """Move each side by its offset ``(n, 4)``, a fraction of the box's width or height."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * np.tile(size, 2)


def _samples(
    low: Values, high: Values, size: int, limit: int
) -> tuple[Rows, Rows, Values, npt.NDArray[np.bool_]]:
    """Along one axis: pixels before and after each sample, weight of the second, inside or not.

    The first and last sample are on the sides of the box, in a grid that puts the last pixel of the
    image at its far edge, hence the ``(limit - 1) / limit``.
    """
    ends = np.stack([low, high]) * (limit - 1) / limit
    places = np.linspace(ends[0], ends[1], size, axis=1)
    inside = (places >= 0) & (places <= limit - 1)
    places = np.clip(places, 0, limit - 1)
    before = places.astype(np.intp)
    after: Rows = np.minimum(before + 1, limit - 1)
    return before, after, places - before, inside


def patches(image: Image, boxes: Boxes, size: int) -> FloatArray:
    """Crop each box from `image` ``(H, W, 3)`` with bilinear sampling.

    Returns ``(n, size, size, 3)`` float32, 0 to 255, gray where a box exceeds the image.
    """
    height, width = image.shape[:2]
    pixels = image.reshape(-1, 3)
    x0, x1, x_share, x_in = _samples(boxes[:, 0], boxes[:, 2], size, width)
    y0, y1, y_share, y_in = _samples(boxes[:, 1], boxes[:, 3], size, height)
    right = x_share[:, None, :, None].astype(np.float32)
    lower = y_share[:, :, None, None].astype(np.float32)

    def row(y: Rows) -> FloatArray:
        left = pixels[y[:, :, None] * width + x0[:, None, :]].astype(np.float32)
        mixed: FloatArray = left + right * (pixels[y[:, :, None] * width + x1[:, None, :]] - left)
        return mixed

    upper = row(y0)
    crops = upper + lower * (row(y1) - upper)
    crops[~(y_in[:, :, None] & x_in[:, None, :])] = _GRAY
    return crops


def chunks(rows: npt.NDArray[Value]) -> list[npt.NDArray[Value]]:
    """Split candidates into parts small enough to be cropped and classified together."""
    return [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
