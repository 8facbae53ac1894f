"""Inputs: what a path or an address is."""

from __future__ import annotations


def is_live(path: str) -> bool:
    """Whether an argument names a camera or a stream instead of a file."""
    return "://" in path or path.startswith("/dev/video")


def is_moving(path: str) -> bool:
    """Whether an argument is a film, an animated picture, a camera or a stream."""
    from mien.media.video import is_film

    return is_live(path) or is_film(path)
