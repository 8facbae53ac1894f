"""The live view: what is shown, what the keys do, what is written, how it ends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from helpers.clock import FakeTime, wait_until
from helpers.results import StubAnalyzer, failed_frame, frame_result, mostly
from helpers.videos import numbered_image, write_video
from typer.testing import CliRunner

from mien.cli.commands.watch import watch
from mien.cli.exit_codes import with_exit_code
from mien.cli.viewer.live import KEYS, Live
from mien.cli.viewer.view import Screen
from mien.errors import VideoError
from mien.media.base import Timing
from mien.media.video import VideoSource
from mien.results.collection import load_tables
from mien.types import Frame

FPS = 20


class Camera:
    """Shows a frame each time it is asked to, and counts those that were taken."""

    timing = Timing(live=True)

    def __init__(self, *, error: Exception | None = None) -> None:
        self.taken, self.error = 0, error
        self._wanted = threading.Semaphore(0)
        self._ended = False

    def show(self, frames: int = 1) -> None:
        """Return once so many more frames went through the view."""
        until = self.taken + frames
        self._wanted.release(frames)
        wait_until(lambda: self.taken == until)

    def end(self) -> None:
        self._ended = True
        self._wanted.release()

    def __iter__(self) -> Iterator[Frame]:
        for i in count():
            self._wanted.acquire()
            if self._ended:
                break
            yield Frame("camera 0", lambda i=i: numbered_image(i), i, i / FPS)  # type: ignore[misc]
            self.taken = i + 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    camera.end()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime(100.0)
    monkeypatch.setattr("mien.cli.viewer.live.time", clock)
    monkeypatch.setattr("mien.media.worker.GRACE_S", 0.1)
    return clock


def live(frames: Any, **options: Any) -> Live:
    return Live("camera 0", frames, lambda gate: StubAnalyzer().stream(gate, keep=True), **options)


def look_at(view: Live) -> Screen:
    screen = view.next_screen()
    assert screen is not None
    return screen


def test_the_newest_result_is_shown_once(camera: Camera) -> None:
    with live(camera) as view:
        for index in range(10):
            camera.show()
            screen = look_at(view)
            assert screen.index == index
            assert view.next_screen() is None
        camera.end()
        wait_until(lambda: view.done)
    assert screen.people[0].wordings[0] == "person 1: happiness 80 %"
    assert "64 x 48" in screen.headline
    assert "fps" in screen.headline
    assert screen.keys == KEYS
    assert view.counts == {"ok": 10, "dropped": 0, "error": 0}
    assert view.error is None


def test_nothing_waits_in_a_queue(camera: Camera) -> None:
    """Whoever screens after a while sees the last frame, not the next one."""
    with live(camera) as view:
        camera.show(12)
        assert look_at(view).index == 11
        assert view.next_screen() is None
        camera.end()


def test_dropped_and_failed_frames_are_counted_and_shown() -> None:
    def analyse(frames: object) -> Iterator[Any]:
        yield frame_result(0.0, {1: mostly("fear")})
        yield failed_frame(0.1, index=1, dropped=True)
        yield failed_frame(0.2, index=2)
        yield frame_result(0.3, {1: mostly("fear")}, index=3)

    with Live("camera 0", [], analyse) as view:
        wait_until(lambda: view.done)
        screen = look_at(view)
    assert view.counts == {"ok": 2, "dropped": 1, "error": 1}
    assert "1 dropped" in screen.headline
    assert "1 failed" in screen.headline
    assert screen.message == "the frame is damaged."


def test_a_video_runs_at_its_own_speed_and_late_frames_are_dropped(
    tmp_path: Path, clock: FakeTime
) -> None:
    video = VideoSource(write_video(tmp_path / "a.mp4", frames=20, fps=FPS))

    def slow(frames: Any) -> Iterator[Any]:
        for result in StubAnalyzer().stream(frames, keep=True):
            if result.status == "ok":
                clock.sleep(0.165)  # frames come every 0.05 s and may be 0.1 s late
            yield result

    with Live("a.mp4", video, slow, own_speed=True) as view:
        wait_until(lambda: view.done)
    assert view.counts == {"ok": 7, "dropped": 13, "error": 0}
    assert clock.now == pytest.approx(100 + 7 * 0.165)
    clock.now = 200.0
    with live(video, own_speed=True) as view:
        wait_until(lambda: view.done)
    assert view.counts["ok"] == 20
    assert clock.now == pytest.approx(200 + 19 / FPS)


def test_a_pause_lets_nothing_through_and_does_not_count_as_late(
    tmp_path: Path, clock: FakeTime
) -> None:
    video = VideoSource(write_video(tmp_path / "a.mp4", frames=12, fps=FPS))
    third, go_on = threading.Event(), threading.Event()

    def analyse(frames: Any) -> Iterator[Any]:
        for result in StubAnalyzer().stream(frames, keep=True):
            if result.index == 2:
                third.set()
                go_on.wait(60)
            yield result

    with Live("a.mp4", video, analyse, own_speed=True) as view:
        third.wait(60)
        view.press("space")
        begun = clock.now
        go_on.set()
        wait_until(lambda: clock.now > begun + 5)
        assert sum(view.counts.values()) == 3
        assert "paused" in look_at(view).message
        view.press("space")
        wait_until(lambda: view.done)
    assert view.counts == {"ok": 12, "dropped": 0, "error": 0}


def test_a_paused_camera_is_not_analyzed(camera: Camera) -> None:
    with live(camera) as view:
        camera.show(2)
        view.press("space")
        camera.show(5)
        assert view.counts["ok"] == 2
        view.press("space")
        camera.show()
        assert view.counts["ok"] == 3
        camera.end()


def test_keys_select_people() -> None:
    crowd = {3: mostly("fear"), 1: mostly("anger"), 7: mostly("neutral")}
    boxes = [[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]
    over = threading.Event()

    def analyse(frames: object) -> Iterator[Any]:
        yield frame_result(0.0, crowd, boxes=boxes)
        over.wait(60)

    def chosen(key: str) -> int | None:
        view.press(key)
        return look_at(view).selected

    with Live("camera 0", [], analyse) as view:
        wait_until(lambda: view.next_screen() is not None)
        assert [chosen(key) for key in ("down", "down", "down", "down")] == [1, 3, 7, None]
        assert [chosen(key) for key in ("up", "up")] == [7, 3]
        assert chosen("1") == 1
        view.press("5")
        screen = look_at(view)
        assert (screen.selected, screen.message) == (1, "there is no face 5 now")
        view.press("escape")
        assert view.done
        over.set()


def test_recording_starts_and_stops(tmp_path: Path, camera: Camera) -> None:
    path = tmp_path / "rec.mp4"
    with live(camera, record=path) as view:
        camera.show(6)
        assert "recording rec.mp4" in look_at(view).headline
        view.press("r")
        camera.show()
        assert view.recorded == [path]
        assert path.is_file()
        view.press("r")
        camera.show(5)
        camera.end()
    assert view.recorded == [path, tmp_path / "rec-2.mp4"]
    info = VideoSource(path).info
    assert info.width == VideoSource(tmp_path / "rec-2.mp4").info.width
    assert info.duration_s == pytest.approx(6 / FPS, abs=0.01)


def test_a_recording_that_cannot_be_written_is_said_and_the_view_goes_on(
    tmp_path: Path, camera: Camera
) -> None:
    with live(camera, record=tmp_path / "gone" / "rec.mp4") as view:
        camera.show()
        assert "no folder" in look_at(view).message
        camera.show(2)
        assert view.counts["ok"] == 3
        camera.end()
    assert view.recorded == []


def test_a_snapshot_is_written_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: Camera
) -> None:
    monkeypatch.chdir(tmp_path)
    with live(camera) as view:
        camera.show()
        for _ in range(2):
            view.press("s")
        assert look_at(view).message.startswith("wrote mien-")
        camera.end()
    assert len(list(tmp_path.glob("mien-*.png"))) == 2


def test_it_ends_by_itself_after_its_time_with_the_source_and_with_an_error(
    clock: FakeTime, camera: Camera
) -> None:
    with live(camera, seconds=0.5) as view:
        camera.show()
        view.next_screen()
        assert not view.done
        clock.sleep(0.6)
        view.next_screen()
        assert view.done
    broken = Camera(error=VideoError("the camera was unplugged."))
    with live(broken) as view:
        broken.show(3)
        assert not view.done
        broken.end()
        wait_until(lambda: view.done)
    assert isinstance(view.error, VideoError)


@pytest.mark.usefixtures("clock")
def test_a_source_that_hangs_does_not_hang_the_view(camera: Camera) -> None:
    with live(camera) as view:
        camera.show(2)
        view.press("q")
    assert view.done
    assert view.counts["ok"] == 2


class _Never(StubAnalyzer):
    def __init__(self, *_: object, **__: object) -> None: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls the command with a stand-in for the analyzer, where there is no display."""
    monkeypatch.setattr("mien.cli.inputs.load_analyzer", _Never)
    monkeypatch.setattr("mien.cli.viewer.window.has_display", lambda: False)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(with_exit_code(watch))
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


def test_without_a_terminal_it_prints_lines(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = SimpleNamespace(monotonic=lambda: 100.0, sleep=time.sleep)
    monkeypatch.setattr(sys.modules[watch.__module__], "time", still)
    video = write_video(tmp_path / "a.mp4", frames=30, fps=20)
    table, record = tmp_path / "t.parquet", tmp_path / "r.mp4"
    done = run(video, "-o", table, "--record", record)
    assert done.exit_code == 0, done.output
    (printed,) = [line for line in done.stdout.splitlines() if line.strip()]  # one a second
    assert printed.endswith("person 1: happiness 80 %")
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
