"""What a `Timeline` plots: curves of people, of the group, of facial actions, paths of affect."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.expressions.actions import UNIT_NAMES, USABLE_UNITS
from mien.labels import MEASURES
from mien.timeline import actions as facial
from mien.timeline.base import TimelineTables
from mien.timeline.blinks import blinks

if TYPE_CHECKING:
    from mien.plots import ActionCurve, PersonCurve, PersonPath, Plot

_NEARLY_ALL = 0.98  # a quantile that single frames do not reach


class Plots(TimelineTables):
    """The plots of a `mien.Timeline`."""

    def plot(self, group: bool = False, actions: bool | Sequence[str] = False) -> Plot:
        """Curves of every person over time, with faces at their peaks where they were kept.

        Args:
            group: one panel per video instead: the mean over everyone visible, with a band of one
                standard deviation of their faces to either side.
            actions: facial actions, their events, closed eyes and head pose instead: of these
                units or blendshapes, or with True of the `moving_actions`.

        Raises:
            UsageError: the table has no times or people, or no facial actions, or not this one.
        """
        from mien.plots import actions_plot, timeline_plot

        if actions is not False:
            chosen = None if actions is True else actions
            return actions_plot(self.action_curves(chosen), names=UNIT_NAMES, title=self._title)

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

    def moving_actions(self) -> tuple[str, ...]:
        """Those of `mien.expressions.actions.USABLE_UNITS` that move in this video.

        They rise by as much as an event needs, from the 10th to the 98th percentile of a person;
        where none does, AU12.

        Raises:
            UsageError: the table has no times or people, or no facial actions.
        """
        self._presence.need_people()
        facial.check_actions(self.faces, USABLE_UNITS)
        faces = self.raw.faces
        values = np.stack([facial.towards_camera(faces, name) for name in USABLE_UNITS], axis=1)
        moves = np.zeros(len(USABLE_UNITS), bool)
        for rows in self._presence.judged.values():
            own = values[rows][np.isfinite(values[rows]).all(axis=1)]
            if len(own):
                low, high = np.quantile(own, [facial.REST_QUANTILE, _NEARLY_ALL], axis=0)
                moves |= high - low >= facial.HIGH
        named = tuple(name for name, moving in zip(USABLE_UNITS, moves, strict=True) if moving)
        return named or ("AU12",)

    def action_curves(
        self, actions: Sequence[str] | None = None, people: Collection[int] | None = None
    ) -> list[ActionCurve]:
        """The curves behind ``plot(actions=...)``, one per person and video.

        Args:
            actions: units or blendshapes; None takes the `moving_actions`.
            people: track ids; None takes everyone.

        Raises:
            UsageError: the table has no times or people, or no facial actions, or not this one.
        """
        from mien.plots import ActionCurve, ActionSpan

        chosen = self.moving_actions() if actions is None else tuple(actions)
        raw = self.raw
        facial.check_actions(self.faces, chosen)
        spans = facial.events(raw._presence, raw.faces, chosen)
        closed, unfit = blinks(raw._presence, raw.faces)[0], self._presence.unfit()
        both = self.faces[list(chosen)], self.faces[list(facial.POSE)]
        curves = []
        for (source, person), rows in self._presence.judged.items():
            if people is not None and person not in people:
                continue
            values, pose = (part.to_numpy(np.float64)[rows] for part in both)
            events, shut, shaded = (
                table[(table["source"] == source) & (table["track_id"] == person)]
                for table in (spans, closed, unfit)
            )
            times = [f"{name}_s" for name in ("onset", "apex", "apex_end", "offset")]
            curves.append(
                ActionCurve(
                    self._presence.name_of(person) + self._place(source),
                    self._presence.spans[0][rows],
                    values,
                    chosen,
                    pose,
                    [
                        ActionSpan(*row)
                        for row in events[["action", *times]].itertuples(index=False)
                    ],
                    list(zip(shut["start_s"], shut["end_s"], strict=True)),
                    list(zip(shaded["start_s"], shaded["end_s"], strict=True)),
                )
            )
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
