"""Films: every frame with its number and its time, read ahead in a thread."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing

from mien.errors import InputError, UsageError, VideoError
from mien.media import decoding, webp
from mien.media.frames import Moment, VideoInfo, check_file
from mien.media.images import VIDEO_SUFFIXES, name_of
from mien.media.prefetch import prefetched
from mien.types import Frame, Image

FILM_SUFFIXES = VIDEO_SUFFIXES | {".ts", ".mts", ".m2ts", ".ogv", ".asf", ".vob", ".mxf", ".3g2"}
"""File name endings, in lower case, by which films are told from pictures."""

#: Two stamps nearer than this, in seconds, are the same time.
_SAME_S = 1e-6


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is to be read as a film: by its ending, and GIF and WebP by their content.

    A GIF or WebP is a film if it has more than one picture; none is decoded to tell. A file that
    is not there, or is broken, is what its ending says, and a picture if it ends in .gif or .webp.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".gif", ".webp"):
        return suffix in FILM_SUFFIXES
    try:
        head = check_file(path, path)
        return webp.is_animated(path, head) if webp.is_webp(head) else _is_animated_gif(path, head)
    except (InputError, OSError):
        return False


def _is_animated_gif(path: str, head: bytes) -> bool:
    if head[:4] != b"GIF8":
        return False
    from PIL import Image as PilImage

    try:
        with PilImage.open(path, formats=("GIF",)) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - whatever is wrong with it is said where it is read
        return False


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
        width: pictures wider than this many pixels are made smaller.

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
    ) -> None:
        for name, value in (("fps", fps), ("every", every), ("end", end), ("width", width)):
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be more than 0, got {value}.")
        if start is not None and not start >= 0:
            raise UsageError(f"start must be 0 or more seconds, got {start}.")
        if end is not None and end <= (start or 0):
            raise UsageError(f"end must be later than start, got {start} to {end}.")
        self.path = os.fspath(path)
        self.name = name_of(self.path)
        self.fps, self.every, self.start, self.end, self.width = fps, every, start, end, width
        self._is_webp = webp.is_webp(check_file(self.path, self.name))
        read = webp if self._is_webp else decoding
        self.info: VideoInfo = read.probe(self.path, self.name, width)

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order of presentation."""
        return prefetched(self._frames(), "mien-film")

    def _frames(self) -> Generator[tuple[Frame, int] | None]:
        """The chosen frames, each with the bytes that its picture holds; None for the others."""
        start, due = self.start or 0.0, self.start or 0.0
        step = 1 / self.fps if self.fps else 0.0
        # Stamps are rounded, some to 1/1000 s: what is nearly due, and nearest to it, is in time.
        slack = min(step / 4, 0.5 / (self.info.fps or 25)) + _SAME_S
        empty, seen = True, 0
        for moment in self._moments(start):
            seen = moment.index + 1
            if self.end is not None and moment.time_s >= self.end - _SAME_S:
                break
            if not moment.final:
                early = moment.time_s < max(start - _SAME_S, due - slack)
                if early or moment.index % self.every:
                    yield None
                    continue
                on_time = moment.time_s < due + step - slack
                due = step + (due if on_time else moment.time_s)
            empty = False
            yield self._frame(moment)
        if empty:
            yield self._frame(Moment.broken(seen, start, self._nothing(seen > 0), final=True))

    def _nothing(self, some: bool) -> str:
        if not some:
            return f"{self.name} has no frames."
        long = self.info.duration_s
        hint = f"; it is {long:.2f} s long" if long else ""
        return f"{self.name} has no frame in the range that was asked for{hint}."

    def _moments(self, start: float) -> Generator[Moment]:
        if self._is_webp:
            return webp.moments(self.path, self.name)
        return decoding.moments(self.path, self.name, start)

    def _frame(self, moment: Moment) -> tuple[Frame, int]:
        picture = _Picture(self, moment)
        return Frame(self.name, picture, moment.index, moment.time_s), picture.nbytes


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
