"""Confidence intervals and significance tests of all figures.

Faces of one person resemble each other, so where people (or groups of videos) are known, they are
the independent units, not their faces. All intervals are 95 % intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mien.types import Floats, IntArray

Counts = npt.NDArray[np.int64]

LEVEL = 0.95
DRAWS = 2000
#: Below so many faces (clips, videos, moments) there is no interval.
FEW = 10
#: Below so many people (groups of videos) there is no interval, and no figure of a trained model.
FEW_PEOPLE = 5
_NORMAL = NormalDist().inv_cdf((1 + LEVEL) / 2)
_BLOCKS = 50  # that people are dealt into for the jackknife, at most


@dataclass(frozen=True)
class Estimate:
    """One measured figure with its 95 % interval.

    Attributes:
        value: the figure; NaN where it was not measured.
        low, high: the interval; NaN below 10 faces, below 5 people where people are known, where
            leaving out data changes nothing, which cannot say how certain the figure is, and for
            figures without one.
        count: how many faces (clips, videos, moments) it is about.
        people: how many people, or groups of videos; 0 where they are unknown.
        name: what it is called; "" where its place says it.
        protocol: how it was measured, in words.
        is_share: whether it is shown in percent; distances and correlations are plain numbers.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    count: int = 0
    people: int = 0
    name: str = ""
    protocol: str = ""
    is_share: bool = True

    def named(self, name: str, protocol: str, *, is_share: bool = True) -> Estimate:
        """The same figure with a name and its protocol."""
        return replace(self, name=name, protocol=protocol, is_share=is_share)


def refusal(people: float, what: str = "people") -> str:
    """Why no figures are given of a model measured on so few people; "" where there are enough."""
    if people >= FEW_PEOPLE:
        return ""
    return (
        f"{what} held out: {people:.0f}; figures of fewer than {FEW_PEOPLE} say nothing about "
        f"others, so none are given: label more {what}."
    )


def student_t(freedom: int, level: float = LEVEL) -> float:
    """Bound of Student's t that holds `level` of it in the middle, for `freedom` >= 3.

    The expansion of Cornish and Fisher (Abramowitz and Stegun 1964, 26.7.5), right within 1 %.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def share(
    hits: npt.ArrayLike, people: npt.ArrayLike | None = None, sizes: npt.ArrayLike | None = None
) -> Estimate:
    """A share, sum of `hits` over sum of `sizes`, with Wilson's score interval (Wilson 1927).

    Unlike a bootstrap it does not shrink to nothing where every prediction is right. With people it
    is Wilson's interval for the effective number of rows (Korn and Graubard 1998): as many
    independent ones as would scatter like the people do, one a person where none differs from
    another, with Student's t for their number.

    Args:
        hits: ``(n,)``, such as 1 where a prediction is right.
        people: ``(n,)`` the person of each row; None: every row is independent.
        sizes: ``(n,)`` what each row could reach; 1 each by default.
    """
    hit = np.asarray(hits, np.float64)
    size = np.ones(len(hit)) if sizes is None else np.asarray(sizes, np.float64)
    n, total, units = len(hit), float(size.sum()), 0
    value = float(hit.sum()) / total if total else math.nan
    count, scale = total, _NORMAL
    if people is not None:
        names, place = np.unique(np.asarray(people).astype(str), return_inverse=True)
        units = len(names)
        hit = np.bincount(place, hit).astype(np.float64)
        size = np.bincount(place, size).astype(np.float64)
    if not total or n < FEW or (people is not None and units < FEW_PEOPLE):
        return Estimate(value, math.nan, math.nan, n, units)
    if people is not None:
        spread = float(np.square(hit - value * size).sum()) * units / (units - 1) / total**2
        alike = total**2 / float(np.square(size).sum())  # Kish: what unequal sizes leave of them
        count = min(total, value * (1 - value) / spread) if spread > 1e-12 else alike
        scale = student_t(units - 1)
    low, high = _wilson(value, count, scale)
    return Estimate(value, low, high, n, units)


def _wilson(value: float, count: float, scale: float) -> tuple[float, float]:
    """Wilson's interval of a share of `count` rows, `scale` standard errors to each side."""
    wide = scale**2 / count
    middle = (value + wide / 2) / (1 + wide)
    half = math.sqrt(value * (1 - value) * wide + wide**2 / 4) / (1 + wide)
    return max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half))


def jackknifed(figure: Callable[[IntArray], float], people: npt.ArrayLike) -> Estimate:
    """Any figure with the interval of a jackknife over people, Student's t for their number.

    Args:
        figure: of rows, given by their places.
        people: ``(n,)`` the person of each row. More than 50 are left out in 50 groups (Kott 2001).
    """
    _, place = np.unique(np.asarray(people).astype(str), return_inverse=True)
    n, units = len(place), int(place.max(initial=-1)) + 1
    every = np.arange(n)
    value = figure(every) if n else math.nan
    low = high = math.nan
    if n >= FEW and units >= FEW_PEOPLE:
        blocks = min(units, _BLOCKS)
        block = (np.random.default_rng(0).permutation(units) % blocks)[place]
        values = np.array([figure(every[block != left_out]) for left_out in range(blocks)])
        values = values[~np.isnan(values)]
        error = math.sqrt((len(values) - 1) * float(values.var())) if len(values) > 3 else 0.0
        if error > 1e-9:
            half = student_t(len(values) - 1) * error
            low, high = value - half, value + half
    return Estimate(value, low, high, n, units)


