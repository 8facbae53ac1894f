"""``mien view``: browse a results table frame by frame."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mien.cli import options

if TYPE_CHECKING:
    from mien.cli.viewer.saved import Viewer


def view(
    table: options.Table,
    at: Annotated[
        float | None, options.option("SECONDS", "Begin at this time of the video.")
    ] = None,
) -> None:
    """Browse a results table frame by frame.

    In a window, else in the terminal; the video or the images are read again. Keys: left and right
    for frames, page up and down for a second, home, end, up and down for faces, space to play, s
    for a snapshot, q to quit.

    \b
    Examples:
      mien view film.parquet
      mien view film.parquet --at 12.5
    """
    viewer = load(table)
    if at is not None:
        viewer.at(at)
    show(viewer)


def load(table: Path) -> Viewer:
    """A viewer of the table at this path.

    Raises:
        InputError: it is missing, broken or empty.
    """
    from mien.cli.viewer.saved import Viewer
    from mien.media.frame_reader import FrameReader
    from mien.results.collection import load_tables

    faces, images, labels, _ = load_tables(table)
    return Viewer(faces, images, labels, FrameReader(table.parent), name=table.name)


def show(viewer: Viewer) -> None:
    """In a window; else on the terminal; else one frame, and how to see more."""
    from mien.cli.console import console
    from mien.cli.viewer.window import show_in_window

    if not sys.stdout.isatty():
        _print_one(viewer)
    elif not show_in_window(viewer):
        if sys.stdin.isatty():
            from mien.cli.viewer.terminal import show_in_terminal

            show_in_terminal(viewer, console())
        else:
            _print_one(viewer)


def _print_one(viewer: Viewer) -> None:
    from mien.cli.console import answer, console, note, warn
    from mien.cli.console import show as show_table
    from mien.cli.viewer.terminal import faces_table

    if viewer.position == 0:
        viewer.go(viewer.first_with_face())
    screen = viewer.next_screen()
    assert screen is not None  # the first call
    answer(screen.headline)
    show_table(faces_table(screen, console().width))
    if screen.message:
        warn(screen.message)
    note(
        f"one of {len(viewer)} frames; run mien view in a terminal to browse them, "
        "or give --at SECONDS."
    )
