"""Types and checks shared by all video readers: `VideoInfo`, `Moment`, cut-off files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from mien.errors import InputError, InputNotFoundError, VideoError
from mien.media.paths import irregular
from mien.types import Image

#: First boxes of QuickTime and MP4 files, also of those cut off before their index.
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video from its header and first frame.

    Attributes:
        source: name of the video in the tables.
        width: width of the images in pixels, after rotation and resizing.
        height: height likewise.
        fps: average frame rate from the header; None if unknown.
        duration_s: seconds, from the header; None if unknown.
        frames: number of frames, or an estimate from duration and rate; None if unknown.
        codec: FFmpeg's name of it: ``h264``, ``vp9``, ``gif`` …, or ``webp``.
        has_audio: whether the file has an audio stream.
        rotation: degrees clockwise, 0, 90, 180 or 270, by which the stored images are rotated to
            be upright.
        streams: number of video streams in the file; one is read.
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
    """One frame of a video, decoded but not yet converted to an RGB image.

    Attributes:
        index: frame number, from 0.
        time_s: seconds since the start of the video.
        render: returns the image, at most so many pixels wide, or raises `VideoError`.
        final: it has no image and stands for the missing rest of a video that breaks off.
        duration_s: display duration by the file, seconds; None if unknown.
    """

    index: int
    time_s: float
    render: Callable[[int | None], Image]
    final: bool = False
    duration_s: float | None = None

    @classmethod
    def broken(cls, index: int, time_s: float, problem: str, *, final: bool = False) -> Moment:
        """A frame without an image; `problem` is the sentence that says why."""
        return cls(index, time_s, raising(VideoError(problem)), final)


def raising(error: InputError) -> Callable[..., NoReturn]:
    """A function that raises `error` in place of returning an image; it can be pickled."""
    return partial(_raise, error)


def _raise(error: InputError, *_: object) -> NoReturn:
    raise error.with_traceback(None)  # else each call would hold on to the frames of the last


def broken_off(name: str, time_s: float, duration_s: float | None) -> str:
    """The error message for a video whose end is missing."""
    of_all = f" of {duration_s:.2f} s" if duration_s and duration_s > time_s else ""
    return (
        f"{name} breaks off at {time_s:.2f} s{of_all}: the rest is missing or damaged,"
        " copy or download it again."
    )


def fitted(size: tuple[float, float], width: int | None) -> tuple[int, int]:
    """`size` (width, height) scaled down to `width` pixels; never up."""
    scale = min(1.0, width / size[0]) if width else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def check_file(path: str, name: str) -> bytes:
    """The first bytes of a file that may be a video.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: it is a folder.
        VideoError: it is empty or cannot be opened.
    """
    try:
        if (what := irregular(path)) is not None:  # opening it may block forever
            raise VideoError(f"{name} is {what}, where a video file is expected.")
        with open(path, "rb") as file:
            head = file.read(4096)
    except FileNotFoundError as error:
        hint = "; open a stream as a camera, or download the video first" if "://" in path else ""
        raise InputNotFoundError(f"No such file or folder: {name!r}{hint}.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if os.path.isdir(path):
            raise InputError(f"{name} is a folder, where one video is expected.") from error
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{name!r} cannot be opened: {reason}.") from error
    if not head:
        raise VideoError(f"{name} is empty: it has 0 bytes.")
    return head


def lacks_trailer(path: str) -> bool:
    """Whether a GIF is cut off: the semicolon that ends every GIF is missing."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 1024))
        return not file.read().rstrip(b"\0\r\n ").endswith(b";")


def lacks_bytes(path: str) -> bool:
    """Whether a file is cut off: shorter than its own header says.

    MP4 and QuickTime store the lengths of their boxes, Matroska and WebM that of their segment, AVI
    that of its RIFF chunk; a transport stream consists of packets of 188 bytes. Other formats and
    live recordings have no such length.
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
    """End offset of the last box of an MP4 or QuickTime file; each begins with its length."""
    at = 0
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:  # 0: the box extends to the end of the file
                return size
            at += length
    return at


def _ebml_end(head: bytes, at: int) -> int:
    """End offset of an element whose length is at `at`; 0 if unknown, as while recording.

    The length has as many bytes as its first has leading zeros, and one more (RFC 8794, 4).
    """
    count = 9 - head[at].bit_length() if at < len(head) else 9
    ones = (1 << 7 * count) - 1
    length = int.from_bytes(head[at : at + count], "big") & ones
    return 0 if count > 8 or length == ones else at + count + length
