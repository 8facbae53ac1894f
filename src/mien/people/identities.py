"""Re-identification: which tracks of one or more videos are the same person, and their names.

A track is one person and is represented by one vector, the mean of the identity vectors of its
faces. Tracks are clustered by these; two that are visible in one frame are never joined.
Known faces take part as points of their own, so that a person gets a name only by being as like the
known face as the person's own tracks must be to each other; everyone else stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.labels import IDENTITY
from mien.people.clustering import by_appearance, cluster
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.embeddings import Embeddings
    from mien.results.peaks import Peak

#: Mean cosine from which two tracks are one person. Between the most similar strangers (0.585) and
#: the least similar portraits of one person (0.697) of 102 people; small children exceed it often:
#: see docs/people.md.
THRESHOLD = 0.65

_PEOPLE = {"person": "int64", "name": "string", "films": "int64", "sources": "string"}
_PEOPLE |= {"tracks": "int64", "first_s": "float64", "visible_s": "float64", "n_faces": "int64"}
_PEOPLE |= {"similarity": "float64", "nearest": "string", "nearest_similarity": "float64"}
_PEOPLE |= {"known_similarity": "float64"}
_TRACKS = {"source": "string", "track_id": "Int64", "person": "int64", "name": "string"}
_TRACKS |= {"first_s": "float64", "visible_s": "float64", "n_faces": "int64", "n_used": "int64"}
_TRACKS |= {"similarity": "float64", "frame": "int64", "face": "int64"}
#: Columns of `People.table`.
PEOPLE_COLUMNS = tuple(_PEOPLE)


@dataclass(frozen=True, eq=False, repr=False)
class People:
    """The people of a ``faces`` table of n rows.

    Attributes:
        table: one row per person: person (from 1, by first appearance), name ("person 3" for
            unknown ones), films and tracks (how many), sources (joined), first_s (in the first
            video), visible_s, n_faces, similarity (mean cosine between the person's tracks;
            missing where there is one), nearest (the other person most alike),
            nearest_similarity, and known_similarity (to the known face that gave the name).
        tracks: one row per track, by first appearance: source, track_id (missing for a face of a
            photo, which is a track of its own), person, name, first_s, visible_s, n_faces, n_used
            (the faces that its vector is the mean of: the ``fit`` ones, where there are any),
            similarity (mean cosine to the other tracks of the person; missing where there are
            none), frame and face (of the face most like all of the track).
        numbers: ``(n,)`` int64, the person of each row, from 1 by first appearance.
        names: of every person, by number.
        known: names of those who have one, by number.
        absent: known faces that match nobody.
        threshold: the mean cosine that was asked for.
    """

    table: pd.DataFrame
    tracks: pd.DataFrame
    numbers: IntArray
    names: Mapping[int, str]
    known: Mapping[int, str]
    absent: tuple[str, ...]
    threshold: float

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"People({len(self)} people, {len(self.tracks)} tracks)"

    def relabelled(self, faces: pd.DataFrame) -> pd.DataFrame:
        """The ``faces`` table with the person's number as ``track_id``."""
        import pandas as pd

        if len(faces) != len(self.numbers):
            raise UsageError(f"these are people of {len(self.numbers)} faces, not {len(faces)}.")
        return faces.assign(track_id=pd.array(self.numbers, dtype="Int64"))

    def relabelled_peaks(self, peaks: Sequence[Peak]) -> tuple[Peak, ...]:
        """The person's strongest moment of each label, in each video."""
        followed = self.tracks[self.tracks["track_id"].notna()]
        keys = zip(followed["source"], followed["track_id"], strict=True)
        owner = dict(zip(keys, followed["person"].tolist(), strict=True))
        best: dict[tuple[str, int, str], Peak] = {}
        for peak in peaks:
            person = owner.get((peak.source, peak.track_id))
            if person is None:
                continue
            key = peak.source, person, peak.label
            if key not in best or peak.probability > best[key].probability:
                best[key] = replace(peak, track_id=person)
        return tuple(best.values())


