"""The live view: a thread analyzes frames, and the newest result is displayed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.viewer.view import Screen, save_snapshot
from mien.errors import FrameDroppedError, MienError
from mien.escaping import printable
from mien.files import numbered
from mien.media.base import Timing
from mien.media.frames import raising
from mien.media.worker import Worker, awaited
from mien.sinks.stabilizer import Stabilizer, reading_names
from mien.sinks.video import VideoSink
from mien.types import Frame

if TYPE_CHECKING:
    from mien.results.result import Result
    from mien.sinks.base import Sink

KEYS = "q quit  up/down or number: face  r record  space pause  s save image"
_LATE_S = 0.1  # a frame of a video that is later than this is dropped
_LATE = FrameDroppedError("the frame came too late to be displayed at the video's frame rate.")
_CALM = 0.9  # weight of the past in the displayed frame rate


@dataclass(frozen=True)
class Controls:
    """The user's settings; keys replace them, the thread reads them."""

    selected: int | None = None
    paused: bool = False
    recording: bool = False


class Live:
    """Analyzes frames as they arrive, and displays the newest result; there is no queue.

    Args:
        name: of the camera, stream or video, for the headline.
        frames: a camera, which drops late frames by itself, or a video.
        analyze: turns frames into results with images, as `EmotionAnalyzer.stream` does.
        own_speed: play a video at its own frame rate, dropping what comes too late.
        sinks: take every result.
        record: the video that the key r starts and stops; further ones get a number.
        seconds: end by itself after this time.
        overwrite: `record` may replace a file that mien did not write.
    """

    def __init__(
        self,
        name: str,
        frames: Iterable[Frame],
        analyze: Callable[[Iterable[Frame]], Iterator[Result]],
        *,
        own_speed: bool = False,
        sinks: Iterable[Sink] = (),
        record: Path | None = None,
        seconds: float | None = None,
        overwrite: bool = False,
    ) -> None:
        self.title, self.pause_s, self.done = f"mien: {name}", 0.004, False
        self.controls = Controls(recording=record is not None)
        self.error: BaseException | None = None
        self.counts = {"ok": 0, "dropped": 0, "error": 0}
        self._name, self._analyze = printable(name), analyze
        self._gate = _Gate(frames, self, own_speed)
        self._record, self._seconds, self._overwrite = record, seconds, overwrite
        self._message, self._spoken = "", 0.0
        self._newest: Screen | None = None
        self._fresh = False
        self._fps = 0.0
        self._last_at: float | None = None
        self._recorder: VideoSink | None = None
        self.recorded: list[Path] = []  # the videos that were written
        self._sinks = list(sinks)
        self._lock = threading.Lock()
        self._worker = Worker(self._work, lambda: setattr(self, "done", True), "mien-live")

    def __enter__(self) -> Live:
        self._stack = ExitStack()
        for sink in self._sinks:
            self._stack.enter_context(sink)
        self._begun = time.monotonic()
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.finish()
        with self._lock:
            self._sinks.clear()  # a source without end must not write any more
            try:
                self._stop_recording()
            finally:
                self._stack.close()

    def press(self, key: str) -> None:
        """React to a key; see `KEYS`."""
        people = sorted(self._newest.people, key=lambda p: p.key) if self._newest else []
        if key in ("q", "escape"):
            self.done = True
        elif key in ("up", "down"):
            self._select(_next([p.key for p in people], self.controls.selected, key == "down"))
        elif key.isdigit():
            if int(key) in [person.key for person in people]:
                self._select(int(key))
            else:
                self._say(f"there is no face {key} now")
        elif key == "space":
            self.controls = replace(self.controls, paused=not self.controls.paused)
            self._say("paused; space goes on" if self.controls.paused else "")
        elif key == "r":
            self.controls = replace(self.controls, recording=not self.controls.recording)
        elif key == "s" and self._newest is not None:
            name = time.strftime("mien-%Y%m%d-%H%M%S")
            try:
                self._say(save_snapshot(self._newest, Path(), name))
            except MienError as error:
                self._say(str(error))

    def seek(self, share: float) -> None:
        """There is no strip to click into."""

    def next_screen(self) -> Screen | None:
        """The newest result; None if it is displayed already."""
        now = time.monotonic()
        if self._seconds is not None and now - self._begun > self._seconds:
            self.done = True
        if self._message and now - self._spoken > 4 and not self.controls.paused:
            self._say("")
        if not self._fresh:
            return None
        self._fresh = False
        newest = self._newest or Screen(None, (), (), self._headline(None), KEYS)
        selected, message = self.controls.selected, self._message
        return replace(newest, selected=selected, message=message)

    def _select(self, key: int | None) -> None:
        self.controls = replace(self.controls, selected=key)
        self._fresh = True

    def _say(self, message: str) -> None:
        self._message, self._spoken, self._fresh = message, time.monotonic(), True

    def _work(self) -> None:
        """The thread: an error ends the view, and is raised where that is displayed."""
        try:
            for result in self._analyze(self._gate):
                with self._lock:
                    if self.done:
                        break
                    self._take(result)
        except BaseException as error:  # noqa: BLE001 - raised by `watch`
            self.error = error
        finally:
            self.done = True

    def _take(self, result: Result) -> None:
        self.counts[result.status] += 1
        if result.status == "ok":
            self._display(result)
        elif result.status == "error":
            self._say(result.error or "")
        for sink in self._sinks:
            sink.write(result)
        try:
            self._record_it(result)
        except MienError as error:
            self._recorder = None
            self.controls = replace(self.controls, recording=False)
            self._say(str(error))

    def _display(self, result: Result) -> None:
        now = time.monotonic()
        if self._last_at is not None:
            fps = 1 / max(now - self._last_at, 1e-6)
            self._fps = fps if not self._fps else _CALM * self._fps + (1 - _CALM) * fps
        else:
            self._stabilizer = Stabilizer(result.labels)
        self._last_at = now
        self._newest = Screen(
            result.meshed_image,
            self._stabilizer.people(result),
            result.labels,
            self._headline(result),
            KEYS,
            index=result.index,
            time_s=result.time_s or 0.0,
            size=result.size or (640, 480),
            close_up=True,
            readings=reading_names(result),
        )
        self._fresh = True

    def _headline(self, result: Result | None) -> str:
        parts = [self._name]
        if result is not None and result.size is not None:
            parts.append(f"{result.size[0]} x {result.size[1]}")
        parts += [f"{self._fps:.1f} fps", f"{self.counts['dropped']} dropped"]
        if self.counts["error"]:
            parts.append(f"{self.counts['error']} failed")
        if self._recorder is not None:
            parts.append(f"recording {self._recorder.path.name}")
        return "   ".join(parts)

    def _record_it(self, result: Result) -> None:
        """Start, continue or end the recording."""
        if not self.controls.recording:
            self._stop_recording()
        elif self._recorder is not None or result.status == "ok":
            if self._recorder is None:
                recorder = VideoSink(self._free_name(), overwrite=self._overwrite)
                recorder.__enter__()
                self._recorder = recorder
            self._recorder.write(result)

    def _stop_recording(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.__exit__(None, None, None)
            self.recorded.append(recorder.path)
            self._say(f"wrote {recorder.path}")

    def _free_name(self) -> Path:
        """The chosen file, then numbered ones; without a choice, a name from the time."""
        if self._record is None:
            return Path(time.strftime("mien-%Y%m%d-%H%M%S.mp4"))
        return numbered(self._record, self._record.suffix, self.recorded.__contains__)


class _Gate:
    """Passes frames on to the analysis: none in a pause, and a video's at its frame rate."""

    timing = Timing(live=True)  # each result comes at once

    def __init__(self, frames: Iterable[Frame], live: Live, own_speed: bool) -> None:
        self._frames, self._live, self._own_speed = frames, live, own_speed

    def __iter__(self) -> Iterator[Frame]:
        lag: float | None = None  # of the wall clock against the video's
        for frame in awaited(self._frames):
            if self._own_speed and frame.time_s is not None:
                stood = self._stand()
                now = time.monotonic()
                lag = now - frame.time_s if lag is None else lag + stood
                self._sleep(frame.time_s + lag - now)
                if now - lag - frame.time_s > _LATE_S:
                    frame = replace(frame, read=raising(_LATE))
            elif self._live.controls.paused:
                continue  # frames of a camera in a pause are skipped
            if self._live.done:
                return
            yield frame

    def _stand(self) -> float:
        """Wait until a pause is over; returns its length in seconds."""
        begun = time.monotonic()
        while self._live.controls.paused and not self._live.done:
            time.sleep(0.01)
        return time.monotonic() - begun

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._live.done:
            time.sleep(min(left, 0.05))


def _next(keys: list[int], current: int | None, forward: bool) -> int | None:
    """The next person; after the last comes None, which stands for all."""
    ring: list[int | None] = [None, *keys]
    place = ring.index(current) if current in ring else 0
    return ring[(place + (1 if forward else -1)) % len(ring)]
