"""What is measured of a head, on rows that it neither learned from nor was chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.evaluation import Figure, divergence
from mien.evaluation.intervals import jackknifed, share
from mien.evaluation.metrics import (
    concordance,
    confusion,
    correlation,
    f1_score,
    macro_f1,
)
from mien.expressions.heads import Task
from mien.types import FloatArray, IntArray

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a head predicted of n rows, and what is true.

    Attributes:
        columns: the k names.
        values: ``(n, k)``, by the head.
        truth: ``(n, k)``, NaN where it is not known.
        thresholds: one a column, for what is there or not.
        people: ``(n,)`` whose each row is, which the intervals are over; None: no intervals.
    """

    columns: tuple[str, ...]
    values: FloatArray
    truth: FloatArray
    thresholds: Sequence[float] = ()
    people: npt.NDArray[Any] | None = None

    def rows(self, kept: Flags | IntArray) -> Predicted:
        """Fewer rows: places or a mask."""
        people = None if self.people is None else self.people[kept]
        return Predicted(self.columns, self.values[kept], self.truth[kept], self.thresholds, people)

    def figure(
        self, name: str, protocol: str, of: Callable[[FloatArray, FloatArray], float]
    ) -> Figure:
        """A figure of values and truth, with a jackknife over people."""
        n = len(self.truth)
        if self.people is None:
            return Figure(name, of(self.values, self.truth), n, protocol)
        found = jackknifed(lambda rows: of(self.values[rows], self.truth[rows]), self.people)
        return Figure(name, found.value, n, protocol, found.low, found.high, found.people)

    def share(self, name: str, protocol: str, hits: npt.ArrayLike, sizes: npt.ArrayLike) -> Figure:
        """A share of the rows' `sizes`, with Wilson's interval over people."""
        found, n = share(hits, self.people, sizes), len(self.truth)
        value = found.value if np.any(sizes) else 0.0
        if self.people is None:
            return Figure(name, value, n, protocol)
        return Figure(name, value, n, protocol, found.low, found.high, found.people)

    def f1(self, name: str, protocol: str, there: Flags, told: Flags) -> Figure:
        """F1 of what is there, ``2 tp / (2 tp + fp + fn)``; 0 where nothing is there or told."""
        return self.share(name, protocol, 2 * (there & told), there.astype(int) + told)


def figures_of(task: Task, found: Predicted) -> list[Figure]:
    """The figures of a task."""
    if task == "expression":
        return _expression(found)
    if found.thresholds:
        return _present(found)
    return _numbers(found)


def is_distribution(values: FloatArray) -> bool:
    """Whether every row is a distribution over two columns or more."""
    if values.shape[1] < 2 or np.isnan(values).any() or values.min() < 0:
        return False
    return bool(np.abs(values.sum(axis=1) - 1).max() < 1e-3)


def _expression(every: Predicted) -> list[Figure]:
    clear = every.rows(every.truth.max(axis=1) > 0.5)
    told, right = clear.values.argmax(axis=1), clear.truth.argmax(axis=1)
    rule = "faces on which more than half say the same"

    def macro(values: FloatArray, truth: FloatArray) -> float:
        table = confusion(truth.argmax(axis=1), values.argmax(axis=1), len(every.columns))
        return float(macro_f1(table))

    found = [
        clear.share("accuracy", rule, told == right, np.ones(len(right))),
        clear.figure("macro_f1", f"mean over the labels that occur; {rule}", macro),
    ]
    for place, name in enumerate(every.columns):
        count = int((right == place).sum())
        rule = f"{count:,} faces called so"
        found.append(clear.f1(f"f1_{name}", rule, right == place, told == place))
    if every.truth.max(axis=1).min() < 1:
        found.insert(0, every.figure("kl", "nats, all faces", divergence))
    return found


def _present(every: Predicted) -> list[Figure]:
    rows: list[Figure] = []
    for place, (name, least) in enumerate(zip(every.columns, every.thresholds, strict=True)):
        known = every.rows(~np.isnan(every.truth[:, place]))
        there, told = known.truth[:, place] >= 0.5, known.values[:, place]
        rate = float(there.mean()) if len(there) else np.nan
        protocol = f"threshold {least:.2f}; prevalence {100 * rate:.1f} %"
        rows.append(known.f1(f"f1_{name}", protocol, there, told >= least))

    def mean(least: Sequence[float]) -> Callable[[FloatArray, FloatArray], float]:
        def of(values: FloatArray, truth: FloatArray) -> float:
            known = ~np.isnan(truth)
            told = values >= np.asarray(least)
            columns = zip(known.T, truth.T >= 0.5, told.T, strict=True)
            return float(np.mean([f1_score(there[k], found[k]) for k, there, found in columns]))

        return of

    k = len(every.columns)
    return [
        every.figure("mean_f1", "mean over the columns, chosen thresholds", mean(every.thresholds)),
        every.figure("mean_f1_at_half", "the same, threshold 0.5", mean([0.5] * k)),
        every.figure("mean_f1_always", "what always predicting yes would get", mean([0.0] * k)),
        *rows,
    ]


def _numbers(every: Predicted) -> list[Figure]:
    rows: list[Figure] = []
    for place, name in enumerate(every.columns):
        known = every.rows(~np.isnan(every.truth[:, place]))

        def of(
            rule: Callable[[FloatArray, FloatArray], float], place: int = place
        ) -> Callable[[FloatArray, FloatArray], float]:
            return lambda values, truth: rule(truth[:, place], values[:, place])

        rows += [
            known.figure(f"ccc_{name}", "concordance correlation (Lin 1989)", of(concordance)),
            known.figure(f"r_{name}", "Pearson's correlation", of(correlation)),
            known.figure(f"mae_{name}", "mean absolute error", of(_absolute_error)),
        ]

    def mean_ccc(values: FloatArray, truth: FloatArray) -> float:
        known = ~np.isnan(truth)
        columns = zip(known.T, truth.T, values.T, strict=True)
        return float(np.nanmean([concordance(one[k], other[k]) for k, one, other in columns]))

    found = [every.figure("mean_ccc", "mean over the columns", mean_ccc)]
    if is_distribution(every.truth):
        found.insert(0, every.figure("kl", "nats, all faces", divergence))
    return found + rows


def _absolute_error(one: FloatArray, other: FloatArray) -> float:
    return float(np.abs(one - other).mean()) if len(one) else np.nan