def find_people(
    faces: pd.DataFrame,
    seconds: Floats,
    embeddings: Embeddings | None,
    threshold: float | None = None,
    names: Mapping[int, str] | None = None,
    known: Mapping[str, FloatArray] | None = None,
) -> People:
    """Find out which tracks are the same person.

    Args:
        faces: the ``faces`` table, n rows by source and frame, with an index that counts from 0.
        seconds: ``(n,)``, how long each row was visible.
        embeddings: of these faces.
        threshold: mean cosine from which two tracks are one person; None for `THRESHOLD`.
        names: for some persons, by number; persons of one name become one.
        known: vectors of known faces, ``(k, d)`` or ``(d,)``, by name, as from
            `mien.people.enrollment.known_faces`. Whoever matches none of them stays
            unknown.

    Raises:
        UsageError: there are no identity vectors of these faces, or those of the known faces are
            of another length; there is no person of a number; or persons that are visible in
            one frame would get one name.
    """
    cut = THRESHOLD if threshold is None else threshold
    tracks = Tracks(faces, seconds, _identity(faces, embeddings))
    given = {name: _known(name, value, tracks.vectors) for name, value in (known or {}).items()}
    groups = _clustered(tracks, list(given.values()), cut)
    own, of_known = groups[: len(tracks)], groups[len(tracks) :]
    numbers = by_appearance(own) + 1
    called = {
        int(numbers[own == group][0]): name
        for name, group in zip(given, of_known, strict=True)
        if group in own
    }
    absent = tuple(name for name in given if name not in called.values())
    numbers, called = _named(tracks, numbers, called, names or {})
    every = {int(n): called.get(int(n), f"person {n}") for n in np.unique(numbers)}
    likenesses = {number: given[name] for number, name in called.items() if name in given}
    found = _PeopleTables(tracks, numbers, every, likenesses)
    return People(found.people, found.tracks, numbers[tracks.of_rows], every, called, absent, cut)


class Tracks:
    """The t tracks of a ``faces`` table of n rows, by first appearance.

    Args:
        faces, seconds: as for `find_people`.
        vectors: ``(n, d)``, of length 1.

    Attributes:
        of_rows: ``(n,)``, the track of each row; a face without a track id is one of its own.
        used: ``(n,)``, whether the face counts for the track's vector.
        vectors: ``(t, d)``, of length 1.
        best: ``(t,)``, the row of the face most like all of the track.
    """

    def __init__(self, faces: pd.DataFrame, seconds: Floats, vectors: FloatArray) -> None:
        import pandas as pd

        self.faces: pd.DataFrame = faces
        self.seconds: Floats = np.nan_to_num(seconds)
        alone = -1 - np.arange(len(faces))
        ids = faces["track_id"].fillna(pd.Series(alone, index=faces.index)).to_numpy(np.int64)
        keys = pd.MultiIndex.from_arrays([faces["source"], ids])
        self.of_rows: IntArray
        self.of_rows, first = pd.factorize(keys)
        self.count: int = len(first)
        fit = faces["fit"].fillna(False).to_numpy(bool)
        self.used: npt.NDArray[np.bool_] = (
            fit | (np.bincount(self.of_rows, fit, self.count) == 0)[self.of_rows]
        )
        self.vectors: FloatArray = self._means(vectors)
        alike = (vectors * self.vectors[self.of_rows]).sum(axis=1)
        order = np.lexsort([np.where(self.used, -alike, 9), self.of_rows])
        self.best: IntArray = order[np.searchsorted(self.of_rows[order], np.arange(self.count))]

    def __len__(self) -> int:
        return self.count

    def _means(self, vectors: FloatArray) -> FloatArray:
        rows = np.flatnonzero(self.used)
        rows = rows[np.argsort(self.of_rows[rows], kind="stable")]
        starts = np.searchsorted(self.of_rows[rows], np.arange(self.count))
        if not len(rows):
            return vectors
        return _unit(np.add.reduceat(vectors[rows], starts), "the means of these tracks")

    @cached_property
    def together(self) -> IntArray:
        """Pairs of tracks that are visible in one frame, ``(p, 2)``."""
        frames = self.faces.groupby(["source", "frame"], sort=False).ngroup().to_numpy()
        seen = np.unique(np.stack([frames, self.of_rows], axis=1), axis=0)
        _, starts, counts = np.unique(seen[:, 0], return_index=True, return_counts=True)
        pairs = [np.zeros((0, 2), np.int64)]
        for count in np.unique(counts[counts > 1]):  # frames with so many people at once
            places = starts[counts == count][:, None] + np.arange(count)
            people = np.unique(seen[places, 1], axis=0)
            pairs.append(people[:, np.stack(np.triu_indices(count, 1), axis=1)].reshape(-1, 2))
        return np.unique(np.concatenate(pairs), axis=0)


