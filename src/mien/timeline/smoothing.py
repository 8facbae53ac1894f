"""Smoothing over time: windowed means, and runs of one state.

`centered` looks before and after and is for what is finished; `Smoother` looks back only and is for
what is shown while it happens; `runs` makes stretches of one state out of single frames.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mien.types import FloatArray, Floats

#: Seconds: the window over which pages, curves and terminal tables are smoothed by default.
SMOOTH_S = 1.0
_REACH = 4096  # windows that one sum may run over: beyond, its last digits are lost


def frame_lengths(times: Floats, last_s: float = math.nan) -> Floats:
    """How long each frame of one source is shown: until the next, and the last for `last_s`.

    Where that is unknown, as for cameras and tables of version 0.1, the last counts as the
    shortest, since frames may have been skipped; those of less than a 20th of the median, which
    are jitter of the clock, are not considered.

    Args:
        times: ``(n,)`` seconds, ascending. A frame alone counts as 1/25 s.
        last_s: seconds; NaN where it is unknown.
    """
    steps = np.maximum(np.diff(times), 0.0)
    known = steps[steps > 0]
    usual = float(known[known >= np.median(known) / 20].min()) if len(known) else 0.04
    return np.append(steps, usual if math.isnan(last_s) else last_s)[: len(times)]


def centered(starts: Floats, ends: Floats, values: npt.ArrayLike, seconds: float) -> FloatArray:
    """The mean of a window around each frame, weighted by time.

    The signal is taken for what it is, one value from each frame's start to its end and nothing
    where there is no frame, and averaged under a triangle `seconds` wide around the frame's
    middle. Why a triangle: it counts near moments more than far ones, so that no step comes or
    goes when a strong frame leaves the window, as it does with a plain mean; it never goes below
    0; unlike a Gaussian it ends, so nothing is mixed over gaps of half the window and more; and
    its integral is exact for frames of any lengths, in time that does not depend on the window
    (differences of the signal's second integral).

    Args:
        starts, ends: ``(n,)`` seconds, ascending; each frame is shown from start to end.
        values: ``(n, k)``; NaN where a value is missing, which is as if there were no frame.
        seconds: width of the window, above 0.

    Returns:
        ``(n, k)`` float32: rows that summed to 1 still do, and no value leaves the range of its
        column.
    """
    raw = np.asarray(values, np.float64)
    there = np.isfinite(raw)
    if there.all():
        return _centred(starts, ends, raw, seconds) if len(raw) else raw.astype(np.float32)
    out = raw.astype(np.float32)
    patterns: dict[bytes, list[int]] = {}
    for column in range(raw.shape[1]):
        patterns.setdefault(there[:, column].tobytes(), []).append(column)
    for columns in patterns.values():
        rows = np.flatnonzero(there[:, columns[0]])
        if len(rows):
            cells = np.ix_(rows, np.array(columns))
            out[cells] = _centred(starts[rows], ends[rows], raw[cells], seconds)
    return out


def _centred(starts: Floats, ends: Floats, raw: Floats, seconds: float) -> FloatArray:
    """As `centred`, of finite values."""
    ends = np.minimum(ends, np.append(starts[1:], np.inf))
    middles, half = (starts + ends) / 2, seconds / 2
    out = raw.copy()
    stretch = np.floor((middles - middles[0]) / (_REACH * half))
    edges = [0, *(np.flatnonzero(np.diff(stretch)) + 1), len(raw)]
    for first, stop in pairwise(edges):
        low = int(np.searchsorted(ends, middles[first] - half))
        high = int(np.searchsorted(starts, middles[stop - 1] + half))
        near = slice(min(low, first), max(high, stop))
        mass = np.column_stack([raw[near], np.ones(near.stop - near.start)])
        total = _under_triangle(starts[near], ends[near], mass, middles[first:stop], half)
        seen = total[:, -1:] > 1e-9 * half**2  # a frame that lasts no time keeps its own value
        mean = total[:, :-1] / np.where(seen, total[:, -1:], 1.0)
        out[first:stop] = np.where(seen, mean, out[first:stop])
    return np.clip(out, raw.min(axis=0), raw.max(axis=0)).astype(np.float32)


def _under_triangle(
    starts: Floats, ends: Floats, values: Floats, at: Floats, half: float
) -> Floats:
    """Integrals of a signal under triangles that end `half` before and after each point `at`."""
    origin = starts[0]
    knots = np.column_stack([starts, ends]).reshape(-1) - origin
    heights = np.zeros((len(knots), values.shape[1]))
    heights[::2] = values  # from a start to its end; from there to the next start stays 0
    steps = np.diff(knots)[:, None]
    once = np.vstack([np.zeros(values.shape[1]), np.cumsum(heights[:-1] * steps, axis=0)])
    areas = once[:-1] * steps + heights[:-1] * steps**2 / 2
    twice = np.vstack([np.zeros(values.shape[1]), np.cumsum(areas, axis=0)])

    def second_integral(moments: Floats) -> Floats:
        place = np.searchsorted(knots, moments, side="right") - 1
        inside = np.maximum(place, 0)
        on = np.where(place < 0, 0.0, moments - knots[inside])[:, None]
        return np.asarray(twice[inside] + once[inside] * on + heights[inside] * on**2 / 2)

    left, middle, right = (second_integral(at - origin + shift) for shift in (-half, 0.0, half))
    return np.asarray(left - 2 * middle + right)


@dataclass
class Run:
    """A stretch of one state: rows `first` up to but without `stop`, and its time in seconds."""

    first: int
    stop: int
    state: int
    start_s: float
    end_s: float

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end_s - self.start_s


def runs(states: npt.ArrayLike, starts: Floats, ends: Floats, min_s: float) -> list[Run]:
    """Stretches of one state, in order; together they cover the time from first to last frame.

    No run is shorter than `min_s`. A gap between frames that is shorter is bridged: the
    frame before it lasts until the one after. A run that is shorter joins the longer of its two
    neighbors (the earlier, if they are equal), the shortest run of all first, and neighbors of
    one state become one. Only where somebody is there for less than `min_s` altogether, a shorter
    run remains. Gaps of `min_s` and more end a run and are never part of one.

    Args:
        states: ``(n,)`` ints.
        starts, ends: ``(n,)`` seconds, ascending; each frame is shown from start to end.
        min_s: seconds; 0 joins and bridges nothing.
    """
    named = np.asarray(states)
    if not len(named):
        return []
    gaps = starts[1:] - ends[:-1]
    apart = np.append(True, gaps >= max(min_s, 1e-6))
    fresh = np.flatnonzero(apart | np.append(True, named[1:] != named[:-1]))
    found = []
    for first, stop in zip(fresh, np.append(fresh[1:], len(named)), strict=True):
        last = stop == len(named) or apart[stop]
        end = float(ends[stop - 1] if last else starts[stop])
        found.append(Run(int(first), int(stop), int(named[first]), float(starts[first]), end))
    blocks = [i for i, run in enumerate(found) if apart[run.first]]
    return _merged(found, blocks, min_s)


def _merged(found: list[Run], blocks: list[int], min_s: float) -> list[Run]:
    """Join short runs to their neighbors; never across the beginning of a block."""
    before = list(range(-1, len(found) - 1))
    after = [*range(1, len(found)), -1]
    for first in blocks:
        before[first] = -1
        if first:
            after[first - 1] = -1
    alive = [True] * len(found)

    def absorb(gone: int, into: int) -> None:
        low, high = sorted((gone, into))
        found[into].first, found[into].start_s = found[low].first, found[low].start_s
        found[into].stop, found[into].end_s = found[high].stop, found[high].end_s
        alive[gone] = False
        left, right = before[gone], after[gone]
        if left >= 0:
            after[left] = right
        if right >= 0:
            before[right] = left

    short = [(run.length, i) for i, run in enumerate(found) if run.length < min_s]
    heapq.heapify(short)
    while short:
        length, i = heapq.heappop(short)
        neighbors = [n for n in (before[i], after[i]) if n >= 0]
        if not alive[i] or length != found[i].length or not neighbors:
            continue
        into = max(neighbors, key=lambda n: found[n].length)
        absorb(i, into)
        for n in (before[into], after[into]):
            if n >= 0 and found[n].state == found[into].state:
                absorb(n, into)
        if found[into].length < min_s:
            heapq.heappush(short, (found[into].length, into))
    return [run for run, kept in zip(found, alive, strict=True) if kept]
