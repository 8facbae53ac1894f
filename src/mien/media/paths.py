"""Paths and addresses given by users."""

from __future__ import annotations

import os
import stat
from urllib.parse import urlsplit
from urllib.request import url2pathname

#: Open files passed by a shell, ``<(command)`` or standard input, are read like files.
_HANDED_OVER = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def local_path(path: str) -> str:
    """The path to open: that of a ``file:`` address, and ``~`` expanded to the user's home."""
    if path.startswith("file:"):
        return url2pathname(urlsplit(path).path)
    return path if os.path.lexists(path) else os.path.expanduser(path)


def irregular(path: str) -> str | None:
    """The kind of a special file (pipe, socket, device), which may block forever on opening."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # opening it reports the error
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def is_handed_over(path: str) -> bool:
    """Whether a path stands for an open file passed by a shell."""
    return path.startswith(_HANDED_OVER)
