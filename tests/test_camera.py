from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from helpers.videos import outcome, picture, write_film

from mien.errors import FrameDroppedError, InputNotFoundError, UsageError, VideoError
from mien.media import capture
from mien.media.base import Source
from mien.media.camera import CameraSource, Opener
from mien.testing import check_source
from mien.types import Frame

Shots = Iterator[tuple[float, Any]]


@pytest.fixture(autouse=True)
def no_camera_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + 2
    while any(thread.name == "mien-camera" for thread in threading.enumerate()):
        assert time.monotonic() < until, "a camera's thread is still there"
        time.sleep(0.01)


def generated(count: int, *, pause: float = 0.0, rate: float = 10) -> Shots:
    """A camera that shows `count` numbered pictures, one in `pause` seconds."""
    for number in range(count):
        yield number / rate, picture(number)
        time.sleep(pause)


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
    camera = CameraSource("t", open_=lambda: generated(5, pause=0.03))
    frames = list(camera)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert {frame.source for frame in frames} == {"t"}
    assert camera.dropped == 0
    assert isinstance(camera, Source)
    assert camera.live
    check_source(CameraSource("t", open_=lambda: generated(5, pause=0.01)))


def test_only_the_newest_frame_waits() -> None:
    go_on = threading.Event()
    shown = threading.Event()

    def shots() -> Shots:
        yield 0.0, picture(0)
        go_on.wait(2)
        for number in range(1, 6):
            yield number / 10, picture(number)
        shown.set()
        time.sleep(0.05)
        yield 0.6, picture(6)

    camera = CameraSource("t", open_=shots)
    frames = iter(camera)
    assert outcome(next(frames)) == 0
    go_on.set()
    shown.wait(2)  # five frames come while the first is in work
    rest = list(frames)
    assert [outcome(frame) for frame in rest] == ["dropped"] * 4 + [5, 6]
    assert [frame.index for frame in rest] == [1, 2, 3, 4, 5, 6]
    assert [frame.time_s for frame in rest] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert camera.dropped == 4
    with pytest.raises(FrameDroppedError, match=r"^Frame 1 was dropped: an earlier one"):
        rest[0].read()


def test_a_late_consumer_is_never_behind() -> None:
    def shots() -> Shots:
        for number in range(30):
            yield time.monotonic(), picture(number)
            time.sleep(0.01)

    age = []
    for frame in CameraSource("t", open_=shots):
        if outcome(frame) != "dropped":
            age.append(frame.time_s or 0.0)
            time.sleep(0.05)  # five times slower than the camera
    steps = [after - before for before, after in pairwise(age)]
    assert len(age) < 15
    assert max(steps) < 0.2


def test_a_live_picture_is_gone_once_it_was_looked_at() -> None:
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
    began = time.monotonic()
    camera = CameraSource("t", open_=open_, attempts=3, wait_s=0.02, report=told.append)
    *good, last = list(camera)
    assert are(good, [0, 1])
    assert outcome(last) == "t was given up after 3 attempts: camera t is away."
    assert last.index == 2
    assert len(told) == 3
    assert time.monotonic() - began >= 0.02 + 0.04 + 0.08


def test_a_camera_that_keeps_flapping_is_given_up() -> None:
    open_ = failing(*[breaking(1)] * 4)
    camera = CameraSource("t", open_=open_, attempts=3, wait_s=0.05)
    assert [outcome(f) for f in camera][:-1] == [0] * 4


def test_attempts_that_hold_count_anew() -> None:
    opened = []
    open_ = failing(*[breaking(4)] * 5, lambda: generated(1))  # four frames take 40 ms

    def counted() -> Shots:
        opened.append(1)
        return open_()

    camera = CameraSource("t", open_=counted, attempts=1, wait_s=0.01)
    assert [outcome(f) for f in camera][-1] == 0  # the last one's only picture, not an error
    assert len(opened) == 6


def test_no_attempts() -> None:
    camera = CameraSource("t", open_=failing(breaking(1)), attempts=0)
    assert [outcome(f) for f in camera] == [0, "camera t stopped."]


def test_a_camera_that_cannot_be_opened_at_first() -> None:
    with pytest.raises(VideoError, match=r"^no such camera\.$"):
        list(CameraSource("t", open_=failing(VideoError("no such camera."))))


def test_other_errors_of_an_opener_surface() -> None:
    def shots() -> Shots:
        yield 0.0, picture(0)
        raise RuntimeError("a bug")

    frames = iter(CameraSource("t", open_=shots))
    assert outcome(next(frames)) == 0
    with pytest.raises(RuntimeError, match="a bug"):
        next(frames)


def test_max_seconds_by_the_frames_and_by_the_clock() -> None:
    camera = CameraSource("t", open_=lambda: generated(50, pause=0.005), max_seconds=0.75)
    assert max(frame.time_s or 0.0 for frame in camera) == pytest.approx(0.7)

    def stuck() -> Shots:
        yield 0.0, picture(0)
        time.sleep(1)

    began = time.monotonic()
    assert len(list(CameraSource("t", open_=stuck, max_seconds=0.2))) == 1
    assert time.monotonic() - began < 1.5


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
    frames = iter(CameraSource("t", open_=failing(breaking(1)), wait_s=30))
    next(frames)
    began = time.monotonic()
    cast(Any, frames).close()
    assert time.monotonic() - began < 1


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
    address = capture.locate(url)
    assert (address.url, address.form) == (url, form)


def test_cameras_on_windows_are_found_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    names = [("Mic", "audio"), ("HD Webcam", "video"), ("Capture", "video")]
    devices = [av.device.DeviceInfo(n, n, False, [kind]) for n, kind in names]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda form: devices)
    monkeypatch.setattr(sys, "platform", "win32")
    address = capture.locate(1)
    assert (address.name, address.url, address.form) == ("camera 1", "video=Capture", "dshow")
    assert capture.locate("HD Webcam").url == "video=HD Webcam"
    with pytest.raises(VideoError, match=r"There is no camera 7: found HD Webcam, Capture\."):
        capture.locate(7)


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
    assert "secret" not in repr(capture.locate("rtsp://me:secret@host/1"))


def test_a_file_plays_at_its_own_speed(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", frames=5)
    began = time.monotonic()
    frames = list(CameraSource(path, width=32))
    assert 0.35 < time.monotonic() - began < 3
    assert [outcome(f) for f in frames] == [0, 1, 2, 3, 4]
    assert [f.time_s for f in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.08)
    with pytest.raises((VideoError, InputNotFoundError)):
        CameraSource(tmp_path / "gone.mp4")