def _identity(faces: pd.DataFrame, embeddings: Embeddings | None) -> FloatArray:
    """The identity vectors of the rows, of length 1."""
    if not len(faces):
        return np.zeros((0, 1), np.float32)
    if embeddings is None:
        raise UsageError(
            f"people are identified by the embeddings {IDENTITY!r}, which were not kept: "
            f"analyze again with --embeddings {IDENTITY}."
        )
    return _unit(embeddings.of(faces, IDENTITY), "the embeddings of these faces")


def _unit(vectors: FloatArray, what: str) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 1e-6)).all():
        raise UsageError(f"{what} have no direction, so they identify nobody.")
    return np.asarray(vectors / lengths, np.float32)


def _known(name: str, vectors: FloatArray, tracks: FloatArray) -> FloatArray:
    """One vector of a known face, ``(d,)``: the mean of its vectors."""
    given = np.atleast_2d(np.asarray(vectors, np.float32))
    if given.ndim != 2 or not len(given) or (len(tracks) and given.shape[1] != tracks.shape[1]):
        raise UsageError(
            f"the vectors of {name!r} have the shape {given.shape}, those of the videos "
            f"(n, {tracks.shape[1]}): they come from different models."
        )
    what = f"the vectors of {name!r}"
    mean: FloatArray = _unit(_unit(given, what).mean(axis=0, keepdims=True), what)[0]
    return mean


def _clustered(tracks: Tracks, known: Sequence[FloatArray], threshold: float) -> IntArray:
    """Groups of tracks and, behind them, known faces; no two of these are one person."""
    if not len(tracks):
        return np.arange(len(known))
    points = np.concatenate([tracks.vectors, *(vector[None] for vector in known)])
    places = len(tracks) + np.stack(np.triu_indices(len(known), 1), axis=1)
    return cluster(points, threshold, np.concatenate([tracks.together, places]))


def _named(
    tracks: Tracks, numbers: IntArray, called: Mapping[int, str], names: Mapping[int, str]
) -> tuple[IntArray, dict[int, str]]:
    """Numbers and names after some persons were given names by hand."""
    there = set(numbers.tolist())
    strange = [number for number in names if number not in there]
    if strange:
        raise UsageError(f"there is no person {strange[0]}; there are {len(there)}.")
    called = {**called, **{int(number): name for number, name in names.items()}}
    first: dict[str, int] = {}
    for number in sorted(called):
        first.setdefault(called[number], number)
    becomes = {number: first[name] for number, name in called.items()}
    merged = np.array([becomes.get(n, n) for n in numbers.tolist()], np.int64)
    one, other = tracks.together.T
    both = np.flatnonzero((merged[one] == merged[other]) & (numbers[one] != numbers[other]))
    if len(both):
        a, b = sorted(numbers[tracks.together[both[0]]].tolist())
        name = called[int(merged[one[both[0]]])]
        raise UsageError(f"persons {a} and {b} are visible at once, so not both can be {name!r}.")
    return merged, {number: called[number] for number in first.values()}


