"""Inputs: the images, videos and streams behind the paths, folders and patterns of a user.

One rule for the command and for Python. Every input ends as frames; an unreadable one is a frame
whose ``read`` raises the reason. What folders leave out is counted.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from mien.errors import ImageError, InputError, InputNotFoundError, UsageError
from mien.media.addresses import is_web
from mien.media.base import Source, Timing, timing_of
from mien.media.formats import kind_by_name, kind_of
from mien.media.frames import raising
from mien.media.images import name_of, read_image
from mien.media.paths import irregular, is_handed_over, local_path
from mien.stores import is_pattern, is_stored, listed
from mien.types import Frame, Image

InputKind: TypeAlias = 'Literal["image", "video", "stream"]'

#: Reasons for leaving something out, in singular and plural.
_NOUNS = {
    "hidden": ("hidden file or folder", "hidden files or folders"),
    "annotated": ("annotated copy by mien", "annotated copies by mien"),
    "linked": ("linked folder", "linked folders"),
    "other": ("file that is neither image nor video", "files that are neither image nor video"),
    "again": ("input named twice", "inputs named twice"),
}
_ANNOTATED = re.compile(r"\.annotated(-\d+)?\.\w+$", re.IGNORECASE)


@dataclass(frozen=True)
class VideoOptions:
    """Which frames of a video to read; see `mien.media.video.VideoSource`."""

    fps: float | None = None
    every: int = 1
    start: float | None = None
    end: float | None = None
    width: int | None = None
    stream: int | None = None

    def check_stream(self) -> None:
        """Raise `UsageError` where a camera or stream, which has no beginning, cannot follow."""
        if (self.fps, self.every, self.start, self.stream) != (None, 1, None, None):
            raise UsageError("a camera or stream has no --fps, --every, --start or --stream.")


#: Every frame of a video.
ALL_FRAMES = VideoOptions()


def frames_setting(options: VideoOptions, adaptive: bool) -> str:
    """Which frames of videos are analyzed, for the settings of a table; "" for all."""
    chosen = {**asdict(options), "adaptive": adaptive or None}
    usual = asdict(VideoOptions())
    words = [f"{name} {v}" for name, v in chosen.items() if v not in (None, usual.get(name))]
    return ", ".join(words)


@dataclass(frozen=True)
class Input:
    """One image, video or stream.

    Attributes:
        name: its name in the tables.
        kind: what it is; ``image`` where that is unknown.
        place: its path or address.
        problem: why it cannot be read, if that is clear without opening it.
    """

    name: str
    kind: InputKind
    place: str
    problem: InputError | None = None

    def frames(self, options: VideoOptions = ALL_FRAMES) -> Iterable[Frame]:
        """Its frames; what cannot be read is a frame whose ``read`` raises `InputError`.

        Args:
            options: for videos; of a stream, its `width`, and `end` as its longest time.

        Raises:
            UsageError: `options` are out of range, or not for a stream.
        """
        if self.problem is not None:
            return [failure(self.name, self.problem)]
        if self.kind == "image":
            return [Frame(self.name, partial(_read_image, self.place, self.name))]
        try:
            return Guarded(_open(self.place, self.kind, options), self.name)
        except InputError as error:
            return [failure(self.name, error)]


class Guarded:
    """A source whose failure is its last frame, so that the run goes on with the next input."""

    def __init__(self, source: Source, name: str) -> None:
        self._source, self._name = source, name
        self.timing: Timing = timing_of(source)
        self.info: Any = getattr(source, "info", None)

    def __iter__(self) -> Iterator[Frame]:
        index, time_s = 0, None
        try:
            for frame in self._source:
                yield frame
                index, time_s = frame.index + 1, frame.time_s
        except InputError as error:
            yield failure(self._name, error, index, time_s)


class Inputs:
    """The inputs behind paths, folders, patterns and addresses, lazily and in order.

    - A **folder** gives the images and videos in it and in its subfolders, by their content, in
      natural order (``2.jpg`` before ``10.jpg``), a folder's own before those of its subfolders.
      Hidden files and folders, linked folders, annotated copies that mien wrote
      (``NAME.annotated.EXT``), and files that are neither image nor video are left out.
    - A **pattern** such as ``party/**/*.jpg`` follows the same rule for its matches; matching
      folders are read unless it has ``**``. The name of an existing file is not a pattern.
    - A **file** given by name is always an input. ``~`` is the user's home, and ``-`` an image on
      standard input.
    - An **address** is a stream, a recorded video or an image on a web server, a ``file:`` URL, a
      ``data:`` URL with an image in it, or a file, folder or pattern in a store (``s3://``, see
      `mien.stores`), whose contents are recognized by their names.

    Args:
        paths: as above.
        once: leave out files that came before under another name, link or pattern.
        by_name: tell kinds by extensions where these are known, so that files stay closed.

    Attributes:
        paths: as given.
        left_out: how many files were left out so far, by reason.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        once: bool = True,
        by_name: bool = False,
    ) -> None:
        self.paths = paths
        self._once, self._by_name = once, by_name
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Input]:
        self.left_out.clear()
        met: set[int] = set()
        for path in self.paths:
            for item in self._named(os.fspath(path)):
                if self._once and _is_again(item.place, met):
                    self.left_out["again"] += 1
                else:
                    yield item

    def summary(self) -> str:
        """What was left out so far, in a sentence; empty if nothing was."""
        return f"left out: {_counts(self.left_out)}" if self.left_out else ""

    def _named(self, path: str) -> Iterator[Input]:
        """The inputs that one argument stands for."""
        if path == "-" or path.startswith("data:"):
            name = "standard input" if path == "-" else public_name(path)
            yield Input(name, "image", path)
            return
        if is_stored(path):
            yield from self._stored(path)
            return
        if is_address(path):
            moving: InputKind = "stream" if is_live(path) else "video"
            yield Input(public_name(path), "image" if is_web_image(path) else moving, path)
            return
        path = local_path(path)
        if os.path.isdir(path):
            yield from self._or_failure(self._folder(path), path, "holds no images or videos")
        elif os.path.lexists(path) or glob.escape(path) == path:
            # a broken link, or something other than a file, fails when it is read
            yield self._file(path) or Input(name_of(path), "image", path)
        else:
            yield from self._or_failure(self._pattern(path), path, "matches no image or video")

    def _or_failure(self, items: Iterator[Input], name: str, problem: str) -> Iterator[Input]:
        before = self.left_out.copy()
        first = next(items, None)
        if first is None:
            rest = _counts(self.left_out - before)
            kind = InputError if os.path.isdir(name) else InputNotFoundError
            error = kind(f"{name_of(name)} {problem}{f', only {rest}' if rest else ''}.")
            yield Input(name_of(name), "image", name, error)
            return
        yield first
        yield from items

    def _folder(self, folder: str) -> Iterator[Input]:
        closed: list[OSError] = []
        for here, below, names in os.walk(folder, onerror=closed.append):
            self.left_out["hidden"] += sum(name.startswith(".") for name in below)
            visible = [name for name in below if not name.startswith(".")]
            own = [name for name in visible if not os.path.islink(os.path.join(here, name))]
            self.left_out["linked"] += len(visible) - len(own)
            below[:] = sorted(own, key=_natural)
            for name in sorted(names, key=_natural):
                yield from self._found(os.path.join(here, name))
        self.left_out += Counter()  # drop zero counts
        for error in closed:  # its contents must not go missing silently
            name = name_of(str(error.filename))
            problem = InputError(f"{name} cannot be opened: {error.strerror}.")
            yield Input(name, "image", name, problem)

    def _pattern(self, pattern: str) -> Iterator[Input]:
        for path in sorted(glob.iglob(pattern, recursive=True), key=_natural):
            if not os.path.isdir(path):
                yield from self._found(path)
            elif "**" not in pattern:
                yield from self._folder(path)

    def _stored(self, address: str) -> Iterator[Input]:
        """The inputs behind an address in a store."""
        name, pattern = public_name(address), is_pattern(address)
        if not pattern and not address.endswith("/") and (kind := kind_by_name(address)):
            yield Input(name, kind, address)
            return
        problem = "matches no image or video" if pattern else "holds no images or videos"
        yield from self._or_failure(self._listed(address), address, problem)

    def _listed(self, address: str) -> Iterator[Input]:
        try:
            for file in listed(address):
                yield from self._found(file.address)
        except InputError as error:  # also halfway: its contents must not go missing silently
            yield Input(public_name(address), "image", address, error)

    def _found(self, path: str) -> Iterator[Input]:
        """A file in a folder or matching a pattern, unless it is left out."""
        name = os.path.basename(path)
        if name.startswith("."):
            self.left_out["hidden"] += 1
        elif _ANNOTATED.search(name):
            self.left_out["annotated"] += 1
        elif (item := self._file(path)) is None:
            self.left_out["other"] += 1
        else:
            yield item

    def _file(self, path: str) -> Input | None:
        """The input for a file; None if it is neither an image nor a video."""
        if self._by_name and (kind := kind_by_name(path)) and not is_stored(path):
            return Input(name_of(path), kind, path)
        return _file(path)


