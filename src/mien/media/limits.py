"""Size limits of images and video frames, checked before any memory is allocated.

A file of a few bytes can announce an image of gigabytes. `LIMITS` applies to images and videos
alike; `allow` changes it for the whole process.
"""

from __future__ import annotations

from dataclasses import dataclass

from mien.errors import ImageError, VideoError


@dataclass(frozen=True)
class Limits:
    """The largest image that is decoded.

    With these values no image or video takes more than 1.5 GB, detection included.

    Attributes:
        side: pixels of the longer side; JPEG's own limit.
        pixels: of a still image; a 200-megapixel phone image passes.
        frame_pixels: of one frame of a video or animation, of which decoders hold several.
        bytes: memory for decoding one image, and the size of its file.
    """

    side: int = 65_535
    pixels: int = 210_000_000
    frame_pixels: int = 1 << 26
    bytes: int = 1_300_000_000


LIMITS = Limits()

RGB_BYTES = 3
"""Bytes of one pixel of a decoded image."""


def allow(pixels: int | None) -> None:
    """Set the largest image and frame for this process, in pixels; None for the defaults.

    Memory use grows with it: up to 20 bytes per pixel while an image is decoded.
    """
    global LIMITS  # one setting per process, as Pillow's MAX_IMAGE_PIXELS is
    if pixels is None:
        LIMITS = Limits()
        return
    LIMITS = Limits(pixels=pixels, frame_pixels=pixels, bytes=max(Limits.bytes, 20 * pixels))


def check_image_size(
    name: str, width: int, height: int, bytes_per_pixel: float = RGB_BYTES
) -> None:
    """Raise `ImageError` if an image exceeds `LIMITS`; `bytes_per_pixel` at the peak."""
    if problem := _oversize(width, height, LIMITS.pixels, bytes_per_pixel):
        raise ImageError(f"{name} {problem}")


def check_frame_size(name: str, width: int, height: int) -> None:
    """Raise `VideoError` if the frames of a video or animation exceed `LIMITS`."""
    if problem := _oversize(width, height, LIMITS.frame_pixels, RGB_BYTES):
        raise VideoError(f"{name} {problem}")


def check_file_size(name: str, size: int) -> None:
    """Raise `ImageError` if an image file has more than ``LIMITS.bytes``."""
    if size > LIMITS.bytes:
        raise ImageError(f"{name} has over {LIMITS.bytes:,} bytes, the limit for an image file.")


def _oversize(width: int, height: int, pixels: int, bytes_per_pixel: float) -> str | None:
    """The problem with a size, to follow the name in a sentence; None if there is none."""
    size = f"is {width:,} x {height:,} pixels"
    if max(width, height) > LIMITS.side:
        return f"{size}, over the limit of {LIMITS.side:,} pixels a side: cut or scale it first."
    most = min(pixels, int(LIMITS.bytes / bytes_per_pixel))
    if width * height > most:
        return (
            f"{size}, {width * height:,} in all, over the limit of {most:,} for its format:"
            " make it smaller first, or allow more with --max-pixels."
        )
    return None
