"""The tables of a `Timeline`, and what selects and changes their rows: time, video, person."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mien.errors import UsageError
from mien.expressions import affect
from mien.expressions.actions import ACTION_COLUMNS
from mien.people.identities import People, find_people
from mien.results import tables
from mien.results.collection import as_tables
from mien.results.embeddings import Embeddings, Gathering
from mien.results.peaks import Peak, Peaks
from mien.results.settings import RunSettings
from mien.timeline.group import mood
from mien.timeline.smoothing import SMOOTH_S
from mien.timeline.tracks import Presence
from mien.types import Comparable, FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.result import Result

_LONGEST_S = 1e6  # beyond, the sums of a window lose their digits


@dataclass(frozen=True, eq=False, repr=False)
class TimelineTables(Comparable):
    """The data of a `mien.Timeline`, see there."""

    faces: pd.DataFrame
    images: pd.DataFrame
    settings: RunSettings
    labels: tuple[str, ...]
    peaks: Sequence[Peak] = ()
    embeddings: Embeddings | None = None
    _unsmoothed: pd.DataFrame | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        import pandas as pd

        order = {name: place for place, name in enumerate(pd.unique(self.images["source"]))}
        for name in ("images", "faces", "_unsmoothed"):
            table = getattr(self, name)
            if table is None:
                continue
            by = [table["frame"], table["source"].map(order)]
            if by[1].isna().any():
                raise UsageError("there are faces of videos that the images table does not have.")
            sorted_ = table.iloc[np.lexsort([column.to_numpy() for column in by])]
            object.__setattr__(self, name, sorted_.reset_index(drop=True))
        tables.describe(self.faces, self.labels, self.settings)

    @classmethod
    def from_results(cls, results: Iterable[Result], keep_faces: bool = True) -> Self:
        """Collect the results of videos as they come, keeping their numbers only.

        Args:
            results: as from `EmotionAnalyzer.stream`.
            keep_faces: also keep `peaks`, one crop per person and label.
        """
        peaks, embeddings = Peaks(), Gathering()

        def collected() -> Iterator[Result]:
            for result in results:
                embeddings.add(result)
                if keep_faces:
                    peaks.add(result)
                yield result

        faces, images, labels, settings = as_tables(collected())
        return cls(faces, images, settings, labels, peaks.found(), embeddings.found())

    @cached_property
    def raw(self) -> Self:
        """The same without smoothing."""
        if self._unsmoothed is None:
            return self
        settings = replace(self.settings, smooth_s=0.0)
        return replace(self, faces=self._unsmoothed, _unsmoothed=None, settings=settings)

    @property
    def sources(self) -> tuple[str, ...]:
        """The videos, in order."""
        return tuple(self.images["source"].drop_duplicates())

    @property
    def track_ids(self) -> tuple[int, ...]:
        """The people, by first appearance."""
        return tuple(int(i) for i in self.faces["track_id"].dropna().drop_duplicates())

    @property
    def names(self) -> dict[int, str]:
        """Names of people by track id, where they have one; see `with_identities`."""
        return dict(self.settings.people or {})

    def name_of(self, track_id: int) -> str:
        """The name of a person, "Person 3" where there is none."""
        return self._presence.name_of(track_id)

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, seconds; of several videos, their sum."""
        return self._presence.duration_s

    def source(self, name: str) -> Self:
        """The rows of one video.

        Raises:
            UsageError: there is no such video.
        """
        if name not in self.sources:
            raise UsageError(f"there is no video {name!r}; there are {', '.join(self.sources)}.")
        return self._selected(
            lambda faces: faces[faces["source"] == name],
            images=self.images[self.images["source"] == name],
            peaks=[peak for peak in self.peaks if peak.source == name],
        )

    def track(self, track_id: int | str, source: str | None = None) -> Self:
        """One person, with all frames of their videos; ``n_faces`` then counts this person only.

        Args:
            track_id: as in `track_ids`, or a name of `names`.
            source: the video, where several have this id; optional after `with_identities`.

        Raises:
            UsageError: there is no such person, or one in several videos.
        """
        wanted = next((i for i, name in self.names.items() if name == track_id), track_id)
        sources = [name for name, person in self._presence.people if person == wanted]
        sources = [name for name in sources if source in (None, name)]
        if not sources:
            known = ", ".join([*map(str, self.track_ids), *self.names.values()]) or "none"
            raise UsageError(f"there is no person {track_id}; the track ids are: {known}.")
        if len(sources) > 1 and self.settings.people is None:
            raise UsageError(f"person {track_id} is in {', '.join(sources)}: give source=...")
        return self._selected(
            lambda faces: faces[
                faces["source"].isin(sources)
                & (faces["track_id"] == wanted).fillna(False).astype(bool)
            ],
            images=self._presence.images_of(int(wanted), sources),
            peaks=[p for p in self.peaks if p.track_id == wanted and p.source in sources],
        )

    def between(self, start_s: float, end_s: float) -> Self:
        """The frames that begin from `start_s` up to, but not including, `end_s`, seconds.

        The last one ends at `end_s` at the latest. Rows without a time are left out.

        Raises:
            UsageError: `end_s` is not after `start_s`.
        """
        if not start_s < end_s:
            raise UsageError(f"the end must be after the start, got {start_s} to {end_s} seconds.")

        def inside(table: pd.DataFrame) -> pd.DataFrame:
            return table[(table["time_s"] >= start_s) & (table["time_s"] < end_s)]

        images = inside(self.images)
        if "duration_s" in images:
            shown = images["duration_s"].clip(upper=end_s - images["time_s"])
            images = images.assign(duration_s=shown)
        peaks = [peak for peak in self.peaks if start_s <= peak.time_s < end_s]
        return self._selected(inside, images=images, peaks=peaks)

    def smooth(self, seconds: float = SMOOTH_S) -> Self:
        """The same, smoothed: each person's scores and measures become means over a time window.

        The window is a triangle, `seconds` wide, around each frame (see
        `mien.timeline.smoothing.centered`). Smoothing starts from the raw scores each time; they
        stay in `raw`. ``emotion`` and ``probability`` follow the smoothed scores. Unfit faces are
        smoothed separately.

        Raises:
            UsageError: `seconds` is not a number from 0 to 1,000,000, or the table has no times.
        """
        if not (isinstance(seconds, Real) and 0 <= seconds <= _LONGEST_S):
            raise UsageError(f"seconds must be a number from 0 to 1,000,000, got {seconds!r}.")
        raw = self.raw
        if not seconds:
            return raw
        measures = tables.measure_columns(raw.faces)
        faces = raw._presence.smoothed(measures, seconds, self._uncertain_below)
        settings = replace(raw.settings, smooth_s=float(f"{seconds:g}"))
        return replace(raw, faces=faces, settings=settings, _unsmoothed=raw.faces)

    def derive_affect(self) -> Self:
        """The same with the columns ``valence`` and ``arousal``, -1 to 1.

        What the model predicts stays; the others are derived from the probabilities of each face,
        as the mean coordinates of its labels (see `mien.expressions.affect`); `settings` say so.

        Raises:
            UsageError: the coordinates of a label are unknown, or the scores are not
                probabilities.
        """
        names = affect.missing(tuple(self.faces.columns))
        if not names:
            return self
        return self._selected(
            lambda faces: affect.with_columns(faces, self.labels),
            settings=replace(self.settings, derived=affect.provenance_note(names)),
        )

    def baseline(self, reference: Any = "auto", neutral: Mapping[str, float] | None = None) -> Self:
        """The same, calibrated to how each person's face looks at rest.

        Probabilities become those relative to the person's resting face, facial actions the
        difference from it, see `mien.timeline.baseline`. The values as they were stay in columns
        that begin with ``raw_``; the settings say what was done. People without a baseline keep
        their values.

        Args:
            reference: ``"auto"`` (the most neutral quarter of each person's time), a stretch of the
                video such as ``"0:00-0:10"`` or ``(0, 10)`` seconds, the `Result` of a photo of the
                person, a table of the person or its path; or a mapping of these by track id.
            neutral: what the model says of the typical neutral face, by label; known of
                ``mien-mobilenet``.

        Raises:
            UsageError: the table is calibrated or re-weighted already, nobody is at rest in the
                reference, it is outside the video, of several people, or of another model.
            InputError: the table of the reference cannot be read.
        """
        from mien.timeline.baseline import RAW, calibrated, neutral_face

        if self.settings.baseline or f"{RAW}{self.labels[0]}" in self.faces:
            raise UsageError("this table is calibrated already: use the one with raw values.")
        if self.settings.prior:
            raise UsageError("a baseline would undo the prior of this table: use one without.")
        if not self._are_probabilities:
            raise UsageError("a baseline needs probabilities, and these are scores.")
        references = reference if isinstance(reference, Mapping) else {None: reference}
        if neutral is None:
            neutral = neutral_face(self.settings.classifier, self.labels)
        raw = self.raw
        done = replace(raw, **calibrated(raw, references, neutral))
        return done.smooth(self.settings.smooth_s)

    def group(self, seconds: float | None = None) -> pd.DataFrame:
        """The mood of everyone together: mean expression, and how far faces differ.

        Args:
            seconds: length of a row; 0 gives a row per frame, None one per video.

        Returns:
            source, start_s, end_s, visible_s (with anybody visible), n_faces (mean number of
            visible faces), fit_share (of these, the share that is fit, mean over the time),
            emotion, probability (of the mean), ``mean_LABEL`` (over the faces that count in each
            moment first, then over the time with one; NaN without) and ``spread_LABEL`` (standard
            deviation over these faces, then the mean over the time with two and more; NaN
            without). Measures, such as valence, likewise.

        Raises:
            UsageError: `seconds` is negative or infinite, or the table has no times.
        """
        columns = self.labels, tables.measure_columns(self.faces)
        return mood(
            self._presence, self.faces, self.images, *columns, seconds, self._uncertain_below
        )

    @property
    def all_faces(self) -> bool:
        """Whether unfit faces count as the others do."""
        return self.settings.all_faces

    def with_all_faces(self, all_faces: bool = True) -> Self:
        """The same, with unfit faces counting as the others do, or not."""
        if all_faces == self.all_faces:
            return self
        raw = self.raw
        changed = replace(raw, settings=replace(raw.settings, all_faces=all_faces))
        return changed.smooth(self.settings.smooth_s)

    @property
    def has_actions(self) -> bool:
        """Whether the table has people with facial actions."""
        return set(ACTION_COLUMNS) <= set(self.faces.columns) and bool(self.track_ids)

    @property
    def counted_faces(self) -> pd.DataFrame:
        """The rows of `faces` that count."""
        return self.faces[self._presence.counted]

    @property
    def counted_peaks(self) -> list[Peak]:
        """The `peaks` whose face counts."""
        unfit = self.faces.loc[~self._presence.counted, ["source", "track_id", "frame"]].dropna()
        left_out = set(unfit.itertuples(index=False, name=None))
        return [p for p in self.peaks if (p.source, p.track_id, p.frame) not in left_out]

    def identify(
        self,
        threshold: float | None = None,
        names: Mapping[int, str] | None = None,
        known: Mapping[str, FloatArray] | None = None,
    ) -> People:
        """Which tracks are the same person, across cuts and videos, by their identity embeddings.

        Arguments and errors are those of `mien.people.identities.find_people`; see docs/people.md.
        """
        timed = self.images["time_s"].notna().any()
        seconds = self._presence.seconds if timed else np.zeros(len(self.faces))
        return find_people(self.faces, seconds, self.embeddings, threshold, names, known)

    def with_identities(self, people: People | None = None) -> Self:
        """The same with people for tracks: ``track_id`` is one number per person, in all videos.

        `names` has the names of those who have one; segments, summary and the rest are per person.

        Args:
            people: as from `identify`, which is called where it is left out.

        Raises:
            UsageError: as for `identify`, or these are people of another timeline.
        """
        people = self.identify() if people is None else people
        raw = self.raw
        identified = replace(
            raw,
            faces=people.relabelled(raw.faces),
            peaks=people.relabelled_peaks(raw.peaks),
            settings=replace(raw.settings, people=dict(people.known)),
        )
        return identified.smooth(self.settings.smooth_s)

    def _selected(self, change: Callable[[pd.DataFrame], pd.DataFrame], **changes: Any) -> Self:
        """The same with `change` made to the faces, smoothed and unsmoothed, and other fields."""
        raw = None if self._unsmoothed is None else change(self._unsmoothed)
        return replace(self, faces=change(self.faces), _unsmoothed=raw, **changes)

    @property
    def _uncertain_below(self) -> float:
        """The top probability below which a face is uncertain; other scores never are."""
        return self.settings.uncertain_below if self._are_probabilities else -math.inf

    @cached_property
    def _presence(self) -> Presence:
        return Presence(self.faces, self.images, self.labels, self.names, self.all_faces)

    @cached_property
    def _are_probabilities(self) -> bool:
        """Whether the scores are probabilities, not arbitrary numbers."""
        raw = self.faces if self._unsmoothed is None else self._unsmoothed
        sums = raw[list(self.labels)].to_numpy(np.float64).sum(axis=1)
        return bool(np.allclose(sums, 1, atol=1e-2))