def is_address(path: str) -> bool:
    """Whether an argument names a camera, a stream, or a file elsewhere, and not a local file."""
    return ("://" in path and not path.startswith("file:")) or path.startswith("/dev/video")


def is_web_image(path: str) -> bool:
    """Whether an argument is the address of an image on a web server, by its name."""
    return is_web(path) and kind_by_name(urlsplit(path).path) == "image"


def is_live(path: str) -> bool:
    """Whether an argument names a camera or a live stream; the server of an address is asked."""
    if not is_address(path) or is_stored(path) or is_web_image(path):
        return False
    from mien.media.addresses import is_recording

    return not is_recording(path)


def is_moving(path: str) -> bool:
    """Whether an argument is a video, an animated image, a camera or a stream."""
    if is_stored(path):
        return kind_by_name(path) == "video"
    if is_address(path):
        return not is_web_image(path)
    item = _file(local_path(path))
    return item is not None and item.kind == "video"


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(
        f"{left_out[why]:,} {nouns[left_out[why] > 1]}"
        for why, nouns in _NOUNS.items()
        if left_out[why]
    )


def failure(name: str, problem: InputError, index: int = 0, time_s: float | None = None) -> Frame:
    """A frame whose ``read`` raises `problem`."""
    return Frame(name, raising(problem), index, time_s)


