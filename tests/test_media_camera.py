"""Cameras: the newest frame only, lost and opened again, and how each system names them."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from helpers.clock import FakeTime, wait_until
from helpers.videos import number_of, numbered_image, outcome, write_video

from mien.errors import FrameDroppedError, InputNotFoundError, UsageError, VideoError
from mien.media import addresses, capture
from mien.media.base import Source
from mien.media.camera import CameraSource, Opener
from mien.testing import check_source
from mien.types import Frame

Shots = Iterator[tuple[float, Any]]


@pytest.fixture(autouse=True)
def no_camera_thread_is_left() -> Iterator[None]:
    yield
    wait_until(lambda: all(thread.name != "mien-camera" for thread in threading.enumerate()))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock of cameras; it stands still unless a test moves it."""
    clock = FakeTime()
    monkeypatch.setattr("mien.media.camera.time", clock)
    return clock


def generated(count: int, *, pause: float = 0.0, rate: float = 10) -> Shots:
    """A camera that shows `count` numbered images, one in `pause` seconds."""
    for number in range(count):
        yield number / rate, numbered_image(number)
        time.sleep(pause)


class Pulsed:
    """A camera that shows so many images more each time it is asked to."""

    def __init__(self) -> None:
        self.arrived = 0
        self._wanted = threading.Semaphore(0)
        self._ended = False

    def show(self, count: int) -> None:
        """Return once `count` images more have arrived."""
        until = self.arrived + count
        for _ in range(count):
            self._wanted.release()
        wait_until(lambda: self.arrived == until)

    def end(self) -> None:
        self._ended = True
        self._wanted.release()

    def open(self) -> Shots:
        number = 0
        while True:
            self._wanted.acquire()
            if self._ended:
                return
            yield number / 10, numbered_image(number)
            number += 1
            self.arrived = number


def taking(camera: CameraSource, shots: Pulsed) -> Iterator[Frame]:
    """The frames after the first; a camera is opened by the first `next`."""
    first = threading.Thread(target=shots.show, args=(1,))
    first.start()
    frames = iter(camera)
    assert outcome(next(frames)) == 0
    first.join()
    return frames


def failing(*parts: Callable[[], Shots] | Exception) -> Opener:
    """A camera that is something else each time it is opened."""
    left = list(parts)

    def open_() -> Shots:
        part = left.pop(0)
        if isinstance(part, Exception):
            raise part
        return part()

    return open_


def breaking(count: int, problem: str = "camera t stopped.") -> Callable[[], Shots]:
    def shots() -> Shots:
        yield from generated(count, pause=0.01)
        raise VideoError(problem)

    return shots


def are(frames: list[Frame], numbers: list[int]) -> bool:
    """Whether the frames show these numbers; a busy machine may be late for all but the last."""
    seen = [outcome(frame) for frame in frames]
    late = [o if o != "dropped" else n for o, n in zip(seen, numbers, strict=True)]
    return late == numbers and seen[-1] == numbers[-1]


def test_frames_come_in_order_with_times() -> None:
    shots = Pulsed()
    camera = CameraSource("t", open_=shots.open)
    frames, rest = taking(camera, shots), []
    for _ in range(4):
        shots.show(1)
        rest.append(next(frames))
    shots.end()
    assert list(frames) == []
    assert [frame.index for frame in rest] == [1, 2, 3, 4]
    assert [frame.time_s for frame in rest] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert {frame.source for frame in rest} == {"t"}
    assert camera.dropped == 0
    assert isinstance(camera, Source)
    assert camera.timing.live
    check_source(CameraSource("t", open_=lambda: generated(5, pause=0.01)))


def test_only_the_newest_frame_waits() -> None:
    shots = Pulsed()
    camera = CameraSource("t", open_=shots.open)
    frames = taking(camera, shots)
    shots.show(5)  # while the first is in work
    waiting = [next(frames) for _ in range(5)]
    assert [outcome(frame) for frame in waiting] == ["dropped"] * 4 + [5]
    shots.show(1)
    shots.end()
    (last,) = frames
    assert outcome(last) == 6
    waiting.append(last)
    assert [frame.index for frame in waiting] == [1, 2, 3, 4, 5, 6]
    assert [frame.time_s for frame in waiting] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert camera.dropped == 4
    with pytest.raises(FrameDroppedError, match=r"^Frame 1 was dropped: an earlier one"):
        waiting[0].read()


