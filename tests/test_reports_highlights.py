"""Highlights: which segments are chosen, what their clips show, and the page of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from helpers.results import frame_result, mostly
from helpers.videos import number_of, write_video
from typer.testing import CliRunner

from mien.cli.commands.summarize import summarize
from mien.cli.exit_codes import with_exit_code
from mien.errors import InputError, UsageError
from mien.media.images import read_image, write_image
from mien.media.video import VideoSource
from mien.reports.highlights import Clip, _between, cut, strongest
from mien.results.result import Result
from mien.sinks.gif import GifSink
from mien.timeline.timeline import Timeline
from mien.types import Frame, Image

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
        people = {who: mostly(label) for who, label in shown.items()}
        boxes = [BOXES[who] for who in people]
        yield frame_result(now, people, index=i, boxes=boxes, source=source)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_video(tmp_path / "film.mp4", frames=100, fps=FPS)


@pytest.fixture
def timeline(film: Path) -> Timeline:
    return Timeline.from_results(results(str(film)))


def runs(clips: list[Clip]) -> list[tuple[int, str, float, float]]:
    return [(c.track_id, c.emotion, round(c.start_s, 1), round(c.end_s, 1)) for c in clips]


def test_each_expression_appears_before_one_appears_twice(timeline: Timeline) -> None:
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


def test_a_video_that_is_gone(timeline: Timeline, film: Path, tmp_path: Path) -> None:
    film.unlink()
    with pytest.raises(InputError, match=r"film\.mp4"):
        cut(timeline, strongest(timeline)[0], tmp_path / "c.mp4")
    assert not (tmp_path / "c.mp4").exists()


def test_the_command_on_a_saved_table(timeline: Timeline, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(with_exit_code(summarize))
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


def test_a_gif_is_small_and_keeps_its_time(timeline: Timeline, tmp_path: Path) -> None:
    clip = cut(timeline, strongest(timeline)[2], tmp_path / "c.gif")
    assert clip.file == tmp_path / "c.gif"
    assert clip.poster is None
    assert [path.name for path in tmp_path.glob("c.*")] == ["c.gif"]
    times = [frame.time_s for frame in VideoSource(tmp_path / "c.gif")]
    assert len(times) == 25
    assert times[-1] == pytest.approx(2.4)


def test_a_gif_has_ten_frames_a_second_at_most(tmp_path: Path) -> None:
    with GifSink(tmp_path / "a.gif") as sink:
        for i in range(50):
            image = np.full((500, 900, 3), i, np.uint8)
            sink.write(frame_result(i / 25, {1: mostly("anger")}, index=i, image=image))
    frames_ = list(VideoSource(tmp_path / "a.gif"))
    assert len(frames_) == 20
    assert frames_[0].read().shape == (222, 400, 3)
    assert frames_[-1].time_s == pytest.approx(1.9, abs=0.05)
    with pytest.raises(UsageError, match=r"a \.gif file"), GifSink(tmp_path / "a.mp4"):
        pass
    with pytest.raises(UsageError, match="no folder"), GifSink(tmp_path / "no" / "a.gif"):
        pass
    with GifSink(tmp_path / "nothing.gif"):
        pass
    assert not (tmp_path / "nothing.gif").exists()


def test_between_sampled_frames_boxes_are_interpolated(film: Path, tmp_path: Path) -> None:
    """As after an adaptive run: every tenth frame was looked at, and the face moves."""
    looks = [
        frame_result(
            i / FPS, {1: mostly("anger")}, index=i, boxes=[[x, 10, x + 10, 20]], source=str(film)
        )
        for i, x in ((0, 0.0), (10, 20.0), (20, 40.0), (90, 40.0))
    ]
    timeline = Timeline.from_results(looks)
    clip = Clip(str(film), 1, "anger", 0.5, 1.5, 0.8, 1.0)
    made = cut(timeline, clip, tmp_path / "c.mp4")
    assert frames(made.file) == 20
    known = {result.index: result for result in looks}
    between = _between(frame_at(15), [0, 10, 20, 90], known)
    assert between is not None
    assert between.faces.boxes[0].tolist() == [30, 10, 40, 20]
    assert (between.index, between.emotions) == (15, ("anger",))
    for far in (50, 95):  # too long after a look, and after the last
        assert _between(frame_at(far), [0, 10, 20, 90], known) is None


def test_a_clip_keeps_its_frames_without_a_face(film: Path, tmp_path: Path) -> None:
    shown = [
        frame_result(
            i / FPS, {} if 12 <= i < 18 else {1: mostly("anger")}, index=i, source=str(film)
        )
        for i in range(30)
    ]
    clip = Clip(str(film), 1, "anger", 0.0, 3.0, 0.8, 1.0)
    made = cut(Timeline.from_results(shown), clip, tmp_path / "c.mp4")
    assert made.file is not None
    numbers = [number_of(frame.read()) for frame in VideoSource(made.file)]
    assert len(numbers) == 30
    assert numbers[12:18] == list(range(12, 18))


def frame_at(index: int) -> Frame:
    return Frame("film.mp4", lambda: np.zeros((4, 4, 3), np.uint8), index, index / FPS)


def summarized(*arguments: object) -> tuple[int, list[str]]:
    app = typer.Typer()
    app.command()(with_exit_code(summarize))
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert "Traceback" not in done.output
    return done.exit_code, done.output.strip().splitlines()


def test_gifs_by_the_command(timeline: Timeline, tmp_path: Path) -> None:
    table, folder = timeline.save(tmp_path / "t.parquet"), tmp_path / "summary"
    assert summarized(table, "-o", folder, "--gif", "--clips", 1, "--affect")[0] == 0
    made = sorted(path.name for path in folder.iterdir())
    assert made == ["clip-1-person-1-happiness.gif", "index.html"]
    html = (folder / "index.html").read_text("utf-8")
    assert 'src="clip-1-person-1-happiness.gif"' in html
    assert "mien-plane" in html


def test_without_the_video_the_page_is_still_written(
    timeline: Timeline, film: Path, tmp_path: Path
) -> None:
    table, folder = timeline.save(tmp_path / "t.parquet"), tmp_path / "summary"
    film.unlink()
    code, lines = summarized(table, "-o", folder, "--clips", 2)
    assert code == 3
    assert [line.endswith("'.") and "could not be made" in line for line in lines[:2]] == [True] * 2
    assert lines[2].startswith("wrote")
    assert "Segments" in (folder / "index.html").read_text("utf-8")


def test_where_everything_is_neutral_there_are_no_clips(film: Path, tmp_path: Path) -> None:
    calm = (
        frame_result(i / FPS, {1: mostly("neutral")}, index=i, source=str(film)) for i in range(100)
    )
    table = Timeline.from_results(calm).save(tmp_path / "t.parquet")
    code, lines = summarized(table, "-o", tmp_path / "summary")
    assert (code, len(lines)) == (0, 2)
    assert lines[0] == (
        "there are no clips: no expression but neutral lasts half a second or longer."
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photo.png", "is an image, not a video"),
        ("folder", "is a folder"),
        ("no.mp4", "No such file"),
    ],
)
def test_an_input_that_is_no_video_leaves_no_folder(tmp_path: Path, name: str, words: str) -> None:
    write_image(tmp_path / "photo.png", np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "folder").mkdir()
    code, lines = summarized(tmp_path / name, "-o", tmp_path / "summary")
    assert (code, len(lines)) == (3, 1)
    assert words in lines[0]
    assert not (tmp_path / "summary").exists()


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_of_a_frame_or_two(tmp_path: Path, count: int, astronaut: Image) -> None:
    film = write_video(tmp_path / "short.mp4", [astronaut] * count)
    code, lines = summarized(film, "-o", tmp_path / "summary", "--adaptive")
    assert code == 0, lines
    assert lines[0].startswith("there are no clips")
    names = {path.name for path in (tmp_path / "summary").iterdir()}
    assert {"index.html", "short.parquet", "short.images.parquet"} <= names


def test_the_crying_and_the_laughing_are_both_among_the_clips(shared: Path, tmp_path: Path) -> None:
    """A woman cries, hides her mouth, and laughs; as any viewer sees, and videos.csv says."""
    film = shared / "media" / "videos" / "WolfgangLanger_Pexels.mp4"
    assert summarized(film, "-o", tmp_path / "s", "--adaptive", "--longest", 2)[0] == 0
    names = [path.name for path in sorted((tmp_path / "s").glob("clip-*.mp4"))]
    assert names[:2] == ["clip-1-person-1-happiness.mp4", "clip-2-person-1-sadness.mp4"]


def test_a_video_without_a_face(film: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(with_exit_code(summarize))
    folder = tmp_path / "summary"
    done = CliRunner().invoke(app, [str(film), "-o", str(folder)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == f"no face was found in {film.name}."
    assert "No face was found" in (folder / "index.html").read_text("utf-8")
