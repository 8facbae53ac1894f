"""One file over HTTP: resumed, retried, verified, and only then under its own name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mien.errors import ModelError, UsageError

#: Is told how many bytes there are, and how many there will be (0 for not known).
Report = Callable[[int, int], None]

_TRIES, _WAIT_S, _TIMEOUT_S = 4, 0.5, 30.0
_CHUNK = 1 << 18


def download(url: str, target: Path, pin: str, report: Report | None = None) -> Path:
    """Fetch a file. What was fetched of it before is not fetched again.

    The bytes lie in ``NAME.partial`` until all have come and have the right hash.

    Raises:
        ModelError: no network, a full disk, or a file with another hash, which is thrown away.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, partial, report or (lambda _have, _all: None))
        found = file_hash(partial, pin)
        if found != pin:
            partial.unlink()
            raise ModelError(
                f"{url} is not the file that was published: its hash is {found}, "
                f"expected {pin}. Nothing was kept."
            )
        partial.replace(target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise ModelError(
                f"there is no space left for {target}: free some, or set MIEN_CACHE to a folder "
                "on another disk."
            ) from error
        raise ModelError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


def address(url: str, file: str) -> str:
    """Where a published file is looked for: at its source, or under ``$MIEN_MIRROR``.

    Raises:
        UsageError: the mirror is no URL.
    """
    mirror = os.environ.get("MIEN_MIRROR")
    if not mirror:
        return url
    if not mirror.lower().startswith(("http://", "https://", "file://")):
        raise UsageError(f"MIEN_MIRROR is a URL such as https://host/models, not {mirror!r}.")
    return f"{mirror.rstrip('/')}/{file}"


def file_hash(path: Path, like: str) -> str:
    """Hash of a file, of the kind of `like`: SHA-256 or, of 40 digits, the SHA-1 of a git blob.

    Git hashes ``"blob SIZE\\0"`` before the bytes; for files on GitHub that is always public.
    """
    with path.open("rb") as file:
        if len(like) != 40:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


def _fetch(url: str, partial: Path, report: Report) -> None:
    """All bytes into `partial`, in several goes if need be."""
    for attempt in range(1, _TRIES + 1):
        try:
            _go_on(url, partial, report)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise ModelError(f"{url} cannot be had: the server says {error.code}.") from error
            problem = f"the server says {error.code}"
        except urllib.error.URLError as error:
            problem = str(getattr(error.reason, "strerror", None) or error.reason)
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
        if attempt < _TRIES:
            time.sleep(_WAIT_S * 2 ** (attempt - 1))
    raise ModelError(
        f"{url} cannot be reached ({problem}). What has come so far is kept, so the same command "
        "goes on from there; for a machine without a network see: mien models bundle --help."
    )


def _go_on(url: str, partial: Path, report: Report) -> None:
    """Ask for what is missing; a server that does not know parts sends everything anew."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # there is nothing after what is here
            return
        raise
    with answer:
        have = have if answer.status == 206 else 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with partial.open("ab" if have else "wb") as file:
            while chunk := _read(answer):
                file.write(chunk)
                have += len(chunk)
                report(have, total)
        if have < total:
            raise http.client.IncompleteRead(b"", total - have)


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The next bytes; whatever goes wrong here went wrong on the line, not on the disk."""
    try:
        return answer.read(_CHUNK)
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from error
