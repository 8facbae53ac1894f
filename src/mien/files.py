"""Writing files: checks of the target path, and atomic replacement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import UsageError


def writable_place(target: Path) -> Path:
    """The path itself, if a file can be written there.

    Raises:
        UsageError: its folder does not exist, or it is a folder itself.
    """
    if not target.parent.is_dir():
        raise UsageError(f"{target} cannot be written: there is no folder {target.parent}.")
    if os.path.isdir(target):  # unlike Path.is_dir, False for a name that is too long
        raise UsageError(f"{target} cannot be written: it is a folder.")
    return target


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden path beside `path`, renamed to it in one step unless an exception is raised."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # it was renamed, or never made
            temporary.unlink()
