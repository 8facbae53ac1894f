"""The live view: what is shown, what the keys do, what is written, how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from helpers.results import Analyst, acted, lost, towards
from helpers.videos import picture, write_film
from typer.testing import CliRunner

from mien.cli.commands.watch import watch
from mien.cli.exit_codes import with_exit_code
from mien.cli.viewer.keys import names_of
from mien.cli.viewer.live import KEYS, Live
from mien.cli.viewer.terminal import half_blocks, layout, lines
from mien.cli.viewer.view import Renderer, Screen
from mien.cli.viewer.window import _ppm
from mien.errors import VideoError
from mien.media.video import VideoSource
from mien.results.collection import load_tables
from mien.sinks.stabilizer import people_of
from mien.types import Frame

FPS = 20


class Camera:
    """Frames at a fixed rate for some seconds; `hold` lets one frame through at a time."""

    live = True

    def __init__(self, frames: int = 40, *, error: Exception | None = None) -> None:
        self.frames, self.error = frames, error
        self.go = threading.Event()
        self.go.set()

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self.frames):
            time.sleep(1 / FPS)
            self.go.wait(5)
            yield Frame("camera 0", lambda i=i: picture(i), i, i / FPS)  # type: ignore[misc]
        if self.error is not None:
            raise self.error


def live(frames: Any, **options: Any) -> Live:
    return Live("camera 0", frames, lambda gate: Analyst().stream(gate, keep=True), **options)


def until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def watched(view: Live, seconds: float = 10) -> list[Screen]:
    """Every screen until the view ends."""
    screens, end = [], time.monotonic() + seconds
    while not view.done:
        assert time.monotonic() < end, "it did not end in time"
        screen = view.next_screen()
        if screen is not None:
            screens.append(screen)
        time.sleep(0.002)
    return screens


def test_the_newest_result_is_shown_once() -> None:
    with live(Camera(10)) as view:
        screens = watched(view)
    shown = [screen.index for screen in screens if screen.image is not None]
    assert shown == sorted(set(shown))
    assert len(shown) >= 8
    assert screens[-1].people[0].wordings[0] == "person 1: happiness 80 %"
    assert "64 x 48" in screens[-1].headline
    assert "fps" in screens[-1].headline
    assert screens[-1].keys == KEYS
    assert view.counts == {"ok": 10, "dropped": 0, "error": 0}
    assert view.error is None


def test_nothing_waits_in_a_queue() -> None:
    """After a while, the screen has the last frame, not the next one."""
    with live(Camera(12)) as view:
        until(lambda: view.counts["ok"] == 12)
        screen = view.next_screen()
        assert screen is not None
        assert screen.index == 11
        assert view.next_screen() is None


def test_dropped_and_failed_frames_are_counted_and_shown() -> None:
    def analyse(frames: object) -> Iterator[Any]:
        yield acted(0.0, {1: towards("fear")})
        yield lost(0.1, index=1, dropped=True)
        yield lost(0.2, index=2)
        yield acted(0.3, {1: towards("fear")}, index=3)
        time.sleep(0.3)

    with Live("camera 0", [], analyse) as view:
        screen = watched(view)[-1]
    assert view.counts == {"ok": 2, "dropped": 1, "error": 1}
    assert "1 dropped" in screen.headline
    assert "1 failed" in screen.headline
    assert screen.message == "the frame is damaged."


def test_a_film_runs_at_its_own_speed_and_late_frames_are_left_out(tmp_path: Path) -> None:
    film = VideoSource(write_film(tmp_path / "a.mp4", frames=20, fps=20))

    def slow(frames: Any) -> Iterator[Any]:
        for result in Analyst().stream(frames, keep=True):
            if result.status == "ok":
                time.sleep(0.15)
            yield result

    begun = time.monotonic()
    with Live("a.mp4", film, slow, own_speed=True) as view:
        watched(view)
    assert 0.8 < time.monotonic() - begun < 2.5
    assert sum(view.counts.values()) == 20
    assert view.counts["dropped"] >= 8
    assert view.counts["ok"] >= 3
    with live(film, own_speed=True) as view:
        watched(view)
    assert view.counts["ok"] >= 18


def test_a_pause_lets_nothing_through_and_does_not_count_as_late(tmp_path: Path) -> None:
    film = VideoSource(write_film(tmp_path / "a.mp4", frames=12, fps=20))
    with live(film, own_speed=True) as view:
        until(lambda: view.counts["ok"] >= 3)
        view.press("space")
        time.sleep(0.1)
        seen = sum(view.counts.values())
        time.sleep(0.4)
        assert sum(view.counts.values()) == seen
        screen = view.next_screen()
        assert screen is not None
        assert "paused" in screen.message
        view.press("space")
        watched(view)
    assert sum(view.counts.values()) == 12
    assert view.counts["ok"] >= 10


def test_a_paused_camera_is_not_analysed() -> None:
    with live(Camera(200)) as view:
        until(lambda: view.counts["ok"] >= 2)
        view.press("space")
        time.sleep(0.15)
        seen = view.counts["ok"]
        time.sleep(0.3)
        assert view.counts["ok"] == seen
        view.press("space")
        until(lambda: view.counts["ok"] > seen)
        view.press("q")


def test_keys_select_people() -> None:
    crowd = {3: towards("fear"), 1: towards("anger"), 7: towards("neutral")}
    boxes = [[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]

    def analyse(frames: object) -> Iterator[Any]:
        yield acted(0.0, crowd, boxes=boxes)
        time.sleep(0.5)

    def chosen(key: str) -> int | None:
        view.press(key)
        screen = view.next_screen()
        assert screen is not None
        return screen.selected

    with Live("camera 0", [], analyse) as view:
        until(lambda: view.counts["ok"])
        assert [chosen(key) for key in ("down", "down", "down", "down")] == [1, 3, 7, None]
        assert [chosen(key) for key in ("up", "up")] == [7, 3]
        assert chosen("1") == 1
        view.press("5")
        screen = view.next_screen()
        assert screen is not None
        assert (screen.selected, screen.message) == (1, "there is no face 5 now")
        view.press("escape")
        assert view.done


def test_recording_starts_and_stops(tmp_path: Path) -> None:
    path = tmp_path / "rec.mp4"
    with live(Camera(200), record=path) as view:
        until(lambda: view.counts["ok"] >= 6)
        screen = view.next_screen()
        assert screen is not None
        assert "recording rec.mp4" in screen.headline
        view.press("r")
        until(lambda: view.recorded)
        assert path.is_file()
        view.press("r")
        seen = view.counts["ok"]
        until(lambda: view.counts["ok"] >= seen + 5)
        view.press("q")
    assert view.recorded == [path, tmp_path / "rec-2.mp4"]
    info = VideoSource(path).info
    assert info.width == VideoSource(tmp_path / "rec-2.mp4").info.width
    assert info.duration_s == pytest.approx(0.3, abs=0.2)


def test_a_recording_that_cannot_be_written_is_said_and_the_view_goes_on(tmp_path: Path) -> None:
    with live(Camera(200), record=tmp_path / "gone" / "rec.mp4") as view:
        until(lambda: (screen := view.next_screen()) is not None and "no folder" in screen.message)
        seen = view.counts["ok"]
        until(lambda: view.counts["ok"] > seen)
        view.press("q")
    assert view.recorded == []


def test_a_snapshot_is_written_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with live(Camera(60)) as view:
        until(lambda: view.counts["ok"])
        for _ in range(2):
            view.press("s")
        screen = view.next_screen()
        assert screen is not None
        assert screen.message.startswith("wrote mien-")
        view.press("q")
    assert len(list(tmp_path.glob("mien-*.png"))) == 2


def test_it_ends_by_itself_with_the_source_and_with_an_error() -> None:
    begun = time.monotonic()
    with live(Camera(1000), seconds=0.5) as view:
        watched(view)
    assert 0.4 < time.monotonic() - begun < 3
    with live(Camera(3, error=VideoError("the camera was unplugged."))) as view:
        watched(view)
    assert isinstance(view.error, VideoError)


def test_a_source_that_hangs_does_not_hang_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.worker.GRACE_S", 0.2)
    camera = Camera(1000)
    with live(camera) as view:
        until(lambda: view.counts["ok"] >= 2)
        camera.go.clear()
        time.sleep(0.1)
        view.press("q")
    camera.go.set()
    assert view.done


class _Never(Analyst):
    def __init__(self, *_: object, **__: object) -> None: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls the command with a stand-in for the analyzer, where there is no display."""
    monkeypatch.setattr("mien.cli.inputs.load_analyzer", _Never)
    monkeypatch.setattr("mien.cli.viewer.window.has_display", lambda: False)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(with_exit_code(watch))
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def test_without_a_terminal_it_prints_lines(run: Callable[..., Any], tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", frames=30, fps=20)
    table, record = tmp_path / "t.parquet", tmp_path / "r.mp4"
    done = run(film, "-o", table, "--record", record)
    assert done.exit_code == 0, done.output
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    assert 1 <= len(printed) <= 4
    assert printed[0].endswith("person 1: happiness 80 %")
    faces, images, labels, _ = load_tables(table)
    assert len(images) == 30  # also those that were left out
    assert len(faces) == (images["status"] == "ok").sum()
    assert "happiness" in labels
    assert VideoSource(record).info.duration_s == pytest.approx(1.5, abs=0.2)
    assert f"wrote {record}" in done.stderr
    assert f"wrote {table}" in done.stderr


def test_wrong_sources_are_one_sentence(
    run: Callable[..., Any], tmp_path: Path, photo: Path
) -> None:
    (tmp_path / "fake.mp4").write_bytes(b"no film at all, but long enough to be one" * 9)
    for source, code, words in [
        (photo, 2, "mien analyze"),
        (tmp_path / "gone.mp4", 3, "gone.mp4"),
        (tmp_path / "fake.mp4", 3, "fake.mp4"),
    ]:
        done = run(source)
        assert done.exit_code == code
        assert words in done.stderr
        assert "Traceback" not in done.output
        assert len(done.stderr.strip().splitlines()) == 1


def test_keys_of_terminals() -> None:
    assert names_of("q \x1b[A\x1bOB\x1b[6~\x1b[5~\x1b[H7\r\x1b") == [
        "q",
        "space",
        "up",
        "down",
        "pagedown",
        "pageup",
        "home",
        "7",
        "enter",
        "escape",
    ]
    assert names_of("\x1b[1;5Cx") == ["x"]  # Ctrl with an arrow means nothing


def seen() -> Screen:
    """Two people in one frame, the second selected."""
    people = {1: towards("happiness"), 2: towards("fear", 0.4)}
    result = acted(1.5, people, boxes=[[5, 5, 20, 20], [30, 5, 50, 25]])
    strip = np.array([[230, 159, 0]] * 5 + [[0, 0, 0]] * 5, np.uint8)
    return Screen(
        result.image,
        people_of(result),
        result.labels,
        "a.mp4",
        "q quit",
        selected=2,
        time_s=1.5,
        strip=strip,
    )


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (40, 12)])
@pytest.mark.parametrize("colors", [True, False])
def test_a_screen_fits_its_terminal(size: tuple[int, int], colors: bool) -> None:
    import io

    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=size[0],
        height=size[1],
        force_terminal=True,
        color_system="truecolor" if colors else None,
    )
    console.print(layout(seen(), console))
    text = out.getvalue()
    assert len(text.splitlines()) <= max(size[1], 17)  # the bars need their lines
    assert ("▀" in text) == colors
    for words in ("person 2", "happiness", "q quit", "a.mp4"):
        assert words in text
    if size[0] >= 80:
        assert "40 %" in text


