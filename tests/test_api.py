"""The public API: what a user types, and what they see."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.results import Run
from helpers.story import LABELS, story
from helpers.videos import write_video

import mien
from mien.errors import PluginError
from mien.expressions.base import describe_classifier
from mien.faces.detectors.base import describe_detector
from mien.media.base import timing_of
from mien.results.settings import labels_of
from mien.testing import check_classifier, check_detector, check_sink, check_source
from mien.types import Crops, Image


def judge(crops: Crops) -> Any:
    red = crops[..., 0].mean(axis=(1, 2)) / 255
    return np.stack([1 - red, red], axis=1)


def halves(image: Image) -> list[tuple[int, int, int, int]]:
    height, width = image.shape[:2]
    return [(0, 0, width // 2, height), (width // 2, 0, width, height)]


@pytest.fixture
def analyzer() -> mien.EmotionAnalyzer:
    return mien.EmotionAnalyzer(halves, mien.CustomClassifier(judge, ("dark", "light"), 16))


@pytest.fixture
def result(analyzer: mien.EmotionAnalyzer) -> mien.Result:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    return analyzer(image)


@pytest.fixture
def timeline() -> mien.Timeline:
    return mien.Timeline.from_results(story())


def test_faces_are_selected(result: mien.Result) -> None:
    light = result[np.array([label == "light" for label in result.emotions])]
    assert light.emotions == ("light",)
    assert len(light) == len(light.crops) == len(light.quality) == len(light.scores) == 1
    assert light.faces.boxes[0].tolist() == [40, 0, 80, 40]
    assert [one.emotions[0] for one in result] == list(result.emotions)
    assert len(result[:0]) == 0
    assert result[-1].equals(result[1])
    for wrong in (2, -3, np.array([True])):
        with pytest.raises(IndexError):
            result[wrong]


def test_nothing_is_falsy_but_everything_has_a_length(result: mien.Result) -> None:
    empty = result[:0]
    for value in (empty, empty.faces, empty.scores, empty.quality, mien.Results()):
        assert bool(value)
        assert len(value) == 0


def test_values_are_compared_by_equals(result: mien.Result, timeline: mien.Timeline) -> None:
    again = replace(result, milliseconds=result.milliseconds + 1)
    assert result.equals(again)
    assert not result.equals(result[:1])
    assert result.faces.equals(mien.Faces(result.faces.boxes, result.faces.scores))
    assert not result.faces.equals(result.scores)
    assert timeline.equals(mien.Timeline.from_results(story()))
    assert not timeline.equals(timeline.smooth(0.5))
    assert result == result
    assert result != "a.jpg"
    for one, other in ((result, again), (timeline, timeline.smooth(0))):
        if one is not other:
            with pytest.raises(TypeError, match=r"use one\.equals\(other\)"):
                bool(one == other)


def test_a_result_is_pickled_without_its_classifier(result: mien.Result) -> None:
    copy = pickle.loads(pickle.dumps(result))
    assert copy.equals(result)
    assert np.array_equal(copy.image, result.image)
    with pytest.raises(mien.UsageError, match="analyze the image again"):
        copy.heatmaps()


def test_a_result_comes_back_from_its_dict(
    result: mien.Result, analyzer: mien.EmotionAnalyzer
) -> None:
    for one in (result, result[:0], next(analyzer.analyze("nowhere.jpg"))):
        data = json.loads(one.to_json())
        again = mien.Result.from_dict(data, labels=one.labels)
        assert again.to_dict() == data
        assert again.labels == one.labels
    for wrong in (
        {},
        {**result.to_dict(), "faces": [{"box": "x"}]},
        {**result.to_dict(), "frame": "x"},
    ):
        with pytest.raises(mien.InputError, match="no result as"):
            mien.Result.from_dict(wrong)


def test_the_answer_is_printed_in_80_columns(
    result: mien.Result, analyzer: mien.EmotionAnalyzer, timeline: mien.Timeline
) -> None:
    with pd.option_context("display.width", 80, "display.max_columns", 0):
        assert "light" in str(result.to_dataframe())
        assert "light" in str(mien.Results([result]).to_dataframe())
    lines = str(result).splitlines()
    assert lines[1:] == ["face 0: dark 99%, light 1%", "face 1: light 99%, dark 1%"]
    assert all(len(line) <= 80 for line in lines)
    assert "light 99 %" in str(mien.Results([result]))
    assert repr(mien.Results([result])) == "Results(1 images, 2 faces)"
    assert repr(analyzer).startswith("EmotionAnalyzer(detector='CustomDetector', classifier=")
    assert repr(analyzer.classifier) == "CustomClassifier(judge, labels=('dark', 'light'))"
    assert "min_score=0.0" in repr(analyzer.detector)
    assert "smoothed over 0.5 s" in repr(timeline.smooth(0.5))


def test_a_table_names_its_columns(result: mien.Result, timeline: mien.Timeline) -> None:
    attrs = result.to_dataframe().attrs
    assert attrs["labels"] == ["dark", "light"]
    assert attrs["measures"] == []
    assert mien.RunSettings.from_metadata(attrs["settings"]) == result.settings
    assert timeline.derive_affect().faces.attrs["measures"] == ["valence", "arousal"]
    assert timeline.faces.attrs["labels"] == list(LABELS)


def test_settings_survive_a_file_and_those_of_others_stay() -> None:
    settings = mien.RunSettings(
        mien_version="1", without=("a", "b"), heads=({"name": "h", "task": "value"},),
        smooth_s=0.25, people={1: "anna"}, all_faces=True, other={"theirs": "x"},
    )  # fmt: skip
    metadata = settings.to_metadata(("x", "y"))
    assert metadata["without"] == "a,b"
    assert metadata["also"] == ""
    assert labels_of(metadata) == ("x", "y")
    assert mien.RunSettings.from_metadata(metadata) == settings
    assert not mien.RunSettings.from_metadata({})
    assert mien.RunSettings().to_metadata() == {}
    with pytest.raises(mien.InputError, match=r"the setting smooth_s of t\.csv cannot"):
        mien.RunSettings.from_metadata({"smooth_s": "soon"}, Path("t.csv"))


def test_a_time_window(timeline: mien.Timeline) -> None:
    part = timeline.between(2, 5)
    assert part.images["time_s"].min() == 2
    assert part.images["time_s"].max() < 5
    assert part.duration_s == pytest.approx(3)
    assert part.track_ids == timeline.track_ids
    assert all(2 <= peak.time_s < 5 for peak in part.peaks)
    smooth = timeline.smooth(1)
    kept = smooth.faces["time_s"].between(2, 5, inclusive="left")
    pd.testing.assert_frame_equal(
        smooth.between(2, 5).faces, smooth.faces[kept].reset_index(drop=True)
    )
    assert smooth.between(2, 5).raw.equals(part)
    with pytest.raises(mien.UsageError, match="after the start"):
        timeline.between(5, 2)


def test_load_finds_out_what_a_table_is_of(
    result: mien.Result, timeline: mien.Timeline, tmp_path: Path
) -> None:
    photos = mien.Results([replace(result, source="a.jpg")]).save(tmp_path / "photos.csv")
    video = timeline.smooth(0.5).save(tmp_path / "video.csv")
    assert isinstance(mien.load(photos), mien.Results)
    loaded = mien.load(video)
    assert isinstance(loaded, mien.Timeline)
    assert loaded.settings.smooth_s == 0.5


def test_anything_runs_into_sinks(analyzer: mien.EmotionAnalyzer, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    mien.write_image(folder / "a.png", np.zeros((20, 20, 3), np.uint8))
    write_video(folder / "b.mp4")
    (folder / "c.jpg").write_text("no image")
    inputs: list[Any] = [folder, np.zeros((20, 20, 3), np.uint8), tmp_path / "nowhere.jpg"]
    path, lines = tmp_path / "t.parquet", tmp_path / "t.jsonl"
    summary = analyzer.run(inputs, [mien.TableSink(path, analyzer), mien.JsonlSink(lines)])
    assert summary.images == 2
    assert summary.frames > 5
    assert summary.faces == 2 * (summary.images + summary.frames)
    loaded = mien.load(path)
    assert isinstance(loaded, mien.Timeline)
    assert len(loaded.faces) == summary.faces
    assert loaded.settings == analyzer.settings
    texts = lines.read_text().splitlines()
    assert len(texts) == len(loaded.images)
    assert sum(mien.Result.from_dict(json.loads(text)).error is not None for text in texts) == (
        summary.failed
    )
    video = [r.index for r in analyzer.results(mien.VideoSource(folder / "b.mp4"))]
    assert video == [r.index for r in analyzer.results([folder / "b.mp4"])]
    with pytest.raises(mien.UsageError, match="not int"):
        analyzer.run(inputs, [3])  # type: ignore[list-item]
    (tmp_path / "mine.jsonl").write_text("{}")
    with pytest.raises(mien.UsageError, match="written by mien"):
        analyzer.run(inputs, mien.JsonlSink(tmp_path / "mine.jsonl"))


def test_drawing_sinks_get_images(analyzer: mien.EmotionAnalyzer, tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4")
    analyzer.run(film, mien.VideoSink(tmp_path / "drawn.mp4"))
    drawn = mien.VideoSource(tmp_path / "drawn.mp4")
    assert len(list(drawn)) == len(list(mien.VideoSource(film)))


@pytest.mark.parametrize("wrong", [None, 3, {"a": 1}, ["a.jpg", 3]])
def test_what_can_be_no_input_is_said_at_once(analyzer: mien.EmotionAnalyzer, wrong: Any) -> None:
    for call in (analyzer.analyze, analyzer.results, analyzer.run, analyzer):
        with pytest.raises(mien.UsageError, match="is not an image"):
            call(wrong)


def test_calls_that_cannot_be_are_refused_at_once(
    analyzer: mien.EmotionAnalyzer, timeline: mien.Timeline
) -> None:
    camera = mien.CameraSource(0, open_=lambda: iter(()))
    with pytest.raises(mien.UsageError, match="live frames cannot wait"):
        analyzer.stream(camera, adaptive=True)
    with pytest.raises(mien.UsageError, match="a video is a path"):
        analyzer.stream(None)  # type: ignore[arg-type]
    with pytest.raises(mien.UsageError, match="a video is a path"):
        analyzer.video(0)  # type: ignore[arg-type]
    with pytest.raises(mien.UsageError, match="each of several paths"):
        analyzer.video(["a.mp4", "b.mp4"])  # type: ignore[list-item]
    with pytest.raises(mien.UsageError, match="images go to"):
        list(analyzer.stream([np.zeros((9, 9, 3), np.uint8)]))  # type: ignore[list-item]
    for seconds in ("1s", None, -1, float("nan")):
        with pytest.raises(mien.UsageError, match="seconds must be a number from 0"):
            timeline.smooth(seconds)  # type: ignore[arg-type]
    with pytest.raises(mien.UsageError, match="threads must be at least 1"):
        mien.EmotionAnalyzer(threads=0)
    with pytest.raises(mien.UsageError, match="a list of names"):
        mien.CustomClassifier(judge, labels="ab")
    with pytest.raises(mien.UsageError, match=r"holds mien\.Result"):
        mien.Results(["a"])  # type: ignore[list-item]
    with pytest.raises(mien.UsageError, match="did you mean 'mien-mobilenet'"):
        mien.EmotionAnalyzer(classifier="mien-mobilnet")


def test_a_lone_name_is_one_name() -> None:
    analyzer = mien.EmotionAnalyzer(without="contempt", also="affect")
    assert "contempt" not in analyzer.labels
    assert analyzer.measures == ("valence", "arousal")


class Numbered:
    """A detector that sees one face, which has moved a little in each call."""

    def __init__(self) -> None:
        self.fps, self.crop, self.live = "mine", "mine", "mine"  # names for the user's own use

    def detect(self, image: Image) -> mien.Faces:
        return mien.Faces([[10, 10, 50, 50]], [0.99])  # type: ignore[arg-type]


def frames(source: str, count: int) -> Iterator[mien.Frame]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for index in range(count):
        yield mien.Frame(source, image.copy, index, index / 25)


def test_streams_over_one_tracker_do_not_disturb_each_other() -> None:
    tracker = mien.TrackingDetector(Numbered())
    classifier = mien.CustomClassifier(judge, ("dark", "light"), 16)
    analyzer = mien.EmotionAnalyzer(tracker, classifier)
    one, other = (analyzer.stream(frames(name, 6), live=True) for name in ("a", "b"))
    pairs = list(zip(one, other, strict=True))
    for results in zip(*pairs, strict=True):
        ids = [r.faces.track_ids for r in results]
        assert all(i is not None and i.tolist() == [1] for i in ids)


class Described(Numbered):
    description = mien.DetectorDescription(min_score=0.25, settings={"threshold": 7})


class Telling:
    """A classifier that describes itself."""

    labels, input_size = ("dark", "light"), 16
    description = mien.ClassifierDescription("mine", measures=("height",))

    def classify(self, crops: Crops) -> mien.Scores:
        height = np.full(len(crops), 1.5, np.float32)
        return mien.Scores(judge(crops), self.labels, measures={"height": height})


class Timed(list[mien.Frame]):
    timing = mien.Timing(live=True, fps=12.5)


def test_plugs_describe_themselves_on_purpose_only() -> None:
    plain = mien.EmotionAnalyzer(Numbered(), mien.CustomClassifier(judge, ("a", "b"), 16))
    assert plain.settings.detector_settings == {}
    analyzer = mien.EmotionAnalyzer(Described(), Telling())
    assert analyzer.settings.detector_settings == {"threshold": 7}
    assert analyzer.settings.classifier == "mine"
    assert analyzer.measures == ("height",)
    assert describe_detector(Described()).min_score == 0.25
    assert timing_of(Timed()) == mien.Timing(True, 12.5)
    assert timing_of([]) == mien.Timing()
    with_text = Described()
    with_text.description = "my detector"  # type: ignore[assignment]
    assert describe_detector(with_text).settings == {}
    assert describe_classifier(plain.classifier).name == "CustomClassifier"
    network = mien.EmotionAnalyzer()
    assert network.settings.detector_settings["min_score"] == 0.7
    assert network.settings.classifier == "mien-mobilenet"


class Wrong(Telling):
    description = mien.ClassifierDescription("mine", measures=("weight",))


class Texts(Numbered):
    description = "my detector"


def test_checks_take_what_the_analyzer_takes() -> None:
    check_detector(lambda image: halves(image))
    check_detector([(0, 0, 10, 10)])
    check_detector(halves)
    check_detector(Described())
    check_classifier(Telling())
    check_source(Timed(frames("a", 3)))
    with pytest.raises(PluginError, match="does not return the measures weight"):
        check_classifier(Wrong())
    with pytest.raises(PluginError, match=r"description must be mien\.DetectorDescription"):
        check_detector(Texts())


def test_checks_of_sinks(tmp_path: Path) -> None:
    run = Run(("neutral", "happiness"))
    check_sink(mien.TableSink(tmp_path / "t.csv", run))
    check_sink(mien.JsonlSink(tmp_path / "t.jsonl"))


def test_every_public_name_is_there_and_importing_loads_nothing() -> None:
    assert all(getattr(mien, name) is not None for name in mien.__all__)
    for name in ("UsageError", "ModelError", "ImageError", "VideoError", "PluginError"):
        assert issubclass(getattr(mien, name), mien.MienError)
    with pytest.raises(AttributeError):
        _ = mien.nothing
    heavy = ("numpy", "cv2", "pandas", "PIL", "onnxruntime", "rich")
    code = f"import sys, mien; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_labeled_faces_and_evaluations_are_printed_in_a_line(tmp_path: Path) -> None:
    from mien.datasets import load_faces
    from mien.evaluation import evaluate

    rng = np.random.default_rng(0)
    for name in ("happy", "sad"):
        (tmp_path / name).mkdir()
        for number in range(2):
            face = rng.integers(0, 255, (48, 48, 3)).astype(np.uint8)
            mien.write_image(tmp_path / name / f"{number}.png", face)
    faces = load_faces(tmp_path)
    assert repr(faces).startswith("LabelledFaces(4 faces: 4 ")
    measured = evaluate(mien.load_classifier("mien-mobilenet"), faces)
    assert repr(measured).startswith("Evaluation(4 faces: accuracy ")
