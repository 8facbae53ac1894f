"""Confidence intervals: of shares, by person, of differences, and gaps by chance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from mien.evaluation.intervals import (
    FEW,
    FEW_PEOPLE,
    Estimate,
    jackknifed,
    largest_gap,
    mcnemar,
    measured,
    paired_difference,
    share,
    student_t,
)
from mien.evaluation.metrics import macro_f1


@pytest.mark.parametrize(
    ("freedom", "level", "bound"),
    [(3, 0.95, 3.182), (4, 0.95, 2.776), (9, 0.95, 2.262), (3, 0.9, 2.353), (30, 0.9, 1.697)],
)
def test_students_t_is_that_of_the_tables(freedom: int, level: float, bound: float) -> None:
    assert student_t(freedom, level) == pytest.approx(bound, rel=0.01)


def test_wilsons_interval_by_hand() -> None:
    figure = share([1] * 8 + [0] * 2)
    assert (figure.low, figure.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (figure.value, figure.count, figure.people) == (0.8, 10, 0)


def test_nothing_is_certain_because_every_answer_was_right() -> None:
    faces, people = share([1] * 40), share([1] * 40, [i % 8 for i in range(40)])
    assert faces.value == people.value == 1
    assert 0.9 < faces.low < faces.high == 1
    assert 0.5 < people.low < 0.7, "eight people are no forty"
    assert math.isnan(measured(np.array([[20, 0, 0], [0, 20, 0]]), macro_f1).low)


@pytest.mark.parametrize(
    "figure",
    [
        share([1] * (FEW - 1)),
        share([1, 0] * 20, [i % (FEW_PEOPLE - 1) for i in range(40)]),
        jackknifed(lambda rows: float(rows.mean()), [i % (FEW_PEOPLE - 1) for i in range(40)]),
        jackknifed(lambda rows: float(rows.mean()), range(FEW - 1)),
        jackknifed(lambda rows: 1.0, range(40)),
    ],
)
def test_a_handful_has_no_interval(figure: Estimate) -> None:
    assert math.isnan(figure.low)
    assert math.isnan(figure.high)


@pytest.mark.parametrize("people", [5, 8, 20])
def test_intervals_over_people_hold_the_truth(people: int) -> None:
    """Answers of one person resemble each other: faces alone would claim far too much."""
    rng = np.random.default_rng(people)
    held, held_by_faces, held_by_jackknife = 0, 0, 0
    who = np.repeat(np.arange(people), 20)
    for _ in range(400):
        right = rng.random(len(who)) < rng.beta(4, 2, people)[who]
        figures = (share(right, who), share(right), _mean_by_jackknife(right, who))
        inside = [figure.low <= 4 / 6 <= figure.high for figure in figures]
        held, held_by_faces = held + inside[0], held_by_faces + inside[1]
        held_by_jackknife += inside[2]
    assert held / 400 > 0.9
    assert held_by_jackknife / 400 > 0.88
    assert held_by_faces / 400 < 0.75


def _mean_by_jackknife(right: npt.NDArray[np.bool_], who: npt.NDArray[np.int64]) -> Estimate:
    return jackknifed(lambda rows: float(right[rows].mean()), who)


@pytest.mark.parametrize("faces", [FEW, 12, 40, 300])
def test_an_interval_of_a_difference_agrees_with_its_own_test(faces: int) -> None:
    for differ in range(min(faces, 30) + 1):
        for more in range(differ + 1):
            low, high = paired_difference(differ - more, more, faces)
            assert low <= (2 * more - differ) / faces <= high
            assert (low < 1e-9 < high + 2e-9) == (mcnemar(differ - more, more) >= 0.05)
    assert math.isnan(paired_difference(3, 0, 9)[0])


def test_the_interval_of_a_difference_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    for one, other in ((0.1, 0.2), (0.02, 0.02), (0.0, 0.3)):
        drawn = rng.multinomial(80, [one, other, 1 - one - other], 300)
        spans = [paired_difference(int(a), int(b), 80) for a, b, _ in drawn]
        assert np.mean([low <= other - one <= high for low, high in spans]) > 0.93


def test_random_groups_do_not_differ() -> None:
    """One in twenty at most: random ages used to give gaps of 14 points."""
    alarms = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gap = largest_gap(rng.random(120) < 0.7, np.repeat(list("abcd"), 30), draws=199)
        assert gap is not None
        assert gap.is_beyond_chance == (gap.low > 0), "interval and test agree"
        alarms.append(gap.is_beyond_chance)
    assert np.mean(alarms) < 0.09


def test_groups_that_differ_are_found() -> None:
    rng = np.random.default_rng(0)
    names = np.repeat(["bright", "dim"], 100)
    gap = largest_gap(rng.random(200) < np.where(names == "dim", 0.6, 0.9), names)
    assert gap is not None
    assert (gap.best, gap.worst) == ("bright", "dim")
    assert gap.is_beyond_chance
    assert 0 < gap.low < 0.3 < gap.high
    assert largest_gap(np.ones(20, bool), np.repeat(["one"], 20)) is None


def test_a_few_people_do_not_make_a_gap_of_many_faces() -> None:
    """Twenty faces of each of 24 people, whose groups were drawn by lot."""
    by_person: list[bool] = []
    by_face: list[bool] = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(24), 20)
        right = rng.random(480) < rng.beta(2, 1, 24)[who]
        names = np.repeat(rng.choice(list("abc"), 24), 20)
        for alarms, people in ((by_person, who), (by_face, None)):
            gap = largest_gap(right, names, people, draws=99)
            alarms.append(gap is not None and gap.is_beyond_chance)
    assert np.mean(by_person) < 0.12 < np.mean(by_face)
