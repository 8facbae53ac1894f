"""Annotated videos: frames with their people drawn in, at their own times, with sound."""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from fractions import Fraction
from io import FileIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np

from mien.drawing.overlay import Overlay
from mien.errors import UsageError
from mien.files import (
    SIGNATURE,
    check_not_input,
    check_output,
    claim,
    hidden,
    is_at,
    publish,
    signed,
    writing,
)
from mien.results.result import Result
from mien.sinks.audio import Soundtrack
from mien.sinks.stabilizer import Stabilizer, reading_names
from mien.types import Image

if TYPE_CHECKING:
    from av import VideoFrame

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_TICKS = 90_000  # a second: whole numbers for every common frame rate
#: H.264 without B frames, whose order would move the last frame's end; a key frame every 60, so
#: that players find a place quickly.
_ENCODER = {"preset": "veryfast", "crf": "21", "bf": "0", "g": "60"}
_BT601, _BT709, _LIMITED = 6, 1, 1  # H.273: matrix; primaries and transfer; range
_RECENT = 25  # intervals from which the usual length of a frame is estimated


class VideoSink:
    """Writes every frame with boxes, names and expressions into a video that browsers play.

    H.264 with each frame at its own time, counted from the first; labels are stabilized, so that
    they do not flicker. While a frame cannot be read, the one before stays. The video has a
    hidden name beside `path` until it is complete; after an exception, what was written becomes
    ``NAME.partial.mp4``.

    Args:
        path: ``.mp4`` (also ``.m4v``, ``.mov``, ``.mkv``); a video that mien wrote is replaced.
        audio_from: the video that the frames come from, for its sound; None for a silent video.
        margin: list every probability of up to three people at the right.
        overwrite: replace any other file, but never the video that the frames come from.

    Raises:
        UsageError: another suffix, nothing can be written there, the file there is one of the
            user's, or this PyAV has no H.264.
    """

    needs_images = True

    def __init__(
        self,
        path: str | Path,
        *,
        audio_from: str | Path | None = None,
        margin: bool = True,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self._temporary = hidden(self.path)
        self._audio_from, self._margin, self._overwrite = audio_from, margin, overwrite
        self._lock: FileIO | None = None
        self._container: Any = None
        self._sound: Soundtrack | None = None
        self._held: tuple[Image, int] | None = None  # until the next frame begins
        self._source: str | None = None
        self._last_s = self._shift_s = 0.0
        self._intervals: deque[float] = deque(maxlen=_RECENT)

    def __enter__(self) -> Self:
        if self.path.suffix.lower() not in _FORMATS:
            suffixes = ", ".join(_FORMATS)
            raise UsageError(
                f"an annotated video must be a {suffixes} file, not {self.path.name!r}."
            )
        inputs = () if self._audio_from is None else (self._audio_from,)
        check_output(self.path, inputs=inputs, overwrite=self._overwrite)
        _check_encoder()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        partial = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        try:
            if self._container is not None:
                self._finish(self.path if kind is None else partial)
                if kind is None and signed(partial):
                    partial.unlink()
        finally:
            if self._lock is not None:
                with suppress(OSError):  # it has its own name by now
                    self._temporary.unlink()
                self._lock.close()

    def write(self, result: Result) -> None:
        """Add one frame; unreadable frames only take their time.

        Raises:
            UsageError: the frame has no time, as photos have none; or the disk is full.
        """
        if result.time_s is None:
            raise UsageError(
                f"{result.source} has no time, so it cannot be part of a video; "
                "annotate photos into a folder."
            )
        ticks = self._clock(result, result.time_s)
        if result.error is not None:
            return
        if self._lock is not None and not is_at(self._lock, self._temporary):
            raise UsageError(
                f"{self.path} cannot be written: its folder was removed during the run."
            )
        image = result.meshed_image
        import av

        try:
            if self._container is None:
                self._begin(result, image)
                ticks = 0  # what could not be read before it must not leave a hole
            people = self._stabilizer.people(result)
            self._hold(self._overlay.draw(image, people, time_s=result.time_s), ticks)
        except av.FFmpegError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}.") from error

    def _clock(self, result: Result, time_s: float) -> int:
        """Start of a frame in the video, ticks; another source continues after the last."""
        if self._source is None:
            # sound may begin before the first frame, which then stands from there
            whole = self._audio_from is not None and result.index == 0
            self._shift_s = 0.0 if whole else time_s
        elif result.source != self._source:
            self._shift_s = time_s - (self._last_s - self._shift_s + self._usual_s)
        elif time_s > self._last_s:
            self._intervals.append(time_s - self._last_s)
        self._source, self._last_s = result.source, time_s
        return round((time_s - self._shift_s) * _TICKS)

    @property
    def _usual_s(self) -> float:
        """The usual length of a frame, seconds."""
        return median(self._intervals) if self._intervals else 0.04

    def _begin(self, result: Result, image: Image) -> None:
        import av

        height, width = image.shape[:2]
        readings = reading_names(result)
        self._overlay = Overlay(
            result.labels, (width, height), margin=self._margin, readings=readings
        )
        self._stabilizer = Stabilizer(result.labels)
        check_not_input(self.path, result.source)
        form = _FORMATS[self.path.suffix.lower()]
        options = {} if form == "matroska" else {"movflags": "+faststart"}
        with writing(self.path):
            self._lock = claim(self._temporary, self.path.name)
            container = av.open(str(self._temporary), "w", format=form, options=options)
        container.metadata["comment"] = SIGNATURE
        self._container = container
        stream = container.add_stream("libx264", options=_ENCODER)
        wide, high = self._overlay.full_size
        stream.width, stream.height = wide + wide % 2, high + high % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, _TICKS)
        coder = stream.codec_context
        coder.time_base = Fraction(1, _TICKS)
        coder.colorspace, coder.color_range = _BT601, _LIMITED
        coder.color_primaries = coder.color_trc = _BT709
        self._stream = stream
        self._lengths: dict[int, int] = {}
        if self._audio_from is not None:
            self._sound = Soundtrack(self._audio_from, self._shift_s)
            self._sound.attach(container)

    def _hold(self, image: Image, ticks: int) -> None:
        """Keep an image until the next one determines its length."""
        if self._held is not None and ticks > self._held[1]:
            self._encode(ticks)
        start = ticks if self._held is None else self._held[1]
        self._held = image, max(ticks, start)

    def _encode(self, end: int) -> None:
        assert self._held is not None
        image, start = self._held
        frame = _yuv(image)
        frame.pts, frame.time_base = start, Fraction(1, _TICKS)
        self._lengths[start] = end - start
        self._mux(self._stream.encode(frame))
        if self._sound is not None:
            self._sound.mux(self._container, end / _TICKS)

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            packet.duration = self._lengths.pop(packet.pts)
            self._container.mux_one(packet)

    def _finish(self, path: Path) -> None:
        import av

        try:
            if self._held is None:
                return
            self._encode(self._held[1] + self._last_length())
            self._mux(self._stream.encode(None))
            if self._sound is not None and self._rest_s is not None:
                self._sound.mux(self._container, math.inf)  # sound may go on after the last frame
            self._container.close()
            publish(self._temporary, path)
        except (av.FFmpegError, OSError) as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}.") from error
        finally:
            with suppress(av.FFmpegError, OSError):
                self._container.close()
            if self._sound is not None:
                self._sound.close()

    @property
    def _rest_s(self) -> float | None:
        """Seconds from the last frame to the end of its video, where that is near."""
        end = None if self._sound is None else self._sound.video_end_s
        if end is not None and 0 < end - self._last_s <= 2 * self._usual_s:
            return end - self._last_s
        return None

    def _last_length(self) -> int:
        """Length of the last frame, ticks."""
        assert self._held is not None
        length = self._rest_s or self._usual_s
        ends = round((self._last_s - self._shift_s + length) * _TICKS)
        return max(1, ends - self._held[1])


def _check_encoder() -> None:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec("libx264", "w")
    except UnknownCodecError as error:
        raise UsageError(
            "this PyAV cannot write H.264; install the one from PyPI: "
            "pip install --force-reinstall --only-binary av av."
        ) from error


def _yuv(image: Image) -> VideoFrame:
    """The image as H.264 needs it: even sides, 4:2:0, BT.601 (which OpenCV converts fast)."""
    import av

    high, wide = (side % 2 for side in image.shape[:2])
    even = cv2.copyMakeBorder(image, 0, high, 0, wide, cv2.BORDER_REPLICATE)
    planes = np.asarray(cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420), np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
