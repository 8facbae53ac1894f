"""Videos: every frame with its index and time, decoded ahead in a thread."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

from mien.errors import InputError, UsageError, VideoError
from mien.media import decoding, webp
from mien.media.addresses import is_web, locate
from mien.media.base import Timing
from mien.media.frames import Moment, VideoInfo, check_file
from mien.media.images import name_of
from mien.media.paths import local_path
from mien.media.prefetch import prefetched
from mien.types import Frame, Image

_log = logging.getLogger(__name__)

#: Timestamps closer than this, in seconds, are equal.
_SAME_S = 1e-6


class VideoSource:
    """The frames of one video: H.264, VP9, animated GIF and WebP, and all else that FFmpeg reads.

    Images are upright by the rotation metadata of the file, with square pixels. The time of a frame
    is its presentation timestamp, so variable frame rates are handled; 0 is where a player's clock
    starts. The index counts the frames of the whole video in presentation order, also with
    `start`, where it is counted from the timestamps in the file, never estimated.

    A damaged frame, and the point where a video breaks off, are frames whose ``read`` raises
    `VideoError`; so is a video without frames in the requested range. ``read`` returns the decoded
    image once; later calls decode it from the file again, so that stored results hold no images.

    A thread decodes ahead, 32 MB at most, and ends with the iterator in any case. A source can be
    iterated again.

    Args:
        path: the file, or the ``http(s)://`` address of one.
        fps: maximum frames per second, spread evenly over time.
        every: only frames whose index is a multiple of this.
        start: seconds; earlier frames are skipped, mostly without decoding them.
        end: seconds; frames at this time and later are skipped.
        width: images wider than this many pixels are downscaled.
        stream: which of the file's video streams, counted from 0; by default the one that the
            file marks as its default, else the largest, and never cover art.
        name: of the video in tables and messages; by default its path.

    Attributes:
        info: `VideoInfo`, available before the first frame.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: the path is a folder.
        VideoError: the file is not a video, or no frame of it can be decoded.
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
        name: str | None = None,
    ) -> None:
        for option, value in (("fps", fps), ("every", every), ("end", end), ("width", width)):
            if value is not None and not value > 0:
                raise UsageError(f"{option} must be more than 0, got {value}.")
        if start is not None and not start >= 0:
            raise UsageError(f"start must be 0 or more seconds, got {start}.")
        if end is not None and end <= (start or 0):
            raise UsageError(f"end must be later than start, got {start} to {end}.")
        if stream is not None and stream < 0:
            raise UsageError(f"stream must be 0 or more, got {stream}.")
        self.path: str = local_path(os.fspath(path))
        web = is_web(self.path)
        self.name: str = name or (locate(self.path).name if web else name_of(self.path))
        self.fps: float | None
        self.every: int
        self.start: float | None
        self.end: float | None
        self.width: int | None
        self.fps, self.every, self.start, self.end, self.width = fps, every, start, end, width
        self.stream = stream
        self._is_webp = not web and webp.is_webp(check_file(self.path, self.name))
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
        """Yield frames in presentation order."""
        return prefetched(self._frames(), "mien-video")

    def _frames(self) -> Generator[tuple[Frame, int] | None]:
        """The selected frames, each with the size of its image in bytes; None for the others."""
        start, due = self.start or 0.0, self.start or 0.0
        step = 1 / self.fps if self.fps else 0.0
        # Timestamps are rounded, some to 1/1000 s, so a frame that is nearly due counts as due.
        slack = min(step / 4, 0.5 / (self.info.fps or 25)) + _SAME_S
        held: tuple[Frame, int] | None = None  # until the next frame gives its duration
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
            moment = Moment.broken(index, start, self._no_frames(index > 0), final=True)
            yield replace(self._frame(moment)[0], time_s=None), 0
        else:
            yield _shown_until(end, *held)

    def _end(self, moment: Moment) -> float:
        """End time of a frame that no other follows."""
        if moment.final:
            return moment.time_s
        duration_s = 1 / (self.info.fps or 25) if moment.duration_s is None else moment.duration_s
        return moment.time_s + duration_s

    def _no_frames(self, has_frames: bool) -> str:
        if not has_frames:
            return f"{self.name} has no frames."
        long = self.info.duration_s
        hint = f"; it is {long:.2f} s long" if long else ""
        return f"{self.name} has no frame in the requested range{hint}."

    def _guarded_moments(self, start: float) -> Iterator[Moment]:
        """All moments; if the decoder raises anything, a last one carries the error."""
        index, time_s = 0, start
        try:
            with closing(self._moments(start)) as moments:
                for moment in moments:
                    yield moment
                    index, time_s = moment.index + 1, self._end(moment)
        except InputError as error:
            yield Moment.broken(index, time_s, str(error), final=True)
        except Exception as error:  # noqa: BLE001 - decoders raise anything at damaged files
            problem = f"{self.name} is damaged and cannot be read from {time_s:.2f} s on"
            reason = f"{type(error).__name__}: {error}".rstrip(".: ")
            yield Moment.broken(index, time_s, f"{problem} ({reason}).", final=True)

    def _moments(self, start: float) -> Generator[Moment]:
        if self._is_webp:
            return webp.moments(self.path, self.name)
        return decoding.moments(self.path, self.name, start, self.stream)

    def _frame(self, moment: Moment) -> tuple[Frame, int]:
        image = _FrameImage(self, moment)
        return Frame(self.name, image, moment.index, moment.time_s), image.nbytes


def _shown_until(end_s: float, frame: Frame, nbytes: int) -> tuple[Frame, int]:
    """The frame with its duration."""
    return replace(frame, duration_s=max(0.0, end_s - (frame.time_s or 0.0))), nbytes


class _FrameImage:
    """Returns a decoded image once, and decodes it again on every later call."""

    def __init__(self, video: VideoSource, moment: Moment) -> None:
        self._video, self._index, self._time_s = video, moment.index, moment.time_s
        self._image: Image | None = None
        self._problem: str | None = None
        try:
            self._image = moment.render(video.width)
        except InputError as error:
            self._problem = str(error)

    @property
    def nbytes(self) -> int:
        return 0 if self._image is None else self._image.nbytes

    def __call__(self) -> Image:
        if self._problem is not None:
            raise VideoError(self._problem)
        image, self._image = self._image, None
        return self._decode_again() if image is None else image

    def _decode_again(self) -> Image:
        with closing(self._video._moments(self._time_s)) as moments:
            for moment in moments:
                if moment.index == self._index:
                    return moment.render(self._video.width)
                if moment.index > self._index:
                    break
        raise VideoError(f"Frame {self._index} of {self._video.name} is not there any more.")
