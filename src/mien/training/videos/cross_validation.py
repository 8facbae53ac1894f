"""Which C, and how right is it? Cross-validation that never parts the films of one group."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from mien.training.videos.svm import ROUGH, Films, Machine
from mien.types import Floats, IntArray

#: What is tried; the vectors have length 1, so the useful range is known.
GRID = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FOLDS = 5
_COOLEST, _HOTTEST = 0.02, 50.0  # temperatures that are looked at

Tick = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Choice:
    """Machines with the C that held-out films were told apart best by.

    Attributes:
        machine: fitted on all films that were given.
        temperature: of the softmax, fitted on the margins of held-out films.
        accuracies: C -> share of held-out films that were right.
    """

    machine: Machine
    temperature: float
    accuracies: dict[float, float]


def choose(films: Films, groups: IntArray, rows: IntArray, tick: Tick = lambda: None) -> Choice:
    """Fit the films `rows` with the C that is best in grouped cross-validation among them.

    Of equally good ones, the smallest. Where there is one group only, or one film a label, nothing
    can be held out: C and temperature are then 1.

    Args:
        films: with at least `rows`.
        groups: ``(n,)``, the group of every film.
        rows: numbers of films.
        tick: called after each fit.
    """
    truth = films.labels[rows]
    if len(np.unique(groups[rows])) < 2 or np.bincount(truth).max() < 2:
        tick()
        return Choice(films.fit(rows, 1.0), 1.0, {})
    margins = {c: np.zeros((len(rows), films.count)) for c in GRID}
    for learned, held in folds(truth, groups[rows]):
        for c in GRID:
            margins[c][held] = films.margins(films.fit(rows[learned], c, ROUGH), rows[held])
            tick()
    right = {c: float((margins[c].argmax(axis=1) == truth).mean()) for c in GRID}
    best = max(GRID, key=lambda c: (right[c], -c))
    machine = films.fit(rows, best)
    tick()
    return Choice(machine, temperature(margins[best], truth, groups[rows]), right)


def folds(truth: IntArray, groups: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Up to five divisions into what teaches and what is held out, groups whole, labels alike."""
    kept = StratifiedGroupKFold(fold_count(truth, groups), shuffle=True, random_state=0)
    with warnings.catch_warnings():  # a rare label may be in fewer films than there are folds
        warnings.simplefilter("ignore", UserWarning)
        parts = list(kept.split(np.zeros(len(truth)), truth, groups))
    yield from ((learned, held) for learned, held in parts if len(learned) and len(held))


def fold_count(truth: IntArray, groups: IntArray) -> int:
    """Five, or as many as the label of the fewest groups has groups, but two at least."""
    fewest = min(len(np.unique(groups[truth == label])) for label in np.unique(truth))
    return max(2, min(FOLDS, fewest))


def fits(truth: IntArray, groups: IntArray) -> int:
    """How often `choose` calls its `tick`."""
    return fold_count(truth, groups) * len(GRID) + 1


def temperature(margins: Floats, truth: IntArray, groups: IntArray) -> float:
    """The temperature of the softmax under which what is true is most probable.

    One number for all labels, so that the most probable label is always that of the largest
    margin (Guo et al. 2017, arXiv 1706.04599). As for Platt (1999), each label counts as seen once
    more than it was, in a group of its own: where all held-out films are right, the answers are as
    bold as that many groups can make them, and no bolder. Golden section over the logarithm; the
    loss is convex in the inverse, so there is one minimum.
    """
    known, count = len(np.unique(groups)), margins.shape[1]
    wanted = np.full(margins.shape, 1 / (known + count))
    wanted[np.arange(len(truth)), truth] = (known + 1) / (known + count)

    def loss(heat: float) -> float:
        return -float((wanted * np.log(np.maximum(shares(margins, heat), 1e-300))).sum())

    low, high = np.log(_COOLEST), np.log(_HOTTEST)
    share = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - share * (high - low), low + share * (high - low)
        if loss(float(np.exp(left))) < loss(float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def shares(margins: Floats, heat: float) -> Floats:
    """Softmax of ``(n, k)`` margins over a temperature."""
    scaled = margins / heat
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_loss(told: npt.NDArray[np.floating], truth: IntArray) -> float:
    """Mean negative log of the probability ``(n, k)`` that was given to the true labels, nats."""
    own = told[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(own, 1e-12)).mean())
