"""The strongest moments: which runs are told, what their films show, and the page about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from actors import acted, towards
from films import number_of, write_film
from typer.testing import CliRunner

from mien.cli.exits import told
from mien.cli.summarize import summarize
from mien.clips import Clip, cut, strongest
from mien.errors import InputError, UsageError
from mien.images import read_image
from mien.result import Result
from mien.sources.video import VideoSource
from mien.timeline import Timeline

FPS = 10
#: Who shows what, from when to when, seconds.
STORY = [
    (1, "happiness", 0.0, 2.0),
    (1, "neutral", 2.0, 6.0),
    (1, "happiness", 6.0, 9.0),
    (1, "sadness", 9.0, 10.0),
    (2, "anger", 3.0, 4.5),
]
BOXES = {1: [2.0, 2.0, 20.0, 20.0], 2: [30.0, 10.0, 50.0, 30.0]}


def results(source: str) -> Iterator[Result]:
    for i in range(100):
        now = i / FPS
        shown = {who: label for who, label, start, end in STORY if start <= now < end}
        people = {who: towards(label) for who, label in shown.items()}
        boxes = [BOXES[who] for who in people]
        yield acted(now, people, index=i, boxes=boxes, source=source)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", frames=100, fps=FPS)


@pytest.fixture
def timeline(film: Path) -> Timeline:
    return Timeline.from_results(results(str(film)))


def runs(clips: list[Clip]) -> list[tuple[int, str, float, float]]:
    return [(c.track_id, c.emotion, round(c.start_s, 1), round(c.end_s, 1)) for c in clips]


def test_each_expression_is_told_before_one_is_told_twice(timeline: Timeline) -> None:
    again, angry, sad = (
        (1, "happiness", 0.0, 2.0),
        (2, "anger", 3.0, 4.5),
        (1, "sadness", 9.0, 10.0),
    )
    assert runs(strongest(timeline)) == [(1, "happiness", 6.0, 9.0), again, angry, sad]
    assert runs(strongest(timeline, 3)) == [(1, "happiness", 6.0, 9.0), angry, sad]
    assert runs(strongest(timeline, 1, leave_out=["happiness"])) == [(1, "neutral", 2.0, 6.0)]
    with pytest.raises(UsageError, match="at least 1"):
        strongest(timeline, 0)


def frames(path: Path | None) -> int:
    assert path is not None
    return len(list(VideoSource(path)))


def number(clip: Clip) -> int:
    """Which frame of the film the clip's picture is; those of its film have drawings on them."""
    assert clip.poster is not None
    return number_of(read_image(clip.poster))


def test_a_clip_shows_its_run_and_a_little_more(timeline: Timeline, tmp_path: Path) -> None:
    clip = cut(timeline, strongest(timeline)[2], tmp_path / "c.mp4")
    assert clip.file == tmp_path / "c.mp4"
    assert frames(clip.file) == 25
    assert number(clip) == round(clip.peak_s * FPS) in range(30, 45)


def test_a_long_run_is_shown_around_its_peak(timeline: Timeline, tmp_path: Path) -> None:
    happy = strongest(timeline)[0]
    clip = cut(timeline, replace(happy, peak_s=8.0), tmp_path / "c.mp4", longest_s=2.0)
    assert frames(clip.file) == 20
    assert number(clip) == 80
    first = cut(timeline, replace(happy, peak_s=6.0), tmp_path / "d.mp4", longest_s=2.0)
    assert frames(first.file) == 20
    assert number(first) == 60


def test_a_film_that_is_gone(timeline: Timeline, film: Path, tmp_path: Path) -> None:
    film.unlink()
    with pytest.raises(InputError, match=r"film\.mp4"):
        cut(timeline, strongest(timeline)[0], tmp_path / "c.mp4")
    assert not (tmp_path / "c.mp4").exists()


def test_the_command_on_a_saved_table(timeline: Timeline, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(told(summarize))
    table, folder = timeline.save(tmp_path / "t.parquet"), tmp_path / "summary"
    done = CliRunner().invoke(app, [str(table), "-o", str(folder), "--clips", "2"])
    assert done.exit_code == 0, done.output
    made = sorted(path.name for path in folder.iterdir())
    one, two = "clip-1-person-1-happiness", "clip-2-person-2-anger"
    assert made == [f"{one}.jpg", f"{one}.mp4", f"{two}.jpg", f"{two}.mp4", "index.html"]
    page = (folder / "index.html").read_text("utf-8")
    assert page.count("<video") == 2
    assert f'src="{two}.mp4"' in page
    (tmp_path / "file").touch()
    failed = CliRunner().invoke(app, [str(table), "-o", str(tmp_path / "file")])
    assert failed.exit_code == 2
    assert "is a file: give a folder" in failed.output


def test_a_film_without_a_face(film: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(told(summarize))
    folder = tmp_path / "summary"
    done = CliRunner().invoke(app, [str(film), "-o", str(folder)])
    assert done.exit_code == 0, done.output
    assert "No face was found" in (folder / "index.html").read_text("utf-8")
