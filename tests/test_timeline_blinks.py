"""Blinks and closed eyes, from the openness of the eyes in a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from helpers.results import frame_result, mostly

import mien

OPEN, SHUT = 0.3, 0.05


def timeline(openness: Mapping[int, Iterable[float]], fps: float = 25.0) -> mien.Timeline:
    """People whose eyes are open as far as these numbers say, frame by frame."""
    frames = zip(*openness.values(), strict=True)
    results = []
    for index, values in enumerate(frames):
        people = dict.fromkeys(openness, mostly("neutral"))
        result = frame_result(index / fps, people, index=index)
        eyes = np.array(values, np.float32)
        measures = {"eye_openness_left": eyes + 0.01, "eye_openness_right": eyes - 0.01}
        results.append(replace(result, scores=replace(result.scores, measures=measures)))
    return mien.Timeline.from_results(results)


def signal(length: int, *closed: tuple[int, int]) -> list[float]:
    values = [OPEN] * length
    for first, stop in closed:
        values[first:stop] = [SHUT] * (stop - first)
    return values


def test_blinks_and_closed_eyes_are_told_apart_by_their_length() -> None:
    events = timeline({1: signal(250, (50, 54), (100, 160)), 2: signal(250, (200, 203))}).blinks()
    assert events["track_id"].tolist() == [1, 1, 2]
    assert events["blink"].tolist() == [True, False, True]
    assert events["start_s"].tolist() == pytest.approx([2.0, 4.0, 8.0])
    assert events["duration_s"].tolist() == pytest.approx([0.16, 2.4, 0.12])
    assert events["openness"].tolist() == pytest.approx([SHUT] * 3)


def test_rates_count_blinks_only() -> None:
    rates = timeline({1: signal(1500, (50, 54), (100, 160), (700, 705))}).blink_rates()
    row = rates.iloc[0]
    assert row["blinks"] == 2
    assert row["observed_s"] == pytest.approx(60)
    assert row["blinks_per_min"] == pytest.approx(2)
    assert row["median_blink_s"] == pytest.approx(0.18)
    assert row["closed_share"] == pytest.approx(69 / 1500)


def test_narrow_eyes_are_not_closed() -> None:
    narrow = [0.5 * value for value in signal(250, (50, 54))]
    events = timeline({1: narrow}).blinks()
    assert events["start_s"].tolist() == pytest.approx([2.0])


def test_slow_frames_have_no_number_of_blinks() -> None:
    rates = timeline({1: signal(50, (20, 21))}, fps=5).blink_rates()
    assert rates["blinks"].isna().all()
    assert rates["blinks_per_min"].isna().all()
    assert rates["closed_share"].iloc[0] == pytest.approx(0.02)


def test_ten_frames_per_second_are_enough_in_videos_of_any_length() -> None:
    for frames in (50, 300, 600, 1501):
        rates = timeline({1: signal(frames, (20, 22))}, fps=10).blink_rates()
        assert rates["blinks"].iloc[0] == 1, frames


def test_smoothing_does_not_hide_blinks() -> None:
    plain = timeline({1: signal(250, (50, 54))})
    assert plain.smooth(1.0).blinks().equals(plain.blinks())


def test_missing_values_are_no_closed_eyes() -> None:
    values = signal(250, (50, 54))
    values[100:200] = [np.nan] * 100
    one = timeline({1: values})
    assert len(one.blinks()) == 1
    assert one.blink_rates()["observed_s"].iloc[0] == pytest.approx(6)
    nothing = timeline({1: [np.nan] * 20})
    assert len(nothing.blinks()) == 0
    assert nothing.blink_rates()["closed_share"].isna().all()


def test_a_table_without_actions_says_what_to_do() -> None:
    plain = mien.Timeline.from_results([frame_result(0.0, {1: mostly("neutral")})])
    with pytest.raises(mien.UsageError, match="--actions"):
        plain.blinks()
