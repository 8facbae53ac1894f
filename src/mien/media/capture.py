"""The images of cameras and streams, yielded the moment they arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mien.errors import VideoError
from mien.media import addresses
from mien.media.addresses import Address, open_address
from mien.media.decoding import video_stream
from mien.media.frames import raising
from mien.media.rendering import Renderer
from mien.types import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: Arrival time of an image, seconds of a monotonic clock, and the image or a function that makes it
#: and may raise `VideoError`.
TimedImage: TypeAlias = "tuple[float, Image | Callable[[], Image]]"


def capture(address: Address, width: int | None) -> Iterator[TimedImage]:
    """Open a camera or stream and yield its images as they arrive, without buffering.

    A recording, that is anything of known duration, plays at its own speed and then ends. Images
    wider than `width` pixels are downscaled.

    Raises:
        VideoError: it cannot be opened; or it is live, and stops or sends nothing for `READ_S`.
    """
    import av

    container = open_address(address)
    with container:
        stream = video_stream(container, address.name)
        stream.thread_type = "SLICE"  # threads on several frames would delay some
        problem = f"{address.name} stopped sending images."
        try:
            yield from _images(container, stream, address.name, width)
        except (av.error.ExitError, TimeoutError):
            problem = f"{address.name} sent nothing for {addresses.READ_S:g} s."
        except av.FFmpegError:
            pass  # connection lost; FFmpeg says only "input/output error"
        else:
            if container.duration:
                return
        if container.duration:  # reopening a recording would start it over
            yield time.monotonic(), raising(VideoError(problem))
        else:
            raise VideoError(problem)


def _images(
    container: InputContainer, stream: VideoStream, name: str, width: int | None
) -> Iterator[TimedImage]:
    import av

    # These deliver images faster than they are shown, all at once or in bursts of seconds.
    ahead = bool(container.duration) or container.format.name == "hls"
    renderer, began, decodable = Renderer(stream), 0.0, False
    for packet in container.demux(stream):
        try:
            frames: list[VideoFrame] = stream.decode(packet)
        except (av.FFmpegError, ValueError):
            if decodable:  # a stream joined midway cannot be decoded before its first key frame
                problem = VideoError(f"An image of {name} arrived damaged.")
                yield time.monotonic(), raising(problem)
            continue
        for frame in frames:
            if ahead and frame.time is not None:
                began = began or time.monotonic() - frame.time
                time.sleep(max(0.0, began + frame.time - time.monotonic()))
            decodable = True
            yield time.monotonic(), partial(renderer.render, frame, width)
