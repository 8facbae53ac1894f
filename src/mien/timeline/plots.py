"""What a `Timeline` plots: curves of each person or of the group, paths of valence and arousal."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.labels import MEASURES
from mien.timeline.base import TimelineTables

if TYPE_CHECKING:
    from mien.plots import PersonCurve, PersonPath, Plot


class Plots(TimelineTables):
    """The plots of a `mien.Timeline`."""

    def plot(self, group: bool = False) -> Plot:
        """Curves of every person over time, with faces at their peaks where they were kept.

        Args:
            group: one panel per video instead: the mean over everyone visible, with a band of one
                standard deviation of their faces to either side.

        Raises:
            UsageError: the table has no times or people.
        """
        from mien.plots import timeline_plot

        curves = self.group_curves() if group else self.person_curves()
        return timeline_plot(curves, title=self._title)

    def plane(self, width: int = 960) -> Plot:
        """Everyone's path through the plane of valence and arousal, colored by time.

        Smooth first, or single frames will stand out. Where the model does not measure them, they
        are derived, and the plot says so.

        Args:
            width: of the plot in CSS pixels.

        Raises:
            UsageError: as for `derive_affect`; or the table has no times or people.
        """
        from mien.plots import plane_plot

        derived = self.derive_affect()
        return plane_plot(
            derived.person_paths(), source=derived.settings.derived, width=width, title=self._title
        )

    def person_curves(
        self, people: Collection[int] | None = None, min_probability: float = 0.0
    ) -> list[PersonCurve]:
        """The curves behind `plot`, one per person and video, in order of appearance.

        Args:
            people: track ids; None takes everyone.
            min_probability: faces at less probable peaks are not shown.

        Raises:
            UsageError: the table has no times or people.
        """
        from mien.plots import PersonCurve

        unfit = self._presence.unfit()
        ends = list(zip(unfit["start_s"], unfit["end_s"], strict=True))
        curves = []
        for (source, person), rows in self._presence.judged.items():
            if people is not None and person not in people:
                continue
            faces = [
                (peak.time_s, peak.label, peak.picture)
                for peak in self.counted_peaks
                if (peak.source, peak.track_id) == (source, person)
                and peak.probability >= min_probability
                and math.isfinite(peak.time_s)
            ]
            own = (unfit["source"] == source) & (unfit["track_id"] == person)
            shaded = [ends[row] for row in np.flatnonzero(own)]
            times = self._presence.spans[0][rows]
            values = self._presence.values[rows, :-1].astype(np.float64)
            name = self._presence.name_of(person) + self._place(source)
            curves.append(PersonCurve(name, times, values, self.labels, faces, unfit=shaded))
        return curves

    def group_curves(self) -> list[PersonCurve]:
        """The curves behind ``plot(group=True)``, one per video with a face that counts."""
        from mien.plots import PersonCurve

        if not len(self.faces):
            return []
        frames = self.group(0)
        frames = frames[frames["probability"].notna()]
        curves = []
        for source, rows in frames.groupby("source", sort=False):
            counts = rows["n_faces"].to_numpy(np.float64)
            if not self.all_faces:
                counts = (counts * rows["fit_share"].to_numpy(np.float64)).round()
            low, high = int(counts.min()), int(counts.max())
            number = f"{low} to {high}" if low < high else str(high)
            means, spread = (
                rows[[f"{kind}_{label}" for label in self.labels]].to_numpy(np.float64)
                for kind in ("mean", "spread")
            )
            who = f"{'Everyone' if self.track_ids else 'All faces'}{self._place(str(source))}"
            name = f"{who}: mean of {number} face{'s' * (high > 1)} at a time"
            curve = PersonCurve(name, rows["start_s"].to_numpy(np.float64), means, self.labels)
            if high > 1:
                curve = replace(curve, spread=np.nan_to_num(spread), counts=counts)
            curves.append(curve)
        return curves

    def person_paths(self, people: Collection[int] | None = None) -> list[PersonPath]:
        """The paths behind `plane`, of a table with valence and arousal.

        Args:
            people: track ids; None takes everyone.

        Raises:
            UsageError: the table has no times or people.
        """
        from mien.plots import PersonPath

        self._presence.need_people()
        places = self.faces[list(MEASURES)].to_numpy(np.float64)
        return [
            PersonPath(
                self._presence.name_of(person) + self._place(source),
                self._presence.spans[0][rows],
                places[rows],
            )
            for (source, person), rows in self._presence.judged.items()
            if people is None or person in people
        ]

    @property
    def _title(self) -> str:
        """The name of the video, where there is only one."""
        return Path(self.sources[0]).name if len(self.sources) == 1 else ""

    def _place(self, source: str) -> str:
        """Which video a panel is about, where there are several."""
        return f" in {Path(source).name}" if len(self.sources) > 1 else ""
