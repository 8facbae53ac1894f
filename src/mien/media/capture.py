"""Opens cameras and streams with FFmpeg; images are yielded the moment they arrive.

Each system has its own interface to cameras: Video4Linux on Linux, AVFoundation on macOS,
DirectShow on Windows; see `_SYSTEMS`.
"""

from __future__ import annotations

import glob
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mien.errors import VideoError
from mien.media.decoding import video_stream
from mien.media.frames import raising
from mien.media.images import name_of
from mien.media.rendering import Renderer
from mien.types import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: Arrival time of an image, seconds of a monotonic clock, and the image or a function that makes it
#: and may raise `VideoError`.
TimedImage: TypeAlias = "tuple[float, Image | Callable[[], Image]]"

#: Timeouts of a camera or stream, seconds: for opening it, and for an image.
OPEN_S, READ_S = 10.0, 5.0

_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_OPTIONS = {
    "avfoundation": {"framerate": "30"},  # it accepts only rates that the camera supports
    "rtsp": {"rtsp_transport": "tcp"},  # lost UDP packets smear the image
}
#: One second is enough to analyze a stream; FFmpeg's default of five would delay the images.
_QUICK = {"analyzeduration": "1000000"}
_CHECK_URL = "check the address, and that the camera is switched on and can be reached"


@dataclass(frozen=True)
class Address:
    """How to open a camera or stream.

    Attributes:
        name: its name in tables and messages, without the password of a URL.
        url: what FFmpeg opens.
        form: FFmpeg's name of the system's camera interface; None for streams and files.
        options: FFmpeg's options for it.
    """

    name: str
    url: str = field(repr=False)
    form: str | None
    options: dict[str, str]


def locate(device: int | str | os.PathLike[str]) -> Address:
    """Resolve a camera's number, a device, a URL or a file.

    Raises:
        VideoError: there is no such camera or file, or this system's cameras are not supported.
    """
    place = str(device) if isinstance(device, int) else os.fspath(device)
    if "://" in place:
        name = re.sub(r"(://[^/@:]*:)[^/@]*@", r"\1***@", place)
        options = _OPTIONS.get(place.split(":")[0].lower(), {})
        return Address(name, place, None, {**_QUICK, **options})
    name = f"camera {place}" if place.isdigit() else name_of(place)
    if os.path.isfile(place):
        return Address(name, "file:" + place, None, {})
    form = _SYSTEMS.get(sys.platform)
    if form is None:
        raise VideoError(f"{name} cannot be opened: cameras are not supported on {sys.platform}.")
    if form == "v4l2":
        place = f"/dev/video{place}" if place.isdigit() else place
        if not os.path.exists(place):
            raise VideoError(f"There is no {name}: {_available(sorted(glob.glob('/dev/video*')))}.")
    elif form == "dshow":
        place = _on_windows(name, place)
    return Address(name, place, form, _OPTIONS.get(form, {}))


def _on_windows(name: str, place: str) -> str:
    """DirectShow identifies cameras by name only: find the one with that number."""
    import av

    names = [d.description for d in av.enumerate_input_devices("dshow") if "video" in d.media_types]
    if place.isdigit() and int(place) < len(names):
        place = names[int(place)]
    if place not in names:
        raise VideoError(f"There is no {name}: {_available(names)}.")
    return f"video={place}"


def _available(cameras: list[str]) -> str:
    if cameras:
        return f"found {', '.join(cameras)}"
    return "no camera was found, check that it is plugged in, and that this program may use it"


def capture(address: Address, width: int | None) -> Iterator[TimedImage]:
    """Open a camera or stream and yield its images as they arrive, without buffering.

    A recording, that is anything of known duration, plays at its own speed and then ends. Images
    wider than `width` pixels are downscaled.

    Raises:
        VideoError: it cannot be opened; or it is live, and stops or sends nothing for `READ_S`.
    """
    import av

    try:
        container = av.open(
            address.url,
            format=address.form,
            options=dict(address.options),
            timeout=(OPEN_S, READ_S),
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"{address.name} cannot be opened: {_reason(address, error)}.") from error
    with container:
        stream = video_stream(container, address.name)
        stream.thread_type = "SLICE"  # threads on several frames would delay some
        problem = f"{address.name} stopped sending images."
        try:
            yield from _images(container, stream, address.name, width)
        except (av.error.ExitError, TimeoutError):
            problem = f"{address.name} sent nothing for {READ_S:g} s."
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


def _reason(address: Address, error: Exception) -> str:
    """The reason, and what to check; FFmpeg's own message may contain the password."""
    import av

    if isinstance(error, PermissionError):
        return "permission denied (on Linux, join the group video)"
    if address.form is not None:
        what = getattr(error, "strerror", None) or type(error).__name__
        return f"{str(what).lower()}, check that it is a camera, and that no other program uses it"
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "it requires a user and password, as in rtsp://user:password@host/stream"
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"no answer for {OPEN_S:.0f} s, {_CHECK_URL}"
    what = getattr(error, "strerror", None) or type(error).__name__
    return f"{str(what).lower()}, {_CHECK_URL}"
