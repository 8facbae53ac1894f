"""``mien view``: scroll through a saved analysis."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.viewer.saved import Viewer


def view(
    table: Annotated[Path, typer.Argument(help="What `mien analyze -o` wrote.")],
    at: Annotated[float | None, typer.Option(help="Begin at this second of the film.")] = None,
) -> None:
    """Scroll through the frames of a saved analysis, in a window or in the terminal.

    Keys: left and right for frames, page up and down for a second, home, end, up and down for
    faces, space to play, s for a snapshot, q to quit. The film or photos are read again.
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
    from mien.cli.console import console
    from mien.cli.viewer.terminal import faces_table

    if viewer.position == 0:
        viewer.go(viewer.first_with_face())
    look = viewer.look()
    assert look is not None  # nobody has looked yet
    out = console()
    out.print(look.headline)
    out.print(faces_table(look))
    if look.message:
        print(f"mien: {look.message}", file=sys.stderr)  # noqa: T201
    print(  # noqa: T201
        f"one of {len(viewer)} frames; call mien view in a terminal to scroll through them, "
        "or give --at SECONDS.",
        file=sys.stderr,
    )
