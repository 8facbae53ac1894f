"""Which videos seem to be stored on their side or upside down.

Faces are judged upright whichever way up they lie, but drawings, clips and whatever else opens the
file show it as it is stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.timeline.tracks import SHORTEST_S

if TYPE_CHECKING:
    import pandas as pd

    from mien.types import Floats

#: How faces lie that are turned clockwise by so many quarters, and how to rotate their video.
_WAYS = {
    1: ("lie on their side", "rotate it by 90 degrees counterclockwise"),
    2: ("are upside down", "rotate it by 180 degrees"),
    3: ("lie on their side", "rotate it by 90 degrees clockwise"),
}


def orientation_note(faces: pd.DataFrame, seconds: Floats) -> str:
    """A sentence for each video in which most faces are not upright, or "".

    Args:
        faces: rows of the ``faces`` table.
        seconds: ``(n,)`` how long each row was visible; NaN for photos.
    """
    if "roll_deg" not in faces:
        return ""
    turns = np.rint(faces["roll_deg"].to_numpy(np.float64) / 90) % 4
    visible, notes = np.nan_to_num(seconds), []
    for source, rows in faces.groupby("source", sort=False).indices.items():
        per_turn = [float(visible[rows][turns[rows] == turn].sum()) for turn in range(4)]
        turn = int(np.argmax(per_turn))
        if turn and per_turn[turn] > max(visible[rows].sum() / 2, SHORTEST_S):
            way, remedy = _WAYS[turn]
            name = Path(str(source)).name
            notes.append(f"most faces in {name} {way}: if it is stored that way, {remedy}.")
    return " ".join(notes)