@dataclass(frozen=True, eq=False)
class _PeopleTables:
    """The tables of people and tracks.

    Attributes:
        source: the t tracks.
        numbers: ``(t,)``, the person of each.
        names: of every person, p of them.
        known: vectors of persons whose faces are known.
    """

    source: Tracks
    numbers: IntArray
    names: Mapping[int, str]
    known: Mapping[int, FloatArray]

    @cached_property
    def people(self) -> pd.DataFrame:
        """One row per person."""
        import pandas as pd

        by_person = self.tracks.groupby("person", sort=True)
        films = self.tracks[["person", "source"]].drop_duplicates().groupby("person")["source"]
        means = np.asarray(self._sums / self._counts[:, None], np.float32)
        numbers = self._persons.tolist()
        names = np.array([self.names[number] for number in numbers], dtype=object)
        nearest, alike = _nearest(means)
        own = np.array(
            [means[i] @ self.known[n] if n in self.known else np.nan for i, n in enumerate(numbers)]
        )
        columns = {
            "person": numbers,
            "name": names,
            "films": films.size().to_numpy(),
            "sources": films.agg(", ".join).to_numpy(),
            "tracks": self._counts,
            "first_s": by_person["first_s"].first().to_numpy(),
            "visible_s": by_person["visible_s"].sum().to_numpy(),
            "n_faces": by_person["n_faces"].sum().to_numpy(),
            "similarity": _within((self._sums**2).sum(axis=1) / self._counts, self._counts),
            "nearest": pd.Series(names[nearest], dtype="string").where(np.isfinite(alike)),
            "nearest_similarity": alike,
            "known_similarity": own,
        }
        return pd.DataFrame(columns).astype(_PEOPLE)

    @cached_property
    def tracks(self) -> pd.DataFrame:
        """One row per track."""
        import pandas as pd

        faces, of_rows, count = self.source.faces, self.source.of_rows, len(self.source)
        first = np.unique(of_rows, return_index=True)[1]
        best = self.source.best
        own = (self.source.vectors * self._sums[self._places]).sum(axis=1)
        columns = {
            "source": faces["source"].to_numpy()[first],
            "track_id": faces["track_id"].array[first],
            "person": self.numbers,
            "name": [self.names[n] for n in self.numbers.tolist()],
            "first_s": faces["time_s"].to_numpy()[first],
            "visible_s": np.bincount(of_rows, self.source.seconds, count),
            "n_faces": np.bincount(of_rows, minlength=count),
            "n_used": np.bincount(of_rows[self.source.used], minlength=count),
            "similarity": _within(own, self._counts[self._places]),
            "frame": faces["frame"].to_numpy()[best],
            "face": faces["face"].to_numpy()[best],
        }
        return pd.DataFrame(columns).astype(_TRACKS)

    @cached_property
    def _persons(self) -> IntArray:
        return np.unique(self.numbers)

    @cached_property
    def _places(self) -> IntArray:
        return np.searchsorted(self._persons, self.numbers)

    @cached_property
    def _counts(self) -> IntArray:
        return np.bincount(self._places, minlength=len(self._persons))

    @cached_property
    def _sums(self) -> FloatArray:
        """``(p, d)``, of the vectors of each person's tracks."""
        order = np.argsort(self._places, kind="stable")
        if not len(order):
            return self.source.vectors
        starts = np.searchsorted(self._places[order], np.arange(len(self._persons)))
        return np.asarray(np.add.reduceat(self.source.vectors[order], starts), np.float32)


def _within(with_self: FloatArray, counts: IntArray) -> FloatArray:
    """Mean cosine to the others, from the sum of cosines to all; missing for one alone."""
    others = np.where(counts > 1, counts - 1, np.nan)
    return np.asarray((with_self - 1) / others)


def _nearest(means: FloatArray) -> tuple[IntArray, FloatArray]:
    """For each person the one most alike, and how alike; NaN where there is no other."""
    count = len(means)
    nearest, alike = np.zeros(count, np.int64), np.full(count, np.nan)
    for start in range(0, count if count > 1 else 0, 1024):
        rows = np.arange(start, min(start + 1024, count))
        cosines = means[rows] @ means.T
        cosines[rows - start, rows] = -np.inf
        nearest[rows] = cosines.argmax(axis=1)
        alike[rows] = cosines.max(axis=1)
    return nearest, alike