def test_a_slow_consumer_always_gets_the_newest_frame() -> None:
    shots = Pulsed()
    frames = taking(CameraSource("t", open_=shots.open), shots)
    for round_ in range(1, 7):
        shots.show(5)  # five times as fast as they are taken
        *dropped, newest = [outcome(next(frames)) for _ in range(5)]
        assert dropped == ["dropped"] * 4
        assert newest == 5 * round_
    shots.end()
    assert list(frames) == []


def test_a_live_image_can_be_read_once() -> None:
    frame = next(iter(CameraSource("t", open_=lambda: generated(1))))
    frame.read()
    with pytest.raises(VideoError, match="can be read only once"):
        frame.read()


def test_a_lost_camera_is_opened_again() -> None:
    told: list[str] = []
    open_ = failing(breaking(2), VideoError("camera t is away."), lambda: generated(3, pause=0.01))
    camera = CameraSource("t", open_=open_, wait_s=0.02, report=told.append)
    frames = list(camera)
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert are(frames, [0, 1, 0, 1, 2])
    times = [f.time_s or 0.0 for f in frames]
    assert times == sorted(times)
    assert times[2] >= times[1]
    assert told == [
        "camera t stopped; reopening it in 0.02 s, attempt 1 of 5.",
        "camera t is away; reopening it in 0.04 s, attempt 2 of 5.",
        "t is back.",
    ]


def test_a_camera_that_stays_away_is_given_up() -> None:
    told: list[str] = []
    open_ = failing(breaking(2), *[VideoError("camera t is away.")] * 3)
    camera = CameraSource("t", open_=open_, attempts=3, wait_s=0.02, report=told.append)
    *good, last = list(camera)
    assert are(good, [0, 1])
    assert outcome(last) == "t was given up after 3 attempts: camera t is away."
    assert last.index == 2
    assert [re.findall(r"in ([\d.]+) s", sentence) for sentence in told] == [
        ["0.02"], ["0.04"], ["0.08"]
    ]  # fmt: skip


@pytest.mark.usefixtures("clock")  # no time passes until the camera is lost again
def test_a_camera_that_keeps_flapping_is_given_up() -> None:
    open_ = failing(*[breaking(1)] * 4)
    camera = CameraSource("t", open_=open_, attempts=3, wait_s=0.01)
    assert [outcome(f) for f in camera][:-1] == [0] * 4


def test_attempts_that_hold_restart_the_count(clock: FakeTime) -> None:
    opened = []
    open_ = failing(*[breaking(4)] * 5, lambda: generated(1))

    def counted() -> Shots:
        opened.append(1)
        for shot in open_():
            yield shot
            clock.sleep(0.01)  # four frames hold longer than the wait of 0.01 s

    camera = CameraSource("t", open_=counted, attempts=1, wait_s=0.01)
    assert [outcome(f) for f in camera][-1] == 0  # the last one's only image, not an error
    assert len(opened) == 6


def test_no_attempts() -> None:
    camera = CameraSource("t", open_=failing(breaking(1)), attempts=0)
    assert [outcome(f) for f in camera] == [0, "camera t stopped."]


def test_a_camera_that_cannot_be_opened_at_first() -> None:
    with pytest.raises(VideoError, match=r"^no such camera\.$"):
        list(CameraSource("t", open_=failing(VideoError("no such camera."))))


def test_other_errors_of_an_opener_surface() -> None:
    def shots() -> Shots:
        yield 0.0, numbered_image(0)
        raise RuntimeError("a bug")

    frames = iter(CameraSource("t", open_=shots))
    assert outcome(next(frames)) == 0
    with pytest.raises(RuntimeError, match="a bug"):
        next(frames)


