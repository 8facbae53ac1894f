"""Faces of people, read again from the films and photos where none was kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import InputError
from mien.faces.crops import crop_faces
from mien.media.frame_reader import FrameReader
from mien.types import Faces, Image

if TYPE_CHECKING:
    from mien.cli.people_inputs import Gathered
    from mien.people.identities import People

_SIDE = 112  # pixels, as of the faces that are kept
_COLUMNS = ["time_s", "x1", "y1", "x2", "y2", "width", "height"]


def read_again(gathered: Gathered, who: People, rows: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """The face most like each track, ``(112, 112, 3)`` uint8 RGB.

    What is not there any more is told once, and left out.

    Args:
        gathered: where the films and photos are.
        who: the people in it.
        rows: of ``who.tracks``.
    """
    faces, images = gathered.timeline.faces, gathered.timeline.images
    wanted = who.tracks.loc[list(rows), ["source", "frame", "face"]]
    sized = faces.merge(images[["source", "frame", "width", "height"]], on=["source", "frame"])
    found = wanted.merge(sized, on=["source", "frame", "face"], how="left")
    readers: dict[Path, FrameReader] = {}
    gone: set[str] = set()
    for row, face, source in zip(
        _counted(rows), found[_COLUMNS].to_numpy(), found["source"], strict=True
    ):
        if source in gone:
            continue
        folder, name = gathered.origins[source]
        time_s, *box, width, height = (float(value) for value in face)
        try:
            reader = readers.setdefault(folder, FrameReader(folder))
            moment = None if np.isnan(time_s) else time_s
            image = reader(name, moment, (int(width), int(height)))
        except InputError as error:
            gone.add(source)
            print(f"mien: {error}", file=sys.stderr)  # noqa: T201
            continue
        yield row, crop_faces(image, Faces(np.array([box], np.float32)), _SIDE)[0]


def _counted(rows: Sequence[int]) -> Iterator[int]:
    """Count aloud on a terminal, after two seconds."""
    started, said = time.monotonic(), False
    for count, row in enumerate(rows):
        if sys.stderr.isatty() and time.monotonic() - started > 2:
            said = True
            told = f"\rlooking up faces, {count} of {len(rows)} "
            print(told, end="", file=sys.stderr, flush=True)  # noqa: T201
        yield row
    if said:
        print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201
