"""Films: every frame with its number and its time, read ahead in a thread."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

from mien.errors import InputError, UsageError, VideoError
from mien.media import decoding, webp
from mien.media.base import Timing
from mien.media.frames import Moment, VideoInfo, check_file
from mien.media.images import name_of
from mien.media.paths import local_path
from mien.media.prefetch import prefetched
from mien.types import Frame, Image

_log = logging.getLogger(__name__)

#: Two stamps nearer than this, in seconds, are the same time.
_SAME_S = 1e-6


class VideoSource:
    """The frames of one film: H.264, VP9, animated GIF and WebP, and all else that FFmpeg reads.

    Pictures come upright, as the file's rotation metadata wants, with square pixels. The time of a
    frame is its presentation stamp, so a variable frame rate is right; 0 is where a player's clock
    starts. The index counts the frames of the whole film in the order of presentation, also after
    `start`, where it is counted from the stamps that the file lists and never estimated.

    A frame that is damaged, and the place where a film breaks off, come as a frame whose ``read``
    raises `VideoError`; so does a film with no frame in the range asked for. ``read`` hands out
    the decoded picture once; later calls decode it from the file again, so that a result which
    is kept costs no picture's memory.

    A thread decodes ahead, 32 MB at most. It ends when the iterator does, however that comes
    about. A source can be iterated again.

    Args:
        path: the file.
        fps: at most so many frames a second, spread evenly over time.
        every: only frames whose index is a multiple of this.
        start: seconds; frames before are left out, without decoding most of them.
        end: seconds; frames at this time and later are left out.
        width: images wider than this many pixels are made smaller.
        stream: which of the file's video streams, counted from 0; by default the one that the
            file marks as its default, else the largest, and never a cover.

    Attributes:
        info: `VideoInfo`, known before the first frame.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: the path is a folder.
        VideoError: the file is not a film, or nothing of it can be decoded.
        UsageError: a number is out of range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float | None = None,
        every: int = 1,
        start: float | None = None,
        end: float | None = None,
        width: int | None = None,
        stream: int | None = None,
    ) -> None:
        for name, value in (("fps", fps), ("every", every), ("end", end), ("width", width)):
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be more than 0, got {value}.")
        if start is not None and not start >= 0:
            raise UsageError(f"start must be 0 or more seconds, got {start}.")
        if end is not None and end <= (start or 0):
            raise UsageError(f"end must be later than start, got {start} to {end}.")
        if stream is not None and stream < 0:
            raise UsageError(f"stream must be 0 or more, got {stream}.")
        self.path = local_path(os.fspath(path))
        self.name = name_of(self.path)
        self.fps, self.every, self.start, self.end, self.width = fps, every, start, end, width
        self.stream = stream
        self._is_webp = webp.is_webp(check_file(self.path, self.name))
        self.info: VideoInfo = (
            webp.probe(self.path, self.name, width)
            if self._is_webp
            else decoding.probe(self.path, self.name, width, stream)
        )
        if stream is None and self.info.streams > 1:
            _log.warning(
                "%s has %d video streams, and the default one is read: choose with --stream or"
                " stream=.",
                self.name,
                self.info.streams,
            )

    @property
    def timing(self) -> Timing:
        """The rate of the frames that `fps` and `every` select."""
        if not self.info.fps:
            return Timing()
        return Timing(fps=min(self.info.fps / self.every, self.fps or math.inf))

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order of presentation."""
        return prefetched(self._frames(), "mien-video")

    def _frames(self) -> Generator[tuple[Frame, int] | None]:
        """The chosen frames, each with the bytes that its image holds; None for the others."""
        start, due = self.start or 0.0, self.start or 0.0
        step = 1 / self.fps if self.fps else 0.0
        # Stamps are rounded, some to 1/1000 s: what is nearly due, and nearest to it, is in time.
        slack = min(step / 4, 0.5 / (self.info.fps or 25)) + _SAME_S
        held: tuple[Frame, int] | None = None  # until it is known how long it is shown
        index, end = 0, start
        for moment in self._guarded_moments(start):
            if self.end is not None and moment.time_s >= self.end - _SAME_S:
                end = self.end
                break
            index, end = moment.index + 1, self._end(moment)
            if not moment.final:
                early = moment.time_s < max(start - _SAME_S, due - slack)
                if early or moment.index % self.every:
                    yield None
                    continue
                on_time = moment.time_s < due + step - slack
                due = step + (due if on_time else moment.time_s)
            if held is not None:
                yield _shown_until(moment.time_s, *held)
            held = self._frame(moment)
        if held is None:
            moment = Moment.broken(index, start, self._nothing(index > 0), final=True)
            yield replace(self._frame(moment)[0], time_s=None), 0
        else:
            yield _shown_until(end, *held)

    def _end(self, moment: Moment) -> float:
        """When a frame ends if no other follows."""
        if moment.final:
            return moment.time_s
        duration_s = 1 / (self.info.fps or 25) if moment.duration_s is None else moment.duration_s
        return moment.time_s + duration_s

    def _nothing(self, some: bool) -> str:
        if not some:
            return f"{self.name} has no frames."
        long = self.info.duration_s
        hint = f"; it is {long:.2f} s long" if long else ""
        return f"{self.name} has no frame in the range that was asked for{hint}."

    def _guarded_moments(self, start: float) -> Iterator[Moment]:
        """All moments; where reading fails, a last one says so, whatever the decoder raised."""
        index, time_s = 0, start
        try:
            with closing(self._moments(start)) as moments:
                for moment in moments:
                    yield moment
                    index, time_s = moment.index + 1, self._end(moment)
        except InputError as error:
            yield Moment.broken(index, time_s, str(error), final=True)
        except Exception as error:  # noqa: BLE001 - decoders raise anything at damaged files
            problem = f"{self.name} cannot be read from {time_s:.2f} s on, it is damaged"
            reason = f"{type(error).__name__}: {error}".rstrip(".: ")
            yield Moment.broken(index, time_s, f"{problem} ({reason}).", final=True)

    def _moments(self, start: float) -> Generator[Moment]:
        if self._is_webp:
            return webp.moments(self.path, self.name)
        return decoding.moments(self.path, self.name, start, self.stream)

    def _frame(self, moment: Moment) -> tuple[Frame, int]:
        image = _Picture(self, moment)
        return Frame(self.name, image, moment.index, moment.time_s), image.nbytes


def _shown_until(end_s: float, frame: Frame, nbytes: int) -> tuple[Frame, int]:
    """The frame, with how long it is shown."""
    return replace(frame, duration_s=max(0.0, end_s - (frame.time_s or 0.0))), nbytes


class _Picture:
    """Hands out a decoded picture once, and decodes it anew whenever it is asked for again."""

    def __init__(self, film: VideoSource, moment: Moment) -> None:
        self._film, self._index, self._time_s = film, moment.index, moment.time_s
        self._image: Image | None = None
        self._problem: str | None = None
        try:
            self._image = moment.render(film.width)
        except InputError as error:
            self._problem = str(error)

    @property
    def nbytes(self) -> int:
        return 0 if self._image is None else self._image.nbytes

    def __call__(self) -> Image:
        if self._problem is not None:
            raise VideoError(self._problem)
        image, self._image = self._image, None
        return self._again() if image is None else image

    def _again(self) -> Image:
        with closing(self._film._moments(self._time_s)) as moments:
            for moment in moments:
                if moment.index == self._index:
                    return moment.render(self._film.width)
                if moment.index > self._index:
                    break
        raise VideoError(f"Frame {self._index} of {self._film.name} is not there any more.")
