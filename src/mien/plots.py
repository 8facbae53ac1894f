"""A film as drawings: everyone's curves, and everyone's way through valence and arousal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.curves import PersonCurve, PersonPath, Plot, plane_plot, timeline_plot
from mien.peaks import Peak
from mien.presence import Presence, Who
from mien.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


def curves(presence: Presence, labels: tuple[str, ...], peaks: Sequence[Peak]) -> Plot:
    """A panel a person, a line a label, with faces at their peaks where they were kept.

    Raises:
        UsageError: the table has no times or people.
    """
    people = []
    for name, who, rows in named(presence):
        faces = [(p.time_s, p.label, p.picture) for p in peaks if (p.source, p.track_id) == who]
        times, values = presence.spans[0][rows], presence.values[rows, :-1].astype(np.float64)
        people.append(PersonCurve(name, times, values, labels, faces))
    return timeline_plot(people)


def groups(frames: pd.DataFrame, labels: tuple[str, ...]) -> Plot:
    """A panel a film: the group's mean, with the spread of its faces as a band.

    Args:
        frames: as from `Timeline.group`, a row a frame.
        labels: of its columns.
    """
    seen = frames[frames["n_faces"] > 0]
    panels = []
    for source, rows in seen.groupby("source", sort=False):
        low, high = int(rows["n_faces"].min()), int(rows["n_faces"].max())
        faces = f"{low} to {high}" if low < high else str(high)
        film = f" in {Path(str(source)).name}" if seen["source"].nunique() > 1 else ""
        values, spread = (
            rows[[f"{kind}_{label}" for label in labels]].to_numpy(np.float64)
            for kind in ("mean", "spread")
        )
        name = f"Everyone{film}, {faces} face{'s' * (high > 1)} at a time"
        times = rows["start_s"].to_numpy(np.float64)
        panels.append(PersonCurve(name, times, values, labels, spread=np.nan_to_num(spread)))
    return timeline_plot(panels)


def plane(presence: Presence, places: FloatArray, source: str, width: int) -> Plot:
    """A plane a person, with their way through it.

    Args:
        presence: who is seen when.
        places: ``(n, 2)`` valence and arousal of each row of the ``faces`` table.
        source: where they come from, if they are derived.
        width: of the drawing.

    Raises:
        UsageError: the table has no times or people.
    """
    paths = [
        PersonPath(name, presence.spans[0][rows], places[rows].astype(np.float64))
        for name, _, rows in named(presence)
    ]
    return plane_plot(paths, source=source, width=width)


def named(presence: Presence) -> Iterator[tuple[str, Who, IntArray]]:
    """Everyone: what they are called, who they are, and their rows in order of time.

    Raises:
        UsageError: the table has no times or people.
    """
    presence.need_people()
    for (source, person), rows in presence.people.items():
        film = f" in {Path(source).name}" if presence.films > 1 else ""
        yield f"Person {person}{film}", (source, person), rows
