"""Metrics by hand: confusion, recall, F1, bootstrap, calibration, coverage, McNemar."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mien.evaluation.intervals import mcnemar, measured, resampled
from mien.evaluation.metrics import (
    accuracy,
    calibration_error,
    confusion,
    coverage,
    macro_f1,
)

TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 2])
TOLD = np.array([0, 0, 1, -1, 1, 1, 0, 1])


def test_a_confusion_table_and_its_figures() -> None:
    table = confusion(TRUTH, TOLD, 4)
    assert table.tolist() == [[2, 1, 0, 0, 1], [1, 2, 0, 0, 0], [0, 1, 0, 0, 0], [0] * 5]
    assert accuracy(table) == pytest.approx(4 / 8)
    # F1 of 0: 2*2/(4+3); of 1: 2*2/(3+4); of 2: 0; the label that does not occur is left out.
    assert macro_f1(table) == pytest.approx((4 / 7 + 4 / 7 + 0) / 3)


def test_resampling_tables_is_resampling_faces() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, 300), rng.integers(-1, 3, 300)
    table = confusion(truth, predicted, 3)
    rows = rng.integers(0, 300, (2000, 300))
    slow = np.array([(truth[r] == predicted[r]).mean() for r in rows])
    fast = accuracy(resampled(table))
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.003)
    assert fast.std() == pytest.approx(slow.std(), rel=0.1)
    assert resampled(table).sum(axis=(1, 2)).tolist() == [300] * 2000


def test_an_interval_holds_the_value_and_is_always_the_same() -> None:
    table = confusion(np.tile(TRUTH, 3), np.tile(TOLD, 3), 3)
    figure = measured(table, accuracy)
    assert figure.low < figure.value < figure.high
    assert figure == measured(table, accuracy)
    assert figure.count == 24
    assert math.isnan(measured(confusion(TRUTH, TOLD, 3), accuracy).low)
    assert math.isnan(measured(np.zeros((2, 3), np.int64), accuracy).value)


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55], np.float32)
    right = np.array([1, 0, 1, 1], np.float32)
    assert calibration_error(confidence, right) == pytest.approx((0.45 + 0.45) / 2, abs=1e-6)


def test_coverage_takes_faces_of_equal_confidence_together() -> None:
    confidence = np.array([0.9, 0.5, 0.7, 0.5], np.float32)
    right = np.array([True, False, True, True])
    thresholds, shares, sure = coverage(confidence, right)
    assert thresholds == pytest.approx([0.9, 0.7, 0.5])
    assert shares == pytest.approx([0.25, 0.5, 1.0])
    assert sure == pytest.approx([1, 1, 0.75])


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 6, 2 / 2**6),
        (1, 9, 2 * (1 + 10) / 2**10),
        (9, 1, 2 * (1 + 10) / 2**10),
    ],
)
def test_mcnemar_is_the_exact_binomial(one: int, other: int, p: float) -> None:
    assert mcnemar(one, other) == pytest.approx(p)
    assert 0 < mcnemar(1000, 1100) < 0.05
