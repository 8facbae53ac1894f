"""Valence and arousal from the network to the table, the file and the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.networks import channel_network

from mien import EmotionAnalyzer, ModelCard, Results, Timeline
from mien.errors import ModelError, UsageError
from mien.expressions.onnx import OnnxClassifier
from mien.results.files import SUFFIXES
from mien.results.result import Result
from mien.results.tables import face_dtypes, label_columns
from mien.sinks.tables import TableSink
from mien.types import Frame, Image, Scores

BOX = [(4, 4, 36, 36, 0.9)]


@pytest.fixture
def analyzer(tmp_path: Path) -> EmotionAnalyzer:
    """Two labels, and for valence the mean blue: 50 of it are 1."""
    card = ModelCard("tiny", ("red", "green"), 8, std=1.0, measures=("valence",))  # type: ignore[arg-type]
    path = channel_network(tmp_path / "tiny.onnx", card=card.to_json())
    return EmotionAnalyzer(lambda image: BOX, OnnxClassifier(path))


def picture(blue: int) -> Image:
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, blue
    return image


def test_it_is_a_column_after_the_labels(analyzer: EmotionAnalyzer) -> None:
    result = analyzer(picture(25))
    assert analyzer.measures == ("valence",)
    assert result.labels == ("red", "green")
    assert result.scores.values.sum() == pytest.approx(1)
    assert result.scores.measures["valence"] == pytest.approx([0.5])
    table = result.to_dataframe()
    assert table["valence"].tolist() == pytest.approx([0.5])
    assert list(table.columns).index("valence") == list(table.columns).index("green") + 1
    assert label_columns(table) == ("red", "green")
    assert result.to_dict()["faces"][0]["valence"] == pytest.approx(0.5)
    assert "+0.50" in result.table().to_html()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_is_saved_and_comes_back(analyzer: EmotionAnalyzer, tmp_path: Path, suffix: str) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    results = Results([analyzer(picture(25)), *analyzer.analyze([bad]), analyzer(picture(50))])
    path = tmp_path / f"t{suffix}"
    results.save(path)
    again = Results.load(path)
    assert [round(float(r.scores.measures["valence"][0]), 3) for r in (again[0], again[2])] == [
        0.5,
        1.0,
    ]
    assert again.labels == ("red", "green")
    assert again[1].error
    told = tmp_path / f"sink{suffix}"
    with TableSink(told, analyzer) as sink:
        for result in results:
            sink.write(result)
    assert Results.load(told).faces["valence"].tolist() == pytest.approx([0.5, 1.0])


def test_it_is_smoothed_over_time(analyzer: EmotionAnalyzer) -> None:
    def frames() -> list[Frame]:
        return [
            Frame("film", lambda i=i: picture(50 * (i % 2)), i, i / 10)  # type: ignore[misc]
            for i in range(20)
        ]

    def tracked(result: Result) -> Result:
        from dataclasses import replace

        from mien.types import Faces

        faces = Faces(result.faces.boxes, result.faces.scores, track_ids=np.array([0]))
        return replace(result, faces=faces)

    timeline = Timeline.from_results(tracked(result) for result in analyzer.analyze(frames()))
    smooth = timeline.smooth(1.0)
    assert timeline.faces["valence"].std() == pytest.approx(0.51, abs=0.02)
    assert smooth.faces["valence"].std() < 0.1
    assert smooth.faces["valence"].mean() == pytest.approx(0.5, abs=0.05)
    assert smooth.faces["probability"].max() <= 1
    assert set(smooth.faces["emotion"]) == {"red"}


def test_rows_and_labels_keep_their_measures() -> None:
    values = np.full((3, 2), 0.5, np.float32)
    scores = Scores(values, ("a", "b"), measures={"arousal": np.array([0.1, 0.2, 0.3], "f4")})
    assert scores[1:].measures["arousal"] == pytest.approx([0.2, 0.3])
    assert scores.without("a").measures["arousal"] == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(UsageError, match="arousal"):
        Scores(values, ("a", "b"), measures={"arousal": np.zeros(2, np.float32)})


def test_what_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="one of valence, arousal"):
        ModelCard("m", ("a",), 8, measures=("dominance",))
    with pytest.raises(UsageError, match="'valence' is the name of another column"):
        face_dtypes(("valence", "joy"))
    card = {"labels": ("a", "b"), "measures": ("valence", "arousal"), "input_size": 8}
    with pytest.raises(ModelError, match="3 scores per face, but its card has 2 labels and 2 mea"):
        OnnxClassifier(channel_network(tmp_path / "m.onnx"), card)
