"""What a user writes with mien, checked by mypy and pyright; never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd

import mien


class BrightSpots:
    """A detector of one's own, which also describes itself."""

    @property
    def description(self) -> mien.DetectorDescription:
        return mien.DetectorDescription(min_score=0.5, settings={"threshold": 200})

    def detect(self, image: np.ndarray) -> mien.Faces:
        return mien.Faces(np.zeros((0, 4), np.float32))


class Coin:
    """A classifier of one's own."""

    labels = ("heads", "tails")
    input_size = 32

    def classify(self, crops: np.ndarray) -> mien.Scores:
        return mien.Scores(np.full((len(crops), 2), 0.5, np.float32), self.labels)


class Counter:
    """A sink of one's own."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Counter:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, result: mien.Result) -> None:
        self.count += len(result)


def images(analyzer: mien.EmotionAnalyzer) -> None:
    result = assert_type(analyzer("photo.jpg"), mien.Result)
    analyzer(Path("photo.jpg"))
    analyzer(np.zeros((8, 8, 3), np.uint8))
    assert_type(result[result.quality.fit], mien.Result)
    assert_type(result.emotions, tuple[str, ...])
    assert_type(result.to_dataframe(), pd.DataFrame)
    for one in analyzer.analyze(["a.jpg", "b.jpg"]):
        assert_type(one, mien.Result)
    results = mien.Results(analyzer.analyze("holiday/"))
    assert_type(results[0], mien.Result)
    assert_type(results[1:], mien.Results)
    assert_type(mien.Result.from_dict(result.to_dict()), mien.Result)


def videos(analyzer: mien.EmotionAnalyzer) -> None:
    timeline = assert_type(analyzer.video("film.mp4", fps=5), mien.Timeline)
    smooth = assert_type(timeline.smooth(0.5).between(2, 5), mien.Timeline)
    smooth.track(1).segments()
    assert_type(timeline.source("film.mp4").with_identities(), mien.Timeline)
    timeline.identify(names={1: "anna"}).table.to_csv("people.csv")
    frames: Iterator[mien.Frame] = iter(mien.VideoSource("film.mp4"))
    for result in analyzer.stream(frames, live=True, fps=10):
        assert_type(result.settings.smooth_s, float)


def outputs() -> None:
    analyzer = mien.EmotionAnalyzer(BrightSpots(), Coin(), without="tails", also=("age",))
    counter = Counter()
    summary = analyzer.run(
        ["holiday/", "film.mp4"],
        [mien.TableSink("faces.parquet", analyzer), mien.JsonlSink("faces.jsonl"), counter],
        options=mien.VideoOptions(every=2),
    )
    assert_type(summary, mien.RunSummary)
    table = mien.load("faces.parquet")
    if isinstance(table, mien.Timeline):
        table.summary()
    else:
        assert_type(table, mien.Results)
    try:
        mien.EmotionAnalyzer(lambda image: [(0, 0, 10, 10)], heads="smile.onnx")
    except (mien.UsageError, mien.ModelError) as error:
        raise SystemExit(str(error)) from error
