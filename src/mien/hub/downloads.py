"""One file over HTTP: resumed, retried, verified, and only then under its own name."""

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

#: Is told how many bytes there are, and how many there will be (0 for not known).
Report = Callable[[int, int], None]

_TRIES, _WAIT_S, _TIMEOUT_S = 4, 0.5, 30.0
_CHUNK = 1 << 18
#: Seconds that any download may take, and bytes a second of the slowest line worth waiting for.
_PATIENCE_S, _SLOWEST = 120.0, 10_000


def download(
    url: str,
    target: Path,
    pin: str,
    report: Report | None = None,
    size: int = 0,
    most: int = 200_000_000,
) -> Path:
    """Fetch a file. What was fetched of it before is not fetched again.

    The bytes lie in ``NAME.partial`` until all have come and have the right hash. Of two that
    fetch the same file at once, one waits for the other and takes what that has fetched.

    Args:
        url: where it lies.
        target: where to.
        pin: its hash, see `file_hash`.
        report: is told how far it is.
        size: bytes that it has; 0 for not known.
        most: bytes that it has at the most, where the size is not known.

    Raises:
        ModelError: no network, a full disk, a server that takes longer than a slow line would, or
            a file with another size or hash, which is thrown away.
        UsageError: `url` is no address.
    """
    partial = target.with_name(f"{target.name}.partial")
    limit = _Limit(size, size or most, time.monotonic() + _PATIENCE_S + (size or most) / _SLOWEST)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if partial.is_symlink():
            partial.unlink()
        with alone(target.with_name(f"{target.name}.lock")):
            if target.is_file() and file_hash(target, pin) == pin:
                return target  # another run has just fetched it
            with _cleared(partial):
                _fetch(url, partial, report or (lambda _have, _all: None), limit)
                found = file_hash(partial, pin)
                if found != pin:
                    raise _Other(f"its hash is {found}, expected {pin}")
            partial.replace(target)
    except _Other as other:
        raise ModelError(
            f"{url} is not the file that was published: {other}. Nothing was kept."
        ) from other
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ModelError(
                f"there is no space left for {target}: free some, or set MIEN_CACHE to a folder "
                "on another disk."
            ) from error
        raise ModelError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


@contextlib.contextmanager
def _cleared(partial: Path) -> Iterator[None]:
    """Take away what would be of no use to the next run, while no other run is there."""
    try:
        yield
    except (_Other, OSError) as error:
        if isinstance(error, _Other) or error.errno == errno.ENOSPC:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        raise


class _Other(Exception):  # noqa: N818 - never leaves this file
    """What comes is not the file that was asked for."""


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is here, by a lock that ends with whoever holds it."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    while True:
        if path.is_symlink():
            path.unlink()
        file = _open(path, append=True)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        # Whoever was here before took the file away: then a new one counts.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.lstat()):
                break
        file.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


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


@dataclass(frozen=True)
class _Limit:
    """What a download may take.

    Attributes:
        size: bytes that it has; 0 for not known.
        most: bytes that it has at the most.
        until: when it has to be done, by `time.monotonic`.
    """

    size: int
    most: int
    until: float


def _fetch(url: str, partial: Path, report: Report, limit: _Limit) -> None:
    """All bytes into `partial`, in several goes if need be."""
    for attempt in range(1, _TRIES + 1):
        try:
            _go_on(url, partial, report, limit)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise ModelError(f"{url} cannot be had: the server says {error.code}.") from error
            problem = f"the server says {error.code}"
        except urllib.error.URLError as error:
            problem = str(getattr(error.reason, "strerror", None) or error.reason)
        except http.client.HTTPException as error:
            problem = str(error) or type(error).__name__
        if attempt < _TRIES:
            time.sleep(_WAIT_S * 2 ** (attempt - 1))
    raise ModelError(
        f"{url} cannot be reached ({problem}). What has come so far is kept, so the same command "
        "goes on from there; for a machine without a network see: mien models bundle --help."
    )


def _go_on(url: str, partial: Path, report: Report, limit: _Limit) -> None:
    """Ask for what is missing; a server that does not know parts sends everything anew."""
    have = partial.stat().st_size if partial.exists() else 0
    try:
        with _network():
            answer = _ask(url, have)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # there is nothing after what is here
            return
        raise
    with answer:
        have = have if answer.status == 206 else 0
        told = answer.headers.get("Content-Length") or ""
        total = have + int(told) if told.isdecimal() else limit.size
        if limit.size and total != limit.size:
            raise _Other(f"it has {total} bytes, expected {limit.size}")
        if total > limit.most:
            raise _Other(f"it has {total} bytes, more than {limit.most}")
        with _open(partial, append=have > 0) as file:
            while chunk := _read(answer):
                file.write(chunk)
                have += len(chunk)
                report(have, total)
                if have > (total or limit.most):
                    raise _Other(f"it has more than {total or limit.most} bytes")
                if time.monotonic() > limit.until:
                    raise ModelError(
                        f"{url} comes too slowly: {have:,} bytes so far, which are kept; "
                        "the same command goes on from there."
                    )
        if have < total:
            raise http.client.IncompleteRead(b"", total - have)


def _open(path: Path, *, append: bool) -> BinaryIO:
    """The file, for writing; where a link has come in its place, that is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def _ask(url: str, have: int) -> Any:
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except OSError:  # one of them, a wrong certificate, is a ValueError too
        raise
    except (ValueError, http.client.InvalidURL) as error:  # those of the list are good
        raise UsageError(
            f"{url} is no address: MIEN_MIRROR must begin with https:// or http://."
        ) from error


def _read(answer: Any) -> bytes:
    with _network():
        return bytes(answer.read(_CHUNK))


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Tell what a network raises from what a disk does: both are an OSError."""
    try:
        yield
    except urllib.error.URLError:
        raise
    except OSError as error:
        raise urllib.error.URLError(error) from error
