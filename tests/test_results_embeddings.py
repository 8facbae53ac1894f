"""Embeddings and further measures of faces: requested, saved beside the table, read again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.results import Run, failed_frame, frame_result, mostly

from mien import EmotionAnalyzer, Timeline
from mien.errors import InputError, ModelError, UsageError
from mien.expressions.onnx import OnnxClassifier
from mien.labels import EMOTIONS
from mien.plugins import model_path
from mien.results.embeddings import Embeddings, read_embeddings
from mien.results.files import SUFFIXES, AnalysisFiles
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.sinks.checkpoint import Checkpoint
from mien.sinks.tables import TableSink
from mien.types import Scores

SETTINGS = RunSettings(classifier_sha256="abc")


def result_of(frame: int, people: tuple[int, ...], source: str = "film.mp4") -> Result:
    """A frame whose faces have vectors that say who and when, and an age."""
    result = frame_result(
        frame / 25, {p: mostly("happiness") for p in people}, index=frame, source=source
    )
    vectors = np.array([[p, frame, 0.5] for p in people], np.float32).reshape(-1, 3)
    ages = np.array([20.0 + p for p in people], np.float32)
    scores = Scores(
        result.scores.values,
        EMOTIONS,
        measures={"apparent_age": ages},
        embeddings={"identity": vectors, "features": 2 * vectors},
    )
    return replace(result, scores=scores, settings=SETTINGS)


def film(source: str = "film.mp4") -> Iterator[Result]:
    yield result_of(0, (1, 2), source)
    yield replace(failed_frame(0.04, index=1), source=source, settings=SETTINGS)
    yield result_of(2, (), source)
    yield result_of(3, (2,), source)


def test_scores_keep_vectors_when_they_are_cut_and_narrowed() -> None:
    scores = result_of(0, (1, 2)).scores
    assert scores[1].embeddings["identity"].tolist() == [[2, 0, 0.5]]
    assert scores.without("contempt").embeddings["features"].shape == (2, 3)
    with pytest.raises(UsageError, match="identity must have shape"):
        Scores(scores.values, EMOTIONS, embeddings={"identity": np.zeros((1, 3), np.float32)})


def test_a_timeline_keeps_them_and_gives_them_back(tmp_path: Path) -> None:
    timeline = Timeline.from_results(film())
    path = timeline.save(tmp_path / "film.parquet")
    for seen in (timeline, Timeline.load(path), Timeline.load(path).smooth(1.0)):
        assert seen.embeddings is not None
        assert seen.embeddings.model == "abc"
        found = seen.embeddings.of(seen.faces, "identity")
        assert found.tolist() == [[1, 0, 0.5], [2, 0, 0.5], [2, 3, 0.5]]
        second = seen.track(2)
        assert second.embeddings is not None
        assert second.embeddings.of(second.faces, "features")[:, 0].tolist() == [4, 4]
        assert seen.faces["apparent_age"].tolist() == pytest.approx([21, 22, 22])
        assert seen.faces.columns[-1] == "apparent_age"


def test_a_sink_writes_what_a_timeline_reads(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with TableSink(path, Run(EMOTIONS, SETTINGS, ("apparent_age",))) as sink:
        for source in ("a.mp4", "b.mp4"):
            for result in film(source):
                sink.write(result)
    timeline = Timeline.load(path).source("b.mp4")
    assert timeline.embeddings is not None
    assert timeline.embeddings.of(timeline.faces, "identity")[:, 1].tolist() == [0, 0, 3]
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(UsageError, match=r"t\.parquet exists"):
        TableSink(path, Run(EMOTIONS, SETTINGS))
    anew = Checkpoint(path, overwrite=True)
    with TableSink(path, Run(EMOTIONS, SETTINGS, ("apparent_age",)), checkpoint=anew) as sink:
        sink.write(frame_result(0.0, {1: mostly("anger")}))
    assert not AnalysisFiles(path).embeddings.exists(), "vectors of an older run must not stay"


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_text_tables_keep_further_numbers(tmp_path: Path, suffix: str) -> None:
    path = Timeline.from_results(film()).save(tmp_path / f"film{suffix}")
    again = Timeline.load(path)
    assert again.labels == EMOTIONS
    assert again.faces["apparent_age"].tolist() == pytest.approx([21, 22, 22])


def test_what_was_not_saved_is_an_error(tmp_path: Path) -> None:
    timeline = Timeline.from_results(film())
    assert timeline.embeddings is not None
    with pytest.raises(UsageError, match="'voice' were not kept"):
        timeline.embeddings.of(timeline.faces, "voice")
    with pytest.raises(UsageError, match="3 of 3 faces have no embedding"):
        timeline.embeddings.of(timeline.faces.assign(frame=99), "identity")
    other = replace(timeline.embeddings, model="def")
    with pytest.raises(UsageError, match="different models"):
        Embeddings.concat([timeline.embeddings, other])
    AnalysisFiles(tmp_path / "x.parquet").embeddings.write_bytes(b"no table")
    with pytest.raises(InputError, match="does not hold a readable table"):
        read_embeddings(tmp_path / "x.parquet")


def test_the_default_model_gives_its_features(photo: Path) -> None:
    result = EmotionAnalyzer(also=("features",))(photo)
    vectors = result.scores.embeddings["features"]
    assert vectors.shape == (1, 1024)
    model = OnnxClassifier(model_path("mien-mobilenet"))
    seen = model.activations(result.crops).embedding
    assert seen is not None
    assert vectors == pytest.approx(seen, abs=1e-5)
    assert "features" not in EmotionAnalyzer()(photo).scores.embeddings


def test_what_a_model_does_not_predict_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="unknown output 'mood'; use some of age, gender"):
        EmotionAnalyzer(also=("mood",))
    with pytest.raises(ModelError, match="has no output 'features'"):
        OnnxClassifier(model_path("mien-mobilenet"), {"embedding": ""}, also=("features",))
    with pytest.raises(UsageError, match="'identity' comes from a separate network"):
        OnnxClassifier(model_path("mien-mobilenet"), also=("identity",))
    with pytest.raises(UsageError, match="does not give features"):
        EmotionAnalyzer(classifier=OnnxClassifier(model_path("mien-mobilenet")), also=("features",))


def test_only_those_who_are_in_a_part_are_saved_with_it(tmp_path: Path) -> None:
    both = Timeline.from_results([*film("a.mp4"), *film("b.mp4")])
    path = both.source("a.mp4").track(2).save(tmp_path / "one.parquet")
    kept = read_embeddings(path)
    assert kept is not None
    assert kept.keys["source"].unique().tolist() == ["a.mp4"]
    assert kept.vectors["identity"][:, 0].tolist() == [2, 2]


def test_another_format_beside_it_leaves_them(tmp_path: Path) -> None:
    timeline = Timeline.from_results(film())
    timeline.save(tmp_path / "film.parquet")
    timeline.export(tmp_path / "film.csv")
    assert AnalysisFiles(tmp_path / "film.parquet").embeddings.is_file()
    timeline.export(tmp_path / "film.parquet")
    (tmp_path / "film.csv").unlink()
    with pytest.raises(UsageError, match=r"film\.embeddings\.parquet belongs to"):
        timeline.export(tmp_path / "film.parquet")
    timeline.export(tmp_path / "film.parquet", overwrite=True)
    assert not AnalysisFiles(tmp_path / "film.parquet").embeddings.exists()


def test_beside_an_unfinished_table_older_vectors_are_not_read(tmp_path: Path) -> None:
    path = Timeline.from_results(film()).save(tmp_path / "film.parquet")
    path.rename(tmp_path / "film.parquet.partial")
    assert read_embeddings(path) is None
