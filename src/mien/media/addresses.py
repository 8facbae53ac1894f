"""Addresses: how to open cameras, streams, and recordings on a web server with FFmpeg.

Each system has its own interface to cameras: Video4Linux on Linux, AVFoundation on macOS,
DirectShow on Windows; see `_SYSTEMS`.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from mien.errors import VideoError
from mien.media.images import name_of

if TYPE_CHECKING:
    from av.container import InputContainer

#: Timeouts of a camera or stream, seconds: for opening it, and for an image.
OPEN_S, READ_S = 10.0, 5.0

_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_OPTIONS = {
    "avfoundation": {"framerate": "30"},  # it accepts only rates that the camera supports
    "rtsp": {"rtsp_transport": "tcp"},  # lost UDP packets smear the image
}
#: One second is enough to analyze a stream; FFmpeg's default of five would delay the images.
_QUICK = {"analyzeduration": "1000000"}
#: A connection that is lost, as when the analysis is slower than a server's patience, is taken up
#: where it was, by FFmpeg, within two seconds.
_RECONNECT = {"reconnect": "1", "reconnect_delay_max": "2"}
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


def open_address(address: Address) -> InputContainer:
    """Open a camera, stream or recording; the caller closes the container.

    Raises:
        VideoError: it cannot be opened, with what to check.
    """
    import av

    try:
        return av.open(
            address.url,
            format=address.form,
            options=dict(address.options),
            timeout=(OPEN_S, READ_S),
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"{address.name} cannot be opened: {_reason(address, error)}.") from error


def is_web(place: str) -> bool:
    """Whether a place is on a web server, which has recordings as well as live streams."""
    return place.lower().startswith(("http://", "https://"))


def open_recording(place: str) -> InputContainer:
    """Open a recorded video on a web server, to be read to its end; the caller closes it.

    Raises:
        VideoError: it cannot be opened, or is a live stream.
    """
    address = replace(locate(place), options=_RECONNECT)
    container = open_address(address)
    if not _has_end(container):
        container.close()
        raise VideoError(f"{address.name} is a live stream, not a recorded video: open a camera.")
    return container


def _has_end(container: InputContainer) -> bool:
    playlist = container.format.name in ("hls", "dash")  # its own length says nothing
    return bool(container.duration) or (not playlist and container.size > 0)


@cache
def is_recording(place: str) -> bool:
    """Whether a web address is a recorded video, of known duration or length, not a live stream.

    The server is asked once in a process. Where it does not answer, the address counts as a
    stream, whose error says why.
    """
    if not is_web(place):
        return False
    try:
        with open_address(locate(place)) as container:
            return _has_end(container)
    except VideoError:
        return False


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
