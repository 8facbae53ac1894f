"""`Timeline`: people over time, from the two tables of a video, camera or stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mien.errors import UsageError
from mien.results import display
from mien.results.collection import Results, load_tables, restored, write_analysis
from mien.results.embeddings import Embeddings, read_embeddings, write_embeddings
from mien.results.files import SUFFIXES, AnalysisFiles
from mien.results.peaks import Peak, read_peaks, write_peaks
from mien.results.settings import RunSettings
from mien.results.tables import write_table
from mien.timeline import actions as facial
from mien.timeline import subtitles
from mien.timeline.blinks import blinks
from mien.timeline.descriptors import Descriptor, describe
from mien.timeline.orientation import orientation_note
from mien.timeline.plots import Plots
from mien.timeline.tracks import SHORTEST_S

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Timeline(Plots):
    """All faces of one or more videos, with their times and people.

    A frame is shown until the next one begins (dropped live frames aside), the last one to the
    end of its video. Track ids count within one video. Rows without a time, such as photos in the
    same table, and faces without an id stay in the tables and belong to nobody.

    Unfit faces (``fit`` is false, ``unfit_reason`` says why) stay in the tables, and their person
    stays visible, but their scores do not count, since a model is wrong on them and confident
    (docs/quality.md): segments, summary, group, curves and descriptors are of the others, unless
    `with_all_faces`.

    Attributes:
        faces: the ``faces`` table, one row per face, by source (in the order of `images`) and
            frame.
        images: the ``images`` table, one row per frame: also without a face, failed, or dropped.
        settings: what the analysis was made with.
        labels: names of the score columns.
        peaks: the crops that were kept: each person's strongest moment of each label.
        embeddings: vectors of the faces, where they were requested; also of faces that are not in
            this timeline, such as those of other videos.

    Raises:
        UsageError: there are faces of a source that `images` does not have.
    """

    def __repr__(self) -> str:
        frames, people = len(self.images), len(self._presence.people)
        who = "person" if people == 1 else "people"
        smooth_s = self.settings.smooth_s
        smoothed = f", smoothed over {smooth_s:g} s" if smooth_s else ""
        return f"Timeline({people} {who}, {frames} frames, {self.duration_s:.2f} s{smoothed})"

    def __str__(self) -> str:
        from mien.timeline.text import plain

        return f"{self!r}\n{plain(self)}" if self._presence.people else repr(self)

    def segments(self, min_s: float = SHORTEST_S) -> pd.DataFrame:
        """Runs of one expression, one row each, that cover each person's visible time.

        None is shorter than `min_s`: a shorter run joins the longer of its neighbors, a shorter
        absence is bridged (see `mien.timeline.smoothing.runs`). A longer absence ends a segment,
        and so does a time in which the face is unfit.

        Returns:
            source, track_id, emotion (a label, or ``uncertain``), start_s, end_s, duration_s,
            strength (mean probability of the label, by time; of the top label where uncertain),
            peak_s (when it was highest). By source, person and time.

        Raises:
            UsageError: `min_s` is negative, or the table has no times or people.
        """
        return self._presence.segments(min_s)

    def blinks(self) -> pd.DataFrame:
        """Every time that a person closes the eyes, from the unsmoothed openness of the eyes.

        Closed is less than half of how far a person opens the eyes otherwise (80th percentile).

        Returns:
            source, track_id, start_s, end_s, duration_s, blink (half a second or less; longer,
            the eyes are simply closed), openness (its minimum). By person and time.

        Raises:
            UsageError: the table was made without ``--actions``, or has no times or people.
        """
        return blinks(self.raw._presence, self.raw.faces)[0]

    def blink_rates(self) -> pd.DataFrame:
        """Blinks of each person: number, rate and length.

        Returns:
            source, track_id, observed_s (time with a trusted mesh on a fit face), blinks,
            blinks_per_min, median_blink_s (all three missing below 10 frames per second, at which
            blinks are missed), closed_share (share of the time with closed eyes, blinks included).

        Raises:
            UsageError: as for `blinks`.
        """
        return blinks(self.raw._presence, self.raw.faces)[1]

    def actions(self, *names: str) -> pd.DataFrame:
        """Every event of facial actions: when an action rises, is held and returns.

        An event lasts while the unsmoothed value is at least 0.10 above the person's rest, and
        must reach 0.25 above it; rest is the 10th percentile of the person's values in the video.
        Events, and gaps in them, of less than 0.15 s do not count, nor does a head that is turned
        by more than 30 degrees, which moves units by itself (docs/actions.md).

        Args:
            names: units (``AU12``) or blendshapes (``mouthSmileLeft``); by default those units
                that measurements support, `mien.expressions.actions.USABLE_UNITS`. AU45 is what
                `blinks` is about.

        Returns:
            source, track_id, action, onset_s (the rise begins), apex_s and apex_end_s (at least
            nine tenths of the way from rest to peak), offset_s (back at rest), duration_s, peak
            and rest (0 to 1), complete (the rise and the return are both visible), asymmetry (as
            of `asymmetry`, mean over the apex). By source, time and person.

        Raises:
            UsageError: the table was made without ``--actions``, there is no such action, or the
                table has no times or people.
        """
        faces = self.raw.faces
        return facial.events(self.raw._presence, faces, facial.check_actions(faces, names))

    def asymmetry(self, action: str = "AU12") -> pd.DataFrame:
        """How the left and right side of an action differ in each frame; by default of a smile.

        Returns:
            source, track_id, time_s, left, right (the person's own sides, 0 to 1), asymmetry
            ((left - right) / (left + right), -1 to 1, positive = stronger on the person's left;
            missing where the mean of both is below 0.25 or the head is turned by more than 15
            degrees). By person and time.

        Raises:
            UsageError: the action has no sides, or as for `actions`.
        """
        return facial.asymmetry(self._presence, self.faces, action)

    def summary(self, across: bool = False) -> pd.DataFrame:
        """One row per person, and after them one for the group, of each video.

        Args:
            across: all videos together, for people of `with_identities`; films (how many) and
                peak_source are in place of source.

        Returns:
            source, track_id (missing for the group), people, visible_s (of the group: seconds
            with anybody), fit_share (share of the visible time that is fit), and of the time that
            counts: changes_per_min (of the expression, between `segments`; of the group: of all
            people together, per person minute), peak_emotion, peak_s, peak_probability (the
            strongest moment), ``share_LABEL`` (share of the time with this expression; with
            ``share_uncertain`` they sum to 1) and ``mean_LABEL`` (mean probability); missing
            where nothing counts. The group's shares and means are over the faces of each moment
            first, then over time.

        Raises:
            UsageError: the table has no times, or track ids are not people across videos.
        """
        if across and self.settings.people is None:
            raise UsageError(
                "track ids count within one video: use with_identities().summary(across=True)."
            )
        return self._presence.summary(SHORTEST_S, across)

    def unfit(self, min_s: float = SHORTEST_S) -> pd.DataFrame:
        """Times in which a person was visible but unfit for analysis, one row each.

        Shorter ones are bridged by `segments`, longer ones interrupt them.

        Returns:
            source, track_id, unfit_reason (the most frequent), start_s, end_s, duration_s; by
            source, person and time.

        Raises:
            UsageError: the table has no times or people.
        """
        return self._presence.unfit(min_s)

    @property
    def unfit_note(self) -> str:
        """How much of the visible time was unfit, and why: a sentence, or ""."""
        return self._presence.unfit_note()

    @property
    def orientation_note(self) -> str:
        """Which videos seem to be stored on their side or upside down, a sentence each; or ""."""
        if self.faces["time_s"].isna().all():
            return ""
        return orientation_note(self.faces, self._presence.seconds)

    def descriptor(
        self, person: int | None = None, source: str | None = None, *, group: bool = False
    ) -> Descriptor:
        """One vector for a video, of a person or of the group, see `mien.timeline.descriptors`.

        Frames whose features are missing are left out and counted.

        Args:
            person: as in `track_ids`; None for the one who is visible longest.
            source: the video, where there are several.
            group: of everyone together.

        Raises:
            UsageError: the features were not kept (``--embeddings features``), there is no such
                person, or there are several videos and none is named.
            InputError: no face was found, or in one frame only.
        """
        video = self if source is None else self.source(source)
        if len(video.sources) > 1:
            raise UsageError(f"choose a video: source=... of {', '.join(video.sources)}.")
        name = next(iter(video.sources), "an empty table")
        return describe(video._presence, video.faces, video.embeddings, name, person, group)

    def export(
        self,
        path: str | Path,
        min_s: float = SHORTEST_S,
        *,
        actions: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Write it as it is now (smoothed, if it is) for other programs, by the suffix of `path`.

        ``.vtt`` (WebVTT subtitles) and ``.eaf`` (ELAN) hold the `segments` of one video, none
        shorter than `min_s` seconds; `mien.results.files.SUFFIXES` the two tables.

        Args:
            path: the file.
            min_s: seconds.
            actions: in an ``.eaf`` also onset, apex and offset of facial actions, in a tier for
                each; as a table the events (`actions`) instead of faces and images.
            overwrite: replace a file that mien did not write.

        Raises:
            UsageError: another suffix, nothing can be written there, several videos where one is
                needed, the table has no times or people, or no facial actions, or these are to go
                into subtitles.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in (*subtitles.SUFFIXES, *SUFFIXES):
            every = ", ".join((*subtitles.SUFFIXES, *SUFFIXES))
            raise UsageError(f"unsupported file type {target.name!r}: use {every}.")
        if actions and suffix == ".vtt":
            raise UsageError(
                f"subtitles hold expressions only: write actions to an .eaf or a table, not to "
                f"{target.name}."
            )
        smooth_s = self.settings.smooth_s
        if suffix in SUFFIXES and actions:
            return write_table(self.actions(), target, overwrite=overwrite)
        if suffix in SUFFIXES:
            values = f"smoothed over {smooth_s:g} s" if smooth_s else self.settings.values
            settings = replace(self.settings, smooth_s=0.0, values=values)
            return self._write(target, settings, (), None, overwrite)
        if len(self.sources) > 1:
            sources = ", ".join(self.sources)
            raise UsageError(
                f"a {suffix} file is of one video, this table is of {sources}: choose one with "
                f"--video (in Python: source(...)), or write one each with -o '{{video}}{suffix}'."
            )
        stretches = subtitles.stretches(self.segments(min_s), self._are_probabilities, self.name_of)
        note = (f"Smoothed over {smooth_s:g} s. " if smooth_s else "") + self.unfit_note
        if actions:
            stretches += subtitles.action_stretches(self.actions(), self.name_of)
        if suffix == ".vtt":
            return subtitles.write_webvtt(stretches, target, note, overwrite=overwrite)
        video = next(iter(self.sources), "")
        return subtitles.write_elan(stretches, target, video, note, overwrite=overwrite)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write it so that `load` gives it back.

        The raw ``faces`` table goes to `path` (in a format of `mien.results.files.SUFFIXES`), the
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
        embeddings = None if self.embeddings is None else self.embeddings.only(self.faces)
        return self.raw._write(Path(path), self.settings, self.peaks, embeddings, overwrite)

    @classmethod
    def load(cls, path: str | Path, *, incomplete: bool = False) -> Self:
        """Read what `save` or ``mien analyze -o`` wrote, or what an interrupted run has left of it.

        Args:
            path: of the ``faces`` table.
            incomplete: accept a table that lacks faces which the ``images`` table counts.

        Raises:
            InputNotFoundError, InputError: a table is missing, damaged, or of another run.
        """
        return cls._from_tables(Path(path), *load_tables(path, incomplete=incomplete))

    @classmethod
    def _from_tables(
        cls,
        path: Path,
        faces: pd.DataFrame,
        images: pd.DataFrame,
        labels: tuple[str, ...],
        settings: RunSettings,
    ) -> Self:
        raw = replace(settings, smooth_s=0.0)
        peaks, embeddings = read_peaks(path), read_embeddings(path)
        return cls(faces, images, raw, labels, peaks, embeddings).smooth(settings.smooth_s)

    def _write(
        self,
        target: Path,
        settings: RunSettings,
        peaks: Sequence[Peak],
        embeddings: Embeddings | None,
        overwrite: bool,
    ) -> Path:
        files = AnalysisFiles(target)
        new = {files.peaks: bool(peaks), files.embeddings: embeddings is not None}
        beside = [path for path, wanted in new.items() if wanted]
        write_analysis(target, self.faces, self.images, settings, self.labels, overwrite, beside)
        write_peaks(peaks, target)
        write_embeddings(embeddings, target, settings.to_metadata())
        return target

    def _repr_html_(self) -> str:
        if not self._presence.people:  # photos, say
            return str(display.style(self.faces.head(50), self.labels).to_html())
        summary = self.summary().to_html(index=False, float_format="{:.2f}".format, na_rep="–")
        return self.plot()._repr_html_() + summary


def load(path: str | Path, *, incomplete: bool = False) -> Results | Timeline:
    """Read any table that mien wrote: a `Timeline` of videos, `Results` of images.

    Args:
        path: of the ``faces`` table.
        incomplete: accept a table that lacks faces which the ``images`` table counts.

    Returns:
        a `Timeline` where any row has a time, else `Results`; `Timeline.load` and `Results.load`
        give one or the other.

    Raises:
        InputNotFoundError, InputError: a table is missing, damaged, or of another run.
    """
    faces, images, labels, settings = load_tables(path, incomplete=incomplete)
    if images["time_s"].notna().any():
        return Timeline._from_tables(Path(path), faces, images, labels, settings)
    return Results(restored(faces, images, labels, settings))
