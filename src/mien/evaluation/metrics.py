"""Figures from what was told and what is true; pure functions on arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mien.evaluation.intervals import Counts
from mien.types import FloatArray, Floats, IntArray

BINS = 15


def confusion(truth: IntArray, told: IntArray, labels: int) -> Counts:
    """``(labels, labels + 1)``: how often each true label (rows) was told as each (columns).

    The last column counts what was told as none of them: -1 in `told`.
    """
    column = np.where(told < 0, labels, told)
    flat = np.bincount(truth * (labels + 1) + column, minlength=labels * (labels + 1))
    return flat.astype(np.int64).reshape(labels, labels + 1)


def accuracy(tables: npt.NDArray[np.integer]) -> Floats:
    """Share of right answers, of one table ``(k, k + 1)`` or of many ``(n, k, k + 1)``."""
    right = np.trace(tables[..., :-1], axis1=-2, axis2=-1)
    return np.asarray(right / np.maximum(tables.sum(axis=(-2, -1)), 1), np.float64)


def macro_f1(tables: npt.NDArray[np.integer]) -> Floats:
    """Mean over the labels that occur of ``2 tp / (2 tp + fp + fn)``, each counting the same."""
    hits = np.diagonal(tables[..., :-1], axis1=-2, axis2=-1)
    occurs, told = tables.sum(axis=-1), tables[..., :-1].sum(axis=-2)
    f1 = 2 * hits / np.maximum(occurs + told, 1)
    return np.asarray(
        np.where(occurs, f1, 0).sum(axis=-1) / np.maximum((occurs > 0).sum(axis=-1), 1), np.float64
    )


def calibration_error(confidence: FloatArray, truth: FloatArray, bins: int = BINS) -> float:
    """Expected calibration error: mean gap of confidence and truth over equal-width bins.

    Args:
        confidence: ``(n,)`` top probabilities.
        truth: ``(n,)`` share of the viewers who chose that label, or 0 and 1 for wrong and right.
        bins: how many bins between 0 and 1 (Naeini et al. 2015; Guo et al. 2017).
    """
    _, told, true, counts = calibration(confidence, truth, bins)
    return float((np.abs(told - true) * counts).sum() / max(1, len(confidence)))


def calibration(
    confidence: FloatArray, truth: FloatArray, bins: int = BINS
) -> tuple[IntArray, Floats, Floats, IntArray]:
    """The reliability diagram: number, mean confidence, mean truth and count of each used bin."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    used = np.flatnonzero(counts)
    told = np.bincount(place, confidence, bins)[used] / counts[used]
    true = np.bincount(place, truth, bins)[used] / counts[used]
    return used, told, true, counts[used]


def divergence(scores: FloatArray, votes: FloatArray) -> float:
    """Mean Kullback-Leibler divergence of probabilities from vote shares, nats."""
    ratio = np.maximum(votes, 1e-12) / np.maximum(scores, 1e-12)
    return float((votes * np.log(ratio)).sum(axis=1).mean())


def coverage(confidence: FloatArray, right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Accuracy where only the surest answers count (El-Yaniv and Wiener 2010).

    Returns:
        thresholds, highest first; the share of faces at or above each; their accuracy.
    """
    if not len(right):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # faces as sure as each other go along
    sure = np.cumsum(right[order]) / kept
    return (
        confidence[order][last].astype(np.float64),
        (kept / len(order))[last],
        np.asarray(sure[last], np.float64),
    )


def concordance(truth: npt.ArrayLike, told: npt.ArrayLike) -> float:
    """Lin's concordance correlation: 1 only where both agree in place and scale too (Lin 1989).

    NaN where neither of the two varies.
    """
    one, other = np.asarray(truth, np.float64), np.asarray(told, np.float64)
    spread = one.var() + other.var() + (one.mean() - other.mean()) ** 2
    shared = 2 * ((one - one.mean()) * (other - other.mean())).mean()
    return float(shared / spread) if spread > 0 else math.nan


def correlation(truth: npt.ArrayLike, told: npt.ArrayLike) -> float:
    """Pearson's correlation; NaN where one of the two does not vary."""
    one, other = np.asarray(truth, np.float64), np.asarray(told, np.float64)
    spread = one.std() * other.std()
    shared = ((one - one.mean()) * (other - other.mean())).mean()
    return float(shared / spread) if spread > 0 else math.nan


def f1_score(truth: npt.NDArray[np.bool_], told: npt.NDArray[np.bool_]) -> float:
    """``2 tp / (2 tp + fp + fn)`` of one yes-or-no label; 0 where nothing is there or told."""
    hits = int((truth & told).sum())
    return 2 * hits / max(1, int(truth.sum()) + int(told.sum()))


def best_threshold(truth: npt.NDArray[np.bool_], probability: FloatArray) -> float:
    """The least probability to be told as "there" with which F1 is highest, of 99 quantiles.

    0.5 where nothing is there or everything is.
    """
    if not truth.any() or truth.all():
        return 0.5
    grid = np.unique(np.quantile(probability, np.linspace(0.01, 0.99, 99)))
    scores = [f1_score(truth, probability >= least) for least in grid]
    return float(grid[int(np.argmax(scores))])
