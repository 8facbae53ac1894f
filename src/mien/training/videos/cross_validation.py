"""Choice of C and of the temperature by cross-validation that keeps groups of videos together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from mien.training.videos.svm import COARSE, KernelMatrix, Svm
from mien.types import Floats, IntArray

#: What is tried; the vectors have length 1, so the useful range is known.
GRID = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FOLDS = 5
_COOLEST, _HOTTEST = 0.02, 50.0  # range of temperatures

Tick = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Choice:
    """Machines with the best C.

    Attributes:
        svm: fitted to all videos that were given.
        temperature: of the softmax, fitted on the margins of held-out videos.
        accuracies: C -> accuracy on held-out videos.
    """

    svm: Svm
    temperature: float
    accuracies: dict[float, float]


def choose(
    videos: KernelMatrix, groups: IntArray, rows: IntArray, tick: Tick = lambda: None
) -> Choice:
    """Fit the videos `rows` with the C that is best in grouped cross-validation among them.

    Of equally good ones, the smallest. Where there is one group only, or one video a label, nothing
    can be held out: C and temperature are then 1.

    Args:
        videos: with at least `rows`.
        groups: ``(n,)``, the group of every video.
        rows: numbers of videos.
        tick: called after each fit.
    """
    truth = videos.labels[rows]
    if len(np.unique(groups[rows])) < 2 or np.bincount(truth).max() < 2:
        tick()
        return Choice(videos.fit(rows, 1.0), 1.0, {})
    margins = {c: np.zeros((len(rows), videos.count)) for c in GRID}
    for train, test in folds(truth, groups[rows]):
        for c in GRID:
            margins[c][test] = videos.margins(videos.fit(rows[train], c, COARSE), rows[test])
            tick()
    right = {c: float((margins[c].argmax(axis=1) == truth).mean()) for c in GRID}
    best = max(GRID, key=lambda c: (right[c], -c))
    svm = videos.fit(rows, best)
    tick()
    return Choice(svm, temperature(margins[best], truth, groups[rows]), right)


def folds(truth: IntArray, groups: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Up to five divisions into training and test rows, stratified by label, groups kept whole."""
    divider = StratifiedGroupKFold(fold_count(truth, groups), shuffle=True, random_state=0)
    with warnings.catch_warnings():  # a rare label may be in fewer videos than there are folds
        warnings.simplefilter("ignore", UserWarning)
        parts = list(divider.split(np.zeros(len(truth)), truth, groups))
    yield from ((train, test) for train, test in parts if len(train) and len(test))


def fold_count(truth: IntArray, groups: IntArray) -> int:
    """Five, or as many as the label of the fewest groups has groups, but two at least."""
    fewest = min(len(np.unique(groups[truth == label])) for label in np.unique(truth))
    return max(2, min(FOLDS, fewest))


def fits(truth: IntArray, groups: IntArray) -> int:
    """How often `choose` calls its `tick`."""
    return fold_count(truth, groups) * len(GRID) + 1


def temperature(margins: Floats, truth: IntArray, groups: IntArray) -> float:
    """The temperature of the softmax with the lowest loss on held-out margins.

    One number for all labels, so that the most probable label is always that of the largest
    margin (Guo et al. 2017, arXiv 1706.04599). As for Platt (1999), each label counts once more
    than it occurs, in a group of its own: where all held-out videos are right, the probabilities
    are as high as that many groups can justify, and no higher. Golden section over the logarithm;
    the loss is convex in the inverse, so there is one minimum.
    """
    units, count = len(np.unique(groups)), margins.shape[1]
    target = np.full(margins.shape, 1 / (units + count))
    target[np.arange(len(truth)), truth] = (units + 1) / (units + count)

    def loss(heat: float) -> float:
        return -float((target * np.log(np.maximum(softmax(margins, heat), 1e-300))).sum())

    low, high = np.log(_COOLEST), np.log(_HOTTEST)
    share = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - share * (high - low), low + share * (high - low)
        if loss(float(np.exp(left))) < loss(float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def softmax(margins: Floats, heat: float) -> Floats:
    """Softmax of ``(n, k)`` margins over a temperature."""
    scaled = margins / heat
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_loss(probabilities: npt.NDArray[np.floating], truth: IntArray) -> float:
    """Mean negative log of the probability ``(n, k)`` of the true labels, nats."""
    own = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(own, 1e-12)).mean())
