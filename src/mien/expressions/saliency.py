"""Saliency maps: which regions of a face crop support a label (class activation, occlusion).

Both explain the model, not the face.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.types import Crops, FloatArray, IntArray

_GRAY = 128
_BATCH = 64


def class_activation(
    feature_maps: FloatArray, head_weights: FloatArray, targets: npt.ArrayLike
) -> FloatArray:
    """Class activation maps: ``ReLU(sum_c w[k, c] F[c])``, each divided by its largest value.

    For networks that end in global average pooling and one linear layer (Zhou et al. 2016,
    "Learning Deep Features for Discriminative Localization", arXiv 1512.04150). Only regions that
    support the target are shown; each map has its own scale, so maps cannot be compared.

    Args:
        feature_maps: ``(n, c, h, w)``, the last maps before the pooling.
        head_weights: ``(k, c)`` of the linear layer.
        targets: ``(n,)`` integers, the index of the label to explain in each face; or ``(n, k)``
            weights of the labels, for instance 1 and -1 for the difference between two of them.

    Returns:
        ``(n, h, w)`` float32, 0 to 1; all zero if no region supports the target.

    Raises:
        UsageError: a shape does not fit, or a target is not the index of a label.
    """
    maps = np.asarray(feature_maps, np.float32)
    head = np.asarray(head_weights, np.float32)
    if maps.ndim != 4 or head.ndim != 2 or maps.shape[1] != head.shape[1]:
        raise UsageError(
            f"feature maps must be (n, c, h, w) and head weights (k, c), "
            f"got {maps.shape} and {head.shape}."
        )
    weights = _weights(np.asarray(targets), len(maps), len(head)) @ head
    heat = np.maximum(np.einsum("nc,nchw->nhw", weights, maps), 0)
    largest = heat.max(axis=(1, 2), keepdims=True, initial=0)
    shares: FloatArray = np.divide(heat, largest, out=np.zeros_like(heat), where=largest > 0)
    return shares


def occlusion(
    classify: Callable[[Crops], npt.ArrayLike],
    crops: Crops,
    targets: npt.ArrayLike,
    *,
    window: int | None = None,
    stride: int | None = None,
) -> FloatArray:
    """How much the target's probability drops when a gray patch covers each pixel.

    Works with any classifier (Zeiler and Fergus 2014, "Visualizing and Understanding
    Convolutional Networks", arXiv 1311.2901). The value of a pixel is the mean drop in probability
    over all patches that cover it, so maps of several faces can be compared. It is 0 where covering
    raises the probability.

    Args:
        classify: takes ``(m, S, S, 3)`` uint8, returns ``(m, k)`` probabilities; it is called
            with at most 64 crops at a time.
        crops: ``(n, S, S, 3)`` uint8 RGB; they are not modified.
        targets: ``(n,)`` integers, the index of the label to explain in each face; or ``(n, k)``
            weights of the labels: then the target is the weighted sum of their probabilities.
        window: side of the patch in pixels; None takes a quarter of S.
        stride: pixels between patches, at most `window`; None takes half of it.

    Returns:
        ``(n, S, S)`` float32, 0 to 1.

    Raises:
        UsageError: a shape does not fit, or window and stride leave pixels uncovered.
    """
    crops = np.asarray(crops)
    if crops.ndim != 4 or crops.shape[3] != 3:
        raise UsageError(f"crops must be (n, S, S, 3), got {crops.shape}.")
    n, height, width = crops.shape[:3]
    side = max(1, min(height, width) // 4) if window is None else window
    step = max(1, side // 2) if stride is None else stride
    if not 1 <= step <= side <= min(height, width):
        raise UsageError(
            f"1 <= stride <= window <= {min(height, width)} is required, "
            f"got stride {step} and window {side}."
        )
    if not n:
        return np.zeros((0, height, width), np.float32)
    whole = _classified(classify, crops)
    weights = _weights(np.asarray(targets), n, whole.shape[1])
    patches = [(y, x) for y in _starts(height, side, step) for x in _starts(width, side, step)]
    maps = np.zeros((n, height, width))
    for i, crop in enumerate(crops):
        covered = np.repeat(crop[None], len(patches), axis=0)
        for hidden, (y, x) in zip(covered, patches, strict=True):
            hidden[y : y + side, x : x + side] = _GRAY
        drops = (whole[i] - _classified(classify, covered)) @ weights[i]
        times = np.zeros((height, width))
        for drop, (y, x) in zip(drops, patches, strict=True):
            maps[i, y : y + side, x : x + side] += drop
            times[y : y + side, x : x + side] += 1
        maps[i] /= times
    return np.clip(maps, 0, 1).astype(np.float32)


def _weights(targets: npt.NDArray[np.generic], n: int, labels: int) -> FloatArray:
    """``(n, labels)``: weights as given, or 1 for the label of each index."""
    if targets.shape == (n, labels):
        return targets.astype(np.float32)
    return np.eye(labels, dtype=np.float32)[_indices(targets, n, labels)]


def _indices(targets: npt.NDArray[np.generic], n: int, labels: int) -> IntArray:
    if targets.shape != (n,) or (n and not np.issubdtype(targets.dtype, np.integer)):
        raise UsageError(f"targets must be {n} integers, got {targets.shape} {targets.dtype}.")
    indices: IntArray = targets.astype(np.int64)
    if n and not (indices.min() >= 0 and indices.max() < labels):
        raise UsageError(f"targets must be between 0 and {labels - 1}.")
    return indices


def _classified(classify: Callable[[Crops], npt.ArrayLike], crops: Crops) -> FloatArray:
    parts = [classify(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def _starts(length: int, side: int, step: int) -> list[int]:
    """Offsets of patches, so that the last one ends at the edge."""
    return sorted({*range(0, length - side, step), length - side})
