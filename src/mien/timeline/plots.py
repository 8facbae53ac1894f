"""What a `Timeline` draws: a panel a person, one a group, or ways through valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.results.peaks import Peak
from mien.timeline.tracks import Presence
from mien.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.plots import Plot


def draw_people(
    presence: Presence, sources: Sequence[str], labels: tuple[str, ...], peaks: Sequence[Peak]
) -> Plot:
    """A panel a person, with faces at the moments of `peaks`.

    Raises:
        UsageError: the table has no times or people.
    """
    from mien.plots import PersonCurve, timeline_plot

    presence.need_people()
    people = []
    for (source, person), rows in presence.people.items():
        film = f" in {Path(source).name}" if len(sources) > 1 else ""
        faces = [
            (peak.time_s, peak.label, peak.picture)
            for peak in peaks
            if (peak.source, peak.track_id) == (source, person)
        ]
        times = presence.spans[0][rows]
        values = presence.values[rows, :-1].astype(np.float64)
        people.append(PersonCurve(presence.name_of(person) + film, times, values, labels, faces))
    return timeline_plot(people)


def draw_groups(frames: pd.DataFrame, labels: tuple[str, ...]) -> Plot:
    """A panel a film: the group's mean, with the spread of its faces as a band.

    Args:
        frames: as from `Timeline.group`, a row a frame.
        labels: of its columns.
    """
    from mien.plots import PersonCurve, timeline_plot

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
        panels.append(
            PersonCurve(
                name,
                times,
                values,
                labels,
                spread=np.nan_to_num(spread),
                counts=rows["n_faces"].to_numpy(np.float64),
            )
        )
    return timeline_plot(panels)


def draw_planes(
    presence: Presence, sources: Sequence[str], places: FloatArray, derived: str, width: int
) -> Plot:
    """A plane a person, with their way through it.

    Args:
        presence: who is seen when.
        sources: the films.
        places: ``(n, 2)`` valence and arousal of each row of the ``faces`` table.
        derived: from what, or "" where the model measured them.
        width: of the drawing.

    Raises:
        UsageError: the table has no times or people.
    """
    from mien.plots import PersonPath, plane_plot

    presence.need_people()
    paths = []
    for (source, person), rows in presence.people.items():
        film = f" in {Path(source).name}" if len(sources) > 1 else ""
        times, own = presence.spans[0][rows], places[rows].astype(np.float64)
        paths.append(PersonPath(presence.name_of(person) + film, times, own))
    return plane_plot(paths, source=derived, width=width)
