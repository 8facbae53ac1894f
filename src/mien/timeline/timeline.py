"""`Timeline`: people over time, from the two tables of a film, camera or stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import UsageError
from mien.expressions import affect
from mien.results import tables
from mien.results.collection import as_tables, load_tables, write_analysis
from mien.results.embeddings import Embeddings, Gathering, read_embeddings, write_embeddings
from mien.results.files import SUFFIXES, AnalysisFiles
from mien.results.peaks import Peak, Peaks, read_peaks, write_peaks
from mien.timeline import subtitles
from mien.timeline.descriptors import Descriptor, describe
from mien.timeline.fitness import Fitness
from mien.timeline.group import mood
from mien.timeline.identification import PEOPLE, Cast, told_names
from mien.timeline.plots import Plots
from mien.timeline.smoothing import SMOOTH_S
from mien.timeline.tracks import SHORTEST_S, Presence

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.result import Result

_LONGEST_S = 1e6  # beyond, the sums of a window lose their digits
_SMOOTH = "smooth_s"  # the setting by which `load` smooths again what `save` kept raw


@dataclass(frozen=True, eq=False, repr=False)
class Timeline(Cast, Fitness, Plots):
    """All faces of one film, or of several, with their times and people.

    A frame is shown until the next one begins (left-out live frames aside), the last one for as
    long as the shortest. Track ids count within one source. Rows without a time, such as photos
    in the same table, and faces without an id stay in the tables and belong to nobody.

    Faces that are unfit to be judged (``fit`` is false) stay in the tables, too, but do not count:
    segments, summary, group, curves and descriptors are of the others, unless `with_all_faces`.

    Attributes:
        faces: the ``faces`` table, a row a face, by source (in the order of `images`) and frame.
        images: the ``images`` table, a row a frame: also without a face, failed, or left out.
        settings: what the run was made with.
        labels: names of the score columns.
        peaks: the faces that were kept: each person's strongest moment of each label.
        embeddings: vectors of the faces, where they were asked for; also of faces that are not in
            this timeline, such as those of other films.
    """

    faces: pd.DataFrame
    images: pd.DataFrame
    settings: Mapping[str, str]
    labels: tuple[str, ...]
    peaks: Sequence[Peak] = ()
    embeddings: Embeddings | None = None
    _raw: Timeline | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        import pandas as pd

        order = {name: place for place, name in enumerate(pd.unique(self.images["source"]))}
        for name in ("images", "faces"):
            table = getattr(self, name)
            by = [table["frame"], table["source"].map(order)]
            if by[1].isna().any():
                raise UsageError("there are faces of films that the images table does not have.")
            sorted_ = table.iloc[np.lexsort([column.to_numpy() for column in by])]
            object.__setattr__(self, name, sorted_.reset_index(drop=True))

    @classmethod
    def from_results(cls, results: Iterable[Result], keep_faces: bool = True) -> Timeline:
        """Take the results of a film as they come, and keep their numbers only.

        Args:
            results: as from `EmotionAnalyzer.stream`.
            keep_faces: also keep `peaks`, a picture a person and label.
        """
        peaks, embeddings = Peaks(), Gathering()

        def kept() -> Iterator[Result]:
            for result in results:
                embeddings.add(result)
                if keep_faces:
                    peaks.add(result)
                yield result

        faces, images, labels, settings = as_tables(kept())
        return cls(faces, images, settings, labels, peaks.found(), embeddings.found())

    def __repr__(self) -> str:
        frames, people = len(self.images), len(self._presence.people)
        who = "person" if people == 1 else "people"
        return f"Timeline({people} {who}, {frames} frames, {self.duration_s:.2f} s)"

    def __str__(self) -> str:
        from mien.timeline.text import plain

        return f"{self!r}\n{plain(self)}" if self._presence.people else repr(self)

    @property
    def raw(self) -> Timeline:
        """The same without smoothing."""
        return self if self._raw is None else self._raw

    @property
    def sources(self) -> tuple[str, ...]:
        """The films, in order."""
        return tuple(self.images["source"].drop_duplicates())

    @property
    def track_ids(self) -> tuple[int, ...]:
        """The people, by first appearance."""
        return tuple(int(i) for i in self.faces["track_id"].dropna().drop_duplicates())

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, seconds; of several films, their sum."""
        return self._presence.duration_s

    def film(self, source: str) -> Timeline:
        """The rows of one source.

        Raises:
            UsageError: there is no such source.
        """
        if source not in self.sources:
            raise UsageError(f"there is no film {source!r}; there are {', '.join(self.sources)}.")
        return replace(
            self,
            faces=self.faces[self.faces["source"] == source],
            images=self.images[self.images["source"] == source],
            peaks=[peak for peak in self.peaks if peak.source == source],
            _raw=None if self._raw is None else self._raw.film(source),
        )

    def person(self, track_id: int | str, source: str | None = None) -> Timeline:
        """One person, with all frames of their films; ``n_faces`` then counts this person only.

        Args:
            track_id: as in `track_ids`, or a name of `names`.
            source: the film, where several know this id; after `merged` it may be left out.

        Raises:
            UsageError: there is no such person, or one in several films.
        """
        wanted = next((i for i, name in self.names.items() if name == track_id), track_id)
        seen = [film for film, person in self._presence.people if person == wanted]
        films = [film for film in seen if source in (None, film)]
        if not films:
            known = ", ".join([*map(str, self.track_ids), *self.names.values()]) or "none"
            raise UsageError(f"there is no person {track_id}; the track ids are: {known}.")
        if len(films) > 1 and PEOPLE not in self.settings:
            raise UsageError(f"person {track_id} is in {', '.join(films)}: say source=...")
        faces, images = self._presence.of(int(wanted), films)
        return replace(
            self,
            faces=faces,
            images=images,
            peaks=[p for p in self.peaks if p.track_id == wanted and p.source in films],
            _raw=None if self._raw is None else self._raw.person(track_id, source),
        )

    def smooth(self, seconds: float = SMOOTH_S) -> Timeline:
        """The same, smoothed: each person's scores and measures become means over a window of time.

        The window is a triangle, `seconds` wide, around each frame (see
        `mien.timeline.smoothing.centred`).
        Smoothing begins from the raw scores again each time; they stay in `raw`. ``emotion`` and
        ``probability`` follow the smoothed scores. Faces that do not count are smoothed apart.

        Raises:
            UsageError: `seconds` is negative, or the table has no times.
        """
        if not 0 <= seconds <= _LONGEST_S:
            raise UsageError(f"smooth over 0 seconds or more, a million at most, got {seconds}.")
        raw = self.raw
        if not seconds:
            return raw
        faces = raw._presence.smoothed(tables.measure_columns(raw.faces), seconds, self._below)
        settings = {**raw.settings, _SMOOTH: f"{seconds:g}"}
        return replace(raw, faces=faces, settings=settings, _raw=raw)

    def segments(self, min_s: float = SHORTEST_S) -> pd.DataFrame:
        """Stretches of one expression, a row each, that cover each person's presence.

        Nothing shorter than `min_s` is told: a shorter stretch joins the longer of its neighbours,
        a shorter absence is bridged (see `mien.timeline.smoothing.runs`). A longer absence ends a
        stretch, and so does a time in which the face was unfit to be judged.

        Returns:
            source, track_id, emotion (a label, or ``uncertain``), start_s, end_s, duration_s,
            strength (mean probability of the label, by time; of the top label where uncertain),
            peak_s (when it was highest). By source, person and time.

        Raises:
            UsageError: `min_s` is negative, or the table has no times or people.
        """
        return self._presence.segments(min_s)

    def summary(self, across: bool = False) -> pd.DataFrame:
        """One row a person, and after them one for the group, of each source.

        Args:
            across: all sources together, for people of `merged`; films (how many) and peak_source
                are in place of source.

        Returns:
            source, track_id (missing for the group), people, visible_s (of the group: seconds
            with anybody), fit_share (of the visible time: how much was fit to be judged), and of
            the time that counts: changes_per_min (of the expression, between `segments`; of the
            group: of all people together, by a person's minute), peak_emotion, peak_s,
            peak_probability (the strongest moment), ``share_LABEL`` (of the time with this
            expression; with ``share_uncertain`` they sum to 1) and ``mean_LABEL`` (mean
            probability); missing where nothing counts. The group's shares and means are over the
            faces of each moment first, then over time.

        Raises:
            UsageError: the table has no times, or people were not `merged` across films.
        """
        if across and PEOPLE not in self.settings:
            raise UsageError("track ids count within one film: summarise merged() across films.")
        return self._presence.summary(SHORTEST_S, across)

    def group(self, seconds: float | None = None) -> pd.DataFrame:
        """The mood of everyone together: what is seen on average, and how far faces differ.

        Args:
            seconds: how long a row is; 0 gives a row a frame, None one a film.

        Returns:
            source, start_s, end_s, visible_s (with anybody in sight), n_faces (mean number in
            sight), fit_share (of these: how many were fit to be judged, mean over the time),
            emotion, probability (as told of the mean), ``mean_LABEL`` (over the faces that count
            of each moment first, then over the time with one; NaN without) and ``spread_LABEL``
            (standard deviation over these faces, then the mean over the time with two and more;
            NaN without). Measures, such as valence, likewise.

        Raises:
            UsageError: `seconds` is negative or infinite, or the table has no times.
        """
        columns = self.labels, tables.measure_columns(self.faces)
        return mood(self._presence, self.faces, self.images, *columns, seconds, self._below)

    def descriptor(
        self, person: int | None = None, source: str | None = None, *, group: bool = False
    ) -> Descriptor:
        """A film in one vector, of a person or of the group, see `mien.timeline.descriptors`.

        Frames whose features are missing are left out and counted.

        Args:
            person: as in `track_ids`; None for the one who is seen longest.
            source: the film, where there are several.
            group: of everyone together.

        Raises:
            UsageError: the features were not kept (``--embeddings features``), there is no such
                person, or it has to be said which film.
            InputError: no face was found, or in one frame only.
        """
        film = self if source is None else self.film(source)
        if len(film.sources) > 1:
            raise UsageError(f"say of which film: source=... of {', '.join(film.sources)}.")
        name = next(iter(film.sources), "an empty table")
        return describe(film._presence, film.faces, film.embeddings, name, person, group)

    def derive_affect(self) -> Timeline:
        """The same with the columns ``valence`` and ``arousal``, -1 to 1.

        What the model measured stays; the others are derived from the probabilities of each face,
        as the mean place of its labels (see `mien.expressions.affect`), and `settings` say so.

        Raises:
            UsageError: a label has no place, or the scores are no probabilities.
        """
        names = affect.missing(tuple(self.faces.columns))
        if not names:
            return self
        return replace(
            self,
            faces=affect.with_columns(self.faces, self.labels),
            settings={**self.settings, affect.DERIVED: affect.told(names)},
            _raw=None if self._raw is None else self._raw.derive_affect(),
        )

    def export(
        self, path: str | Path, min_s: float = SHORTEST_S, *, overwrite: bool = False
    ) -> Path:
        """Write one form of it, as it is now (smoothed, if it is), by the suffix of `path`.

        ``.vtt`` (WebVTT subtitles) and ``.eaf`` (ELAN) hold the `segments` of one film, none
        shorter than `min_s` seconds; ``.csv``, ``.jsonl`` and ``.parquet`` the two tables.

        Raises:
            UsageError: another suffix, nothing can be written there, several films where one is
                needed, or the table has no times or people.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in (*subtitles.SUFFIXES, *SUFFIXES):
            every = ", ".join((*subtitles.SUFFIXES, *SUFFIXES))
            raise UsageError(f"{target.name!r} cannot be written: end its name in {every}.")
        if suffix in SUFFIXES:
            known = {name: text for name, text in self.settings.items() if name != _SMOOTH}
            if _SMOOTH in self.settings:
                known["values"] = f"smoothed over {self.settings[_SMOOTH]} s"
            return self._write(target, known, (), None, overwrite)
        if len(self.sources) > 1:
            told = ", ".join(self.sources)
            raise UsageError(
                f"a {suffix} file is of one video, this table is of {told}: choose one with "
                f"--video (in Python: film(...)), or write one each with -o '{{video}}{suffix}'."
            )
        stretches = subtitles.stretches(self.segments(min_s), self._distribution, self.name_of)
        smooth_s = self.settings.get(_SMOOTH)
        note = (f"Smoothed over {smooth_s} s. " if smooth_s else "") + self.unfit_note
        if suffix == ".vtt":
            return subtitles.write_webvtt(stretches, target, note, overwrite=overwrite)
        film = next(iter(self.sources), "")
        return subtitles.write_elan(stretches, target, film, note, overwrite=overwrite)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write it so that `load` gives it back.

        The raw ``faces`` table goes to `path` (``.parquet``, ``.csv`` or ``.jsonl``), the
        ``images`` table, the kept faces and the embeddings beside it, as ``NAME.images.SUFFIX``,
        ``NAME.peaks.parquet`` and ``NAME.embeddings.parquet``; the settings, and with them the
        smoothing, of ``NAME.csv`` as ``NAME.csv.settings.json``.

        Args:
            path: of the ``faces`` table.
            overwrite: replace what is there, whatever it is; otherwise only an analysis that has
                no other sources, columns and files beside it.

        Raises:
            UsageError: another suffix, nothing can be written there, or something would be lost.
        """
        found = None if self.embeddings is None else self.embeddings.only(self.faces)
        return self.raw._write(Path(path), self.settings, self.peaks, found, overwrite)

    @classmethod
    def load(cls, path: str | Path, *, incomplete: bool = False) -> Timeline:
        """Read what `save` or ``mien analyze -o`` wrote, or what a killed run has left of it.

        Args:
            path: of the ``faces`` table.
            incomplete: also where faces are missing that the ``images`` table counts.

        Raises:
            InputNotFoundError, InputError: a table is missing, broken, or not of this run.
        """
        faces, images, labels, settings = load_tables(path, incomplete=incomplete)
        smooth_s = float(settings.pop(_SMOOTH, 0))
        raw = cls(faces, images, settings, labels, read_peaks(path), read_embeddings(path))
        return raw.smooth(smooth_s) if smooth_s else raw

    def _write(
        self,
        target: Path,
        settings: Mapping[str, str],
        peaks: Sequence[Peak],
        embeddings: Embeddings | None,
        overwrite: bool,
    ) -> Path:
        files = AnalysisFiles(target)
        new = {files.peaks: bool(peaks), files.embeddings: embeddings is not None}
        beside = [path for path, wanted in new.items() if wanted]
        write_analysis(target, self.faces, self.images, settings, self.labels, overwrite, beside)
        write_peaks(peaks, target)
        write_embeddings(embeddings, target, settings)
        return target

    def _repr_html_(self) -> str:
        if not self._presence.people:  # photos, say
            return str(tables.style(self.faces.head(50), self.labels).to_html())
        summary = self.summary().to_html(index=False, float_format="{:.2f}".format, na_rep="–")
        return self.plot()._repr_html_() + summary

    @property
    def _below(self) -> float:
        """The top score below which a face is uncertain; scores that are no shares never are."""
        return float(self.settings.get("uncertain_below", 0.5)) if self._distribution else -math.inf

    @cached_property
    def _presence(self) -> Presence:
        names = told_names(self.settings)
        return Presence(self.faces, self.images, self.labels, names, self.all_faces)

    @cached_property
    def _distribution(self) -> bool:
        """Whether the scores are probabilities."""
        sums = self.raw.faces[list(self.labels)].to_numpy(np.float64).sum(axis=1)
        return bool(np.allclose(sums, 1, atol=1e-2))