def resampled(table: Counts, draws: int = DRAWS, seed: int = 0) -> Counts:
    """`draws` bootstrap tables: the faces drawn anew, with replacement.

    Drawing rows and counting them is drawing the cells of the table from a multinomial, so that
    thousands of samples cost one call (Efron 1979).
    """
    total = int(table.sum())
    if not total:
        return np.zeros((draws, *table.shape), np.int64)
    drawn = np.random.default_rng(seed).multinomial(total, table.ravel() / total, size=draws)
    return np.asarray(drawn, np.int64).reshape(draws, *table.shape)


def measured(table: Counts, figure: Callable[[Counts], Floats], seed: int = 0) -> Estimate:
    """A figure of a confusion table that is no share, with its bootstrap interval."""
    faces = int(table.sum())
    if not faces:
        return Estimate(math.nan, math.nan, math.nan, 0)
    drawn = figure(resampled(table, seed=seed)) if faces >= FEW else np.zeros(0)
    low, high = interval(drawn)
    return Estimate(float(figure(table)), low, high, faces)


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of some bootstrap values; NaN where none is known or all are the same."""
    known = values[~np.isnan(values)]
    if not len(known) or np.ptp(known) < 1e-12:
        return math.nan, math.nan
    edges = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(edges[0]), float(edges[1])


def mcnemar(only_one: int, only_other: int) -> float:
    """Exact two-sided p-value that two classifiers err equally often (McNemar 1947).

    The numbers are those of faces that only the one, or only the other, predicts right.
    """
    fewer = min(only_one, only_other)
    return min(1.0, 2 * _binomial_tail(fewer, only_one + only_other, 0.5))


def _binomial_tail(most: int, n: int, p: float) -> float:
    """Probability of `most` or fewer successes in `n` trials."""
    if most >= n:
        return 1.0
    if not 0 < p < 1:
        return float(p <= 0)
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(p)
        + (n - i) * math.log1p(-p)
        for i in range(most + 1)
    ]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(value - top) for value in logs))


def paired_difference(only_one: int, only_other: int, faces: int) -> tuple[float, float]:
    """Interval of how much more often another classifier is right than one, on the same faces.

    The wider, to each side, of Tango's score interval (1998) and of the exact one given how many
    faces only one of the two gets right (Clopper and Pearson 1934). It holds 0 wherever `mcnemar`
    is 0.05 or more, and only there. NaN below 10 faces.

    Args:
        only_one, only_other: faces that only the one, or only the other, predicts right.
        faces: how many both predicted.
    """
    if faces < FEW:
        return math.nan, math.nan
    return -_most(only_one, only_other, faces), _most(only_other, only_one, faces)


def _most(more: int, fewer: int, faces: int) -> float:
    """The upper end of the interval of ``(more - fewer) / faces``."""
    differ, tail = more + fewer, (1 - LEVEL) / 2

    def score(difference: float) -> float:
        gap = difference * (1 - difference)
        b = (2 * faces - more + fewer) * difference - differ
        least = (math.sqrt(b * b + 8 * faces * fewer * gap) - b) / (4 * faces)
        deviation = math.sqrt(max(faces * (2 * least + gap), 1e-12))
        return (more - fewer - faces * difference) / deviation + _NORMAL

    exact = 1.0
    if more < differ:
        exact = _root(lambda p: _binomial_tail(more, differ, p) - tail, 0, 1)
    return max(_root(score, -1, 1), differ * (2 * exact - 1) / faces)


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0, by bisection."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class Gap:
    """The largest difference between groups, against what chance alone makes of such groups.

    Attributes:
        value: accuracy of the best group minus that of the worst.
        low, high: its 95 % interval: the value, give or take the gap that chance alone reaches in
            one of twenty random divisions. As Tukey's, it allows for picking the two extremes.
        p: share of random divisions of the faces (of the people, where they are known) into groups
            of these sizes whose largest gap is as large.
        best, worst: names of the groups.
    """

    value: float
    low: float
    high: float
    p: float
    best: str
    worst: str

    @property
    def is_beyond_chance(self) -> bool:
        """Whether p is below 0.05; then, and only then, the interval lies above 0."""
        return self.p < 1 - LEVEL


def largest_gap(
    right: npt.NDArray[np.bool_],
    names: npt.NDArray[np.str_],
    people: npt.ArrayLike | None = None,
    draws: int = DRAWS - 1,
) -> Gap | None:
    """The largest gap of accuracy between groups, with a permutation test; None for one group.

    Args:
        right: ``(n,)`` whether each face was predicted right.
        names: ``(n,)`` the group of each.
        people: ``(n,)`` the person of each face; those of one person and group stay together.
        draws: random divisions; the same ones each time.
    """
    groups, group = np.unique(names, return_inverse=True)
    if len(groups) < 2:
        return None
    unit = np.arange(len(right))
    if people is not None:
        both = np.stack([np.asarray(people).astype(str), names.astype(str)])
        unit = np.unique(both, axis=1, return_inverse=True)[1].ravel()
    hits, sizes = np.bincount(unit, right), np.bincount(unit)
    own = np.empty(len(sizes), np.int64)
    own[unit] = group

    def shares(division: IntArray) -> Floats:
        total = np.bincount(division, sizes, len(groups))
        return np.asarray(np.bincount(division, hits, len(groups)) / total, np.float64)

    found = shares(own)
    value = float(np.ptp(found))
    rng = np.random.default_rng(0)
    chance = np.array([np.ptp(shares(rng.permutation(own))) for _ in range(draws)])
    p = (1 + int((chance >= value - 1e-12).sum())) / (draws + 1)
    # The smallest gap that p calls beyond chance lies above this one.
    usual = float(np.sort(chance)[-math.ceil((1 - LEVEL) * (draws + 1) - 1)])
    best, worst = (str(groups[place]) for place in (found.argmax(), found.argmin()))
    return Gap(value, value - usual, min(1.0, value + usual), p, best, worst)
