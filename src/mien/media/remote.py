"""Images on web servers, and images and videos in object stores, brought to this machine.

An image is read into memory. A video is copied into a temporary file, since decoding jumps in it,
and deleted when nothing needs it any more.
"""

from __future__ import annotations

import http.client
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mien.errors import InputError, InputNotFoundError
from mien.media.video import VideoSource
from mien.stores import fetch, is_stored, read

_TRIES, _WAIT_S, _TIMEOUT_S = 4, 1.0, 20.0
_MOST = 1 << 30  # bytes of an image


def content(address: str, name: str) -> bytes:
    """The bytes of an image on a web server or in a store.

    Args:
        address: where it is.
        name: its name in messages, without a password.

    Raises:
        InputNotFoundError: there is none.
        InputError: it cannot be reached, or is larger than any image.
    """
    return read(address) if is_stored(address) else _from_web(address, name)


def stored_video(address: str, **options: Any) -> VideoSource:
    """A video in a store; its copy exists as long as the source or one of its frames.

    Args:
        address: of the video.
        options: as of `VideoSource`.

    Raises:
        InputError: as of `mien.stores.fetch` and of `VideoSource`, or there is no space.
    """
    suffix = Path(address).suffix
    try:
        with tempfile.NamedTemporaryFile(prefix="mien-", suffix=suffix, delete=False) as file:
            copy = Path(file.name)
    except OSError as error:
        raise InputError(f"{address} cannot be copied here: {error.strerror}.") from error
    try:
        fetch(address, copy)
        source = VideoSource(copy, name=address, **options)
    except OSError as error:
        copy.unlink(missing_ok=True)
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{address} cannot be copied to {copy.parent}: {error.strerror}; free some space, or "
            "set TMPDIR."
        ) from error
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    weakref.finalize(source, copy.unlink, missing_ok=True)
    return source


def _from_web(address: str, name: str) -> bytes:
    problem = ""
    for attempt in range(_TRIES):
        time.sleep(_WAIT_S * 3 ** (attempt - 1) if attempt else 0)
        try:
            with urllib.request.urlopen(_request(address), timeout=_TIMEOUT_S) as answer:
                data: bytes = answer.read(_MOST + 1)
            break
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise InputNotFoundError(f"There is no {name}.") from error
            problem = f"the server answers {error.code}"
            if error.code < 500 and error.code != 429:
                raise InputError(f"{name} cannot be read: {problem}.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = str(getattr(error, "reason", "") or error) or type(error).__name__
    else:
        raise InputError(f"{name} cannot be read: {problem}; check the address and the network.")
    if len(data) > _MOST:
        raise InputError(f"{name} has more than {_MOST >> 20:,} MB, too large for an image.")
    return data


def _request(address: str) -> urllib.request.Request:
    """The request for an address, with its user and password in the header."""
    parts = urlsplit(address)
    user, mark, host = parts.netloc.rpartition("@")
    headers = {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"}
    return urllib.request.Request(
        parts._replace(netloc=host).geturl(), None, headers if mark else {}
    )
