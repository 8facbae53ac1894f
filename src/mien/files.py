"""Files to be written: where one may lie, and a new one that takes its name in one step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import UsageError


def writable_place(target: Path) -> Path:
    """The path, if a file can be put there.

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
    """A hidden path beside `path` that takes its name in one step, unless an exception comes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # it has the other name by now, or was never made
            temporary.unlink()
