"""Figures of a head, on rows that it was neither trained on nor chosen by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.evaluation import divergence
from mien.evaluation.intervals import Estimate, jackknifed, share
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
class Predictions:
    """Predictions of a head for n rows, and their labels.

    Attributes:
        columns: the k names.
        values: ``(n, k)``, by the head.
        truth: ``(n, k)`` labels, NaN where unknown.
        thresholds: one for each column that is present or absent.
        people: ``(n,)`` the person of each row, for the intervals; None: no intervals.
    """

    columns: tuple[str, ...]
    values: FloatArray
    truth: FloatArray
    thresholds: Sequence[float] = ()
    people: npt.NDArray[Any] | None = None

    def rows(self, chosen: Flags | IntArray) -> Predictions:
        """Fewer rows: places or a mask."""
        people = None if self.people is None else self.people[chosen]
        values, truth = self.values[chosen], self.truth[chosen]
        return Predictions(self.columns, values, truth, self.thresholds, people)

    def figure(
        self, name: str, protocol: str, of: Callable[[FloatArray, FloatArray], float]
    ) -> Estimate:
        """A figure of values and truth, with a jackknife over people."""
        if self.people is None:
            estimate = Estimate(of(self.values, self.truth), count=len(self.truth))
        else:
            estimate = jackknifed(lambda rows: of(self.values[rows], self.truth[rows]), self.people)
        return estimate.named(name, protocol, is_share="f1" in name)

    def share(
        self, name: str, protocol: str, hits: npt.ArrayLike, sizes: npt.ArrayLike
    ) -> Estimate:
        """A share of the rows' `sizes`, with Wilson's interval over people."""
        estimate = share(hits, self.people, sizes)
        if self.people is None:
            estimate = Estimate(estimate.value, count=len(self.truth))
        value = estimate.value if np.any(sizes) else 0.0
        return replace(estimate, value=value).named(name, protocol)

    def f1(self, name: str, protocol: str, present: Flags, predicted: Flags) -> Estimate:
        """F1, ``2 tp / (2 tp + fp + fn)``; 0 where nothing is present or predicted."""
        return self.share(
            name, protocol, 2 * (present & predicted), present.astype(int) + predicted
        )


def figures_of(task: Task, predictions: Predictions) -> list[Estimate]:
    """The figures of a task."""
    if task == "expression":
        return _expression(predictions)
    if predictions.thresholds:
        return _present(predictions)
    return _numbers(predictions)


def is_distribution(values: FloatArray) -> bool:
    """Whether every row is a distribution over two columns or more."""
    if values.shape[1] < 2 or np.isnan(values).any() or values.min() < 0:
        return False
    return bool(np.abs(values.sum(axis=1) - 1).max() < 1e-3)


def _expression(every: Predictions) -> list[Estimate]:
    clear = every.rows(every.truth.max(axis=1) > 0.5)
    predicted, labels = clear.values.argmax(axis=1), clear.truth.argmax(axis=1)
    rule = "faces with a majority label"

    def macro(values: FloatArray, truth: FloatArray) -> float:
        table = confusion(truth.argmax(axis=1), values.argmax(axis=1), len(every.columns))
        return float(macro_f1(table))

    figures = [
        clear.share("accuracy", rule, predicted == labels, np.ones(len(labels))),
        clear.figure("macro_f1", f"mean over the labels that occur; {rule}", macro),
    ]
    for place, name in enumerate(every.columns):
        rule = f"{int((labels == place).sum()):,} faces with this label"
        figures.append(clear.f1(f"f1_{name}", rule, labels == place, predicted == place))
    if every.truth.max(axis=1).min() < 1:
        figures.insert(0, every.figure("kl", "nats, all faces", divergence))
    return figures


def _present(every: Predictions) -> list[Estimate]:
    rows: list[Estimate] = []
    for place, (name, least) in enumerate(zip(every.columns, every.thresholds, strict=True)):
        known = every.rows(~np.isnan(every.truth[:, place]))
        present, values = known.truth[:, place] >= 0.5, known.values[:, place]
        rate = float(present.mean()) if len(present) else np.nan
        protocol = f"threshold {least:.2f}; prevalence {100 * rate:.1f} %"
        rows.append(known.f1(f"f1_{name}", protocol, present, values >= least))

    def mean(least: Sequence[float]) -> Callable[[FloatArray, FloatArray], float]:
        def of(values: FloatArray, truth: FloatArray) -> float:
            known = ~np.isnan(truth)
            predicted = values >= np.asarray(least)
            columns = zip(known.T, truth.T >= 0.5, predicted.T, strict=True)
            return float(np.mean([f1_score(one[k], other[k]) for k, one, other in columns]))

        return of

    k = len(every.columns)
    return [
        every.figure("mean_f1", "mean over the columns, chosen thresholds", mean(every.thresholds)),
        every.figure("mean_f1_at_half", "the same, threshold 0.5", mean([0.5] * k)),
        every.figure("mean_f1_always", "of always predicting yes", mean([0.0] * k)),
        *rows,
    ]


def _numbers(every: Predictions) -> list[Estimate]:
    rows: list[Estimate] = []
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

    figures = [every.figure("mean_ccc", "mean over the columns", mean_ccc)]
    if is_distribution(every.truth):
        figures.insert(0, every.figure("kl", "nats, all faces", divergence))
    return figures + rows


def _absolute_error(one: FloatArray, other: FloatArray) -> float:
    return float(np.abs(one - other).mean()) if len(one) else np.nan
