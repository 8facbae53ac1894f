"""Where in a face a classifier looks: class activation maps, and occlusion.

Both answer for the model, not for the face: a map shows which places speak for a label.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.types import Crops, FloatArray, IntArray

_GREY = 128
_BATCH = 64


def class_activation(
    feature_maps: FloatArray, head_weights: FloatArray, targets: npt.ArrayLike
) -> FloatArray:
    """Class activation maps: ``ReLU(sum_c w[k, c] F[c])``, each divided by its largest value.

    For networks that end in global average pooling and one linear layer (Zhou et al. 2016,
    "Learning Deep Features for Discriminative Localization", arXiv 1512.04150). Only places that
    speak for the target are kept; the scale is each map's own, so maps do not compare.

    Args:
        feature_maps: ``(n, c, h, w)``, the last maps before the pooling.
        head_weights: ``(k, c)`` of the linear layer.
        targets: ``(n,)`` whole numbers, the label to explain in each face; or ``(n, k)`` weights
            of the labels, for instance 1 and -1 to ask what tells two of them apart.

    Returns:
        ``(n, h, w)`` float32, 0 to 1; zero everywhere where no place speaks for the target.

    Raises:
        UsageError: a shape does not fit, or a target is not a label's number.
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
    """How much the target's probability drops when a grey patch covers each place.

    Works with any classifier (Zeiler and Fergus 2014, "Visualizing and Understanding
    Convolutional Networks", arXiv 1311.2901). A place's value is the mean drop over all patches
    that cover it, in probability: maps of several faces compare. Where covering helps the target
    the value is 0.

    Args:
        classify: takes ``(m, S, S, 3)`` uint8, returns ``(m, k)`` probabilities; it is called
            with at most 64 squares at a time.
        crops: ``(n, S, S, 3)`` uint8 RGB; they are not changed.
        targets: ``(n,)`` whole numbers, the label to explain in each face; or ``(n, k)`` weights
            of the labels: then the weighted sum of their probabilities is the target's.
        window: side of the patch in pixels; None takes a quarter of S.
        stride: pixels between patches, at most `window`; None takes half of it.

    Returns:
        ``(n, S, S)`` float32, 0 to 1.

    Raises:
        UsageError: a shape does not fit, or window and stride leave places uncovered.
    """
    squares = np.asarray(crops)
    if squares.ndim != 4 or squares.shape[3] != 3:
        raise UsageError(f"squares must be (n, S, S, 3), got {squares.shape}.")
    n, height, width = squares.shape[:3]
    side = max(1, min(height, width) // 4) if window is None else window
    step = max(1, side // 2) if stride is None else stride
    if not 1 <= step <= side <= min(height, width):
        raise UsageError(
            f"it must hold that 1 <= stride <= window <= {min(height, width)}, "
            f"got stride {step} and window {side}."
        )
    if not n:
        return np.zeros((0, height, width), np.float32)
    whole = _classified(classify, squares)
    weights = _weights(np.asarray(targets), n, whole.shape[1])
    patches = [(y, x) for y in _starts(height, side, step) for x in _starts(width, side, step)]
    maps = np.zeros((n, height, width))
    for i, square in enumerate(squares):
        covered = np.repeat(square[None], len(patches), axis=0)
        for hidden, (y, x) in zip(covered, patches, strict=True):
            hidden[y : y + side, x : x + side] = _GREY
        drops = (whole[i] - _classified(classify, covered)) @ weights[i]
        times = np.zeros((height, width))
        for drop, (y, x) in zip(drops, patches, strict=True):
            maps[i, y : y + side, x : x + side] += drop
            times[y : y + side, x : x + side] += 1
        maps[i] /= times
    return np.clip(maps, 0, 1).astype(np.float32)


def _weights(targets: npt.NDArray[np.generic], n: int, labels: int) -> FloatArray:
    """``(n, labels)``: weights as given, or 1 for the label of each number."""
    if targets.shape == (n, labels):
        return targets.astype(np.float32)
    return np.eye(labels, dtype=np.float32)[_numbers(targets, n, labels)]


def _numbers(targets: npt.NDArray[np.generic], n: int, labels: int) -> IntArray:
    if targets.shape != (n,) or (n and not np.issubdtype(targets.dtype, np.integer)):
        raise UsageError(f"targets must be {n} whole numbers, got {targets.shape} {targets.dtype}.")
    numbers: IntArray = targets.astype(np.int64)
    if n and not (numbers.min() >= 0 and numbers.max() < labels):
        raise UsageError(f"targets must lie between 0 and {labels - 1}.")
    return numbers


def _classified(classify: Callable[[Crops], npt.ArrayLike], crops: Crops) -> FloatArray:
    parts = [classify(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def _starts(length: int, side: int, step: int) -> list[int]:
    """Where patches begin, so that the last one ends at the edge."""
    return sorted({*range(0, length - side, step), length - side})
