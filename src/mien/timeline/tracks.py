"""The rows of videos by person and time: who is visible when, with which expression."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.faces.quality import UNKNOWN_REASON
from mien.labels import UNCERTAIN
from mien.timeline.smoothing import Run, centered, frame_lengths, runs
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

Who = tuple[str, int]
Bools = npt.NDArray[np.bool_]

#: Seconds: what is shorter is not reported as a change.
SHORTEST_S = 0.5

_SEGMENT = {"source": "string", "track_id": "int64", "emotion": "string"}
_SEGMENT |= dict.fromkeys(("start_s", "end_s", "duration_s", "strength", "peak_s"), "float64")
_SUMMARY = {"source": "string", "track_id": "Int64", "people": "int64", "visible_s": "float64"}
_SUMMARY |= {
    "fit_share": "float64",
    "changes_per_min": "float64",
    "peak_emotion": "string",
    "peak_s": "float64",
    "peak_probability": "float64",
}
_UNFIT = {"source": "string", "track_id": "int64", "unfit_reason": "string"}
_UNFIT |= dict.fromkeys(("start_s", "end_s", "duration_s"), "float64")


class Presence:
    """The ``faces`` and ``images`` tables of one or more videos, by person.

    A frame is shown until the next one begins (left-out live frames aside), the last one to the
    end of its video, or for as long as most where that is unknown. What a failed frame showed is
    unknown, so the frame before it ends where it begins.

    Unfit faces are in the tables, and visible, but do not count: for expressions it is as if
    their person had been absent.

    Args:
        faces, images: sorted by source and frame, with an index that counts from 0.
        labels: names of the k score columns.
        names: of people who have one, by track id.
        all_faces: whether unfit faces count as the others do.
    """

    def __init__(
        self,
        faces: pd.DataFrame,
        images: pd.DataFrame,
        labels: tuple[str, ...],
        names: Mapping[int, str] | None = None,
        all_faces: bool = False,
    ) -> None:
        self._faces, self._images, self._labels = faces, images, labels
        self._names, self._all = names or {}, all_faces

    def name_of(self, person: int) -> str:
        """The name of a person, "Person 3" where there is none."""
        return self._names.get(person, f"Person {person}")

    @cached_property
    def frames(self) -> tuple[Floats, Floats]:
        """When each row of `images` begins and ends, ``(m,)`` seconds; NaN where it was not shown.

        Raises:
            UsageError: there are only photos.
        """
        status, times = self._images["status"], self._images["time_s"].to_numpy(np.float64)
        if (status == "ok").any() and np.isnan(times).all():
            raise UsageError("this table has no times, it is of photos: analyze a video.")
        ends = np.full(len(times), np.nan)
        counted = np.isfinite(times) & (status != "dropped").to_numpy(bool)
        for rows in self._images.groupby("source", sort=False).indices.values():
            shown = rows[counted[rows]]
            ends[shown] = times[shown] + frame_lengths(times[shown], _last_s(self._images, shown))
        return times, ends

    @cached_property
    def spans(self) -> tuple[Floats, Floats]:
        """When each row's frame begins and ends, ``(n,)`` seconds; NaN for rows without a time.

        Raises:
            UsageError: there are only photos, or faces of frames that `images` does not have.
        """
        ends = self.frames[1]
        key = ["source", "frame"]
        known = self._images[key].assign(end=ends).drop_duplicates(key)
        found = self._faces[key].merge(known, on=key, how="left")["end"].to_numpy(np.float64)
        starts = self._faces["time_s"].to_numpy(np.float64)
        if (np.isfinite(starts) & np.isnan(found)).any():
            raise UsageError("there are faces of frames that the images table does not have.")
        return starts, np.maximum(found, starts)

    @cached_property
    def seconds(self) -> Floats:
        """How long each row was visible, ``(n,)``."""
        return np.asarray(self.spans[1] - self.spans[0])

    @cached_property
    def people(self) -> dict[Who, IntArray]:
        """The rows of each person in order of time, one per frame; people by first appearance."""
        times, rows = self._faces["time_s"].to_numpy(np.float64), self._faces
        timed = rows[rows["time_s"].notna() & rows["track_id"].notna()]
        timed = timed.drop_duplicates(["source", "track_id", "frame"])
        found = {}
        for who, own in timed.groupby(["source", "track_id"], sort=False):
            source, person = cast("tuple[str, int]", who)
            places = own.index.to_numpy(np.int64)
            order = np.argsort(times[places], kind="stable")
            found[str(source), int(person)] = places[order]
        return found

    @cached_property
    def fit(self) -> Bools:
        """Whether each row is fit, ``(n,)``; where that is unknown, it is."""
        if "fit" not in self._faces:
            return np.ones(len(self._faces), bool)
        return np.asarray(self._faces["fit"].fillna(True), bool)

    @property
    def counted(self) -> Bools:
        """Whether each row counts, ``(n,)``."""
        return np.ones(len(self._faces), bool) if self._all else self.fit

    @cached_property
    def judged(self) -> dict[Who, IntArray]:
        """Of `people` the rows that count; nobody is left out, but some may have none."""
        return {who: rows[self.counted[rows]] for who, rows in self.people.items()}

    def unfit(self, min_s: float = SHORTEST_S) -> pd.DataFrame:
        """The table that `Timeline.unfit` documents."""
        import pandas as pd

        self.need_people()
        reasons, found = self._reasons, []
        for who, rows in self.people.items():
            starts, ends = self.spans[0][rows], self.spans[1][rows]
            for run in runs(self.fit[rows], starts, ends, 0):
                if not run.state and run.length >= min_s:
                    names, counts = np.unique(
                        reasons[rows[run.first : run.stop]], return_counts=True
                    )
                    times = run.start_s, run.end_s, run.length
                    found.append((*who, names[counts.argmax()], *times))
        return pd.DataFrame(found, columns=list(_UNFIT)).astype(_UNFIT)

    @cached_property
    def _reasons(self) -> npt.NDArray[np.str_]:
        """Why each row is unfit, "" where it is fit, ``(n,)``."""
        known = self._faces.reindex(columns=["unfit_reason"])["unfit_reason"].astype(object)
        return np.where(self.fit, "", known.fillna(UNKNOWN_REASON)).astype(np.str_)

    def unfit_note(self) -> str:
        """How much of the visible time was unfit, and why, in a sentence; or "".

        Several faces at once count each; of photos there is nothing to say.
        """
        if self._faces["time_s"].isna().all():
            return ""
        seconds, unfit = np.nan_to_num(self.seconds), ~self.fit
        lost = float(seconds[unfit].sum())
        if not lost:
            return ""
        reasons = self._reasons[unfit]
        why = {name: float(seconds[unfit][reasons == name].sum()) for name in np.unique(reasons)}
        parts = [
            f"{name.replace('_', ' ')} {_percent(length / seconds.sum())}"
            for name, length in sorted(why.items(), key=lambda item: -item[1])
        ]
        listed = ", ".join(parts)
        share = f"{_percent(lost / seconds.sum())} of the visible face time ({lost:.1f} s)"
        counts = "counts as the rest does" if self._all else "is left out"
        return f"{share} is unfit to be judged ({listed}) and {counts}."

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, seconds; of several videos, their sum."""
        total = 0.0
        for _, images in self._images.groupby("source", sort=False):
            first, end = extent(images)
            total += end - first
        return total

    def images_of(self, person: int, sources: Sequence[str]) -> pd.DataFrame:
        """All frames of these videos, with ``n_faces`` counting the faces of one person."""
        own = self._faces[(self._faces["track_id"] == person).fillna(False).astype(bool)]
        images = self._images[self._images["source"].isin(sources)]
        counts = own.groupby(["source", "frame"]).size().rename("own").reset_index()
        n_faces = images[["source", "frame"]].merge(counts, how="left")["own"]
        return images.assign(n_faces=n_faces.fillna(0).to_numpy(np.int64))

    def need_people(self) -> None:
        """Raise `UsageError` where there are no times, or faces and nobody they belong to."""
        if np.isfinite(self.spans[0]).any() and not self.people:
            raise UsageError("the faces of this table have no track_id: analyze the video again.")

    @cached_property
    def values(self) -> FloatArray:
        """``(n, k + 1)``: the scores, and the top one as that of ``uncertain``."""
        return self._faces[[*self._labels, "probability"]].to_numpy(np.float32)

    def smoothed(self, measures: Sequence[str], seconds: float, below: float) -> pd.DataFrame:
        """The ``faces`` table with scores and measures smoothed, each person's over time.

        The window is `seconds` wide, see `mien.timeline.smoothing.centered`; a face whose top score
        is lower than `below` is called ``uncertain``.
        """
        starts, ends = self.spans
        both = [*self._labels, *measures]
        values = self._faces[both].to_numpy(np.float32, copy=True)
        for everything in self.people.values():
            counted = self.counted[everything]
            for rows in (everything[counted], everything[~counted]):  # neither blurs the other
                values[rows] = centered(starts[rows], ends[rows], values[rows], seconds)
        names = np.array([*self._labels, UNCERTAIN], dtype=object)
        shares = values[:, : len(self._labels)]
        tops = shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)
        probability = shares.max(axis=1, initial=-math.inf)
        tops = np.where(probability >= below, tops, len(self._labels))
        columns = dict(zip(both, values.T, strict=True))
        faces = self._faces.assign(**columns, probability=probability, emotion=names[tops])
        return faces.astype({"emotion": "string"}).copy()  # in one piece

    @cached_property
    def _states(self) -> IntArray:
        """The prediction of each row: the column of its label, or k for ``uncertain``."""
        place = {name: i for i, name in enumerate(self._labels)}
        states = self._faces["emotion"].map(place).fillna(len(self._labels))
        return np.asarray(states, np.int64)

    def runs(self, min_s: float) -> dict[Who, list[Run]]:
        """Each person's runs of one state, none shorter than `min_s` seconds."""
        if not 0 <= min_s < math.inf:
            raise UsageError(f"the shortest segment lasts 0 seconds or more, got {min_s}.")
        starts, ends = self.spans
        return {
            who: runs(self._states[rows], starts[rows], ends[rows], min_s)
            for who, rows in self.judged.items()
        }

    def segments(self, min_s: float) -> pd.DataFrame:
        """The table that `Timeline.segments` documents."""
        import pandas as pd

        self.need_people()
        rows = [self._segment(who, run) for who, found in self.runs(min_s).items() for run in found]
        return pd.DataFrame(rows, columns=list(_SEGMENT)).astype(_SEGMENT)

    def _segment(self, who: Who, run: Run) -> dict[str, Any]:
        rows = self.judged[who][run.first : run.stop]
        values = self.values[rows, run.state]
        return {
            "source": who[0],
            "track_id": who[1],
            "emotion": (*self._labels, UNCERTAIN)[run.state],
            "start_s": run.start_s,
            "end_s": run.end_s,
            "duration_s": run.length,
            "strength": np.average(values, weights=np.maximum(self.seconds[rows], 1e-9)),
            "peak_s": self.spans[0][rows[values.argmax()]],
        }

    def summary(self, min_s: float, across: bool = False) -> pd.DataFrame:
        """The table that `Timeline.summary` documents."""
        import pandas as pd

        shares = [f"share_{name}" for name in (*self._labels, UNCERTAIN)]
        numbers = shares + [f"mean_{name}" for name in self._labels]
        types = _SUMMARY | dict.fromkeys(numbers, "float64")
        sources = self._images["source"].drop_duplicates().tolist()
        if across:
            del types["source"]
            types = {"films": "int64", **types, "peak_source": "string"}
        found = self.runs(min_s)
        parts = [sources] if across else [[source] for source in sources]
        rows = [row for part in parts for row in self._summary_rows(found, part)]
        return pd.DataFrame(rows, columns=list(types)).astype(types)

    def _summary_rows(
        self, stretches: Mapping[Who, Sequence[Run]], sources: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """The people of some videos together, and the group."""
        frames = self._faces.assign(counted=self.counted).groupby(["source", "frame"])["counted"]
        together, counted = (frames.transform(how).to_numpy(float) for how in ("size", "sum"))
        first = sources[0] if sources else ""
        here: dict[int, list[IntArray]] = {}
        changes: dict[int, int] = {}
        for (source, person), found in stretches.items():
            if source in sources:
                here.setdefault(person, []).append(self.people[source, person])
                changes[person] = changes.get(person, 0) + _changes(found)
        seen = 0.0
        for person, parts in here.items():
            rows = np.concatenate(parts)
            row = self._row(rows, self.seconds[rows])
            seen += row["counted_s"]
            row["changes_per_min"] = _rate(changes[person], row["counted_s"])
            yield {"source": first, "films": len(parts), "track_id": person, "people": 1, **row}
        inside = self._faces["source"].isin(sources).to_numpy(bool)
        everyone = np.flatnonzero(inside & np.isfinite(self.spans[0]))
        lengths = self.seconds[everyone]
        weights = lengths / np.maximum(counted[everyone], 1)
        row = self._row(everyone, lengths / together[everyone], weights)
        row["changes_per_min"] = _rate(sum(changes[person] for person in here), seen)
        group = {"source": first, "films": len(sources), "track_id": None, "people": len(here)}
        yield {**group, **row}

    def _row(
        self, rows: IntArray, visible: Floats, weights: Floats | None = None
    ) -> dict[str, Any]:
        """What is said of some rows.

        Args:
            rows: all of them, also those that do not count.
            visible: for how many seconds each was visible.
            weights: for how many seconds each one counts, if it does; as `visible` if left out.
        """
        total, counted = float(visible.sum()), self.counted[rows]
        row: dict[str, Any] = {"visible_s": total, "counted_s": 0.0}
        if not total:
            return row
        row["fit_share"] = float(visible[self.fit[rows]].sum()) / total
        rows, weights = rows[counted], (visible if weights is None else weights)[counted]
        row["counted_s"] = float(weights.sum())
        if not row["counted_s"]:
            return row
        names, values = (*self._labels, UNCERTAIN), self.values[rows, :-1]
        share = np.bincount(self._states[rows], weights, minlength=len(names)) / weights.sum()
        mean = weights @ values / weights.sum()
        moment, top = np.unravel_index(values.argmax(), values.shape)
        return {
            **row,
            "peak_emotion": names[top],
            "peak_s": self.spans[0][rows[moment]],
            "peak_source": self._faces["source"].iat[rows[moment]],
            "peak_probability": values[moment, top],
            **{f"share_{name}": part for name, part in zip(names, share, strict=True)},
            **{f"mean_{name}": part for name, part in zip(self._labels, mean, strict=True)},
        }


def extent(images: pd.DataFrame) -> tuple[float, float]:
    """The time of the first frame of one video and the end of the last, seconds; 0 without any.

    Args:
        images: the rows of the ``images`` table of one source.
    """
    images = images[images["time_s"].notna()]
    if not len(images):
        return 0.0, 0.0
    order = np.argsort(images["time_s"].to_numpy(np.float64), kind="stable")
    times = images["time_s"].to_numpy(np.float64)[order]
    lengths = frame_lengths(times, _last_s(images, order))
    return float(times[0]), float(times[-1] + lengths[-1])


def _last_s(images: pd.DataFrame, rows: IntArray) -> float:
    """How long the last of some frames is shown, seconds; NaN where the table does not say."""
    if "duration_s" not in images or not len(rows):
        return math.nan
    return float(images["duration_s"].to_numpy(np.float64)[rows[-1]])


def _changes(found: Sequence[Run]) -> int:
    """How often one stretch follows another without a gap."""
    return sum(before.end_s >= after.start_s for before, after in pairwise(found))


def _rate(count: int, seconds: float) -> float:
    return 60 * count / seconds if seconds else math.nan


def _percent(share: float) -> str:
    return "<1 %" if share < 0.005 else f"{100 * share:.0f} %"
