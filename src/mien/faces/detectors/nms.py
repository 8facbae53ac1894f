"""Arithmetic on many candidate boxes at once: suppression, squares, refinement, patches.

A candidate array is ``(n, 4)`` float64, x1 y1 x2 y2 in pixels of the whole picture.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mien.types import Boxes, FloatArray, Image
from mien.types import Floats as Values

Rows = npt.NDArray[np.intp]
Value = TypeVar("Value", bound=np.generic)

_CHUNK = 256  # candidates compared or cut at a time: bounds the memory, whatever the picture
_GREY = 127.5  # the networks' zero, seen where a patch reaches over the picture's edge


def suppress(boxes: Boxes, scores: Values, limit: float, *, nested: bool = False) -> Rows:
    """Rows of the candidates that no better one covers, best first.

    A candidate goes when its overlap with *any* better-scored one is over `limit`, even with
    one that goes itself: this lets all pairs be judged at once, where the usual greedy rule
    walks down the list. Overlap is intersection over union, or, with `nested`, intersection
    over the smaller of the two areas.
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
    """Grow each box to a square about its centre, as wide as its longer side."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def refine(boxes: Boxes, offsets: FloatArray) -> Boxes:
    """Move each side by its offset ``(n, 4)``, given as a share of the box's width or height."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * np.tile(size, 2)


def _samples(
    low: Values, high: Values, size: int, limit: int
) -> tuple[Rows, Rows, Values, npt.NDArray[np.bool_]]:
    """Along one axis: the pixels before and after each sample, the weight of the second, inside.

    The first and the last sample lie on the box's sides, in a grid that puts the picture's last
    pixel at its far edge, hence the ``(limit - 1) / limit``.
    """
    ends = np.stack([low, high]) * (limit - 1) / limit
    places = np.linspace(ends[0], ends[1], size, axis=1)
    inside = (places >= 0) & (places <= limit - 1)
    places = np.clip(places, 0, limit - 1)
    before = places.astype(np.intp)
    after: Rows = np.minimum(before + 1, limit - 1)
    return before, after, places - before, inside


def patches(image: Image, boxes: Boxes, size: int) -> FloatArray:
    """Cut each box out of `image` ``(H, W, 3)`` by bilinear samples.

    Returns ``(n, size, size, 3)`` float32, 0 to 255, grey where a box reaches over the edge.
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
    cut = upper + lower * (row(y1) - upper)
    cut[~(y_in[:, :, None] & x_in[:, None, :])] = _GREY
    return cut


def chunks(rows: npt.NDArray[Value]) -> list[npt.NDArray[Value]]:
    """Split candidates into parts small enough to be cut out and judged together."""
    return [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
