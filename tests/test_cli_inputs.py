"""Folders, patterns, addresses and repeated names, through the real command."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.command import mien
from helpers.videos import write_video

from mien import Timeline
from mien.errors import UsageError
from mien.media.images import read_image
from mien.results.files import SUFFIXES
from mien.types import Image


@pytest.fixture(scope="module")
def face() -> Image:
    path = Path(__file__).parents[1] / "src" / "mien" / "assets" / "astronaut.jpg"
    return np.ascontiguousarray(read_image(path)[:300, 60:360])


def film(path: Path, face: Image, shift: int = 0, times: list[float] | None = None) -> Path:
    """Frames with the same face, moved by `shift` pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    moved = np.roll(face, shift, axis=1)
    return write_video(path, [moved] * (len(times) if times else 4), times=times)


def test_a_folder_of_everything_ends_in_one_table(tmp_path: Path, photo: Path, face: Image) -> None:
    media = tmp_path / "media"
    film(media / "session.mp4", face)
    shutil.copy(photo, media / "photo")
    shutil.copy(photo, media / "photo.annotated.jpg")
    (media / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(40))
    (media / "notes.txt").write_text("notes")
    done = mien(
        "analyze", media, "http://127.0.0.1:9/x.jpg", media / "photo", "-o", tmp_path / "t.csv"
    )
    assert done.exit_code == 3
    assert (
        "left out: 1 annotated copy by mien, 1 file that is neither image nor video,"
        " 1 input named twice" in done.stderr
    )
    assert "1 image, 4 frames, 5 faces, 2 could not be read" in done.stderr
    images = pd.read_csv(tmp_path / "t.images.csv")
    names = [name.rpartition("/")[2] for name in images["source"].drop_duplicates()]
    assert names == ["broken.jpg", "photo", "session.mp4", "x.jpg"]
    assert images["status"].tolist() == ["error", "ok", *["ok"] * 4, "error"]


def test_a_pattern_is_expanded_where_no_shell_does(tmp_path: Path, face: Image) -> None:
    for name in ("a.mp4", "b.mp4"):
        film(tmp_path / name, face)
    done = mien("analyze", tmp_path / "*.mp4", "-o", tmp_path / "t.csv")
    assert done.exit_code == 0
    assert pd.read_csv(tmp_path / "t.images.csv")["source"].nunique() == 2


def test_one_video_named_twice_is_one(tmp_path: Path, face: Image) -> None:
    path = film(tmp_path / "a.mp4", face)
    done = mien("analyze", path, path, "-o", tmp_path / "t.csv")
    assert done.exit_code == 0
    assert Timeline.load(tmp_path / "t.csv").summary()["visible_s"].tolist() == pytest.approx(
        [0.4, 0.4]
    )
    assert mien("report", tmp_path / "t.csv").exit_code == 0


@pytest.mark.parametrize("shift", [0, 8])
def test_two_recordings_of_one_name_stay_two(
    tmp_path: Path, face: Image, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    for name, moved in (("p01", 0), ("p02", shift)):
        film(tmp_path / name / "film.mp4", face, moved)
        monkeypatch.chdir(tmp_path / name)
        table = tmp_path / f"{name}.parquet"
        done = mien("analyze", "film.mp4", "-o", table, "--embeddings", "identity")
        assert done.exit_code == 0
    done = mien("people", tmp_path / "p01.parquet", tmp_path / "p02.parquet", "-o", tmp_path / "o")
    assert done.exit_code == 0
    assert ("is in more than one table, and is used once" in done.stderr) == (shift == 0)
    rows = pd.read_csv(tmp_path / "o" / "people.csv")
    assert rows["films"].sum() == (1 if shift == 0 else 2)


def test_the_end_is_that_of_the_file_also_after_saving(tmp_path: Path, face: Image) -> None:
    path = film(tmp_path / "hold.mp4", face, times=[0.0, 1.0, 5.0])
    for name in (f"t{suffix}" for suffix in SUFFIXES):
        assert mien("analyze", path, "-o", tmp_path / name).exit_code == 0
        timeline = Timeline.load(tmp_path / name)
        assert timeline.duration_s == pytest.approx(5.1, abs=0.11)
        assert timeline.segments()["end_s"].max() == pytest.approx(timeline.duration_s)
    images = pd.read_csv(tmp_path / "t.images.csv")
    assert images["duration_s"].tolist()[:2] == pytest.approx([1, 4])
    images.drop(columns="duration_s").to_csv(tmp_path / "t.images.csv", index=False)
    assert Timeline.load(tmp_path / "t.csv").duration_s == pytest.approx(6)  # as earlier versions


def test_sampled_frames_do_not_last_beyond_the_video(tmp_path: Path, face: Image) -> None:
    path = film(tmp_path / "a.mp4", face, times=[i / 4 for i in range(12)])
    done = mien("analyze", path, "--fps", "0.4", "-o", tmp_path / "t.csv")
    assert done.exit_code == 0
    timeline = Timeline.load(tmp_path / "t.csv")
    assert len(timeline.images) == 2
    assert timeline.duration_s == pytest.approx(3, abs=0.2)


def test_nothing_in_the_range_is_an_error_without_a_frame(tmp_path: Path, face: Image) -> None:
    path = film(tmp_path / "a.mp4", face)
    done = mien("analyze", path, "--start", "60")
    assert done.exit_code == 3
    assert f"mien: {path} has no frame in the requested range" in done.stderr
    assert "0 faces, 1 could not be read" in done.stderr
    assert not done.stdout.strip()


def test_a_video_in_place_of_its_table(tmp_path: Path) -> None:
    done = mien("report", tmp_path / "film.mp4")
    assert done.exit_code == 2
    assert "create one first: mien analyze film.mp4 -o film.parquet" in done.stderr
    with pytest.raises(UsageError, match="create one first"):
        Timeline.load(tmp_path / "film.mp4")


def test_a_stream_has_no_start(tmp_path: Path) -> None:
    done = mien("analyze", "rtsp://127.0.0.1:9/a", "--start", "3", "-o", tmp_path / "t.csv")
    assert done.exit_code == 2
    assert "a camera or stream has no --fps, --every, --start or --stream" in done.stderr
