"""Cameras and live streams: always the newest frame, and a record of every dropped one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from mien.errors import FrameDroppedError, UsageError, VideoError
from mien.media.addresses import locate
from mien.media.base import Timing
from mien.media.capture import TimedImage, capture
from mien.media.frames import raising
from mien.media.worker import Worker, awaited
from mien.types import Frame, Image

#: Opens a camera and yields its images as they arrive. The end of the iterator is the end of the
#: stream; `VideoError` means that the connection was lost and is to be opened again.
Opener: TypeAlias = "Callable[[], Iterator[TimedImage]]"

#: How often a waiting camera checks the clock, and Ctrl-C on Windows.
_POLL_S = 0.1


class CameraSource:
    """The newest frame of a camera or stream, repeatedly.

    A thread reads the camera and holds one frame, the newest. A frame that arrives while an earlier
    one is being processed replaces any that waits: frames are never queued. Each dropped frame is
    yielded as a frame whose ``read`` raises `FrameDroppedError`, before the next readable one, so
    that every frame of the camera is a row of the table.

    Times are seconds since the first frame by the clock of its arrival, so they continue when a
    stream is lost and comes back. The image of a frame can be read once.

    A lost camera is opened again, with a delay that doubles each time, until `attempts` in a row
    have failed; then a last frame is yielded whose ``read`` raises `VideoError`. A connection that
    lasts longer than the delay before it resets the count.

    Args:
        device: a camera's number, a device such as ``/dev/video0``, the URL of a stream (RTSP,
            HTTP, UDP …), or a recording, which is played at its own speed as if it were live; to
            read every frame of one, use `mien.media.video.VideoSource`.
        width: images wider than this many pixels are downscaled.
        max_seconds: stop after this time.
        attempts: how often to reopen a lost camera; 5 take 31 s.
        wait_s: delay before the first attempt, seconds.
        report: called with a sentence when the camera is lost and when it is back, from the
            reading thread.
        open_: opens another kind of camera, or a generated one: returns an iterator of pairs of
            time in seconds and ``(H, W, 3)`` uint8 RGB image. `width` is not applied to it.

    Attributes:
        name: name of the camera in the tables, without a URL's password.
        dropped: frames dropped so far.
        open: opens it.
        timing: live.

    Raises:
        UsageError: a number is out of range.
        VideoError: when iterated, if there is no such camera, or it cannot be opened initially.
    """

    timing: Timing = Timing(live=True)

    def __init__(
        self,
        device: int | str | os.PathLike[str],
        *,
        width: int | None = None,
        max_seconds: float | None = None,
        attempts: int = 5,
        wait_s: float = 1.0,
        report: Callable[[str], None] | None = None,
        open_: Opener | None = None,
    ) -> None:
        for what, value in (("width", width), ("max_seconds", max_seconds), ("wait_s", wait_s)):
            if value is not None and not value > 0:
                raise UsageError(f"{what} must be more than 0, got {value}.")
        if attempts < 0:
            raise UsageError(f"attempts must be 0 or more, got {attempts}.")
        self.max_seconds: float | None
        self.attempts: int
        self.wait_s: float
        self.max_seconds, self.attempts, self.wait_s = max_seconds, attempts, wait_s
        self.report: Callable[[str], None] = report or (lambda _sentence: None)
        self.name: str = str(device)
        self.dropped: int = 0
        if open_ is None:
            address = locate(device)
            self.name, open_ = address.name, partial(capture, address, width)
        self.open: Opener = open_

    def __iter__(self) -> Iterator[Frame]:
        """Open the camera and yield frames in order of arrival."""
        reader = _Reader(self)
        worker = Worker(reader.run, reader.stop, "mien-camera")
        worker.start()
        try:
            while (frames := reader.wait()) is not None:
                self.dropped = reader.dropped
                yield from frames
        finally:
            worker.finish()
        if reader.error is not None:
            raise reader.error


class _Reader:
    """Keeps a camera open in a thread, and passes its frames to the consuming thread."""

    def __init__(self, camera: CameraSource) -> None:
        self.error: BaseException | None = None
        self.dropped = 0
        self._camera = camera
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._finished = False
        self._late: list[Frame] = []
        self._newest: Frame | None = None
        self._count = 0
        self._began = self._connected = 0.0  # clock times; 0 for not yet
        self._offset = self._last_s = 0.0

    def wait(self) -> list[Frame] | None:
        """The dropped frames and the newest one, waiting for it; None at the end."""
        limit = self._camera.max_seconds
        with self._changed:
            while self._newest is None and not self._finished:
                if limit and self._began and time.monotonic() - self._began >= limit:
                    return None
                self._changed.wait(_POLL_S)
            if self._newest is None:
                return None
            frames = [*self._late, self._newest]
            self._late, self._newest = [], None
            return frames

    def stop(self) -> None:
        """Ask the thread to end; it does so at the next frame, or when the camera times out."""
        self._stopped.set()

    def run(self) -> None:
        """Read the camera, and reopen it when it is lost; runs in the thread."""
        try:
            self._keep_open()
        except BaseException as error:  # noqa: BLE001 - it is raised where the frames are used
            self.error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _keep_open(self) -> None:
        camera, tries = self._camera, 0
        while True:
            try:
                return self._read(back=tries > 0)
            except VideoError as error:
                if not self._count:
                    raise
                problem = str(error)
            held = time.monotonic() - self._connected if self._connected else 0.0
            if held > camera.wait_s * 2 ** (tries - 1):
                tries = 0
            if tries == camera.attempts:
                return self._give_up(problem)
            wait_s = camera.wait_s * 2**tries
            tries += 1
            again = f"reopening it in {wait_s:g} s, attempt {tries} of {camera.attempts}"
            camera.report(f"{problem.rstrip('.')}; {again}.")
            if self._stopped.wait(wait_s):
                return None

    def _read(self, *, back: bool) -> None:
        """Read until the camera ends or is stopped; raises `VideoError` if it is lost."""
        self._connected = 0.0
        images = self._camera.open()
        try:
            for stamp, image in awaited(images):
                if back and not self._connected:
                    self._camera.report(f"{self._camera.name} is back.")
                if not self._put(stamp, image):
                    return
        finally:
            if hasattr(images, "close"):
                images.close()

    def _put(self, stamp: float, image: Image | Callable[[], Image]) -> bool:
        now = time.monotonic()
        with self._changed:
            if not self._connected:
                self._connected, self._began = now, self._began or now
                self._offset = now - self._began - stamp
            time_s = max(self._last_s, stamp + self._offset)
            limit = self._camera.max_seconds
            if self._stopped.is_set() or (limit is not None and time_s >= limit):
                return False
            if self._newest is not None:
                self.dropped += 1
                self._late.append(_dropped(self._newest))
            name, index = self._camera.name, self._count
            self._newest = Frame(name, _LiveImage(image, f"Frame {index} of {name}"), index, time_s)
            self._count, self._last_s = index + 1, time_s
            self._changed.notify_all()
            return True

    def _give_up(self, problem: str) -> None:
        """Append a last frame whose ``read`` raises the problem."""
        camera = self._camera
        if camera.attempts:
            problem = f"{camera.name} was given up after {camera.attempts} attempts: {problem}"
        with self._changed:
            if self._newest is not None:
                self._late.append(self._newest)
            time_s = max(self._last_s, time.monotonic() - self._began)
            self._newest = Frame(camera.name, raising(VideoError(problem)), self._count, time_s)


class _LiveImage:
    """An image that can be read once."""

    def __init__(self, image: Image | Callable[[], Image], frame: str) -> None:
        self._image: Image | Callable[[], Image] | None = image
        self._frame = frame

    def __call__(self) -> Image:
        image, self._image = self._image, None
        if image is None:
            raise VideoError(f"{self._frame} is live: its image can be read only once.")
        return image() if callable(image) else image


def _dropped(frame: Frame) -> Frame:
    problem = f"Frame {frame.index} was dropped: an earlier one was still being processed."
    return replace(frame, read=raising(FrameDroppedError(problem)))
