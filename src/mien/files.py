"""Writing files: atomically, and never over files that mien did not write.

Every command and sink calls `check_output` first and writes through `replacing`.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from mien.errors import UsageError

PARTIAL = ".partial"
SIGNATURE = "Created with mien"
_COMMENTS = {
    ".html": f"<!-- {SIGNATURE} -->\n",
    ".htm": f"<!-- {SIGNATURE} -->\n",
    ".svg": f"<!-- {SIGNATURE} -->\n",
    ".eaf": f"<!-- {SIGNATURE} -->\n",
    ".vtt": f"\nNOTE {SIGNATURE}\n",
}


def check_output(
    path: str | Path,
    *,
    inputs: Iterable[str | Path] = (),
    overwrite: bool = False,
    ours: Callable[[Path], bool] | None = None,
) -> Path:
    """The path, if a file may be written there.

    Args:
        path: the file to write.
        inputs: input files of the command, which are never replaced, under any name or link.
        overwrite: replace any other file.
        ours: decides whether an existing file may be replaced without `overwrite`; by default
            files with the `SIGNATURE` that mien writes.

    Raises:
        UsageError: its folder does not exist, it is a folder, an input, or a file of the user.
    """
    target = writable_place(Path(path))
    if not os.path.lexists(target):
        return target
    for item in inputs:
        check_not_input(target, item)
    if not overwrite and not (ours or signed)(target):
        raise UsageError(
            f"{target} exists and was not written by mien: choose another name, or replace it "
            "with --overwrite (in Python: overwrite=True)."
        )
    return target


def check_not_input(target: Path, source: str | Path) -> None:
    """Make sure that an output is not the file that it is made from.

    Raises:
        UsageError: it is, under the same name or by a link.
    """
    try:
        same = os.path.samefile(target, source)
    except (OSError, ValueError):  # one of them is not a file
        return
    if same:
        raise UsageError(f"{target} is an input, which is never replaced: choose another name.")


def check_new(path: str | Path, *, overwrite: bool = False) -> Path:
    """The path, if it does not exist yet: for expensive results such as trained models.

    Raises:
        UsageError: it exists, and `overwrite` is false; or it cannot be written.
    """
    target = writable_place(Path(path))
    if os.path.lexists(target) and not overwrite:
        raise UsageError(f"{target} exists: choose another name, or replace it with --overwrite.")
    return target


def writable_place(target: Path) -> Path:
    """The path, if a file can be written there.

    Raises:
        UsageError: its folder does not exist, or it is a folder itself.
    """
    if not target.parent.is_dir():
        raise UsageError(f"{target} cannot be written: there is no folder {target.parent}.")
    if os.path.isdir(target):  # unlike Path.is_dir, False for a name that is too long
        raise UsageError(f"{target} cannot be written: it is a folder.")
    return target


def signed(path: Path) -> bool:
    """Whether a file carries the `SIGNATURE`."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(SIGNATURE.encode()) >= 0
    except (OSError, ValueError):  # not readable, or empty
        return False


def numbered(path: Path, ending: str, taken: Callable[[Path], bool]) -> Path:
    """The path, or the first of ``NAME-2``, ``NAME-3`` … before its ending that is not taken."""
    stem = path.name.removesuffix(ending)
    number, candidate = 1, path
    while taken(candidate):
        number += 1
        candidate = path.with_name(f"{stem}-{number}{ending}")
    return candidate


@contextmanager
def writing(target: str | Path) -> Iterator[None]:
    """Turn operating-system errors into one sentence that names the file.

    Raises:
        UsageError: for any `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from error


def partial_path(path: Path) -> Path:
    """Path of a table while it is being written, or as left by a killed run."""
    return path.with_name(path.name + PARTIAL)


def claim(path: Path, name: str, *, empty: bool = True, wait: bool = False) -> io.FileIO:
    """Open a file for writing, under a lock that ends with the process that holds it.

    Links are not followed, as their target would be truncated. `name` stands in messages; `empty`
    truncates the file; `wait` waits while another run holds the lock.

    Raises:
        UsageError: another run holds the lock, and `wait` is false.
        OSError: it cannot be opened; ELOOP for a link.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        file = io.FileIO(os.open(path, flags, 0o666), "r+")
        try:
            _lock(file, name, wait=wait)
            if is_at(file, path):  # unless renamed by its last owner before we got the lock
                if empty:
                    file.truncate(0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def is_at(file: io.FileIO, path: Path) -> bool:
    """Whether an open file still has its name; its folder may be gone."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except OSError:
        return False


def _lock(file: IO[bytes] | io.FileIO, name: str, *, wait: bool = False) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise UsageError(
            f"{name} is being written by another run: wait until it ends, or choose another name."
        ) from error
    except OSError:  # a file system without locks
        pass


def is_locked(path: Path) -> bool:
    """Whether another run is writing this file now."""
    if sys.platform == "win32" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            _lock(file, path.name)
    except UsageError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden path beside `path`, renamed to it in one step unless an exception is raised.

    The data are flushed to disk before the rename. Leftovers of a killed process are replaced by
    the next one that writes `path`.

    Raises:
        UsageError: another process is writing the same file.
    """
    temporary = hidden(path)
    with claim(temporary, path.name) as lock:
        try:
            yield temporary
            if sys.platform == "win32":  # cannot rename an open file
                lock.close()
            publish(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def hidden(path: Path) -> Path:
    """Path of a file until it is complete."""
    return path.with_name(f".{path.name}.new")


def publish(temporary: Path, path: Path) -> None:
    """Rename a complete file, after flushing it to disk: a power cut leaves no partial file."""
    sync(temporary)
    os.replace(temporary, path)
    with suppress(OSError):  # some systems cannot open folders
        sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(
    path: str | Path, text: str, *, inputs: Iterable[str | Path] = (), overwrite: bool = False
) -> Path:
    """Write a page, drawing or subtitles, with mien's `SIGNATURE` at the end.

    JSON has no room for it: an existing object with the same fields, or fewer, is replaced.

    Raises:
        UsageError: as `check_output`, or it cannot be written.
    """
    is_json = Path(path).suffix.lower() == ".json"
    ours = partial(_has_fields_of, text) if is_json else signed
    target = check_output(path, inputs=inputs, overwrite=overwrite, ours=ours)
    data = (text + _COMMENTS.get(target.suffix.lower(), "")).encode()
    return write_bytes(target, data)


def _has_fields_of(text: str, path: Path) -> bool:
    """Whether the JSON object in a file has only fields that `text` has, too."""
    try:
        old, new = json.loads(path.read_bytes()), json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(old, dict) and bool(old) and set(old) <= set(new)


def write_bytes(target: Path, data: bytes) -> Path:
    """Write a file in one step.

    Raises:
        UsageError: it cannot be written.
    """
    with writing(target), replacing(target) as temporary:
        temporary.write_bytes(data)
    return target
