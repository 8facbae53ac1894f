"""Division of labeled rows into training, validation and test, with nobody in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.training.heads.alignment import LabeledFeatures
from mien.types import IntArray

SHARES = (0.6, 0.2, 0.2)  # of training, validation and test
LEAST = 30
#: The fewest rows of a part of given splits.
LEAST_PART = 10
_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Division:
    """Places of rows.

    Attributes:
        train: rows that the weights are fitted to.
        validation: rows by which the round, the temperature and thresholds are chosen.
        test: rows that are used once, for the figures.
        protocol: how they were divided, a sentence each.
    """

    train: IntArray
    validation: IntArray
    test: IntArray
    protocol: tuple[str, ...]


def divide(rows: LabeledFeatures, seed: int = 0) -> Division:
    """Divide by the data's own splits, or else by people (videos, where people are unknown).

    Where the data has only one of the splits "test" and "validation", it is tested on, and a
    quarter of the training people are the validation rows, so that nothing is chosen on the rows
    that are reported. Without splits, three in five of the rows are trained on and one in five
    each validates and tests: of 200 random ways to deal out whole people, the one that comes
    closest to these shares in every column. A video of a single person is cut into three
    consecutive pieces.

    Raises:
        InputError: fewer than 30 rows.
    """
    if len(rows) < LEAST:
        raise InputError(f"a head needs at least {LEAST} labeled faces, there are {len(rows)}.")
    every = np.arange(len(rows))
    there = [name for name in ("test", "validation") if (rows.splits == name).any()]
    train = every[rows.splits == "train"]
    if not len(train) or not there:
        (train, validation, test), how = _deal(rows, every, SHARES, seed)
        return Division(train, validation, test, (f"no splits in the data: {how}",))
    test = every[rows.splits == there[0]]
    for part, name in ((train, "train"), (test, there[0])):
        if len(part) < LEAST_PART:
            raise InputError(f"the split {name} has {len(part)} labeled faces: too few.")
    shared = len(set(rows.people[train].tolist()) & set(rows.people[test].tolist()))
    also = (
        (f"{shared} people (or duplicates) are in train and in {there[0]}: figures flatter",)
        if shared
        else ()
    )
    if len(there) == 2:
        validation = every[rows.splits == "validation"]
        return Division(train, validation, test, ("the data's own splits", *also))
    (train, validation), how = _deal(rows, train, (0.75, 0.25), seed)
    words = f"tested on the data's {there[0]} split; a quarter of train validates: {how}"
    return Division(train, validation, test, (words, *also))


def _deal(
    rows: LabeledFeatures, places: IntArray, shares: Sequence[float], seed: int
) -> tuple[list[IntArray], str]:
    """Parts of `places` of about these shares, and how they were made."""
    people, of = np.unique(rows.people[places].astype(str), return_inverse=True)
    if len(people) < len(shares):
        order = np.lexsort([rows.times[places], rows.videos[places].astype(str)])
        cuts = (np.cumsum(shares)[:-1] * len(order)).astype(int)
        who = "one person or video" if len(people) == 1 else "two people or videos"
        how = f"{who} only, cut into consecutive pieces; it will be less accurate on others"
        return [np.sort(places[part]) for part in np.split(order, cuts)], how
    sums = [np.bincount(of, column, minlength=len(people)) for column in _columns(rows, places)]
    counts = np.stack(sums, axis=1).astype(np.float64)
    part = _fairest(counts, shares, seed)
    how = f"{len(people):,} people or videos, none in two parts"
    return [places[part[of] == number] for number in range(len(shares))], how


def _columns(rows: LabeledFeatures, places: IntArray) -> list[npt.NDArray[np.float64]]:
    """What is dealt out evenly: rows, and where columns are 0 to 1 also their sums."""
    known = np.nan_to_num(rows.values[places].astype(np.float64))
    even = [np.ones(len(places))]
    if known.min(initial=0) >= 0 and known.max(initial=0) <= 1:
        even += [column for column in known.T if column.any()]
    return even


def _fairest(counts: npt.NDArray[np.float64], shares: Sequence[float], seed: int) -> IntArray:
    """``(people,)`` the part of each person, by the best of many random draws."""
    rng = np.random.default_rng(seed)
    total = counts.sum(axis=0)
    target = np.asarray(shares)[:, None]
    edges = np.cumsum(shares)[:-1]
    # Where no draw leaves somebody in every part: the largest is trained on.
    rank = np.argsort(np.argsort(-counts[:, 0], kind="stable"))
    best, lowest = np.where(rank < len(shares), rank, 0), np.inf
    for _ in range(_DRAWS):
        order = rng.permutation(len(counts))
        middle = np.cumsum(counts[order, 0]) - counts[order, 0] / 2
        part = np.empty(len(counts), np.int64)
        part[order] = np.searchsorted(edges, middle / total[0], side="right")
        have = np.stack([counts[part == number].sum(axis=0) for number in range(len(shares))])
        distance = float(np.abs(have / total - target).sum())
        if have[:, 0].all() and distance < lowest:
            best, lowest = part, distance
    return best
