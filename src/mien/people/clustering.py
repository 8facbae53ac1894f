"""Who belongs together: average-linkage clustering of unit vectors, down to a similarity.

Merging begins with the two that are most alike and ends where no two groups are alike enough; how
alike two groups are is the mean of the cosines between their members (UPGMA, Sokal & Michener
1958). Of unit vectors that is the dot product of the groups' means. A merged group is never more
like a third than the liker of its two parts was (Bruynooghe 1977), also where pairs are kept apart,
and three things follow:

- two groups that are each other's nearest may merge at once, whatever else is nearer elsewhere;
- what no chain of similarities above the threshold links never comes together, so each linked
  part is a task of its own;
- within a part, following nearest neighbours takes quadratic time (Murtagh 1983).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.types import FloatArray, IntArray

_Parts = npt.NDArray[np.int32]

_BLOCK = 1024  # rows compared with all others at once: 40 MB for 10,000
_CHAIN = 6000  # up to so many groups a matrix of all pairs is made, 144 MB
_SLOW = 0.1  # a round that merges a smaller share is not worth comparing all again


def cluster(
    vectors: FloatArray, threshold: float, apart: Sequence[tuple[int, int]] | IntArray = ()
) -> IntArray:
    """Number n unit vectors by group, from 0 in the order of first appearance.

    The groups do not depend on the order of the rows, save where equal vectors differ in `apart`.

    Args:
        vectors: ``(n, d)`` float32, each of length 1.
        threshold: mean cosine from which two groups are one, -1 to 1.
        apart: pairs of rows that are never in one group, ``(p, 2)``.

    Returns:
        ``(n,)`` int64.

    Raises:
        UsageError: a vector is not of length 1, the threshold is out of its range, or a pair
            names a row that is not there, or one row twice.
    """
    points = _checked(vectors, threshold)
    pairs = _checked_pairs(apart, len(points))
    if not len(points):
        return np.zeros(0, np.int64)
    order = _canonical(points)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    pairs = np.unique(np.sort(place[pairs], axis=1), axis=0)
    groups = _Groups(points[order], np.ones(len(points), np.float32), pairs, np.arange(len(points)))
    groups = groups.merge(_doubles(groups))
    while True:
        nearest, parts = _compare(groups, threshold)
        labels = _mutual(nearest)
        parts = parts[labels == np.arange(len(labels))]
        before, groups = len(labels), groups.merge(labels)
        merged = before - len(groups.means)
        if np.bincount(parts).max() <= _CHAIN or merged < _SLOW * before:
            break
    labels = np.arange(len(groups.means))
    for rows, pairs in _tasks(parts, groups.apart):
        alike = groups.alike(rows, pairs)
        labels[rows] = rows[_chain(alike, groups.counts[rows], threshold)]
    return by_appearance(labels[groups.of_rows][place])


def by_appearance(labels: IntArray) -> IntArray:
    """The same groups, numbered from 0 in the order in which they first appear, ``(n,)``."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return np.asarray(number[inverse], np.int64)


@dataclass(frozen=True, eq=False)
class _Groups:
    """What has been merged so far: m groups of n rows.

    Attributes:
        means: ``(m, d)`` float32, of the members.
        counts: ``(m,)``, members.
        apart: ``(p, 2)``, pairs of groups that stay apart.
        of_rows: ``(n,)``, the group of each row.
    """

    means: FloatArray
    counts: FloatArray
    apart: IntArray
    of_rows: IntArray

    def merge(self, labels: IntArray) -> _Groups:
        """Groups of one label become one; a label is the number of the first of them."""
        kept, number = np.unique(labels, return_inverse=True)
        if len(kept) == len(labels):
            return self
        order = np.argsort(number, kind="stable")
        starts = np.searchsorted(number[order], np.arange(len(kept)))
        counts = np.add.reduceat(self.counts[order], starts)
        sums = np.add.reduceat((self.means * self.counts[:, None])[order], starts)
        apart = np.unique(np.sort(number[self.apart], axis=1), axis=0)
        means = np.asarray(sums / counts[:, None], np.float32)
        return _Groups(means, counts, apart, number[self.of_rows])

    def alike(self, rows: IntArray, pairs: IntArray) -> FloatArray:
        """How alike the groups `rows` are, ``(r, r)``; -inf for the `pairs` that stay apart."""
        means = self.means[rows]
        alike = means @ means.T
        np.fill_diagonal(alike, -np.inf)
        one, other = np.searchsorted(rows, pairs.T)
        alike[one, other] = alike[other, one] = -np.inf
        return alike


def _compare(groups: _Groups, threshold: float) -> tuple[IntArray, _Parts]:
    """The nearest group of each, -1 where none is near enough, and the part it is linked to.

    Each pair is looked at once, so that two groups agree on how alike they are; of equally near
    ones the first is the nearest. Parts are numbered by one of their groups.
    """
    means = groups.means
    m = len(means)
    nearest, best = np.full(m, -1), np.full(m, np.nextafter(np.float32(threshold), -9))
    parts: _Parts = np.arange(m, dtype=np.int32)
    first, second = groups.apart[:, 0], groups.apart[:, 1]  # first < second
    for start in range(0, m, _BLOCK):
        stop = min(start + _BLOCK, m)
        alike = means[start:stop] @ means[start:].T
        alike[:, : stop - start][np.tri(stop - start, dtype=bool)] = -np.inf
        here = (first >= start) & (first < stop)
        alike[first[here] - start, second[here] - start] = -np.inf
        top = alike.max(axis=0)  # before rows: their earlier neighbours come first
        better = np.flatnonzero(top > best[start:])
        nearest[start + better] = start + alike[:, better].argmax(axis=0)
        best[start + better] = top[better]
        other = alike.argmax(axis=1)
        top = alike[np.arange(stop - start), other]
        better = np.flatnonzero(top > best[start:stop])
        nearest[start + better] = start + other[better]
        best[start + better] = top[better]
        parts = _linked(parts, alike >= threshold, start)
    return nearest, parts


