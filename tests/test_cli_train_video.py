"""From generated videos to a video classifier and back, by the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.features import timeline_with_features
from helpers.networks import channel_network
from helpers.videos import truncate, write_video

from mien import ModelCard, Results
from mien.analyzer import EmotionAnalyzer
from mien.cli.commands import app
from mien.errors import InputError
from mien.expressions.onnx import OnnxClassifier
from mien.results.tables import read_table
from mien.timeline.classifier import VideoCard, VideoModel
from mien.timeline.timeline import Timeline
from mien.types import Image

pytest.importorskip("sklearn", reason="scikit-learn (the extra video) is not installed")
from helpers.video_models import video_model
from typer.testing import CliRunner, Result

from mien.training.videos import features

Command = Callable[..., Result]
RED, GREEN, BLUE = (200, 40, 40), (40, 200, 40), (40, 40, 200)
MOODS = ("calm", "restless")

pytestmark = pytest.mark.usefixtures("plain_faces_are_fit")


def faces(image: Image) -> list[tuple[float, ...]]:
    """Stands in for a detector: a face in each half of the picture that is not black."""
    halves = (4, 4, 28, 28, 0.9), (36, 4, 60, 28, 0.9)
    return [b for b in halves if image[int(b[1]) : int(b[3]), int(b[0]) : int(b[2])].mean() > 30]


def painted(*colors: tuple[int, int, int] | None) -> Image:
    image = np.zeros((32, 64, 3), np.uint8)
    for half, color in enumerate(colors):
        image[:, 32 * half : 32 * half + 32] = color or (0, 0, 0)
    return image


def pictures(mood: str, number: int, frames: int = 12, two: bool = False) -> Iterator[Image]:
    """A calm film stays halfway between two colors, a restless one jumps from one to the other.

    Both have the same mean; how far apart the colors are, and which, depends on the number.
    """
    rng = np.random.default_rng(number)
    low, high = (np.array(color) for color in ((RED, GREEN), (GREEN, BLUE))[number % 2])
    light = rng.uniform(0.7, 1.2)
    for i in range(frames):
        share = 0.5 if mood == "calm" else i // 2 % 2
        color = tuple(((low + share * (high - low)) * light).clip(0, 255).astype(int).tolist())
        yield painted(color, BLUE if two else None)


def stand_in() -> ModelCard:
    """Scores are the mean of each color channel, and so are the features."""
    return ModelCard(
        "tiny", ("red", "green", "blue"), 8, std=(1.0,), scores="scores", embedding="scores"
    )


def analyzer_of(folder: Path, also: tuple[str, ...] = ("features",)) -> EmotionAnalyzer:
    path = folder / "tiny.onnx"
    if not path.exists():
        channel_network(path, card=stand_in().to_json())
    return EmotionAnalyzer(faces, OnnxClassifier(path, also=also))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight films of each mood by eight subjects, two without a face, one that is broken."""
    place = tmp_path_factory.mktemp("films")
    rows = ["path,label,subject"]
    for mood in MOODS:
        for i in range(8):
            write_video(place / f"{mood}{i}.mp4", pictures(mood, i))
            rows.append(f"{mood}{i}.mp4,{mood},s{i % 8}")
    for name in ("black", "dark"):
        write_video(place / f"{name}.mp4", (painted(None, None) for _ in range(5)))
        rows.append(f"{name}.mp4,calm,{name}")
    truncate(write_video(place / "broken.mkv"), 0.02)
    rows.append("broken.mkv,restless,s1")
    (place / "films.csv").write_text("\n".join(rows))
    return place