def test_half_blocks_show_the_picture() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20] = (250, 0, 0)
    text = half_blocks(image, 10, 4)
    rows = text.plain.split("\n")
    assert [len(row) for row in rows] == [8] * 4
    assert str(text.spans[0].style) == "rgb(250,0,0) on rgb(250,0,0)"
    assert str(text.spans[-1].style) == "rgb(0,0,0) on rgb(0,0,0)"


def test_lines_name_everybody() -> None:
    assert lines(seen()) == [
        "    1.50 s  person 1: happiness 80 %",
        "    1.50 s  person 2: uncertain",
    ]


@pytest.mark.parametrize("room", [(1280, 860), (400, 300), (700, 250), (250, 800)])
def test_the_stage_fits_its_room(room: tuple[int, int]) -> None:
    renderer = Renderer()
    drawn = renderer.draw(seen(), room)
    assert drawn.shape[1] <= room[0] + 2
    assert drawn.shape[0] <= max(room[1], 200) + 2
    row = drawn[renderer.strip_rows[len(renderer.strip_rows) // 2]]
    assert tuple(row[row.shape[0] // 4]) == (230, 159, 0)
    assert tuple(row[-2]) == (0, 0, 0)


def test_ppm_is_what_tk_reads() -> None:
    from io import BytesIO

    from PIL import Image as Pil

    image = picture(9)
    with Pil.open(BytesIO(_ppm(image))) as read:
        assert (np.array(read) == image).all()
