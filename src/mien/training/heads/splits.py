"""Which rows a head learns from, which choose, and which measure: nobody in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.training.heads.alignment import Matched
from mien.types import IntArray

LEARN, CHOOSE, MEASURE = 0.6, 0.2, 0.2
LEAST = 30
#: Rows that a part of given splits needs at least.
LEAST_PART = 10
_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Division:
    """Places of rows.

    Attributes:
        learn: rows that the weights are fitted to.
        choose: rows on which the round, the temperature and thresholds are chosen.
        measure: rows that only the published figures see.
        protocol: how they were divided, a sentence each.
    """

    learn: IntArray
    choose: IntArray
    measure: IntArray
    protocol: tuple[str, ...]


def divide(rows: Matched, seed: int = 0) -> Division:
    """Divide by the data's own splits, or else by people (films, where nobody says who it is).

    With splits, "test" measures and "validation" chooses; where there is only one of the two, it
    measures, and a quarter of the training people choose, so that nothing is chosen on the rows
    that are reported. Without, three in five of the rows teach and one in five each chooses and
    measures: of 200 random ways to deal out whole people, the one that comes closest to these
    shares in every column. Of a single person, the film is cut into three pieces one after the
    other.

    Raises:
        InputError: fewer than 30 rows.
    """
    if len(rows) < LEAST:
        raise InputError(f"a head needs at least {LEAST} labelled faces, there are {len(rows)}.")
    every = np.arange(len(rows))
    there = [name for name in ("test", "validation") if (rows.splits == name).any()]
    train = every[rows.splits == "train"]
    if not len(train) or not there:
        (learn, choose, measure), how = _dealt(rows, every, (LEARN, CHOOSE, MEASURE), seed)
        told = f"no splits in the data: {how}"
        return Division(learn, choose, measure, (told,))
    measure = every[rows.splits == there[0]]
    for part, name in ((train, "train"), (measure, there[0])):
        if len(part) < LEAST_PART:
            raise InputError(f"the split {name} has {len(part)} labelled faces: too few.")
    shared = len(set(rows.people[train].tolist()) & set(rows.people[measure].tolist()))
    also = (
        (f"{shared} people (or twins) are in train and in {there[0]}: figures flatter",)
        if shared
        else ()
    )
    if len(there) == 2:
        choose = every[rows.splits == "validation"]
        told = "the data's splits: train teaches, validation chooses, test measures"
        return Division(train, choose, measure, (told, *also))
    (learn, choose), how = _dealt(rows, train, (0.75, 0.25), seed)
    told = f"measured on the data's {there[0]} split; a quarter of train chooses: {how}"
    return Division(learn, choose, measure, (told, *also))


def _dealt(
    rows: Matched, places: IntArray, shares: Sequence[float], seed: int
) -> tuple[list[IntArray], str]:
    """Parts of `places` of about these shares, and how they were made."""
    people, of = np.unique(rows.people[places].astype(str), return_inverse=True)
    if len(people) < len(shares):
        order = np.lexsort([rows.times[places], rows.films[places].astype(str)])
        cuts = (np.cumsum(shares)[:-1] * len(order)).astype(int)
        who = "one person or film" if len(people) == 1 else "two people or films"
        how = f"{who} only, cut into pieces one after the other; it will do worse on others"
        return [np.sort(places[part]) for part in np.split(order, cuts)], how
    sums = [np.bincount(of, column, minlength=len(people)) for column in _columns(rows, places)]
    counts = np.stack(sums, axis=1).astype(np.float64)
    part = _fairest(counts, shares, seed)
    how = f"{len(people):,} people or films, none in two parts"
    return [places[part[of] == number] for number in range(len(shares))], how


def _columns(rows: Matched, places: IntArray) -> list[npt.NDArray[np.float64]]:
    """What shall be dealt out evenly: rows, and where columns are 0 to 1 also what is there."""
    known = np.nan_to_num(rows.values[places].astype(np.float64))
    even = [np.ones(len(places))]
    if known.min(initial=0) >= 0 and known.max(initial=0) <= 1:
        even += [column for column in known.T if column.any()]
    return even


def _fairest(counts: npt.NDArray[np.float64], shares: Sequence[float], seed: int) -> IntArray:
    """``(people,)`` the part of each person."""
    rng = np.random.default_rng(seed)
    total = counts.sum(axis=0)
    wanted = np.asarray(shares)[:, None]
    edges = np.cumsum(shares)[:-1]
    # Where no draw leaves somebody in every part: the largest teaches, the next ones do not.
    rank = np.argsort(np.argsort(-counts[:, 0], kind="stable"))
    best, lowest = np.where(rank < len(shares), rank, 0), np.inf
    for _ in range(_DRAWS):
        order = rng.permutation(len(counts))
        middle = np.cumsum(counts[order, 0]) - counts[order, 0] / 2
        part = np.empty(len(counts), np.int64)
        part[order] = np.searchsorted(edges, middle / total[0], side="right")
        have = np.stack([counts[part == number].sum(axis=0) for number in range(len(shares))])
        distance = float(np.abs(have / total - wanted).sum())
        if have[:, 0].all() and distance < lowest:
            best, lowest = part, distance
    return best
