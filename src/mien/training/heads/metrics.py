"""What is measured of a head, on rows that it neither learned from nor was chosen on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mien.evaluation import Figure, divergence
from mien.evaluation.metrics import (
    accuracy,
    concordance,
    confusion,
    correlation,
    f1_score,
    macro_f1,
)
from mien.expressions.heads import Task
from mien.types import FloatArray


def figures_of(
    task: Task,
    columns: tuple[str, ...],
    values: FloatArray,
    truth: FloatArray,
    thresholds: tuple[float, ...] = (),
) -> list[Figure]:
    """The figures of a task.

    Args:
        task: what was learned.
        columns: the k names.
        values: ``(n, k)`` what the head tells.
        truth: ``(n, k)``, NaN where it is not known.
        thresholds: one a column, for what is there or not.
    """
    if task == "expression":
        return _expression(columns, values, truth)
    if thresholds:
        return _present(columns, values, truth, thresholds)
    return _numbers(columns, values, truth)


def is_distribution(values: FloatArray) -> bool:
    """Whether every row is a distribution over two columns or more."""
    if values.shape[1] < 2 or np.isnan(values).any() or values.min() < 0:
        return False
    return bool(np.abs(values.sum(axis=1) - 1).max() < 1e-3)


def _expression(columns: tuple[str, ...], values: FloatArray, truth: FloatArray) -> list[Figure]:
    clear = truth.max(axis=1) > 0.5
    told, right = values[clear].argmax(axis=1), truth[clear].argmax(axis=1)
    table = confusion(right, told, len(columns))
    n = int(clear.sum())
    rule = "faces on which more than half say the same"
    found = [
        Figure("accuracy", float(accuracy(table)), n, rule),
        Figure("macro_f1", float(macro_f1(table)), n, f"mean over the labels that occur; {rule}"),
    ]
    for place, name in enumerate(columns):
        count = int((right == place).sum())
        score = f1_score(right == place, told == place)
        found.append(Figure(f"f1_{name}", score, count, "faces called so"))
    soft = truth.max(axis=1).min() < 1
    if soft:
        found.insert(0, Figure("kl", divergence(values, truth), len(truth), "nats, all faces"))
    return found


def _present(
    columns: tuple[str, ...], values: FloatArray, truth: FloatArray, thresholds: tuple[float, ...]
) -> list[Figure]:
    rows: list[Figure] = []
    scores: list[tuple[float, float, float]] = []
    for place, (name, least) in enumerate(zip(columns, thresholds, strict=True)):
        known = ~np.isnan(truth[:, place])
        there, told = truth[known, place] >= 0.5, values[known, place]
        share = float(there.mean()) if len(there) else np.nan
        score = f1_score(there, told >= least)
        scores.append((score, f1_score(there, told >= 0.5), f1_score(there, told >= 0)))
        protocol = f"told from {least:.2f} on; there in {100 * share:.1f} % of the faces"
        rows.append(Figure(f"f1_{name}", score, int(known.sum()), protocol))
    mean, half, always = np.mean(scores, axis=0)
    return [
        Figure("mean_f1", float(mean), len(truth), "mean over the columns, chosen thresholds"),
        Figure("mean_f1_at_half", float(half), len(truth), "the same, told from 0.5 on"),
        Figure("mean_f1_always", float(always), len(truth), "what always saying yes would get"),
        *rows,
    ]


def _numbers(columns: tuple[str, ...], values: FloatArray, truth: FloatArray) -> list[Figure]:
    rows: list[Figure] = []
    shared: list[float] = []
    for place, name in enumerate(columns):
        known = ~np.isnan(truth[:, place])
        one: npt.NDArray[np.float32] = truth[known, place]
        other, n = values[known, place], int(known.sum())
        shared.append(concordance(one, other))
        off = float(np.abs(one - other).mean()) if n else np.nan
        rows += [
            Figure(f"ccc_{name}", shared[-1], n, "concordance correlation (Lin 1989)"),
            Figure(f"r_{name}", correlation(one, other), n, "Pearson's correlation"),
            Figure(f"mae_{name}", off, n, "mean absolute error"),
        ]
    found = [Figure("mean_ccc", float(np.nanmean(shared)), len(truth), "mean over the columns")]
    if is_distribution(truth):
        found.insert(0, Figure("kl", divergence(values, truth), len(truth), "nats, all faces"))
    return found + rows
