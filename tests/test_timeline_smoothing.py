"""Smoothing and segments: exact against slow sums, and what must never happen."""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np
import pytest

from mien.errors import UsageError
from mien.sinks.stabilizer import Smoother
from mien.timeline.smoothing import centered, frame_lengths, runs
from mien.types import Floats


def film(n: int, rng: np.random.Generator, gaps: bool = True) -> tuple[Floats, Floats]:
    """Frames of uneven length, with a few absences."""
    lengths = rng.uniform(0.01, 0.12, n)
    pauses = rng.choice([0.0, 0.0, 0.0, 0.05, 1.5], n) if gaps else np.zeros(n)
    starts = np.concatenate([[0.0], np.cumsum(lengths + pauses)[:-1]]) + 3.0
    return starts, starts + lengths


def slowly(starts: Floats, ends: Floats, values: Floats, seconds: float) -> Floats:
    """The same mean by brute force: the signal sampled finely under the triangle."""
    half = seconds / 2
    fine = np.linspace(-half, half, 4001)
    weights = 1 - np.abs(fine) / half
    out = np.empty_like(values)
    for i, middle in enumerate((starts + ends) / 2):
        at = middle + fine
        row = np.clip(np.searchsorted(starts, at, side="right") - 1, 0, len(starts) - 1)
        seen = weights * ((starts[row] <= at) & (at < ends[row]))
        out[i] = (seen[:, None] * values[row]).sum(axis=0) / seen.sum()
    return out


@pytest.mark.parametrize("seconds", [0.2, 1.0, 8.0])
def test_the_mean_is_that_under_a_triangle(rng: np.random.Generator, seconds: float) -> None:
    starts, ends = film(80, rng)
    values = rng.dirichlet(np.ones(8), 80)
    got = centered(starts, ends, values, seconds)
    assert got == pytest.approx(slowly(starts, ends, values, seconds), abs=2e-3)
    assert got.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert got.min() >= 0


def test_a_constant_stays_and_a_step_is_halved_where_it_happens(rng: np.random.Generator) -> None:
    starts, ends = film(100, rng)
    assert centered(starts, ends, np.full((100, 1), 0.3), 2.0) == pytest.approx(0.3, abs=1e-6)
    times = np.arange(201) / 25
    step = (times >= 4).astype(float)[:, None]
    smooth = centered(times, times + 0.04, step, 1.0)[:, 0]
    assert (np.diff(smooth) >= -1e-6).all()
    assert smooth[99:101] == pytest.approx([0.46, 0.54], abs=0.01)  # either side of the step
    assert smooth[times < 3.45] == pytest.approx(0, abs=1e-6)
    assert smooth[times > 4.51] == pytest.approx(1, abs=1e-6)


def test_time_counts_and_not_the_number_of_frames() -> None:
    """Twice the frames in the first half must not count twice."""
    dense = np.concatenate([np.arange(0, 1, 0.01), np.arange(1, 2, 0.1)])
    values = (dense >= 1).astype(float)[:, None]
    got = centered(dense, dense + frame_lengths(dense), values, 1.0)[:, 0]
    at = np.searchsorted(dense, 1.0)
    assert got[at - 1] == pytest.approx(0.49, abs=0.01)
    assert got[at] == pytest.approx(0.595, abs=0.01)


def test_nothing_crosses_a_gap_as_long_as_the_window() -> None:
    starts = np.concatenate([np.arange(50) / 25, 3 + np.arange(50) / 25])
    values = np.repeat([[1.0, 0.0], [0.0, 1.0]], 50, axis=0)
    for seconds in (0.5, 1.0):
        smooth = centered(starts, starts + 0.04, values, seconds)
        assert np.allclose(smooth, values, rtol=0, atol=1e-5)
    assert centered(starts, starts + 0.04, values, 4.0)[49, 1] > 0.05