def test_max_seconds_by_the_frames_and_by_the_clock(
    clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = CameraSource("t", open_=lambda: generated(50, pause=0.005), max_seconds=0.75)
    assert max(frame.time_s or 0.0 for frame in camera) == pytest.approx(0.7)
    monkeypatch.setattr("mien.media.worker.GRACE_S", 0.1)
    over = threading.Event()

    def stuck() -> Shots:
        yield 0.0, numbered_image(0)
        over.wait(60)

    frames = iter(CameraSource("t", open_=stuck, max_seconds=0.2))
    assert outcome(next(frames)) == 0
    clock.sleep(0.3)
    assert list(frames) == []
    assert not over.is_set()
    over.set()


def test_stopping_early_closes_the_camera() -> None:
    closed = threading.Event()

    def shots() -> Shots:
        try:
            yield from generated(1000, pause=0.005)
        finally:
            closed.set()

    for frame in CameraSource("t", open_=shots):
        if frame.index > 3:
            break
    assert closed.wait(2)


def test_stopping_while_it_waits_to_reopen() -> None:
    frames = iter(CameraSource("t", open_=failing(breaking(1)), wait_s=3600))
    next(frames)
    closing = threading.Thread(target=cast(Any, frames).close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive(), "it still waits"


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"max_seconds": 0}, {"attempts": -1}, {"wait_s": 0}]
)
def test_numbers_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be"):
        CameraSource("t", open_=lambda: generated(1), **wrong)


@pytest.mark.skipif(sys.platform != "linux", reason="the message is Linux's")
@pytest.mark.parametrize("device", [97, "97", "/dev/video97", "no/such/device"])
def test_unknown_devices(device: int | str) -> None:
    with pytest.raises(VideoError, match=r"There is no .*: (found /dev/|no camera was found)"):
        CameraSource(device)


def test_a_system_without_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(VideoError, match="not supported on plan9"):
        CameraSource(0)


@pytest.mark.parametrize(
    ("platform", "url", "form"), [("linux", "/dev/null", "v4l2"), ("darwin", "1", "avfoundation")]
)
def test_each_system_has_its_way(
    monkeypatch: pytest.MonkeyPatch, platform: str, url: str, form: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    address = addresses.locate(url)
    assert (address.url, address.form) == (url, form)


def test_cameras_on_windows_are_found_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    names = [("Mic", "audio"), ("HD Webcam", "video"), ("Capture", "video")]
    devices = [av.device.DeviceInfo(n, n, False, [kind]) for n, kind in names]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda form: devices)
    monkeypatch.setattr(sys, "platform", "win32")
    address = addresses.locate(1)
    assert (address.name, address.url, address.form) == ("camera 1", "video=Capture", "dshow")
    assert addresses.locate("HD Webcam").url == "video=HD Webcam"
    with pytest.raises(VideoError, match=r"There is no camera 7: found HD Webcam, Capture\."):
        addresses.locate(7)


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is no camera, on Linux")
def test_a_device_that_is_no_camera() -> None:
    with pytest.raises(VideoError, match="check that it is a camera"):
        list(CameraSource("/dev/null"))


def test_passwords_stay_out_of_names_and_messages() -> None:
    camera = CameraSource("http://me:secret@127.0.0.1:9/stream")
    assert camera.name == "http://me:***@127.0.0.1:9/stream"
    with pytest.raises(VideoError, match="cannot be opened: connection refused") as caught:
        list(camera)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(addresses.locate("rtsp://me:secret@host/1"))


def test_a_file_plays_at_its_own_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5)
    clock = FakeTime(100.0)
    monkeypatch.setattr("mien.media.capture.time", clock)
    shots = list(capture.capture(addresses.locate(path), 32))
    assert [stamp for stamp, _ in shots] == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.4])
    assert clock.slept == pytest.approx([0, 0.1, 0.1, 0.1, 0.1])
    assert [number_of(cast(Any, image)()) for _, image in shots] == [0, 1, 2, 3, 4]
    last = list(CameraSource(path, width=32))[-1]
    assert (outcome(last), last.index) == (4, 4)
    with pytest.raises((VideoError, InputNotFoundError)):
        CameraSource(tmp_path / "gone.mp4")