@pytest.fixture
def mien(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with the stand-ins in place of detector and network."""
    from mien.cli import inputs

    def load(*_: str, extras: Sequence[str] = (), **__: object) -> EmotionAnalyzer:
        return analyzer_of(folder, also=tuple(extras))

    monkeypatch.setattr(inputs, "load_analyzer", load)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """A model of the films in `folder`."""
    from mien.training.videos.data import read_videos
    from mien.training.videos.train import train_videos

    camera = features.FeatureCache(folder / "mood.features", lambda: analyzer_of(folder))
    path = folder / "mood.onnx"
    train_videos(read_videos(folder / "films.csv"), path, camera)
    return path


def test_the_command_trains_and_the_model_predicts(
    mien: Command, folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "new" / "mood.onnx"
    done = mien("train-video", folder / "films.csv", "-o", model)
    assert done.exit_code == 0, done.output
    assert "left out: black.mp4: no face was found in" in done.stderr
    assert "left out: broken.mkv: " in done.stderr
    assert str(model) in done.stdout
    assert "accuracy_of_all" in done.stdout
    assert "no group of videos" in done.stderr
    card = VideoModel(model).card
    assert card.labels == MOODS
    assert (card.kind, card.size, card.model) == ("person", 3, "tiny")
    assert card.figures["accuracy"] > 0.95
    assert card.figures["films"] == 16
    assert card.figures["films_of_all"] == 18
    assert any("2 videos gave no prediction" in line for line in card.protocol)
    assert any("1 videos could not be read" in line for line in card.protocol)
    assert len(list((tmp_path / "new" / "mood.features").glob("*.npz"))) == 18

    for number, mood in ((50, "calm"), (51, "restless")):  # never seen before
        write_video(tmp_path / f"{mood}.mp4", pictures(mood, number))
    table = tmp_path / "t.parquet"
    two = tmp_path / "calm.mp4", tmp_path / "restless.mp4"
    done = mien("analyze", *two, "-o", table, "--video-model", model)
    assert done.exit_code == 0, done.output
    found, settings = read_table(tmp_path / "t.films.parquet")
    assert found["label"].tolist() == list(MOODS)
    assert found["track_id"].notna().all()
    assert (found["probability"] > 0.5).all()
    assert found[list(MOODS)].sum(axis=1).tolist() == pytest.approx([1, 1])
    assert VideoCard.from_json(settings["film_model"]) == card
    assert "restless" in done.stdout
    assert "t.films.parquet" in done.stderr
    assert len(Results.load(table)) == 24
    assert not (tmp_path / "t.embeddings.parquet").exists(), "they were not asked for"


def test_predictions_from_saved_features_are_the_same(
    mien: Command,
    folder: Path,
    trained: Path,
    tmp_path: Path,
) -> None:
    table = tmp_path / "t.csv"
    film = folder / "restless3.mp4"
    options = "--video-model", trained, "--embeddings", "features"
    done = mien("analyze", film, "-o", table, *options)
    assert done.exit_code == 0, done.output
    timeline = Timeline.load(table)
    again = VideoModel(trained).predict(timeline)
    found, _ = read_table(tmp_path / "t.films.csv")
    assert found["label"].tolist() == again["label"].tolist() == ["restless"]
    assert found["restless"].tolist() == pytest.approx(again["restless"].tolist(), abs=0.01)


def test_tables_with_features_can_be_learned_from(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    from mien.training.videos.data import read_videos
    from mien.training.videos.train import train_videos

    rows = ["path,label"]
    for mood in MOODS:
        for i in range(4):
            name = f"{mood}{i}"
            timeline = analyzer_of(folder).video(folder / f"{name}.mp4")
            timeline.save(tmp_path / f"{name}.parquet")
            rows.append(f"{name}.parquet,{mood}")
    (tmp_path / "films.csv").write_text("\n".join(rows))

    def nothing() -> EmotionAnalyzer:
        raise AssertionError("tables need no analyzer")

    camera = features.FeatureCache(tmp_path / "cache", nothing)
    made = train_videos(read_videos(tmp_path / "films.csv"), tmp_path / "m.onnx", camera)
    assert made["accuracy"].value == 1
    assert made.card.model_sha256 == VideoModel(trained).card.model_sha256
    assert not (tmp_path / "cache").exists()


def test_a_stopped_run_loses_no_video(folder: Path, tmp_path: Path) -> None:
    def stopping(results: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    looked: list[str] = []

    def counting(results: Iterator[object]) -> Iterator[object]:
        looked.append("film")
        yield from results

    def camera(watch: object) -> features.FeatureCache:
        return features.FeatureCache(tmp_path, lambda: analyzer_of(folder), None, watch)  # type: ignore[arg-type]

    first, second = folder / "calm0.mp4", folder / "calm1.mp4"
    one = camera(counting).compute(first, "person")
    with pytest.raises(KeyboardInterrupt):
        camera(stopping).compute(second, "person")
    again = camera(stopping).compute(first, "group")
    assert looked == ["film"]
    for kind in ("person", "group"):
        assert again.values[kind].tolist() == one.values[kind].tolist()
    assert (again.model, again.sha256, again.problem) == (one.model, one.sha256, one.problem)
    slower = features.FeatureCache(tmp_path, lambda: analyzer_of(folder), 5, counting)  # type: ignore[arg-type]
    slower.compute(first, "person")
    assert looked == ["film", "film"], "another frame rate is another look"
    for kept in tmp_path.glob("calm0*.npz"):
        truncate(kept, 0.5)
    camera(counting).compute(first, "person")
    assert looked == ["film"] * 3, "what is broken is looked at again"


def test_every_person_of_a_video_has_a_prediction(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    """The one to the left is restless, the one to the right stays blue."""
    film = write_video(tmp_path / "two.mp4", pictures("restless", 4, two=True))
    found = VideoModel(trained).predict(analyzer_of(folder).video(film))
    assert found["label"].tolist() == ["restless", "calm"]
    assert found["track_id"].nunique() == 2
    assert found["frames"].between(8, 12).all()
    assert found["problem"].isna().all()


def test_wrong_use_of_the_commands(
    mien: Command, folder: Path, trained: Path, tmp_path: Path
) -> None:
    def fails(code: int, message: str, *arguments: object) -> None:
        done = mien(*arguments)
        assert done.exit_code == code, done.output
        assert message in done.stderr
        assert "Traceback" not in done.output

    films = folder / "films.csv"
    fails(2, "must end in .onnx", "train-video", films, "-o", tmp_path / "m.pkl")
    fails(3, "no such file", "train-video", tmp_path / "x.csv", "-o", tmp_path / "m.onnx")
    photo = tmp_path / "photo.png"
    photo.touch()
    model = "--video-model", trained
    fails(2, "there is none among the inputs", "analyze", photo, *model)
    fails(
        4,
        "is not a video model",
        "analyze",
        folder / "calm0.mp4",
        "--video-model",
        folder / "tiny.onnx",
    )
    other = video_model(tmp_path / "o.onnx", "person", np.random.default_rng(0), d=3)
    fails(2, "trained on 3 features", "analyze", folder / "calm0.mp4", "--video-model", other)


def test_analyze_reports_videos_without_a_face(mien: Command, folder: Path, trained: Path) -> None:
    films = folder / "black.mp4", folder / "restless0.mp4"
    done = mien("analyze", *films, "--video-model", trained, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    answers = [row for row in rows if "film_model" in row]
    assert [row["label"] for row in answers] == [None, "restless"]
    assert "no face was found" in answers[0]["problem"]
    done = mien("analyze", *films, "--video-model", trained)
    assert "no prediction: no face was found" in " ".join(done.stdout.split())


def test_without_scikit_learn_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['sklearn'] = None; from mien.cli import main; main()"
    command = [sys.executable, "-c", code, "train-video", "x.csv", "-o", "m.onnx"]
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 4
    assert b"pip install scikit-learn onnx, or" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_table_of_two_videos_is_not_one(folder: Path, tmp_path: Path) -> None:
    one = timeline_with_features(lambda i: {1: [1, 1]}, source="a.mp4")
    other = timeline_with_features(lambda i: {1: [1, 1]}, source="b.mp4")
    tables = (pd.concat([getattr(t, name) for t in (one, other)]) for name in ("faces", "images"))
    joined_faces, joined_images = tables
    Timeline(joined_faces, joined_images, one.settings, one.labels).save(tmp_path / "t.parquet")
    camera = features.FeatureCache(tmp_path, lambda: analyzer_of(folder))
    with pytest.raises(InputError, match="is a table of 2 videos: give one of each"):
        camera.compute(tmp_path / "t.parquet", "person")


@pytest.mark.slow
def test_real_faces_of_people_that_it_never_saw(shared: Path, tmp_path: Path) -> None:
    """Eight people, calm and smiling: each is judged by what the other people taught."""
    from mien.training.videos.data import read_videos
    from mien.training.videos.train import train_videos

    film = shared / "media" / "videos" / "london_timeline.mp4"
    analyzer = EmotionAnalyzer(also=("features",), threads=1)
    rows = ["path,label,group"]
    for part in json.loads(film.with_suffix(".json").read_text()):
        name = f"{part['id']}-{part['label']}.parquet"
        seen = analyzer.video(film, start=part["t0"] + 0.02, end=part["t1"] - 0.02, fps=4)
        seen.save(tmp_path / name)
        rows.append(f"{name},{part['label']},{part['id']}")
    (tmp_path / "films.csv").write_text("\n".join(rows))
    camera = features.FeatureCache(tmp_path / "cache", lambda: analyzer)
    made = train_videos(read_videos(tmp_path / "films.csv"), tmp_path / "mood.onnx", camera)
    assert made["accuracy"].count == 16
    assert made["accuracy"].value >= 15 / 16
    assert made.card.model == "mien-mobilenet"
    man = shared / "media" / "videos" / "head-pose-face-detection-male.gif"
    found = VideoModel(made.path).predict(analyzer.video(man, fps=4))
    assert found["label"][0] == "happiness"
