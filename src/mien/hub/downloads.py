"""Downloads one file over HTTP: resumes, retries, verifies, and only then renames it into place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mien.errors import ModelError, UsageError
from mien.files import claim

#: Called with the bytes downloaded so far and the total (0 if unknown).
Report = Callable[[int, int], None]

_TRIES, _WAIT_S, _TIMEOUT_S = 4, 0.5, 30.0
_CHUNK = 1 << 18
#: Time allowed for any download, seconds, and the slowest acceptable rate, bytes per second.
_PATIENCE_S, _SLOWEST = 120.0, 10_000


def download(
    url: str,
    target: Path,
    pin: str,
    report: Report | None = None,
    size: int = 0,
    most: int = 200_000_000,
) -> Path:
    """Download a file, continuing where an earlier attempt stopped.

    The bytes are written to ``NAME.partial`` until the file is complete and its hash verified. Of
    two processes that download the same file, one waits for the other and uses its file. `pin` is
    the hash, see `file_hash`; `size` and `most` are bytes, and a `size` of 0 is unknown.

    Raises:
        ModelError: no network, a full disk, a server slower than a slow line, or a file with
            another size or hash, which is deleted.
        UsageError: `url` is not a URL.
    """
    partial = target.with_name(f"{target.name}.partial")
    limit = _Limit(size, size or most, time.monotonic() + _PATIENCE_S + (size or most) / _SLOWEST)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if partial.is_symlink():
            partial.unlink()
        with alone(target.with_name(f"{target.name}.lock")):
            if target.is_file() and file_hash(target, pin) == pin:
                return target  # another process has just downloaded it
            with _cleared(partial):
                _fetch(url, partial, report or (lambda _have, _all: None), limit)
                actual = file_hash(partial, pin)
                if actual != pin:
                    raise _WrongFileError(f"its hash is {actual}, expected {pin}")
            partial.replace(target)
    except _WrongFileError as error:
        raise ModelError(f"{url} is not the published file: {error}. It was deleted.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ModelError(
                f"no space left on the disk for {target}: free some, or set MIEN_CACHE to a folder "
                "on another disk."
            ) from error
        raise ModelError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


@contextlib.contextmanager
def _cleared(partial: Path) -> Iterator[None]:
    """Delete a partial file that the next run could not continue."""
    try:
        yield
    except (_WrongFileError, OSError) as error:
        if isinstance(error, _WrongFileError) or error.errno == errno.ENOSPC:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        raise


class _WrongFileError(Exception):
    """The server sends a file other than the published one."""


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which also ends with the process."""
    if sys.platform == "win32":
        yield
        return
    if path.is_symlink():
        path.unlink()
    with claim(path, path.name, wait=True):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def file_hash(path: Path, like: str) -> str:
    """Hash of a file, of the kind of `like`: SHA-256 or, with 40 digits, the SHA-1 of a git blob.

    Git prepends ``"blob SIZE\\0"``; for files on GitHub that hash is always public.
    """
    with path.open("rb") as file:
        if len(like) != 40:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


@dataclass(frozen=True)
class _Limit:
    """Limits of a download.

    Attributes:
        size: size in bytes; 0 if unknown.
        most: maximum size in bytes.
        until: deadline by `time.monotonic`.
    """

    size: int
    most: int
    until: float


def _fetch(url: str, partial: Path, report: Report, limit: _Limit) -> None:
    """Download all bytes into `partial`, with retries."""
    for attempt in range(1, _TRIES + 1):
        try:
            _resume(url, partial, report, limit)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise ModelError(
                    f"{url} cannot be downloaded: the server answers {error.code}."
                ) from error
            problem = f"the server answers {error.code}"
        except urllib.error.URLError as error:
            problem = str(getattr(error.reason, "strerror", None) or error.reason)
        except http.client.HTTPException as error:
            problem = str(error) or type(error).__name__
        if attempt < _TRIES:
            time.sleep(_WAIT_S * 2 ** (attempt - 1))
    raise ModelError(
        f"{url} cannot be reached ({problem}). Run the same command again to continue the download;"
        " for a machine without a network see: mien models bundle --help."
    )


def _resume(url: str, partial: Path, report: Report, limit: _Limit) -> None:
    """Request the missing bytes; a server without range requests sends everything again."""
    have = partial.stat().st_size if partial.exists() else 0
    try:
        with _network():
            answer = _ask(url, have)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is missing
            return
        raise
    with answer:
        have = have if answer.status == 206 else 0
        length = answer.headers.get("Content-Length") or ""
        total = have + int(length) if length.isdecimal() else limit.size
        if limit.size and total != limit.size:
            raise _WrongFileError(f"it has {total} bytes, expected {limit.size}")
        if total > limit.most:
            raise _WrongFileError(f"it has {total} bytes, more than {limit.most}")
        with _open(partial, append=have > 0) as file:
            while chunk := _read(answer):
                file.write(chunk)
                have += len(chunk)
                report(have, total)
                if have > (total or limit.most):
                    raise _WrongFileError(f"it has more than {total or limit.most} bytes")
                if time.monotonic() > limit.until:
                    raise ModelError(
                        f"{url} is too slow: {have:,} bytes so far; run the same command again "
                        "to continue the download."
                    )
        if have < total:
            raise http.client.IncompleteRead(b"", total - have)


def _open(path: Path, *, append: bool) -> BinaryIO:
    """Open a file for writing, without following a symbolic link."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def _ask(url: str, have: int) -> Any:
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except OSError:  # one of them, a wrong certificate, is a ValueError, too
        raise
    except (ValueError, http.client.InvalidURL) as error:  # URLs in the catalog are valid
        raise UsageError(
            f"{url} is not a URL: MIEN_MIRROR must begin with https:// or http://."
        ) from error


def _read(answer: Any) -> bytes:
    with _network():
        return bytes(answer.read(_CHUNK))


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Separate network errors from disk errors: both are an OSError."""
    try:
        yield
    except urllib.error.URLError:
        raise
    except OSError as error:
        raise urllib.error.URLError(error) from error
