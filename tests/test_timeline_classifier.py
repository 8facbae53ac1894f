"""Video classifiers: rows of people and groups, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from helpers.features import timeline_with_features
from helpers.networks import channel_network

from mien.errors import ModelError, UsageError
from mien.timeline.classifier import VideoModel
from mien.timeline.timeline import Timeline

pytest.importorskip("sklearn", reason="scikit-learn (the extra video) is not installed")

from helpers.video_models import video_model


def test_a_group_has_one_prediction(tmp_path: Path, rng: np.random.Generator) -> None:
    model = VideoModel(video_model(tmp_path / "g.onnx", "group", rng))

    def torn(i: int) -> dict[int, npt.ArrayLike]:
        return {1: [0.2, 0.1], 2: [2.8, 2.9]}

    found = model.predict(timeline_with_features(torn))
    assert found["label"].tolist() == ["torn"]
    assert found["track_id"].isna().all()
    alike = model.predict(timeline_with_features(lambda i: {1: [1.5, 1.5], 2: [1.5, 1.5]}))
    assert alike["label"].tolist() == ["even"]
    alone = model.predict(timeline_with_features(lambda i: {1: [1.5, 1.5]}))
    assert alone["label"].tolist() == ["even"], "one person only has no spread"


def test_what_cannot_be_predicted_has_a_row_that_says_why(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    model = VideoModel(video_model(tmp_path / "p.onnx", "person", rng))
    nobody = model.predict(timeline_with_features(lambda i: {}))
    assert nobody["problem"].tolist() == ["no face was found in film.mp4."]
    assert nobody[["label", "probability", "even"]].isna().all(axis=None)
    short = model.predict(
        timeline_with_features(lambda i: {1: [1, 1]} | ({2: [1, 1]} if i == 3 else {}))
    )
    assert short["track_id"].tolist() == [1, 2]
    assert short["label"].isna().tolist() == [False, True]
    assert "person 2 of film.mp4 is too short: 1 frame with a face" in short["problem"][1]
    empty = model.predict(Timeline.from_results([]))
    assert len(empty) == 0
    assert list(empty.columns)[-3:] == ["even", "torn", "problem"]


def test_where_nothing_is_likely_it_is_uncertain(tmp_path: Path, rng: np.random.Generator) -> None:
    model = VideoModel(video_model(tmp_path / "p.onnx", "person", rng))
    film = timeline_with_features(lambda i: {1: [1, 1]})
    sure = float(model.predict(film)["probability"][0])
    assert model.predict(film, uncertain_below=sure + 1e-6)["label"].tolist() == ["uncertain"]
    assert model.predict(film, uncertain_below=sure - 1e-6)["label"].tolist() == ["even"]


def test_features_of_another_model(tmp_path: Path, rng: np.random.Generator) -> None:
    model = VideoModel(video_model(tmp_path / "p.onnx", "person", rng))
    other = timeline_with_features(lambda i: {1: [1, 1]}, model="cd" * 32)
    message = r"trained on 2 features of stand-in \(5e5e5e5e\), not on stand-in \(cdcdcdcd\)"
    with pytest.raises(UsageError, match=message):
        model.predict(other)
    with pytest.raises(UsageError, match=r"features of length 2, those of film\.mp4 have 3"):
        model.predict(timeline_with_features(lambda i: {1: [1, 1, 1]}))
    unkept = timeline_with_features(lambda i: {1: [1, 1]})
    with pytest.raises(UsageError, match="not kept: analyze it again with --embeddings features"):
        model.predict(Timeline(unkept.faces, unkept.images, unkept.settings, unkept.labels))
    with pytest.raises(UsageError, match=r"shape \(n, 8\), got \(8,\)"):
        model.probabilities(np.zeros(8))
    with pytest.raises(UsageError, match="finite"):
        model.probabilities(np.full((1, 8), np.nan))


def test_unknown_models_are_accepted_with_a_warning(
    tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    model = VideoModel(video_model(tmp_path / "p.onnx", "person", rng))
    assert len(model.predict(timeline_with_features(lambda i: {1: [1, 1]}, model="")))
    assert "whether the features fit p.onnx is not known" in caplog.text


def test_files_that_are_no_models_of_videos(tmp_path: Path, rng: np.random.Generator) -> None:
    import onnx

    with pytest.raises(ModelError, match="there is no model file"):
        VideoModel(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is not a video model"):
        VideoModel(channel_network(tmp_path / "tiny.onnx"))
    good = video_model(tmp_path / "p.onnx", "person", rng)
    for field, value, message in (
        ("size", 3, "but its card says"),
        ("kind", "crowd", "kind is one of person, group, got 'crowd'"),
        ("labels", ["even"], "needs at least two labels"),
        ("labels", ["even", "frames"], "none of them called"),
        ("labels", None, "card of a video model 'p' is wrong: labels is a list"),
    ):
        file = onnx.load(str(good))
        card = json.loads(file.metadata_props[0].value)
        file.metadata_props[0].value = json.dumps({**card, field: value, "later": 1})
        onnx.save(file, str(tmp_path / "bad.onnx"))
        with pytest.raises(ModelError, match=message):
            VideoModel(tmp_path / "bad.onnx")
