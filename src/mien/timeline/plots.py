"""What a `Timeline` draws: a panel a person, one a group, or ways through valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.labels import MEASURES
from mien.results.peaks import Peak
from mien.timeline.tracks import Presence
from mien.types import FloatArray, Floats

if TYPE_CHECKING:
    import pandas as pd

    from mien.plots import Plot


class Plots:
    """What `Timeline` can draw; the attributes are the timeline's own."""

    if TYPE_CHECKING:
        labels: tuple[str, ...]
        counted_peaks: Any
        sources: Any
        all_faces: Any
        _presence: Any
        group: Any
        derive_affect: Any

    def plot(self, group: bool = False) -> Plot:
        """Curves of every person over time, with faces at their peaks where they were kept.

        Args:
            group: one panel a film instead: the mean of everyone in sight, and as a band around
                each curve how far their faces differ (one standard deviation to either side).

        Raises:
            UsageError: the table has no times or people.
        """
        if group:
            return draw_groups(self.group(0), self.labels, self.all_faces)
        return draw_people(self._presence, self.sources, self.labels, self.counted_peaks)

    def plane(self, width: int = 960) -> Plot:
        """Everyone's way through the plane of valence and arousal, coloured by time.

        Smooth before, or single frames will be seen. Where the model does not measure them, they
        are derived, and the drawing says so.

        Args:
            width: of the drawing in CSS pixels.

        Raises:
            UsageError: as for `derive_affect`; or the table has no times or people.
        """
        known = self.derive_affect()
        places = known.faces[list(MEASURES)].to_numpy(np.float32)
        told = known.settings.derived
        return draw_planes(self._presence, self.sources, places, told, width)


def draw_people(
    presence: Presence, sources: Sequence[str], labels: tuple[str, ...], peaks: Sequence[Peak]
) -> Plot:
    """A panel a person, with faces at the moments of `peaks`.

    Raises:
        UsageError: the table has no times or people.
    """
    from mien.plots import PersonCurve, timeline_plot

    unfit, people = spans(presence.unfit()), []
    for (source, person), rows in presence.judged.items():
        film = f" in {Path(source).name}" if len(sources) > 1 else ""
        faces = [
            (peak.time_s, peak.label, peak.picture)
            for peak in peaks
            if (peak.source, peak.track_id) == (source, person)
        ]
        times = presence.spans[0][rows]
        values = presence.values[rows, :-1].astype(np.float64)
        name, away = presence.name_of(person) + film, unfit.get((source, person), [])
        people.append(PersonCurve(name, times, values, labels, faces, unfit=away))
    return timeline_plot(people)


def spans(unfit: pd.DataFrame) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Start and end of each stretch of `Timeline.unfit`, by film and person."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in unfit.to_dict("records"):
        who = row["source"], row["track_id"]
        found.setdefault(who, []).append((row["start_s"], row["end_s"]))
    return found


def counted_faces(frames: pd.DataFrame, all_faces: bool) -> Floats:
    """How many faces make the mean of each row, a frame, of `Timeline.group`."""
    visible = frames["n_faces"].to_numpy(np.float64)
    return visible if all_faces else (visible * frames["fit_share"].to_numpy(np.float64)).round()


def draw_groups(frames: pd.DataFrame, labels: tuple[str, ...], all_faces: bool) -> Plot:
    """A panel a film: the group's mean, with the spread of its faces as a band.

    Args:
        frames: as from `Timeline.group`, a row a frame.
        labels: of its columns.
        all_faces: as of the timeline.
    """
    from mien.plots import PersonCurve, timeline_plot

    seen = frames[frames["probability"].notna()]
    panels = []
    for source, rows in seen.groupby("source", sort=False):
        counts = counted_faces(rows, all_faces)
        low, high = int(counts.min()), int(counts.max())
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
                counts=counts,
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
    for (source, person), rows in presence.judged.items():
        film = f" in {Path(source).name}" if len(sources) > 1 else ""
        times, own = presence.spans[0][rows], places[rows].astype(np.float64)
        paths.append(PersonPath(presence.name_of(person) + film, times, own))
    return plane_plot(paths, source=derived, width=width)