def _linked(parts: _Parts, near: npt.NDArray[np.bool_], start: int) -> _Parts:
    """The parts after linking groups ``start + i`` and ``start + j`` where ``near[i, j]``."""
    height, width = near.shape
    if np.count_nonzero(near) <= 30 * width:
        rows, columns = np.nonzero(near)
        return _joined(parts, rows + start, columns + start)
    while True:  # most of them say the same: take the first of each row and column, look again
        near = near & (parts[start : start + height, None] != parts[None, start:])
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if not len(rows):
            return parts
        one = np.concatenate([rows, near[:, columns].argmax(axis=0)])
        other = np.concatenate([near[rows].argmax(axis=1), columns])
        parts = _joined(parts, one + start, other + start)


def _joined(parts: _Parts, one: IntArray, other: IntArray) -> _Parts:
    """The parts after linking groups ``one[i]`` and ``other[i]``."""
    parts = parts.copy()
    while True:
        a, b = parts[one], parts[other]
        if (a == b).all():
            return parts
        low = np.minimum(a, b)
        np.minimum.at(parts, a, low)
        np.minimum.at(parts, b, low)
        while (parts[parts] != parts).any():
            parts = parts[parts]


def _mutual(nearest: IntArray) -> IntArray:
    """Labels by which those that are each other's nearest merge."""
    labels = np.arange(len(nearest))
    partner = np.where(nearest >= 0, nearest, labels)
    both = (partner[partner] == labels) & (partner < labels)
    labels[both] = partner[both]
    return labels


def _tasks(parts: _Parts, apart: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """The groups of each part that has several, in order, and those of its pairs kept apart."""
    order = np.argsort(parts, kind="stable")
    inside = apart[parts[apart[:, 0]] == parts[apart[:, 1]]]
    inside = inside[np.argsort(parts[inside[:, 0]], kind="stable")]
    part_of_pair = parts[inside[:, 0]]
    cuts = np.flatnonzero(np.diff(parts[order])) + 1
    for rows in np.split(order, cuts):
        if len(rows) > 1:
            part = parts[rows[0]]
            first, last = np.searchsorted(part_of_pair, (part, part + 1))
            yield rows, inside[first:last]


def _chain(alike: FloatArray, counts: FloatArray, threshold: float) -> IntArray:
    """Merge r groups as far as it goes: a label for each, the number of the first it is with.

    From any group, go to its nearest, from there on to that one's nearest, and so on, until two
    are each other's: merge them, and go on from where the walk had come from.
    """
    owner = np.arange(len(alike))
    walk: list[int] = []
    on_walk = np.zeros(len(alike), bool)
    start = 0
    while start < len(alike):
        if not walk:
            walk.append(start)
        here = walk[-1]
        nearest = int(alike[here].argmax())
        similarity = alike[here, nearest]
        if similarity < threshold:  # and for good; the walk begins here, as a step is an edge
            walk.clear()
            start += 1
            continue
        if not on_walk[nearest]:
            before = alike[here, walk[-2]] if len(walk) > 1 else -np.inf
            if before < similarity:
                walk.append(nearest)
                on_walk[nearest] = True
                continue
        walk.pop()
        other = walk.pop()
        on_walk[[here, other]] = False
        kept, gone = min(here, other), max(here, other)
        total = counts[kept] + counts[gone]
        row = (counts[kept] * alike[kept] + counts[gone] * alike[gone]) / total
        alike[kept], alike[:, kept] = row, row
        alike[gone], alike[:, gone] = -np.inf, -np.inf
        counts[kept], owner[gone] = total, kept
    while (owner[owner] != owner).any():
        owner = owner[owner]
    return owner


def _canonical(points: FloatArray) -> IntArray:
    """An order of the rows that depends on the rows alone; equal ones are neighbours."""
    bits = np.ascontiguousarray(points + np.float32(0)).view(np.uint32)  # + 0: no -0
    salt = np.random.default_rng(0).integers(1, 2**63, points.shape[1], np.uint64)
    return np.argsort((bits * salt).sum(axis=1), kind="stable")


def _doubles(groups: _Groups) -> IntArray:
    """Labels by which equal vectors merge, where none of them is kept apart from any."""
    free = np.ones(len(groups.means), bool)
    free[groups.apart] = False
    same = (groups.means[1:] == groups.means[:-1]).all(axis=1) & free[1:] & free[:-1]
    starts = np.flatnonzero(np.r_[True, ~same])
    return np.repeat(starts, np.diff(np.r_[starts, len(free)]))


def _checked(vectors: FloatArray, threshold: float) -> FloatArray:
    points = np.asarray(vectors, np.float32)
    if points.ndim != 2:
        raise UsageError(f"vectors to cluster are (n, d), got {points.shape}.")
    lengths = np.linalg.norm(points, axis=1)
    if not np.allclose(lengths, 1, atol=1e-3):  # also where some are not finite
        raise UsageError("vectors to cluster must all be of length 1.")
    if not -1 <= threshold <= 1:
        raise UsageError(f"the threshold is a cosine, -1 to 1, got {threshold}.")
    return points


def _checked_pairs(apart: Sequence[tuple[int, int]] | IntArray, n: int) -> IntArray:
    pairs = np.asarray(apart, np.int64).reshape(-1, 2)
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < n):
        raise UsageError(f"pairs kept apart name rows from 0 to {n - 1}.")
    if (pairs[:, 0] == pairs[:, 1]).any():
        raise UsageError("a row cannot be kept apart from itself.")
    return pairs