def _file(path: str) -> Input | None:
    """The input for a file; None if it is neither an image nor a video."""
    if is_stored(path):
        kind = kind_by_name(path)
        return None if kind is None else Input(path, kind, path)
    name = name_of(path)
    if (what := irregular(path)) is not None:
        problem = InputError(f"{name} is {what}, where an image or video file is expected.")
        return Input(name, "image", path, None if is_handed_over(path) else problem)
    try:
        kind = kind_of(path)
    except (OSError, ValueError):  # reading it reports the error
        kind = kind_by_name(path) or "image"
    return None if kind is None else Input(name, kind, path)


def _is_again(place: str, met: set[int]) -> bool:
    """Whether a file came before, perhaps through a link or another name."""
    try:
        status = os.stat(place)
        key = hash((status.st_dev, status.st_ino))
    except (OSError, ValueError):
        key = hash(place)
    again = key in met
    met.add(key)
    return again


def _read_image(place: str, name: str) -> Image:
    if place == "-":
        if sys.stdin is None:
            raise ImageError("standard input is closed: give a file.")
        return read_image(sys.stdin.buffer.read(), name=name)
    if place.startswith("data:"):
        return read_image(_data(place, name), name=name)
    if is_address(place):
        from mien.media.remote import content

        return read_image(content(place, name), name=name)
    return read_image(place, name=name)


def _data(address: str, name: str) -> bytes:
    head, _, body = address.partition(",")
    try:
        raw = unquote_to_bytes(body)
        return b64decode(raw, validate=True) if head.endswith(";base64") else raw
    except ValueError as error:
        raise ImageError(f"{name} is not valid base64: {error}.") from error


def public_name(place: str) -> str:
    """The name of an address: without a password, and without kilobytes of data."""
    if is_stored(place):
        return place
    if place.startswith("data:"):
        digest = sha256(place.encode("utf-8", "backslashreplace")).hexdigest()
        return f"{place.partition(',')[0].partition(';')[0][:80]} {digest[:12]}"
    from mien.media.addresses import locate

    return locate(place).name


def _open(place: str, kind: InputKind, options: VideoOptions) -> Source:
    if kind == "stream":
        from mien.media.camera import CameraSource

        options.check_stream()
        return CameraSource(place, width=options.width, max_seconds=options.end)
    if is_stored(place):
        from mien.media.remote import stored_video

        return stored_video(place, **asdict(options))
    from mien.media.video import VideoSource

    return VideoSource(place, **asdict(options))


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2.jpg before 10.jpg; ties are ordered by the name itself."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name