def test_a_long_video_is_as_exact_as_a_short_one(rng: np.random.Generator) -> None:
    starts = np.arange(50_000) / 25 * 20  # eleven hours
    values = rng.dirichlet(np.ones(3), 50_000)
    whole = centered(starts, starts + 0.8, values, 4.0)
    part = slice(49_000, 49_200)
    alone = centered(starts[part] - starts[49_000], starts[part] - starts[49_000] + 0.8,
                    values[part], 4.0)  # fmt: skip
    assert whole[part][10:-10] == pytest.approx(alone[10:-10], abs=2e-6)
    assert whole.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_frames_without_length_and_no_frames() -> None:
    times = np.array([0.0, 0.0, 0.0])
    values = np.array([[0.1], [0.5], [0.9]])
    assert centered(times, times, values, 1.0) == pytest.approx(values)
    assert centered(times[:0], times[:0], values[:0], 1.0).shape == (0, 1)
    assert frame_lengths(times[:1]).tolist() == [0.04]
    assert frame_lengths(np.array([0.0, 0.1, 0.1, 0.4])).tolist() == pytest.approx(
        [0.1, 0, 0.3, 0.1]
    )
    slip = np.array([0.0, 0.1, 0.1001, 0.2, 0.3])
    assert frame_lengths(slip)[-1] == pytest.approx(0.0999)


def test_runs_cover_the_presence_and_join_what_is_short() -> None:
    states = np.array([0] * 50 + [1] * 5 + [0] * 20 + [2] * 25 + [3] * 4 + [1] * 40)
    starts = np.arange(len(states)) / 25
    found = runs(states, starts, starts + 0.04, 0.5)
    assert [run.state for run in found] == [0, 2, 1]
    assert [run.start_s for run in found] == pytest.approx([0, 3, 4])  # 3 joins the longer: 1
    assert [run.end_s for run in found] == pytest.approx([3, 4, 5.76])
    assert [(run.first, run.stop) for run in found] == [(0, 75), (75, 100), (100, 144)]
    every = runs(states, starts, starts + 0.04, 0)
    assert [run.state for run in every] == [0, 1, 0, 2, 3, 1]


def test_runs_end_where_somebody_leaves_and_not_at_a_blink() -> None:
    starts = np.concatenate([np.arange(0, 2, 0.1), np.arange(2.3, 4, 0.1), np.arange(6, 6.3, 0.1)])
    found = runs(np.zeros(len(starts), int), starts, starts + 0.1, 0.5)
    assert [run.start_s for run in found] == [0, 6]
    # The second is shorter than half a second, but all there is.
    assert [run.end_s for run in found] == pytest.approx([4, 6.3])
    strict = runs(np.zeros(len(starts), int), starts, starts + 0.1, 0)
    assert [run.start_s for run in strict] == pytest.approx([0.0, 2.3, 6.0])


def test_runs_of_noise_tile_and_are_never_short(rng: np.random.Generator) -> None:
    starts, ends = film(3000, rng)
    found = runs(rng.integers(0, 4, 3000), starts, ends, 0.5)
    absences = starts[1:] - ends[:-1] >= 0.5
    assert [run.first for run in found[1:]] == [run.stop for run in found[:-1]]
    assert (found[0].first, found[-1].stop) == (0, 3000)
    for before, after in pairwise(found):
        if before.end_s == after.start_s:
            assert before.state != after.state
        else:
            assert absences[after.first - 1]
    bounds = {0, 3000, *(np.flatnonzero(absences) + 1).tolist()}
    short = [run for run in found if run.length < 0.5]
    assert all(run.first in bounds and run.stop in bounds for run in short)


def test_steady_scores_do_not_depend_on_the_frame_rate() -> None:
    ends = []
    for rate in (5, 50):
        steady = Smoother(0.4, labels=("a", "b"))
        steady.update([7], [[1.0, 0.0]], 0.0)
        for frame in range(1, rate + 1):
            values, _ = steady.update([7], [[0.0, 1.0]], frame / rate)
        ends.append(values[0, 0])
    assert ends == pytest.approx([np.exp(-1 / 0.4)] * 2, abs=1e-6)


