"""Metrics of predictions against labels; pure functions on arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mien.evaluation.intervals import Counts
from mien.types import FloatArray, Floats, IntArray

BINS = 15


def confusion(truth: IntArray, predicted: IntArray, labels: int) -> Counts:
    """``(labels, labels + 1)``: how often each true label (rows) was predicted as each
    (columns). The last column counts rows without a prediction: -1 in `predicted`.
    """
    column = np.where(predicted < 0, labels, predicted)
    flat = np.bincount(truth * (labels + 1) + column, minlength=labels * (labels + 1))
    return flat.astype(np.int64).reshape(labels, labels + 1)


def accuracy(tables: npt.NDArray[np.integer]) -> Floats:
    """Share of right predictions, of one table ``(k, k + 1)`` or of many ``(n, k, k + 1)``."""
    right = np.trace(tables[..., :-1], axis1=-2, axis2=-1)
    return np.asarray(right / np.maximum(tables.sum(axis=(-2, -1)), 1), np.float64)


def macro_f1(tables: npt.NDArray[np.integer]) -> Floats:
    """Mean over the labels that occur of ``2 tp / (2 tp + fp + fn)``, each counting the same."""
    hits = np.diagonal(tables[..., :-1], axis1=-2, axis2=-1)
    occurs, predicted = tables.sum(axis=-1), tables[..., :-1].sum(axis=-2)
    f1 = 2 * hits / np.maximum(occurs + predicted, 1)
    return np.asarray(
        np.where(occurs, f1, 0).sum(axis=-1) / np.maximum((occurs > 0).sum(axis=-1), 1), np.float64
    )


def calibration_error(confidence: FloatArray, truth: FloatArray, bins: int = BINS) -> float:
    """Expected calibration error: mean gap of confidence and truth over equal-width bins.

    Args:
        confidence: ``(n,)`` top probabilities.
        truth: ``(n,)`` share of the annotators who chose that label; or 1 if right, else 0.
        bins: how many bins between 0 and 1 (Naeini et al. 2015; Guo et al. 2017).
    """
    _, mean, true, counts = calibration(confidence, truth, bins)
    return float((np.abs(mean - true) * counts).sum() / max(1, len(confidence)))


def calibration(
    confidence: FloatArray, truth: FloatArray, bins: int = BINS
) -> tuple[IntArray, Floats, Floats, IntArray]:
    """The reliability diagram: number, mean confidence, mean truth and count of each used bin."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    used = np.flatnonzero(counts)
    mean = np.bincount(place, confidence, bins)[used] / counts[used]
    true = np.bincount(place, truth, bins)[used] / counts[used]
    return used, mean, true, counts[used]


def divergence(scores: FloatArray, votes: FloatArray) -> float:
    """Mean Kullback-Leibler divergence of probabilities from vote shares, nats."""
    ratio = np.maximum(votes, 1e-12) / np.maximum(scores, 1e-12)
    return float((votes * np.log(ratio)).sum(axis=1).mean())


def coverage(confidence: FloatArray, right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Accuracy over the most confident predictions (El-Yaniv and Wiener 2010).

    Returns:
        thresholds, highest first; the share of faces at or above each; their accuracy.
    """
    if not len(right):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # equally confident faces stay together
    sure = np.cumsum(right[order]) / kept
    return (
        confidence[order][last].astype(np.float64),
        (kept / len(order))[last],
        np.asarray(sure[last], np.float64),
    )


def concordance(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Lin's concordance correlation: 1 only where both agree in place and scale too (Lin 1989).

    NaN where neither of the two varies.
    """
    one, other = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    spread = one.var() + other.var() + (one.mean() - other.mean()) ** 2
    shared = 2 * ((one - one.mean()) * (other - other.mean())).mean()
    return float(shared / spread) if spread > 0 else math.nan


def correlation(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Pearson's correlation; NaN where one of the two does not vary."""
    one, other = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    spread = one.std() * other.std()
    shared = ((one - one.mean()) * (other - other.mean())).mean()
    return float(shared / spread) if spread > 0 else math.nan


def f1_score(truth: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> float:
    """``2 tp / (2 tp + fp + fn)`` of a binary label; 0 where nothing is present or predicted."""
    hits = int((truth & predicted).sum())
    return 2 * hits / max(1, int(truth.sum()) + int(predicted.sum()))


def best_threshold(truth: npt.NDArray[np.bool_], probability: FloatArray) -> float:
    """The threshold on the probability with the highest F1, of 99 quantiles.

    0.5 where the label is present in no row or in all.
    """
    if not truth.any() or truth.all():
        return 0.5
    grid = np.unique(np.quantile(probability, np.linspace(0.01, 0.99, 99)))
    scores = [f1_score(truth, probability >= least) for least in grid]
    return float(grid[int(np.argmax(scores))])
