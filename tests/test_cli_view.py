"""The viewer of saved analyses: keys, what is shown, and frames read again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.results import failed_frame, frame_result, mostly, save_table
from helpers.videos import number_of, numbered_image, write_video
from typer.testing import CliRunner

from mien.cli.commands.view import load, view
from mien.cli.exit_codes import with_exit_code
from mien.cli.viewer.saved import Viewer
from mien.errors import InputError
from mien.labels import color_of
from mien.media.frame_reader import FrameReader
from mien.media.images import write_image
from mien.results.result import Result

FPS = 10
BOXES = [[2.0, 2.0, 20.0, 20.0], [30.0, 10.0, 50.0, 30.0]]


def results(source: Path, frames: int = 40) -> Iterator[Result]:
    """Person 1 throughout, happy and then sad; person 2 in the second half; some frames failed."""
    for i in range(frames):
        if i in (5, 6):
            failed = failed_frame(i / FPS, index=i, dropped=i == 6)
            object.__setattr__(failed, "source", str(source))
            yield failed
            continue
        people = {1: mostly("happiness" if i < frames // 2 else "sadness")}
        if i >= frames // 2:
            people[2] = mostly("anger", 0.4)
        if i == 10:
            people = {}
        shown = BOXES[: len(people)]
        yield frame_result(i / FPS, people, index=i, boxes=shown, source=str(source))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    film = write_video(tmp_path / "film.mp4", frames=40, fps=FPS)
    return save_table(results(film), tmp_path / "film.parquet")


@pytest.fixture
def viewer(table: Path) -> Viewer:
    return load(table)


def press(viewer: Viewer, *keys: str) -> int:
    for key in keys:
        viewer.press(key)
    return viewer.position


def test_keys_lead_to_frames(viewer: Viewer) -> None:
    assert len(viewer) == 40
    assert press(viewer, "left") == 0
    assert press(viewer, "right", "right") == 2
    assert press(viewer, "pagedown") == 12
    assert press(viewer, "pageup") == 2
    assert press(viewer, "pageup") == 0
    assert press(viewer, "end", "right") == 39
    assert press(viewer, "pagedown") == 39
    assert press(viewer, "home") == 0
    viewer.at(1.26)
    assert viewer.position == 12
    viewer.seek(1.0)
    assert viewer.position == 39
    assert not viewer.done
    press(viewer, "q")
    assert viewer.done


def test_a_second_is_a_second_whatever_the_frame_rate(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.9, 1.05, 2.8, 2.9]
    path = save_table(
        (frame_result(t, index=i) for i, t in enumerate(times)), tmp_path / "t.parquet"
    )
    viewer = load(path)
    assert [press(viewer, "pagedown") for _ in range(5)] == [3, 4, 5, 6, 6]
    assert [press(viewer, "pageup") for _ in range(3)] == [4, 0, 0]


def test_the_view_shows_the_frame_of_the_video_with_its_people(viewer: Viewer) -> None:
    screen = viewer.next_screen()
    assert screen is not None
    assert screen.image is not None
    assert number_of(screen.image) == 0
    assert viewer.next_screen() is None  # nothing has changed
    press(viewer, "end")
    screen = viewer.next_screen()
    assert screen is not None
    assert screen.image is not None
    assert number_of(screen.image) == 39
    assert [p.wordings[0] for p in screen.people] == [
        "person 1: sadness 80 %",
        "person 2: uncertain",
    ]
    assert [p.box.tolist() for p in screen.people] == BOXES
    assert screen.people[0].values.sum() == pytest.approx(1, abs=1e-5)
    assert "3.90 s" in screen.headline
    assert "frame 39 (40 of 40)" in screen.headline
    assert "2 faces" in screen.headline


def test_the_selected_person_stays_selected(viewer: Viewer) -> None:
    assert viewer.selected == 1
    press(viewer, "end", "down")
    assert viewer.selected == 2
    press(viewer, "home")
    assert viewer.selected == 1  # the other one is not there
    press(viewer, "end")
    assert viewer.selected == 2
    press(viewer, "up")
    assert viewer.selected == 1
    viewer.go(10)
    press(viewer, "down")
    screen = viewer.next_screen()
    assert screen is not None
    assert screen.selected is None
    assert screen.message == "there is no face in this frame"


def test_failed_and_dropped_frames_say_why(viewer: Viewer) -> None:
    for position, status in ((5, "error"), (6, "dropped")):
        viewer.go(position)
        screen = viewer.next_screen()
        assert screen is not None
        assert screen.image is None
        assert screen.headline.endswith(status)
        assert screen.message == "the frame is damaged."
        assert screen.background().shape == (480, 640, 3)


def test_the_strip_has_the_colors_of_the_selected_person(viewer: Viewer) -> None:
    def colors() -> list[tuple[int, ...]]:
        press(viewer, "s" if False else "home" if viewer.position == 0 else "end")
        screen = viewer.next_screen()
        assert screen is not None
        assert screen.strip is not None
        assert screen.cursor == viewer.position / 39
        return [tuple(color) for color in screen.strip.tolist()]

    first = colors()
    assert len(first) == 40
    assert first[0] == color_of("happiness")
    assert first[39] == color_of("sadness")
    assert first[5] == first[6] == (60, 60, 60)
    assert first[10] == (226, 228, 232)
    press(viewer, "end", "down")
    second = colors()
    assert second[0] == (226, 228, 232)
    assert second[39] == color_of("uncertain")


def test_playing_follows_the_clock(table: Path) -> None:
    now = [100.0]
    viewer = Viewer(*_tables(table), FrameReader(table.parent), clock=lambda: now[0])
    press(viewer, "space")
    for passed, position in ((0.05, 0), (0.1, 1), (0.35, 3), (1.0, 10)):
        now[0] = 100.0 + passed
        viewer.next_screen()
        assert viewer.position == position
    press(viewer, "space")
    now[0] = 103.0
    viewer.next_screen()
    assert viewer.position == 10
    press(viewer, "space")
    now[0] = 200.0
    viewer.next_screen()
    assert viewer.position == 39
    now[0] = 201.0
    assert viewer.next_screen() is None
    press(viewer, "space")  # from the end it begins again
    assert viewer.position == 0


def _tables(table: Path) -> tuple[Any, Any, tuple[str, ...]]:
    from mien.results.collection import load_tables

    faces, images, labels, _ = load_tables(table)
    return faces, images, labels


def test_photos_are_frames_too(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(25)]
    for i, path in enumerate(paths):
        write_image(path, numbered_image(i, (64 + i, 48)))
    made = [
        frame_result(
            None, {0: mostly("fear")}, image=numbered_image(i, (64 + i, 48)), source=str(path)
        )
        for i, path in enumerate(paths)
    ]
    viewer = load(save_table(made, tmp_path / "t.csv"))
    assert press(viewer, "right", "pagedown") == 11
    screen = viewer.next_screen()
    assert screen is not None
    assert screen.image is not None
    assert number_of(screen.image) == 11
    assert screen.image.shape == (48, 75, 3)
    assert screen.headline.startswith("11.png   image 12 of 25")
    press(viewer, "space")
    assert viewer.next_screen() is not None
    assert viewer.position == 11


def test_without_its_video_a_table_still_shows_boxes(table: Path, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").unlink()
    screen = load(table).next_screen()
    assert screen is not None
    assert screen.image is None
    assert "film.mp4 is not there any more" in screen.message
    assert screen.background().shape == (48, 64, 3)
    assert len(screen.people) == 1


def test_a_video_that_was_moved_with_its_table_is_found(table: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in [*tmp_path.glob("film*")]:
        path.rename(moved / path.name)
    screen = load(moved / table.name).next_screen()
    assert screen is not None
    assert screen.image is not None


def test_an_empty_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no frames"):
        load(save_table([], tmp_path / "t.parquet"))


def test_reading_again_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0.0, 0.05, 0.2, 0.21, 0.6, 1.3, 1.35, 2.0, 2.5, 3.0, 3.4]
    film = write_video(tmp_path / "film.mp4", times=times)
    opened: list[float] = []
    from mien.media import frame_reader, video

    class Counted(video.VideoSource):
        def __init__(self, *args: Any, **options: Any) -> None:
            opened.append(options["start"])
            super().__init__(*args, **options)

    monkeypatch.setattr(frame_reader, "VideoSource", Counted)
    read = FrameReader(tmp_path)
    for order in (range(11), reversed(range(11)), [7, 2, 9, 9, 0, 10, 5]):
        for i in order:
            assert number_of(read(str(film), times[i], (64, 48))) == i
    assert len(opened) == 1  # such a small film stays in memory
    fresh = FrameReader(tmp_path)
    opened.clear()
    for i in reversed(range(11)):
        assert number_of(fresh(str(film), times[i], None)) == i
    assert len(opened) <= 7  # stepping back reads some frames at once
    with pytest.raises(InputError, match=r"no frame"):
        read(str(film), 9.0, None)
    assert read(str(film), 0.0, (32, 24)).shape == (48, 64, 3)  # kept from before
    assert FrameReader(tmp_path)(str(film), 0.0, (32, 24)).shape == (24, 32, 3)


def test_memory_for_images_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.frame_reader._BYTES", 3 * 64 * 48 * 3)
    film = write_video(tmp_path / "film.mp4", frames=10)
    read = FrameReader(tmp_path)
    for i in [*range(10), 3, 0, 9]:
        assert number_of(read(str(film), i / 10, None)) == i
        assert len(read._cache) <= 3


@pytest.fixture
def run() -> Callable[..., Any]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(with_exit_code(view))
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def test_piped_it_prints_one_frame(run: Callable[..., Any], table: Path) -> None:
    done = run(table)
    assert done.exit_code == 0
    assert "film.mp4   0.00 s   frame 0" in done.stdout
    assert "happiness 80 %" in done.stdout
    assert "--at" in done.stderr
    done = run(table, "--at", "3.0")
    assert "3.00 s" in done.stdout
    assert "person 2" in done.stdout
    assert "\x1b" not in done.stdout


def test_what_is_no_table_is_one_sentence(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"nothing of the kind")
    for name, code in (("a.parquet", 3), ("gone.parquet", 3), ("a.mp4", 2)):
        done = run(tmp_path / name)
        assert done.exit_code == code
        assert len(done.stderr.strip().splitlines()) == 1
        assert name in done.stderr


def test_without_a_display_there_is_no_window(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.cli.viewer.window import show_in_window

    if sys.platform != "linux":
        pytest.skip("other systems always have one")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not show_in_window(viewer)
    pytest.importorskip("tkinter")
    monkeypatch.setenv("DISPLAY", ":987")  # named, but nobody is there
    assert not show_in_window(viewer)
