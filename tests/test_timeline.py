"""People over time: a made-up film of two people whose every frame is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from mien.errors import InputNotFoundError, UsageError
from mien.quality import assess
from mien.result import Result
from mien.timeline import Timeline
from mien.types import Faces, Scores

LABELS = ("neutral", "happiness", "sadness")
FPS = 10


def film(seconds: float = 6.0, source: str = "film.mp4", timed: bool = True) -> Iterator[Result]:
    """Person 1 is sad and then, from the middle on, happy; person 2 is neutral for a second.

    The third frame could not be decoded, the fourth was left out.
    """
    count = round(seconds * FPS)
    for i in range(count):
        at: dict[str, Any] = {"index": i, "time_s": i / FPS if timed else None}
        if i in (2, 3):
            yield Result.failed(source, "damaged.", LABELS, dropped=i == 3, **at)
            continue
        rows = [(0.02, 0.08, 0.9) if i < count / 2 else (0.1, 0.8, 0.1)]
        if 10 <= i < 20:
            rows.append((0.7, 0.2, 0.1))
        boxes = np.array([[10, 10, 50, 50], [60, 10, 90, 40]], np.float32)[: len(rows)]
        faces = Faces(boxes, track_ids=np.arange(1, len(rows) + 1))
        crops = np.full((len(rows), 16, 16, 3), i, np.uint8)
        scores = Scores(np.array(rows, np.float32), LABELS)
        yield Result(source, faces, scores, assess(faces, crops), crops, size=(100, 60), **at)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline.from_results(film())


def test_every_frame_stays_and_only_the_strongest_faces_are_kept(timeline: Timeline) -> None:
    assert len(timeline.images) == 60
    assert timeline.images["status"].tolist()[1:5] == ["ok", "error", "dropped", "ok"]
    assert len(timeline.faces) == 58 + 10
    assert timeline.track_ids == (1, 2)
    assert timeline.duration_s == pytest.approx(6.0)
    strongest = {(p.track_id, p.label): p.probability for p in timeline.peaks}
    assert strongest[1, "sadness"] == pytest.approx(0.9)
    assert strongest[1, "happiness"] == pytest.approx(0.8)
    assert all(p.picture.shape == (16, 16, 3) for p in timeline.peaks)
    assert not Timeline.from_results(film(), keep_faces=False).peaks


def test_segments_tell_who_when_and_how_strong(timeline: Timeline) -> None:
    found = timeline.segments()
    mine = found[found["track_id"] == 1]
    assert mine["emotion"].tolist() == ["sadness", "happiness"]
    assert mine["start_s"].tolist() == pytest.approx([0, 3])
    assert mine["end_s"].tolist() == pytest.approx([3, 6])
    assert mine["strength"].tolist() == pytest.approx([0.9, 0.8], abs=1e-3)
    other = found[found["track_id"] == 2].iloc[0]
    assert (other["emotion"], other["start_s"]) == ("neutral", pytest.approx(1.0))
    assert other["duration_s"] == pytest.approx(1.0)


def test_summary_has_a_row_a_person_and_one_for_the_group(timeline: Timeline) -> None:
    rows = timeline.summary()
    assert rows["track_id"].isna().tolist() == [False, False, True]
    shares = rows[[name for name in rows.columns if name.startswith("share_")]]
    assert shares.sum(axis=1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    assert rows["visible_s"].tolist()[1] == pytest.approx(1.0)
    assert rows["peak_emotion"].tolist() == ["sadness", "neutral", "sadness"]
    assert rows["changes_per_min"].iloc[1] == 0


def test_smoothing_is_a_distribution_and_keeps_the_raw_scores(timeline: Timeline) -> None:
    smooth = timeline.smooth(1.0)
    values = smooth.faces[list(LABELS)].to_numpy()
    assert np.allclose(values.sum(axis=1), 1, atol=1e-5)
    person = smooth.person(1)
    middle = person.faces[person.faces["frame"] == 30].iloc[0]
    assert 0.3 < middle["sadness"] < 0.7  # half of the window lies before the change
    assert smooth.raw is timeline
    assert smooth.smooth(0) is timeline
    with pytest.raises(UsageError, match="0 seconds or more"):
        timeline.smooth(-1)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_what_is_saved_comes_back(timeline: Timeline, tmp_path: Path, suffix: str) -> None:
    path = timeline.smooth(0.5).save(tmp_path / f"t.{suffix}")
    again = Timeline.load(path)
    assert len(again.images) == len(timeline.images)
    assert again.track_ids == timeline.track_ids
    assert again.raw.segments().equals(timeline.segments()) or suffix != "parquet"
    assert len(again.peaks) == len(timeline.peaks)
    if suffix == "parquet":  # the only one with a place for settings
        assert np.allclose(again.faces["sadness"], timeline.smooth(0.5).faces["sadness"])
    with pytest.raises(InputNotFoundError):
        Timeline.load(tmp_path / "other.parquet")


def test_exports_open_in_players_and_annotation_tools(timeline: Timeline, tmp_path: Path) -> None:
    text = timeline.export(tmp_path / "t.vtt").read_text(encoding="utf-8")
    assert text.startswith("WEBVTT")
    assert text.count(" --> ") == len(timeline.segments())
    assert "00:00:03.000 --> 00:00:06.000" in text
    tree = ElementTree.parse(timeline.export(tmp_path / "t.eaf")).getroot()
    assert tree.tag == "ANNOTATION_DOCUMENT"
    assert len(tree.findall("TIER")) == 2
    assert len(tree.findall(".//ALIGNABLE_ANNOTATION")) == len(timeline.segments())
    slots = [int(slot.get("TIME_VALUE", "")) for slot in tree.findall(".//TIME_SLOT")]
    assert slots == sorted(slots)
    with pytest.raises(UsageError):
        timeline.export(tmp_path / "t.doc")


def test_the_plot_is_sound_svg(timeline: Timeline, tmp_path: Path) -> None:
    plot = timeline.plot()
    root = ElementTree.fromstring(plot.svg)
    assert root.tag.endswith("svg")
    assert "sadness" in plot.svg
    assert plot.save(tmp_path / "t.svg").read_text(encoding="utf-8").strip().endswith("</svg>")


def test_a_person_and_a_film_of_several(timeline: Timeline) -> None:
    both = Timeline.from_results([*film(), *film(2.0, "second.mp4")])
    assert both.sources == ("film.mp4", "second.mp4")
    with pytest.raises(UsageError, match="say source"):
        both.person(1)
    assert len(both.person(1, "second.mp4").faces) == 18
    assert timeline.person(2).images["n_faces"].sum() == 10
    with pytest.raises(UsageError, match="no person 7"):
        timeline.person(7)


def test_photos_have_no_time() -> None:
    with pytest.raises(UsageError, match="time"):
        Timeline.from_results(film(1.0, timed=False)).smooth()
