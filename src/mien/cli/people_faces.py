"""Face crops of people, read again from the videos and images where none was saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.cli.console import steps, warn
from mien.errors import InputError
from mien.faces.crops import crop_faces
from mien.media.frame_reader import FrameReader
from mien.types import Faces, Image

if TYPE_CHECKING:
    from mien.cli.people_inputs import Gathered
    from mien.people.identities import People

_SIDE = 112  # pixels, as of saved crops
_COLUMNS = ["time_s", "x1", "y1", "x2", "y2", "width", "height"]


def read_again(gathered: Gathered, who: People, rows: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """The most typical face of each track: its row, and a crop ``(112, 112, 3)`` uint8 RGB.

    An input that cannot be read any more is reported once, and left out. `rows` are those of
    ``who.tracks``.
    """
    faces, images = gathered.timeline.faces, gathered.timeline.images
    wanted = who.tracks.loc[list(rows), ["source", "frame", "face"]]
    sized = faces.merge(images[["source", "frame", "width", "height"]], on=["source", "frame"])
    faces_of = wanted.merge(sized, on=["source", "frame", "face"], how="left")
    readers: dict[Path, FrameReader] = {}
    gone: set[str] = set()
    looking_up = steps("looking up faces,", "faces")
    for row, face, source in zip(
        looking_up(rows, len(rows)), faces_of[_COLUMNS].to_numpy(), faces_of["source"], strict=True
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
            warn(str(error))
            continue
        yield row, crop_faces(image, Faces(np.array([box], np.float32)), _SIDE)[0]
