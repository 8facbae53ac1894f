"""The words that all readers of films share: what a film is, and one moment of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from mien.errors import InputError, InputNotFoundError, VideoError
from mien.media.paths import irregular
from mien.types import Image

#: How a QuickTime or MP4 file begins, also one that is cut off before its index.
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
#: The largest frame that is decoded, 8192 x 8192: decoders hold several at a time.


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a film before it is read.

    Attributes:
        source: what the film is called in the tables.
        width: of the pictures that will come, in pixels: upright, and after resizing.
        height: likewise.
        fps: frames a second on average, as the file says; None where it does not.
        duration_s: seconds, as the file says; None where it does not.
        frames: how many there are, or an estimate from duration and rate; None where unknown.
        codec: as FFmpeg calls it: ``h264``, ``vp9``, ``gif`` …, or ``webp``.
        has_audio: whether there is sound.
        rotation: degrees clockwise, 0, 90, 180 or 270, by which the stored images are turned to
            be upright.
        streams: how many streams of moving images the file has; one is read.
    """

    source: str
    width: int
    height: int
    fps: float | None
    duration_s: float | None
    frames: int | None
    codec: str
    has_audio: bool
    rotation: int
    streams: int = 1


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of a film, decoded but not yet an RGB picture.

    Attributes:
        index: its number in the film, from 0.
        time_s: seconds since the film's beginning.
        render: gives the picture, at most so many pixels wide, or raises `VideoError`.
        final: it fails, and stands for everything from here on, as the film breaks off.
        duration_s: how long the file says that it is shown, seconds; None where it does not.
    """

    index: int
    time_s: float
    render: Callable[[int | None], Image]
    final: bool = False
    duration_s: float | None = None

    @classmethod
    def broken(cls, index: int, time_s: float, problem: str, *, final: bool = False) -> Moment:
        """A moment of which there is no picture; `problem` is the sentence that says why."""
        return cls(index, time_s, partial(_refuse, problem), final)


def _refuse(problem: str, _width: int | None) -> NoReturn:
    raise VideoError(problem)


def broken_off(name: str, time_s: float, duration_s: float | None) -> str:
    """The sentence for a film of which the rest is missing."""
    of_all = f" of {duration_s:.2f} s" if duration_s and duration_s > time_s else ""
    return (
        f"{name} breaks off at {time_s:.2f} s{of_all}: the rest is missing or damaged,"
        " copy or download it again."
    )


def fitted(size: tuple[float, float], width: int | None) -> tuple[int, int]:
    """`size` (width, height) made smaller to be `width` pixels wide; never larger."""
    scale = min(1.0, width / size[0]) if width else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def check_file(path: str, name: str) -> bytes:
    """The first bytes of a file that may be a film.

    Raises:
        InputNotFoundError: there is nothing at `path`.
        InputError: it is a folder.
        VideoError: it is empty, or may not be read.
    """
    try:
        if (what := irregular(path)) is not None:  # opening it may wait for ever
            raise VideoError(f"{name} is {what}, where a video file is expected.")
        with open(path, "rb") as file:
            head = file.read(4096)
    except FileNotFoundError as error:
        hint = "; open a stream as a camera, or download the video first" if "://" in path else ""
        raise InputNotFoundError(f"No such file or folder: {name!r}{hint}.") from error
    except (OSError, ValueError) as error:  # a ValueError is a NUL in the path
        if os.path.isdir(path):
            raise InputError(f"{name} is a folder, where one video is expected.") from error
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{name!r} cannot be opened: {reason}.") from error
    if not head:
        raise VideoError(f"{name} is empty: it has 0 bytes.")
    return head


def lacks_trailer(path: str) -> bool:
    """Whether a GIF stops without the semicolon that ends every GIF: then it is cut off."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 1024))
        return not file.read().rstrip(b"\0\r\n ").endswith(b";")


def lacks_bytes(path: str) -> bool:
    """Whether a file is shorter than its own header says: then it is cut off.

    MP4 and QuickTime give the lengths of their boxes, Matroska and WebM that of their segment, AVI
    that of its RIFF chunk; a transport stream is a row of packets of 188 bytes. Other formats, and
    live recordings, do not say.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(4096)
    if head[:4] == b"\x1aE\xdf\xa3":
        segment = head.find(b"\x18S\x80g")
        end = _ebml_end(head, segment + 4) if segment > 0 else 0
    elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        end = int.from_bytes(head[4:8], "little")
    elif head[4:8] in ISO_BOXES:
        end = _boxes_end(path, size)
    else:
        packets = all(head[at : at + 1] == b"G" for at in range(0, 5 * 188, 188))
        end = size + size % 188 if packets else 0
    return end > size


def _boxes_end(path: str, size: int) -> int:
    """Where the last box of an MP4 or QuickTime file ends; each begins with its length."""
    at = 0
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:  # 0 is a box that goes to the end of the file
                return size
            at += length
    return at


def _ebml_end(head: bytes, at: int) -> int:
    """Where an element ends whose length stands at `at`; 0 if that is unknown, as while recording.

    The length has as many bytes as its first has leading zeros, and one more (RFC 8794, 4).
    """
    count = 9 - head[at].bit_length() if at < len(head) else 9
    ones = (1 << 7 * count) - 1
    length = int.from_bytes(head[at : at + count], "big") & ones
    return 0 if count > 8 or length == ones else at + count + length
