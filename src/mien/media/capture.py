"""Cameras and streams as FFmpeg opens them: pictures in the moment they arrive.

Each system has its own way to a camera: Video4Linux on Linux, AVFoundation on macOS, DirectShow
on Windows; they are named in `_SYSTEMS`.
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
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from mien.errors import VideoError
from mien.media.decoding import video_stream
from mien.media.images import name_of
from mien.media.rendering import Renderer
from mien.types import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: The moment a picture arrived, in seconds of a clock that only rises, and the picture or how to
#: make it, which may raise `VideoError`.
Shot: TypeAlias = "tuple[float, Image | Callable[[], Image]]"

#: Seconds until a camera or stream that does not answer is given up: to open, and for a picture.
OPEN_S, READ_S = 10.0, 5.0

_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_OPTIONS = {
    "avfoundation": {"framerate": "30"},  # it takes only rates that the camera has
    "rtsp": {"rtsp_transport": "tcp"},  # lost packets of UDP smear the picture
}
#: A second is enough to see what a stream holds: FFmpeg's own five would all be late pictures.
_QUICK = {"analyzeduration": "1000000"}
_CHECK_URL = "check the address, and that the camera is switched on and can be reached"


@dataclass(frozen=True)
class Address:
    """Where to open a camera or stream.

    Attributes:
        name: what it is called in tables and messages; a password in a URL is left out.
        url: what FFmpeg opens.
        form: FFmpeg's name of the system's way to cameras; None for streams and files.
        options: FFmpeg's options for it.
    """

    name: str
    url: str = field(repr=False)
    form: str | None
    options: dict[str, str]


def locate(device: int | str | os.PathLike[str]) -> Address:
    """Tell a camera's number from a device, a URL or a file.

    Raises:
        VideoError: there is no such camera or file, or no way to cameras on this system.
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
        raise VideoError(f"{name} cannot be opened: mien knows no cameras on {sys.platform}.")
    if form == "v4l2":
        place = f"/dev/video{place}" if place.isdigit() else place
        if not os.path.exists(place):
            raise VideoError(f"There is no {name}: {_which(sorted(glob.glob('/dev/video*')))}.")
    elif form == "dshow":
        place = _on_windows(name, place)
    return Address(name, place, form, _OPTIONS.get(form, {}))


def _on_windows(name: str, place: str) -> str:
    """DirectShow knows cameras by their names only: find the one with that number."""
    import av

    names = [d.description for d in av.enumerate_input_devices("dshow") if "video" in d.media_types]
    if place.isdigit() and int(place) < len(names):
        place = names[int(place)]
    if place not in names:
        raise VideoError(f"There is no {name}: {_which(names)}.")
    return f"video={place}"


def _which(found: list[str]) -> str:
    if found:
        return f"found {', '.join(found)}"
    return "no camera was found, check that it is plugged in, and that this program may use it"


def capture(address: Address, width: int | None) -> Iterator[Shot]:
    """Open a camera or stream and yield its pictures as they arrive; late ones are not kept back.

    A recording, that is anything whose length is known, plays at its own speed and then ends.

    Args:
        address: from `locate`.
        width: pictures wider than this many pixels are made smaller.

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
        stream.thread_type = "SLICE"  # threads on several frames would keep some back
        problem = f"{address.name} stopped sending pictures."
        try:
            yield from _shots(container, stream, address.name, width)
        except (av.error.ExitError, TimeoutError):
            problem = f"{address.name} sent nothing for {READ_S:g} s."
        except av.FFmpegError:
            pass  # a connection that is cut; FFmpeg says no more than "input/output error"
        else:
            if container.duration:
                return
        if container.duration:  # opened again, a recording would begin again
            yield time.monotonic(), partial(_refuse, problem)
        else:
            raise VideoError(problem)


def _shots(
    container: InputContainer, stream: VideoStream, name: str, width: int | None
) -> Iterator[Shot]:
    import av

    # Pictures of these come faster than they are shown, all at once or in bursts of seconds.
    ahead = bool(container.duration) or container.format.name == "hls"
    renderer, began, shown = Renderer(stream), 0.0, False
    for packet in container.demux(stream):
        try:
            frames: list[VideoFrame] = stream.decode(packet)
        except (av.FFmpegError, ValueError):
            if shown:  # until its first key frame, a stream that is joined midway is damaged
                yield time.monotonic(), partial(_refuse, f"A picture of {name} came damaged.")
            continue
        for frame in frames:
            if ahead and frame.time is not None:
                began = began or time.monotonic() - frame.time
                time.sleep(max(0.0, began + frame.time - time.monotonic()))
            shown = True
            yield time.monotonic(), partial(renderer.render, frame, width)


def _refuse(problem: str) -> NoReturn:
    raise VideoError(problem)


def _reason(address: Address, error: Exception) -> str:
    """What went wrong in words, and what to check; FFmpeg's own words may hold the password."""
    import av

    if isinstance(error, PermissionError):
        return "permission denied, this user may not use it (on Linux, join the group video)"
    if address.form is not None:
        what = getattr(error, "strerror", None) or type(error).__name__
        return f"{str(what).lower()}, check that it is a camera, and that no other program uses it"
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "it wants a user and password, as in rtsp://user:password@host/stream"
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"no answer for {OPEN_S:.0f} s, {_CHECK_URL}"
    what = getattr(error, "strerror", None) or type(error).__name__
    return f"{str(what).lower()}, {_CHECK_URL}"
