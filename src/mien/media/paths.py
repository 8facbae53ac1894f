"""Paths and addresses as users give them."""

from __future__ import annotations

import os
import stat
from urllib.parse import urlsplit
from urllib.request import url2pathname

#: What a shell hands over open, ``<(command)`` or standard input, is as good as a file.
_HANDED_OVER = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def local_path(path: str) -> str:
    """A path as it is opened: of a ``file:`` address its path, and ``~`` as the user's home."""
    if path.startswith("file:"):
        return url2pathname(urlsplit(path).path)
    return path if os.path.lexists(path) else os.path.expanduser(path)


def irregular(path: str) -> str | None:
    """What a path leads to if that is neither a file nor a folder: opening it may wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # it is said when it is opened
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def is_handed_over(path: str) -> bool:
    """Whether a path is one under which a shell hands over what is open already."""
    return path.startswith(_HANDED_OVER)
