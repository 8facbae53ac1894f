"""Animated WebP, which FFmpeg up to version 8 cannot read: its frames come from Pillow.

Pillow refuses a truncated file as a whole, so complete chunks are counted here, and Pillow reads
the file as if it ended after them.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2

from mien.errors import VideoError
from mien.media.frames import Moment, VideoInfo, broken_off, check_file, fitted
from mien.media.images import read_image
from mien.media.limits import check_frame_size
from mien.types import Image

if TYPE_CHECKING:
    from PIL import Image as PilImage

_HEADER = 12  # "RIFF", the size of the rest, "WEBP"


class _Animation(NamedTuple):
    """A WebP file as far as it is complete.

    Attributes:
        data: the file, ending after its last complete frame.
        shown_ms: duration of each frame, milliseconds.
        cut: whether the file is truncated after that.
    """

    data: bytes
    shown_ms: list[int]
    cut: bool


def is_webp(head: bytes) -> bool:
    """Whether a file that begins with `head` is WebP, animated or not."""
    return head[:4] == b"RIFF" and head[8:_HEADER] == b"WEBP"


def is_animated(path: str, head: bytes) -> bool:
    """Whether a WebP file has more than one frame; nothing is decoded."""
    flagged = head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
    return flagged and len(_animation(path).shown_ms) > 1


def probe(path: str, name: str, width: int | None) -> VideoInfo:
    """Properties of an animation; see `mien.media.decoding.probe`."""
    animation = _animation(path)
    if not animation.shown_ms:
        raise VideoError(f"{name} is an image, not a video, or it is cut off.")
    with _open(animation, name) as image:
        check_frame_size(name, *image.size)
        across, down = fitted(image.size, width)
    frames, seconds = len(animation.shown_ms), sum(animation.shown_ms) / 1000
    fps = frames / seconds if seconds else None
    return VideoInfo(name, across, down, fps, seconds, frames, "webp", False, 0)


def moments(path: str, name: str) -> Generator[Moment]:
    """The frames of an animation; see `mien.media.decoding.moments`."""
    check_file(path, name)
    animation = _animation(path)
    time_ms = 0
    with _open(animation, name) as image:
        for index, shown_ms in enumerate(animation.shown_ms):
            image.seek(index)
            render = partial(_render, image, name)
            yield Moment(index, time_ms / 1000, render, duration_s=shown_ms / 1000)
            time_ms += shown_ms
    if animation.cut:
        problem = broken_off(name, time_ms / 1000, None)
        yield Moment.broken(len(animation.shown_ms), time_ms / 1000, problem, final=True)


def _render(image: PilImage.Image, name: str, width: int | None) -> Image:
    frame = read_image(image, name=name)
    size = fitted(image.size, width)
    if size == image.size:
        return frame
    return cast(Image, cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def _open(animation: _Animation, name: str) -> PilImage.Image:
    from PIL import Image as PilImage

    try:
        return PilImage.open(io.BytesIO(animation.data), formats=("WEBP",))
    except (OSError, ValueError, PilImage.DecompressionBombError) as error:
        raise VideoError(f"{name} is not a video that can be read, or it is damaged.") from error


def _animation(path: str) -> _Animation:
    """Parse the chunks of a file: four letters, four bytes of length, an even number of bytes."""
    with open(path, "rb") as file:
        data = file.read()
    at, shown_ms = _HEADER, []
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 > len(data) or end > len(data):
            break
        if data[at : at + 4] == b"ANMF":
            shown_ms.append(int.from_bytes(data[at + 20 : at + 23], "little"))
        at = end + end % 2
    cut = 8 + int.from_bytes(data[4:8], "little") > len(data)
    if cut:
        data = data[:4] + (at - 8).to_bytes(4, "little") + data[8:at]
    return _Animation(data, shown_ms, cut)
