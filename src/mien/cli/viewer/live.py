"""The live view, apart from what shows it: frames are analysed in a thread, the newest is shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mien.cli.viewer.view import Look, save_snapshot
from mien.drawing.overlay import Person
from mien.errors import FrameDroppedError, MienError
from mien.escaping import printable
from mien.media.worker import Worker, awaited
from mien.sinks.stabilizer import Stabilizer
from mien.sinks.video import VideoSink
from mien.types import Frame

if TYPE_CHECKING:
    from mien.results.result import Result
    from mien.sinks.base import Sink

KEYS = "q quit  up/down or number: face  r record  space pause  s save picture"
_LATE_S = 0.1  # a film's frame that is later than this is left out
_CALM = 0.9  # share of the past in the frames a second that are shown


@dataclass(frozen=True)
class Choice:
    """What the user asked for; the thread reads it, the keys replace it."""

    selected: int | None = None
    paused: bool = False
    recording: bool = False


class Live:
    """Analyses frames as they come, and shows the newest result; nothing waits in a queue.

    Args:
        name: of the camera, stream or film, for the headline.
        frames: a camera, which leaves out late frames by itself, or a film.
        analyse: turns frames into results with pictures, as `EmotionAnalyzer.stream` does.
        own_speed: show a film at its own speed, leaving out what comes too late.
        sinks: take every result.
        record: the film that the key r starts and stops; a number is added for further ones.
        seconds: end by itself after this time.
        overwrite: `record` may replace a file that mien did not write.
    """

    def __init__(
        self,
        name: str,
        frames: Iterable[Frame],
        analyse: Callable[[Iterable[Frame]], Iterator[Result]],
        *,
        own_speed: bool = False,
        sinks: Iterable[Sink] = (),
        record: Path | None = None,
        seconds: float | None = None,
        overwrite: bool = False,
    ) -> None:
        self.title, self.pause_s, self.done = f"mien: {name}", 0.004, False
        self.choice = Choice(recording=record is not None)
        self.error: BaseException | None = None
        self.counts = {"ok": 0, "dropped": 0, "error": 0}
        self._name, self._analyse = printable(name), analyse
        self._gate = _Gate(frames, self, own_speed)
        self._record, self._seconds, self._overwrite = record, seconds, overwrite
        self._message, self._spoken = "", 0.0
        self._newest: Look | None = None
        self._fresh = False
        self._fps = 0.0
        self._last_at: float | None = None
        self._recorder: VideoSink | None = None
        self._recorded: list[Path] = []
        self._sinks = list(sinks)
        self._lock = threading.Lock()
        self._worker = Worker(self._work, self._end, "mien-live")

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
            self._sinks.clear()  # a source that does not end must not write any more
            try:
                self._stop_recording()
            finally:
                self._stack.close()

    def press(self, key: str) -> None:
        """Answer a key; see `KEYS`."""
        people = sorted(self._newest.people, key=lambda p: p.key) if self._newest else []
        if key in ("q", "escape"):
            self.done = True
        elif key in ("up", "down"):
            self._select(_next([p.key for p in people], self.choice.selected, key == "down"))
        elif key.isdigit():
            if int(key) in [person.key for person in people]:
                self._select(int(key))
            else:
                self._say(f"there is no face {key} now")
        elif key == "space":
            self.choice = replace(self.choice, paused=not self.choice.paused)
            self._say("paused; space goes on" if self.choice.paused else "")
        elif key == "r":
            self.choice = replace(self.choice, recording=not self.choice.recording)
        elif key == "s" and self._newest is not None:
            name = time.strftime("mien-%Y%m%d-%H%M%S")
            try:
                self._say(save_snapshot(self._newest, Path(), name))
            except MienError as error:
                self._say(str(error))

    def point(self, share: float) -> None:
        """There is no strip to click into."""

    def shown(self, look: Look) -> None:
        """Nothing waits for it."""

    def look(self) -> Look | None:
        """The newest result, or None if it has been seen."""
        now = time.monotonic()
        if self._seconds is not None and now - self._begun > self._seconds:
            self.done = True
        if self._message and now - self._spoken > 4 and not self.choice.paused:
            self._say("")
        if not self._fresh:
            return None
        self._fresh = False
        newest = self._newest or Look(None, (), (), self._headline(None), KEYS)
        selected, message = self.choice.selected, self._message
        return replace(newest, selected=selected, message=message)

    def _select(self, key: int | None) -> None:
        self.choice = replace(self.choice, selected=key)
        self._fresh = True

    def _say(self, message: str) -> None:
        self._message, self._spoken, self._fresh = message, time.monotonic(), True

    def _end(self) -> None:
        self.done = True

    def _work(self) -> None:
        """The thread: whatever goes wrong here ends the view, and is raised where it is shown."""
        try:
            for result in self._analyse(self._gate):
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
            self._show(result)
        elif result.status == "error":
            self._say(result.error or "")
        for sink in self._sinks:
            sink.write(result)
        try:
            self._record_it(result)
        except MienError as error:
            self._recorder = None
            self.choice = replace(self.choice, recording=False)
            self._say(str(error))

    def _show(self, result: Result) -> None:
        now = time.monotonic()
        if self._last_at is not None:
            fps = 1 / max(now - self._last_at, 1e-6)
            self._fps = fps if not self._fps else _CALM * self._fps + (1 - _CALM) * fps
        else:
            self._stabilizer = Stabilizer(result.labels)
        self._last_at = now
        self._newest = Look(
            result.image,
            self._stabilizer.people(result),
            result.labels,
            self._headline(result),
            KEYS,
            index=result.index,
            time_s=result.time_s or 0.0,
            size=result.size or (640, 480),
            close_up=True,
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
        """Start, continue or end the film, as was asked for."""
        if not self.choice.recording:
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
            self._recorded.append(recorder.path)
            self._say(f"wrote {recorder.path}")

    @property
    def recorded(self) -> list[Path]:
        """The films that were written."""
        return list(self._recorded)

    def _free_name(self) -> Path:
        """The film asked for, and numbered ones after it; without one, named after the time."""
        if self._record is None:
            return Path(time.strftime("mien-%Y%m%d-%H%M%S.mp4"))
        path, number = self._record, 1
        while path in self._recorded:
            number += 1
            path = self._record.with_stem(f"{self._record.stem}-{number}")
        return path


class _Gate:
    """Lets frames through to the analysis: none in a pause, and a film's at its own speed."""

    live = True  # so that each result comes at once

    def __init__(self, frames: Iterable[Frame], view: Live, own_speed: bool) -> None:
        self._frames, self._view, self._own_speed = frames, view, own_speed

    def __iter__(self) -> Iterator[Frame]:
        lag: float | None = None  # what the wall clock shows more than the film's
        for frame in awaited(self._frames):
            if self._own_speed and frame.time_s is not None:
                stood = self._stand()
                now = time.monotonic()
                lag = now - frame.time_s if lag is None else lag + stood
                self._sleep(frame.time_s + lag - now)
                if now - lag - frame.time_s > _LATE_S:
                    frame = replace(frame, read=_late)
            elif self._view.choice.paused:
                continue  # of a camera, what comes in a pause is not looked at
            if self._view.done:
                return
            yield frame

    def _stand(self) -> float:
        """Wait until a pause is over; returns its length in seconds."""
        begun = time.monotonic()
        while self._view.choice.paused and not self._view.done:
            time.sleep(0.01)
        return time.monotonic() - begun

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._view.done:
            time.sleep(min(left, 0.05))


def _late() -> NoReturn:
    raise FrameDroppedError("the frame came too late to be shown at the film's own speed.")


def _next(keys: list[int], current: int | None, forward: bool) -> int | None:
    """The next of some people; after the last comes None, which stands for all."""
    ring: list[int | None] = [None, *keys]
    place = ring.index(current) if current in ring else 0
    return ring[(place + (1 if forward else -1)) % len(ring)]


def people_line(people: Iterable[Person]) -> str:
    """Who is there, in one line."""
    return "; ".join(person.wordings[0] for person in people) or "no face"
