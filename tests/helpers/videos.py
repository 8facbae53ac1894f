"""Tiny generated videos with known truth, for every test that needs moving images.

Each frame shows its own number: `numbered_image` paints it as black and white stripes between a
red upper and a blue lower edge, and `number_of` reads it back after lossy coding and scaling,
which proves at once which frame it is, and that it is upright and has the right colors.

    path = write_video(tmp_path / "video.mp4", frames=20, fps=10)
    path = write_video(tmp_path / "video.webm", times=[0, 0.1, 0.5], style=Style(audio=True))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import FrameDroppedError, VideoError
from mien.types import Frame, Image

BITS = 8
RED, BLUE = (220, 30, 30), (30, 30, 220)
CLOCK = 12800
"""Ticks a second: whole numbers for 10, 20, 25, 40 and 50 frames a second."""


@dataclass(frozen=True)
class Style:
    """How a video is encoded.

    Attributes:
        codec: as FFmpeg calls it; by default VP9 for ``.webm`` and H.264 for everything else.
        pix_fmt: ``yuv444p`` lets H.264 hold odd sizes.
        gop: frames from one key frame to the next.
        rotation: degrees counter-clockwise by which a player has to turn the images; they are
            stored as given, so an upright video needs images turned the other way before.
        mirror: a player has to flip the images left to right as well.
        audio: add a tone (AAC, or Opus in ``.webm``) of the video's length, or of so many seconds.
        delay: seconds by which the images start later than the clock of the file.
        encoder: options of the encoder.
        container: options of the container; the index of ``.mp4`` is at the front, so that a
            video that is cut off still opens.
    """

    codec: str | None = None
    pix_fmt: str = "yuv420p"
    gop: int = 10
    rotation: int = 0
    mirror: bool = False
    audio: bool | float = False
    delay: float = 0.0
    encoder: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=lambda: {"movflags": "faststart"})


def numbered_image(number: int, size: tuple[int, int] = (64, 48)) -> Image:
    """``(H, W, 3)`` uint8 RGB of `size` (width, height) that shows `number`, 0 to 255."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, BITS + 1).round().astype(int)
    for bit in range(BITS):
        image[:, edges[bit] : edges[bit + 1]] = 235 if number >> bit & 1 else 20
    image[: height // 4], image[-(height // 4) :] = RED, BLUE
    return image


def number_of(image: Image) -> int:
    """The number that `numbered_image` painted; fails if the image is turned or its colors swapped.

    Raises:
        AssertionError: the red edge is not at the top, or the blue one not at the bottom.
    """
    height, width = image.shape[:2]
    top, bottom = image[height // 8].mean(axis=0), image[-height // 8].mean(axis=0)
    assert top[0] > top[2] + 100, f"the upper edge should be red, not {top.round()}"
    assert bottom[2] > bottom[0] + 100, f"the lower edge should be blue, not {bottom.round()}"
    middle = image[height // 2].mean(axis=1)
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return int(sum(1 << bit for bit, at in enumerate(centres) if middle[at] > 128))


def write_video(
    path: Path,
    images: Iterable[Image] | None = None,
    *,
    frames: int = 20,
    fps: int = 10,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = (64, 48),
    style: Style | None = None,
) -> Path:
    """Write a video; the container follows from the suffix of `path`.

    Args:
        path: ``.mp4``, ``.mkv``, ``.webm``, ``.avi``, ``.ts``, ``.gif`` or ``.webp``.
        images: the frames, all of one size; by default `numbered_image` 0, 1, 2 … of `size`.
        frames: how many, where `images` and `times` are left out.
        fps: frames a second, where `times` is left out.
        times: seconds of each frame, rising, for a variable frame rate.
        size: width and height, where `images` is left out.
        style: see `Style`.
    """
    style = style or Style()
    if times is not None:
        frames = len(times)
    images = images or (numbered_image(i % 2**BITS, size) for i in range(frames))
    if path.suffix in (".gif", ".webp"):
        return _write_animation(path, list(images), fps, times)
    import av

    options = style.container if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as container:
        stream = _video_stream(container, path, fps, style)
        sound = _audio_stream(container, path) if style.audio else None
        end = 0.0
        for number, image in enumerate(images):
            seconds = number / fps if times is None else times[number]
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = round((seconds + style.delay) * CLOCK)
            frame.time_base = Fraction(1, CLOCK)
            container.mux(stream.encode(frame))
            end = seconds + 1 / fps
        if sound is not None:
            _add_tone(container, sound, end if style.audio is True else style.audio)
        container.mux(stream.encode(None))
    return path


def truncate(path: Path, share: float = 0.5) -> Path:
    """Cut a file down to a share of its bytes, as a broken download does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def _video_stream(container: Any, path: Path, fps: int, style: Style) -> Any:
    codec = style.codec or ("libvpx-vp9" if path.suffix == ".webm" else "libx264")
    quick = {"libx264": {"preset": "ultrafast"}, "libvpx-vp9": {"deadline": "realtime"}}
    stream = container.add_stream(
        codec, rate=fps, options={**quick.get(codec, {}), **style.encoder}
    )
    stream.pix_fmt, stream.gop_size = style.pix_fmt, style.gop
    stream.codec_context.thread_count = 1
    if codec not in ("mpeg4", "mjpeg"):  # these keep to their frame rate
        stream.codec_context.time_base = Fraction(1, CLOCK)
    if style.rotation or style.mirror:
        stream.set_display_rotation(style.rotation, hflip=style.mirror)
    return stream


def _audio_stream(container: Any, path: Path) -> Any:
    return container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)


def _add_tone(container: Any, sound: Any, seconds: float) -> None:
    import av

    tone = 0.1 * np.sin(2 * np.pi * 440 / 48000 * np.arange(round(seconds * 48000)))
    frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def _write_animation(
    path: Path, images: list[Image], fps: int, times: Sequence[float] | None
) -> Path:
    from PIL import Image as PilImage

    stamps = [i / fps for i in range(len(images))] if times is None else list(times)
    shown = [round(1000 * d) for d in np.diff([*stamps, stamps[-1] + 1 / fps])]
    first, *rest = [PilImage.fromarray(image) for image in images]
    first.save(path, save_all=True, append_images=rest, duration=shown, loop=0)
    return path


def outcome(frame: Frame) -> int | str:
    """The number in a frame's image, or the error in its place."""
    try:
        return number_of(frame.read())
    except FrameDroppedError:
        return "dropped"
    except VideoError as error:
        return str(error)
