"""Who is seen when, and told as what: a film's rows by person and time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mien.errors import UsageError
from mien.labels import UNCERTAIN
from mien.timeline.smoothing import Run, centred, frame_lengths, runs
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

Who = tuple[str, int]

_SEGMENT = {"source": "string", "track_id": "int64", "emotion": "string"}
_SEGMENT |= dict.fromkeys(("start_s", "end_s", "duration_s", "strength", "peak_s"), "float64")
_SUMMARY = {"source": "string", "track_id": "Int64", "people": "int64", "visible_s": "float64"}
_SUMMARY |= {"changes_per_min": "float64", "peak_emotion": "string", "peak_s": "float64"}
_SUMMARY |= {"peak_probability": "float64"}


class Presence:
    """The ``faces`` and ``images`` tables of one or more films, looked at by person.

    A frame is shown until the next one begins (left-out live frames aside), the last one to the
    end of its video, or for as long as most where that is not known. What a failed frame showed
    is not known, so a frame before it ends with it.

    Args:
        faces, images: sorted by source and frame, with an index that counts from 0.
        labels: names of the k score columns.
        names: of people who have one, by track id.
    """

    def __init__(
        self,
        faces: pd.DataFrame,
        images: pd.DataFrame,
        labels: tuple[str, ...],
        names: Mapping[int, str] | None = None,
    ) -> None:
        self._faces, self._images, self._labels = faces, images, labels
        self._names = names or {}

    def name_of(self, person: int) -> str:
        """What somebody is called, "Person 3" where no name is known."""
        return self._names.get(person, f"Person {person}")

    @cached_property
    def frames(self) -> tuple[Floats, Floats]:
        """When each row of `images` begins and ends, ``(m,)`` seconds; NaN where it was not shown.

        Raises:
            UsageError: there are only photos.
        """
        status, times = self._images["status"], self._images["time_s"].to_numpy(np.float64)
        if (status == "ok").any() and np.isnan(times).all():
            raise UsageError("this table has no times, it is of photos: analyse a film for that.")
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
        """How long each row was seen, ``(n,)``."""
        return np.asarray(self.spans[1] - self.spans[0])

    @cached_property
    def people(self) -> dict[Who, IntArray]:
        """The rows of each person in order of time, one a frame; people by first appearance."""
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

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, seconds; of several films, their sum."""
        total = 0.0
        for _, images in self._images.groupby("source", sort=False):
            first, end = extent(images)
            total += end - first
        return total

    def of(self, person: int, sources: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The ``faces`` rows of one person in these films, and all frames of these."""
        inside = self._faces["source"].isin(sources)
        faces = self._faces[inside & (self._faces["track_id"] == person).fillna(False).astype(bool)]
        images = self._images[self._images["source"].isin(sources)]
        counts = faces.groupby(["source", "frame"]).size().rename("own").reset_index()
        found = images[["source", "frame"]].merge(counts, how="left")["own"]
        return faces, images.assign(n_faces=found.fillna(0).to_numpy(np.int64))

    def need_people(self) -> None:
        """Raise `UsageError` where there are no times, or faces and nobody they belong to."""
        if np.isfinite(self.spans[0]).any() and not self.people:
            raise UsageError("the faces of this table have no track_id: analyse the film again.")

    @cached_property
    def values(self) -> FloatArray:
        """``(n, k + 1)``: the scores, and the top one as that of ``uncertain``."""
        return self._faces[[*self._labels, "probability"]].to_numpy(np.float32)

    def smoothed(self, measures: Sequence[str], seconds: float, below: float) -> pd.DataFrame:
        """The ``faces`` table with scores and measures smoothed, each person's over time.

        Args:
            measures: columns of numbers beside the labels.
            seconds: width of the window, see `mien.timeline.smoothing.centred`.
            below: a face whose top score is lower is told as ``uncertain``.
        """
        starts, ends = self.spans
        both = [*self._labels, *measures]
        values = self._faces[both].to_numpy(np.float32, copy=True)
        for rows in self.people.values():
            values[rows] = centred(starts[rows], ends[rows], values[rows], seconds)
        told = np.array([*self._labels, UNCERTAIN], dtype=object)
        shares = values[:, : len(self._labels)]
        tops = shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)
        probability = shares.max(axis=1, initial=-math.inf)
        tops = np.where(probability >= below, tops, len(self._labels))
        columns = dict(zip(both, values.T, strict=True))
        faces = self._faces.assign(**columns, probability=probability, emotion=told[tops])
        return faces.astype({"emotion": "string"})

    @cached_property
    def _states(self) -> IntArray:
        """What each row was told as: the column of its label, or k for ``uncertain``."""
        place = {name: i for i, name in enumerate(self._labels)}
        told = self._faces["emotion"].map(place).fillna(len(self._labels))
        return np.asarray(told, np.int64)

    def runs(self, min_s: float) -> dict[Who, list[Run]]:
        """Each person's stretches of one state, none shorter than `min_s` seconds."""
        if not 0 <= min_s < math.inf:
            raise UsageError(f"the shortest segment lasts 0 seconds or more, got {min_s}.")
        starts, ends = self.spans
        return {
            who: runs(self._states[rows], starts[rows], ends[rows], min_s)
            for who, rows in self.people.items()
        }

    def segments(self, min_s: float) -> pd.DataFrame:
        """The table that `Timeline.segments` documents."""
        import pandas as pd

        self.need_people()
        rows = [self._segment(who, run) for who, found in self.runs(min_s).items() for run in found]
        return pd.DataFrame(rows, columns=list(_SEGMENT)).astype(_SEGMENT)

    def _segment(self, who: Who, run: Run) -> dict[str, Any]:
        rows = self.people[who][run.first : run.stop]
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
        """The people of some films together, and the group."""
        together = self._faces.groupby(["source", "frame"])["face"].transform("size").to_numpy()
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
            seen += row["visible_s"]
            row["changes_per_min"] = _rate(changes[person], row["visible_s"])
            yield {"source": first, "films": len(parts), "track_id": person, "people": 1, **row}
        inside = self._faces["source"].isin(sources).to_numpy(bool)
        everyone = np.flatnonzero(inside & np.isfinite(self.spans[0]))
        row = self._row(everyone, self.seconds[everyone] / together[everyone])
        row["changes_per_min"] = _rate(sum(changes[person] for person in here), seen)
        group = {"source": first, "films": len(sources), "track_id": None, "people": len(here)}
        yield {**group, **row}

    def _row(self, rows: IntArray, weights: Floats) -> dict[str, Any]:
        """What is said of some rows, each counted for so many seconds."""
        total = float(weights.sum())
        if not total:
            return {"visible_s": 0.0}
        names, values = (*self._labels, UNCERTAIN), self.values[rows, :-1]
        share = np.bincount(self._states[rows], weights, minlength=len(names)) / total
        mean = weights @ values / total
        moment, top = np.unravel_index(values.argmax(), values.shape)
        return {
            "visible_s": total,
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
