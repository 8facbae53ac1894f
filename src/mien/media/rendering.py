"""Converts decoded frames to RGB images as a player shows them: upright, square pixels, resized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import cv2
import numpy as np

from mien.media.frames import fitted
from mien.types import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream

#: FFmpeg's value for an unspecified YUV color space.
_UNSPECIFIED = 2
#: The greatest height taken for standard definition, BT.601, if the color space is unspecified.
_STANDARD_HEIGHT = 576


class Turn(NamedTuple):
    """How a stored image becomes upright: first transposed, then flipped."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False


class Renderer:
    """Renders the frames of one stream; the swscale context is reused from frame to frame."""

    def __init__(self, stream: VideoStream) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._stored = (stream.codec_context.width, stream.codec_context.height)
        aspect = stream.sample_aspect_ratio
        self._aspect = float(aspect) if aspect and 0.1 < aspect < 10 else 1.0
        self._turns: dict[int, Turn] = {}

    def render(self, frame: VideoFrame, width: int | None = None) -> Image:
        """``(H, W, 3)`` uint8 RGB, at most `width` pixels wide."""
        from av.video.reformatter import Colorspace, Interpolation

        turn = self._turn(frame)
        across, down = self.size(frame, width)
        if turn.swap:
            across, down = down, across
        guess_hd = frame.colorspace == _UNSPECIFIED and frame.height > _STANDARD_HEIGHT
        rgb = self._reformatter.reformat(
            frame,
            across,
            down,
            "rgb24",
            src_colorspace=Colorspace.ITU709 if guess_hd else None,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        return _turned(cast(Image, rgb.to_ndarray()), turn)

    def size(self, frame: VideoFrame | None, width: int | None) -> tuple[int, int]:
        """Width and height of the images from `render`; by the header if there is no frame."""
        across, down = self._stored if frame is None else (frame.width, frame.height)
        upright = (across * self._aspect, float(down))
        if frame is not None and self._turn(frame).swap:
            upright = upright[::-1]
        return fitted(upright, width)

    def rotation(self, frame: VideoFrame | None) -> int:
        """Degrees clockwise, 0, 90, 180 or 270, by which `render` rotates."""
        return 0 if frame is None else round(-frame.rotation / 90) * 90 % 360

    def _turn(self, frame: VideoFrame) -> Turn:
        """Cached: PyAV's side data references its frame in a cycle, which keeps it in memory."""
        if frame.rotation not in self._turns:
            self._turns[frame.rotation] = _display_turn(frame)
        return self._turns[frame.rotation]


def _display_turn(frame: VideoFrame) -> Turn:
    """The display matrix that phones write, rounded to quarter turns, flips included.

    A stored point (x, y) is displayed at (a x + c y, b x + d y); see libavutil/display.h.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return Turn(False, flip_x=a < 0, flip_y=d < 0)
    return Turn(True, flip_x=c < 0, flip_y=b < 0)


def _turned(image: Image, turn: Turn) -> Image:
    if turn.swap:
        image = cast(Image, cv2.transpose(image))
    if turn.flip_x or turn.flip_y:
        code = -1 if turn.flip_x and turn.flip_y else int(turn.flip_x)
        image = cast(Image, cv2.flip(image, code))
    return image
