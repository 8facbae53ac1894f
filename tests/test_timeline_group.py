"""The expression of a group over time: mean, spread, counts and plot."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.features import LABELS, frame_with_features
from helpers.results import failed_frame

from mien.errors import UsageError
from mien.results.result import Result
from mien.timeline.timeline import Timeline

SAD, GLAD, CALM = (0.1, 0.1, 0.8), (0.1, 0.9, 0.0), (0.6, 0.2, 0.2)


def film(source: str = "film.mp4", frames: int = 60) -> list[Result]:
    """At 10 fps: 2 s one glad face, 2 s two glad and one sad, 2 s nobody."""
    people = [{1: GLAD}, {1: GLAD, 2: GLAD, 3: SAD}, {}]
    return [
        frame_with_features(
            i, {who: (v, None) for who, v in people[i // 20].items()}, source=source
        )
        for i in range(frames)
    ]


@pytest.fixture
def timeline() -> Timeline:
    return Timeline.from_results(film())


def test_a_row_for_each_stretch_of_time(timeline: Timeline) -> None:
    found = timeline.group(2.0)
    assert found["source"].tolist() == ["film.mp4"] * 3
    assert found["start_s"].tolist() == pytest.approx([0, 2, 4])
    assert found["end_s"].tolist() == pytest.approx([2, 4, 6])
    assert found["visible_s"].tolist() == pytest.approx([2, 2, 0])
    assert found["n_faces"].tolist() == pytest.approx([1, 3, 0])
    assert found["emotion"].tolist()[:2] == ["happiness", "happiness"]
    assert found["emotion"].isna().tolist() == [False, False, True]
    mean = np.mean([GLAD, GLAD, SAD], axis=0)
    spread = np.std([GLAD, GLAD, SAD], axis=0)
    for k, label in enumerate(LABELS):
        assert found[f"mean_{label}"].tolist() == pytest.approx(
            [GLAD[k], mean[k], np.nan], nan_ok=True
        )
        assert found[f"spread_{label}"].tolist() == pytest.approx(
            [np.nan, spread[k], np.nan], nan_ok=True, abs=1e-6
        )
    assert found["probability"].tolist() == pytest.approx([0.9, mean[1], np.nan], nan_ok=True)


def test_a_row_a_video_agrees_with_the_summary() -> None:
    timeline = Timeline.from_results([*film("a.mp4"), *film("b.mp4", 30)])
    found, summary = timeline.group(), timeline.summary()
    everyone = summary[summary["track_id"].isna()]
    assert found["source"].tolist() == ["a.mp4", "b.mp4"]
    for name in ("visible_s", *(f"mean_{label}" for label in LABELS)):
        assert found[name].tolist() == pytest.approx(everyone[name].tolist())
    assert found["n_faces"].tolist() == pytest.approx([(1 + 3 + 0) / 3, (1 * 2 + 3 * 1) / 3])
    spread = float(np.std([GLAD, GLAD, SAD], axis=0)[1])
    assert found["spread_happiness"].tolist() == pytest.approx([spread, spread])


def test_a_row_a_frame_and_frames_that_failed() -> None:
    results = film(frames=30)
    results[25] = failed_frame(2.5, index=25)
    results[26] = failed_frame(2.6, index=26, dropped=True)
    found = Timeline.from_results(results).group(0)
    assert len(found) == 28
    assert 2.5 not in found["start_s"].round(3).tolist()
    assert found["n_faces"].tolist() == [1] * 20 + [3] * 8
    assert (found["end_s"] - found["start_s"]).tolist() == pytest.approx([0.1] * 28)


def test_frames_are_cut_where_a_row_ends() -> None:
    """Frames of 0.75 s and rows of 1 s: each row is the mean of what was shown in it."""
    shares = [1.0, 0.0, 1.0, 0.0]
    results = [
        frame_with_features(i, {1: ((1 - s, s, 0.0), None)}, time_s=0.75 * i)
        for i, s in enumerate(shares)
    ]
    found = Timeline.from_results(results).group(1.0)
    assert found["start_s"].tolist() == pytest.approx([0, 1, 2])
    assert found["visible_s"].tolist() == pytest.approx([1, 1, 1])
    assert found["mean_happiness"].tolist() == pytest.approx([0.75, 0.5, 0.25])
    assert found["emotion"].tolist() == ["happiness", "neutral", "neutral"]


def test_torn_groups_are_uncertain() -> None:
    results = [
        frame_with_features(i, {1: (GLAD, None), 2: (SAD, None), 3: (CALM, None)}) for i in range(5)
    ]
    found = Timeline.from_results(results).group()
    assert found["emotion"].tolist() == ["uncertain"]
    assert found["probability"].tolist() == pytest.approx([0.4])


def test_no_people_no_frames_and_wrong_use(timeline: Timeline) -> None:
    nobody = Timeline.from_results(frame_with_features(i, {}) for i in range(5)).group()
    assert nobody["n_faces"].tolist() == [0]
    assert nobody["mean_happiness"].isna().all()
    empty = Timeline.from_results([]).group(1.0)
    assert len(empty) == 0
    assert empty.dtypes.astype(str).to_dict()["n_faces"] == "float64"
    for seconds in (-1.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="0 seconds or more"):
            timeline.group(seconds)


def test_rows_of_any_length_hold_the_whole_time(rng: np.random.Generator) -> None:
    times = np.cumsum(rng.uniform(0.001, 0.9, 200))
    results = []
    for i, time_s in enumerate(times):
        people = {w: ((1 - x, x, 0.0), None) for w, x in enumerate(rng.uniform(0, 1, i % 4))}
        results.append(frame_with_features(i, people, time_s=float(time_s)))
    timeline = Timeline.from_results(results)
    whole = timeline.group()
    for seconds in (0, 0.1, 0.333, 1, 7):
        parts = timeline.group(seconds)
        assert parts["visible_s"].sum() == pytest.approx(whole["visible_s"][0])
        seen = parts[parts["visible_s"] > 0]
        mean = np.average(seen["mean_happiness"], weights=seen["visible_s"])
        assert mean == pytest.approx(whole["mean_happiness"][0])
        assert (parts["end_s"] > parts["start_s"]).all()
        assert (parts["end_s"][:-1].to_numpy() <= parts["start_s"][1:].to_numpy() + 1e-9).all()


def test_the_image_has_a_band_where_faces_differ(timeline: Timeline) -> None:
    svg = timeline.plot(group=True).svg
    assert "Everyone, 1 to 3 faces at a time" in svg
    assert svg.count('class="mien-panel"') == 1
    assert svg.count('class="mien-band"') == 3
    alone = Timeline.from_results(film(frames=20)).plot(group=True).svg
    assert "Everyone, 1 face at a time" in alone
    two = Timeline.from_results([*film("x/a.mp4"), *film("b.mp4")]).plot(group=True).svg
    assert "Everyone in a.mp4, 1 to 3 faces at a time" in two
    nobody = (
        Timeline.from_results(frame_with_features(i, {}) for i in range(5)).plot(group=True).svg
    )
    assert "no face was found" in nobody
