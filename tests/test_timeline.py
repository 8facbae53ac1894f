"""Timelines: from results to people, segments and summaries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.story import CALM, GLAD, LABELS, TORN, story, story_frame

from mien.errors import UsageError
from mien.results import tables
from mien.results.collection import Results
from mien.results.files import SUFFIXES
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.timeline.timeline import Timeline
from mien.types import Scores


def lost(index: int, *, dropped: bool = False, source: str = "film.mp4") -> Result:
    """A frame that failed or was left out."""
    problem = "the frame was left out." if dropped else "the frame is broken."
    return Result.failed(source, problem, LABELS, index=index, time_s=index / 25, dropped=dropped)


@pytest.fixture(scope="module")
def film() -> Timeline:
    return Timeline.from_results(story())


def test_a_timeline_knows_its_people_and_frames(film: Timeline) -> None:
    assert film.track_ids == (1, 2)
    assert film.labels == LABELS
    assert film.duration_s == pytest.approx(10.0)
    assert len(film.images) == 250
    assert len(film.faces) == 250 + 150
    assert {n: str(film.faces[n].dtype) for n in film.faces} == tables.face_dtypes(LABELS)
    assert {n: str(film.images[n].dtype) for n in film.images} == tables.IMAGE_DTYPES
    assert film.raw is film
    assert repr(film) == "Timeline(2 people, 250 frames, 10.00 s)"


def test_results_are_taken_one_by_one_and_their_images_are_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import gc
    import weakref

    monkeypatch.setattr("mien.results.collection._FRAMES_AT_ONCE", 8)
    alive: weakref.WeakSet[Result] = weakref.WeakSet()
    most = 0

    def results() -> Iterator[Result]:
        nonlocal most
        for result in story():
            alive.add(result)
            gc.collect(0)
            most = max(most, len(alive))
            yield result

    found = Timeline.from_results(results())
    assert most <= 3
    pd.testing.assert_frame_equal(found.faces, Results(story()).faces)
    assert all(peak.picture.base is None for peak in found.peaks)


def test_frames_without_faces_stay() -> None:
    results = [
        story_frame(0, []),
        lost(1),
        lost(2, dropped=True),
        story_frame(3, [(4, GLAD)]),
        story_frame(4, []),
    ]
    found = Timeline.from_results(results)
    assert found.images["status"].tolist() == ["ok", "error", "dropped", "ok", "ok"]
    assert found.images["n_faces"].tolist() == [0, 0, 0, 1, 0]
    assert found.segments(0)["duration_s"].tolist() == pytest.approx([0.04])


@pytest.mark.parametrize("results", [[], [story_frame(0, [])], [lost(0), lost(1)]])
def test_a_video_without_any_face(results: list[Result], tmp_path: Path) -> None:
    found = Timeline.from_results(results)
    assert found.track_ids == ()
    assert len(found.segments()) == 0
    summary = found.smooth().summary()
    assert summary["people"].tolist() == [0] * len(found.sources)
    assert (summary["visible_s"] == 0).all()
    with pytest.raises(UsageError, match="the track ids are: none"):
        found.track(1)
    for suffix in SUFFIXES:
        loaded = Timeline.load(found.save(tmp_path / f"t{suffix}"))
        assert len(loaded.images) == len(results)
    for suffix in (".vtt", ".eaf"):
        assert found.export(tmp_path / f"t{suffix}").stat().st_size > 0
    assert found._repr_html_()


def test_one_person(film: Timeline) -> None:
    second = film.smooth(0.5).track(2)
    assert second.track_ids == (2,)
    assert len(second.faces) == 150
    assert len(second.images) == 250
    assert second.images["n_faces"].sum() == 150
    assert {peak.track_id for peak in second.peaks} == {2}
    assert len(second.raw.faces) == 150
    assert second.segments()["start_s"].tolist() == [2.0, 7.0]
    with pytest.raises(UsageError, match="no person 3; the track ids are: 1, 2"):
        film.track(3)


def test_smoothing_keeps_the_raw_scores_and_follows_with_names(film: Timeline) -> None:
    smooth = film.smooth(2.0)
    assert smooth.raw.equals(film)
    values = smooth.faces[list(LABELS)].to_numpy()
    assert values.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert smooth.faces["probability"].to_numpy() == pytest.approx(values.max(axis=1))
    first = smooth.faces[smooth.faces["track_id"] == 1]
    assert first["happiness"].is_monotonic_increasing
    turn = first[first["time_s"].between(3.5, 4.5)]
    assert set(turn["emotion"]) == {"sadness", "uncertain", "happiness"}
    assert (turn["probability"][turn["emotion"] == "uncertain"] < 0.5).all()
    assert (turn["probability"][turn["emotion"] != "uncertain"] >= 0.5).all()
    calm = smooth.faces[smooth.faces["track_id"] == 2]
    assert calm["neutral"].to_numpy() == pytest.approx(0.7, abs=1e-5)  # no one else's are mixed in
    pd.testing.assert_frame_equal(smooth.smooth(1.0).faces, film.smooth(1.0).faces)
    assert smooth.smooth(0).equals(film)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="seconds must be a number from 0"):
            film.smooth(wrong)


def test_scores_that_are_no_probabilities_are_never_uncertain() -> None:
    results = []
    for index in range(50):
        result = story_frame(index, [(1, CALM)])
        scores = Scores(np.array([[0.1, 0.3, 0.2]], np.float32), LABELS, "score")
        results.append(Result(**{**vars(result), "scores": scores}))
    smooth = Timeline.from_results(results).smooth()
    assert set(smooth.faces["emotion"]) == {"happiness"}
    assert smooth.segments()["emotion"].tolist() == ["happiness"]


def test_segments_tile_each_presence(film: Timeline) -> None:
    found = film.segments()
    assert found.columns.tolist() == [
        "source", "track_id", "emotion", "start_s", "end_s", "duration_s", "strength", "peak_s"
    ]  # fmt: skip
    assert found["track_id"].tolist() == [1, 1, 2, 2]
    assert found["emotion"].tolist() == ["sadness", "happiness", "neutral", "neutral"]
    assert found["start_s"].tolist() == [0, 4, 2, 7]
    assert found["end_s"].tolist() == pytest.approx([4, 10, 5, 10])
    assert found["strength"].tolist() == pytest.approx([0.8, 0.9, 0.7, 0.7])
    with pytest.raises(UsageError, match="0 seconds or more"):
        film.segments(-1)


def test_strength_and_peak_of_a_segment_are_weighed_by_time() -> None:
    times = [0.0, 1.0, 1.1, 1.2, 2.2]
    levels = [0.6, 0.9, 0.9, 0.6, 0.6]
    results = [
        story_frame(i, [(1, (1 - p, p, 0.0))], time_s=t)
        for i, (t, p) in enumerate(zip(times, levels, strict=True))
    ]
    row = Timeline.from_results(results).segments().iloc[0]
    assert row["end_s"] == pytest.approx(2.2 + 0.1)  # the shortest step
    lengths = np.array([1, 0.1, 0.1, 1, 0.1])
    assert row["strength"] == pytest.approx(lengths @ levels / lengths.sum())
    assert row["peak_s"] == 1.0


def test_dropped_frames_hide_nobody_and_failed_ones_do() -> None:
    gone = range(10, 30)
    for dropped, segments in ((True, 1), (False, 2)):
        results = [
            lost(i, dropped=dropped) if i in gone else story_frame(i, [(1, GLAD)])
            for i in range(50)
        ]
        found = Timeline.from_results(results).segments()
        assert len(found) == segments
        visible = Timeline.from_results(results).summary()["visible_s"]
        assert visible.tolist() == pytest.approx([2.0 if dropped else 1.2] * 2)


def test_the_summary_of_people_and_group(film: Timeline) -> None:
    one, two, group = film.summary().to_dict("records")
    assert (one["track_id"], two["track_id"]) == (1, 2)
    assert pd.isna(group["track_id"])
    assert (one["people"], two["people"], group["people"]) == (1, 1, 2)
    assert [one["visible_s"], two["visible_s"], group["visible_s"]] == pytest.approx([10, 6, 10])
    assert one["share_sadness"] == pytest.approx(0.4)
    assert one["share_happiness"] == pytest.approx(0.6)
    assert one["mean_happiness"] == pytest.approx(0.4 * 0.1 + 0.6 * 0.9)
    assert one["changes_per_min"] == pytest.approx(6)
    assert two["changes_per_min"] == 0  # coming back is no change of expression
    assert group["changes_per_min"] == pytest.approx(60 * 1 / 16)
    assert (one["peak_emotion"], one["peak_s"]) == ("happiness", 4.0)
    assert one["peak_probability"] == pytest.approx(0.9)
    # 2 s sad alone, 2 s sad and calm, 1 s glad and calm, 2 s glad alone, 3 s glad and calm
    assert group["share_sadness"] == pytest.approx((2 + 1) / 10)
    assert group["share_happiness"] == pytest.approx((0.5 + 2 + 1.5) / 10)
    assert group["share_neutral"] == pytest.approx((1 + 0.5 + 1.5) / 10)
    means = [group[f"mean_{name}"] for name in LABELS]
    assert sum(means) == pytest.approx(1)
    assert group["mean_neutral"] == pytest.approx((7 * 0.1 + 3 * 0.7) / 10, abs=0.01)
    for row in (one, two, group):
        assert sum(row[f"share_{name}"] for name in (*LABELS, "uncertain")) == pytest.approx(1)


def test_uncertain_has_its_share() -> None:
    found = Timeline.from_results(
        story_frame(i, [(1, TORN if i < 25 else GLAD)]) for i in range(50)
    )
    assert found.summary()["share_uncertain"].tolist() == pytest.approx([0.5, 0.5])
    assert found.segments()["emotion"].tolist() == ["uncertain", "happiness"]
    assert found.segments()["strength"].tolist() == pytest.approx([0.4, 0.9])


def test_several_videos_have_their_own_people() -> None:
    mixed = [r for pair in zip(story("b.mp4"), story("a.mp4"), strict=True) for r in pair]
    both = Timeline.from_results(mixed)
    assert both.sources == ("b.mp4", "a.mp4")
    assert both.images["source"].tolist() == ["b.mp4"] * 250 + ["a.mp4"] * 250
    assert both.images["frame"].tolist() == [*range(250)] * 2
    assert both.duration_s == pytest.approx(20)
    alone = Timeline.from_results(story("a.mp4"))
    columns = ["track_id", "emotion", "start_s", "end_s"]
    found = both.smooth().segments()
    wanted = alone.smooth().segments()[columns]
    for name in both.sources:
        own = found[found["source"] == name][columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, wanted)
    assert both.summary()["track_id"].isna().sum() == 2
    assert len(both.peaks) == 2 * len(alone.peaks)
    with pytest.raises(UsageError, match=r"person 1 is in b\.mp4, a\.mp4: give source="):
        both.track(1)
    assert both.track(1, source="a.mp4").sources == ("a.mp4",)
    assert len(both.source("a.mp4").faces) == 400
    with pytest.raises(UsageError, match=r"no video 'c\.mp4'"):
        both.source("c.mp4")


def test_the_strongest_face_of_each_person_and_label_is_kept(film: Timeline) -> None:
    results = [story_frame(i, [(1, (1 - p, p, 0.0))]) for i, p in enumerate((0.6, 0.9, 0.7))]
    [peak] = Timeline.from_results(results).peaks
    assert (peak.track_id, peak.label, peak.frame, peak.time_s) == (1, "happiness", 1, 0.04)
    assert peak.probability == pytest.approx(0.9)
    assert peak.picture.mean() == pytest.approx(229)
    assert [(p.track_id, p.label) for p in film.peaks] == [
        (1, "sadness"), (2, "neutral"), (1, "happiness")
    ]  # fmt: skip
    assert Timeline.from_results(results, keep_faces=False).peaks == ()
    large = Result(**{**vars(results[0]), "crops": np.full((1, 300, 300, 3), 9, np.uint8)})
    assert Timeline.from_results([large]).peaks[0].picture.shape == (112, 112, 3)


def test_photos_have_no_time_and_say_so() -> None:
    photos = Timeline.from_results(story_frame(0, [(1, GLAD)], time_s=None) for _ in range(2))
    for call in (photos.smooth, photos.segments, photos.summary, photos.plot):
        with pytest.raises(UsageError, match="it is of photos: analyze a video"):
            call()
    assert "<table" in photos._repr_html_()
    mixed = Timeline.from_results(
        [story_frame(0, [(1, GLAD)], source="a.jpg", time_s=None), *story()]
    )
    assert len(mixed.segments()) == 4
    assert mixed.summary()["source"].tolist() == ["a.jpg", *["film.mp4"] * 3]


def test_faces_without_track_ids() -> None:
    loose = Timeline.from_results(story())
    faces = loose.faces.assign(track_id=pd.Series([pd.NA] * len(loose.faces), dtype="Int64"))
    loose = Timeline(faces, loose.images, loose.settings, LABELS)
    for call in (loose.segments, loose.plot):
        with pytest.raises(UsageError, match="no track_id"):
            call()
    assert loose.summary()["visible_s"].tolist() == pytest.approx([10])
    pd.testing.assert_frame_equal(loose.smooth().faces, loose.faces)
    with pytest.raises(UsageError, match="images table does not have"):
        Timeline(faces, loose.images[:50], RunSettings(), LABELS).segments()
    with pytest.raises(UsageError, match="images table does not have"):
        Timeline(faces.assign(source="b"), loose.images, RunSettings(), LABELS)


def test_a_long_video_is_quick() -> None:
    n = 100_000
    rng = np.random.default_rng(3)
    values = rng.dirichlet(np.ones(3), n).astype(np.float32)
    column: dict[str, Any] = {name: np.zeros(n, np.float32) for name in tables.face_dtypes(LABELS)}
    index = np.repeat(np.arange(n // 2), 2)
    column |= {"source": ["film.mp4"] * n, "frame": index, "time_s": index / 25}
    column |= {"face": np.tile([0, 1], n // 2), "track_id": np.tile([1, 2], n // 2)}
    column |= dict(zip(LABELS, values.T, strict=True))
    column |= {"probability": values.max(axis=1), "fit": np.ones(n, bool)}
    column["emotion"] = np.array(LABELS)[values.argmax(axis=1)].tolist()
    m = n // 2
    known: dict[str, Any] = {"source": ["film.mp4"] * m, "frame": np.arange(m)}
    known |= {"time_s": np.arange(m) / 25, "n_faces": np.full(m, 2), "status": ["ok"] * m}
    known |= {"error": [None] * m, "milliseconds": np.ones(m)}
    known |= {"width": np.full(m, 9), "height": np.full(m, 9)}
    faces = tables.to_dataframe([column], LABELS)
    film = Timeline(faces, tables.images_dataframe([known]), RunSettings(), LABELS)
    started = time.process_time()
    smooth = film.smooth(1.0)
    smoothed = time.process_time() - started
    assert len(film.segments()) > 100
    assert len(smooth.segments()) < 10
    assert len(smooth.summary()) == 3
    assert smoothed < 3
    assert time.process_time() - started < 15