def test_labels_near_the_edge_do_not_flicker(rng: np.random.Generator) -> None:
    steady = Smoother(0.4, labels=("a", "b", "c"))
    near = 0.5 + rng.normal(0, 0.08, 500)
    labels = [
        int(steady.update([1], [[p, 1 - p, 0.0]], i / 25)[1][0])
        for i, p in enumerate(np.clip(near, 0, 1))
    ]
    plain = [int(p < 0.5) for p in near]
    assert np.count_nonzero(np.diff(labels)) <= 2 < np.count_nonzero(np.diff(plain)) / 20
    for i in range(30):
        labels.append(int(steady.update([1], [[0.05, 0.05, 0.9]], 20 + i / 25)[1][0]))
    assert labels[-1] == 2


def test_uncertain_has_a_say_and_must_lead_too() -> None:
    steady = Smoother(0.0, labels=("a", "b", "c"))

    seconds = count()

    def tell(*row: float) -> int:
        return int(steady.update([1], [row], next(seconds))[1][0])

    assert tell(0.4, 0.3, 0.3) == 3  # uncertain
    assert tell(0.55, 0.3, 0.15) == 3
    assert tell(0.65, 0.2, 0.15) == 0
    assert tell(0.45, 0.3, 0.25) == 0
    assert tell(0.35, 0.33, 0.32) == 3


def test_people_are_independent_and_forgotten() -> None:
    steady = Smoother(0.4, labels=("a", "b"))
    steady.update([1, 2], [[1.0, 0.0], [0.0, 1.0]], 0.0)
    values, labels = steady.update([2, 1], [[0.0, 1.0], [1.0, 0.0]], 0.04)
    assert values.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert labels.tolist() == [1, 0]
    for number in range(3, 2000):
        steady.update([number], [[0.5, 0.5]], number / 25)
    assert len(steady._last) <= 101
    values, _ = steady.update([1], [[0.0, 1.0]], 80.0)
    assert values.tolist() == [[0.0, 1.0]]
    values, _ = steady.update([1], [[1.0, 0.0]], 2.0)  # the film begins again
    assert values.tolist() == [[1.0, 0.0]]
    steady.reset()
    assert steady._last == {}


def test_steady_takes_no_faces_and_faces_without_ids() -> None:
    steady = Smoother(labels=("a", "b"))
    values, labels = steady.update([], np.zeros((0, 2)), 0.0)
    assert values.shape == (0, 2)
    assert labels.shape == (0,)
    given = np.array([[0.9, 0.1]], np.float32)
    values, labels = steady.update(None, given, 0.0)
    assert labels.tolist() == [0]
    values[0, 0] = 7  # a copy: what was given stays as it was
    assert given[0, 0] == np.float32(0.9)
    with pytest.raises(UsageError, match="2 track ids do not fit 1 rows"):
        steady.update([1, 2], given, 0.0)
    with pytest.raises(UsageError, match="at least 0"):
        Smoother(-1, labels=("a",))


def test_missing_values_count_as_if_there_were_no_frame(rng: np.random.Generator) -> None:
    starts, ends = film(60, rng)
    values = rng.random((60, 3))
    gone = rng.random(60) < 0.3
    values[gone, 1] = np.nan
    smoothed = centered(starts, ends, values, 1.0)
    assert np.isnan(smoothed[:, 1]).tolist() == gone.tolist()
    there = ~gone
    alone = centered(starts[there], ends[there], values[there][:, [1]], 1.0)
    np.testing.assert_allclose(smoothed[there, 1], alone[:, 0])
    others = centered(starts, ends, values[:, [0, 2]], 1.0)
    np.testing.assert_allclose(smoothed[:, [0, 2]], others)
    nothing = centered(starts, ends, np.full((60, 1), np.nan), 1.0)
    assert np.isnan(nothing).all()
