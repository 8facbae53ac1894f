"""Which faces of a `Timeline` count: those that are fit to be judged, unless all are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from mien.timeline.orientation import orientation_note
from mien.timeline.tracks import SHORTEST_S, Presence

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.peaks import Peak

#: The setting that says that unfit faces count as the others do.
ALL_FACES = "all_faces"


class Fitness:
    """What `Timeline` knows about faces unfit to be judged; the attributes are the timeline's own.

    Such a face (``fit`` is false, ``unfit_reason`` says why) stays in the tables, and its person
    stays visible, but its scores do not count: a model is wrong on it, and sure (docs/quality.md).
    """

    if TYPE_CHECKING:
        faces: pd.DataFrame
        settings: Mapping[str, str]
        peaks: Sequence[Peak]

        @property
        def _presence(self) -> Presence: ...

    @property
    def all_faces(self) -> bool:
        """Whether faces that are unfit to be judged count as the others do."""
        return ALL_FACES in self.settings

    def with_all_faces(self, all_faces: bool = True) -> Self:
        """The same, with faces that are unfit to be judged counting as the others do, or not."""
        if all_faces == self.all_faces:
            return self
        raw: Any = self.raw  # type: ignore[attr-defined]
        settings = {name: text for name, text in raw.settings.items() if name != ALL_FACES}
        settings |= {ALL_FACES: "counted"} if all_faces else {}
        smooth_s = float(self.settings.get("smooth_s", 0))
        changed: Self = replace(raw, settings=settings).smooth(smooth_s)
        return changed

    @property
    def counted_faces(self) -> pd.DataFrame:
        """The rows of `faces` that count."""
        return self.faces[self._presence.counted]

    @property
    def counted_peaks(self) -> list[Peak]:
        """The kept faces that count."""
        gone = self.faces.loc[~self._presence.counted, ["source", "track_id", "frame"]].dropna()
        left_out = set(gone.itertuples(index=False, name=None))
        return [p for p in self.peaks if (p.source, p.track_id, p.frame) not in left_out]

    def unfit(self, min_s: float = SHORTEST_S) -> pd.DataFrame:
        """Stretches in which a person was visible but unfit to be judged, a row each.

        Shorter ones are bridged by `Timeline.segments`, longer ones interrupt them.

        Returns:
            source, track_id, unfit_reason (the most frequent), start_s, end_s, duration_s; by
            source, person and time.

        Raises:
            UsageError: the table has no times or people.
        """
        return self._presence.unfit(min_s)

    @property
    def unfit_note(self) -> str:
        """How much of the visible time was unfit to be judged, and why: a sentence, or ""."""
        return self._presence.unfit_note()

    @property
    def orientation_note(self) -> str:
        """Which videos seem to be stored on their side or upside down, a sentence each; or ""."""
        if self.faces["time_s"].isna().all():
            return ""
        return orientation_note(self.faces, self._presence.seconds)
