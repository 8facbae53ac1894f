"""Features and labels brought together: which face of which frame a label is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.datasets.frames.labels import LARGEST, LEFT, RIGHT, FrameLabels
from mien.datasets.frames.layouts import film_names, number_of
from mien.errors import InputError
from mien.training.heads.features import Features
from mien.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

_SIDES = ("_left", "_right")
_STEP_S = 0.1  # how long the last frame of a film is shown, and one without neighbours


@dataclass(frozen=True, eq=False)
class Matched:
    """m labelled faces, ready to learn from.

    Attributes:
        features: ``(m, d)`` float32.
        values: ``(m, k)`` float32, NaN where it is not known; see `FrameLabels`.
        columns: the k names.
        films, people, splits: ``(m,)`` text, see `FrameLabels`.
        times: ``(m,)`` seconds in the film; NaN for pictures.
        model, sha256: the model that the features are of.
        told: what was left out, a sentence each.
    """

    features: FloatArray
    values: FloatArray
    columns: tuple[str, ...]
    films: npt.NDArray[Any]
    people: npt.NDArray[Any]
    splits: npt.NDArray[Any]
    times: npt.NDArray[np.float64]
    model: str
    sha256: str
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, kept: npt.NDArray[Any]) -> Matched:
        """Fewer rows: positions or a mask."""
        names = ("features", "values", "films", "people", "splits", "times")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def only(self, kept: npt.NDArray[np.bool_]) -> Matched:
        """Fewer columns, by a mask."""
        columns = tuple(np.array(self.columns, dtype=object)[kept].tolist())
        return replace(self, values=self.values[:, kept], columns=columns)


def match(features: Features, labels: FrameLabels, shift: int = 0) -> Matched:
    """The labelled faces of both.

    Labels of films that were not analysed, of frames that are not in the table (because there are
    none, they were not looked at, or hold no face) and without a known value are left out and
    counted. A label that does not say whose face it is about is about the largest.

    Args:
        features: of a model.
        labels: of frames.
        shift: added to every frame of the labels, where a film was cut or renumbered.

    Raises:
        InputError: not one label is about a face of the table, or two films have the same name.
    """
    labels = replace(labels, frames=np.where(labels.frames < 0, -1, labels.frames + shift))
    known = np.asarray((~np.isnan(labels.values)).any(axis=1), np.bool_)
    told = [_left_out(~known, "labels without a known value", labels)]
    labels = labels.rows(known)
    films, own = np.unique(labels.films.astype(str), return_inverse=True)
    shown = _shown(features.faces, films.tolist(), labels)
    there = np.isin(own, shown["film"].unique())
    told.append(_left_out(~there, "labels of films that are not in the table", labels))
    labels, own = labels.rows(there), own[there]
    places, rows = _pairs(shown, labels, own)
    missing = ~np.isin(np.arange(len(labels)), places)
    told.append(_left_out(missing, "labels of frames or people that are not in it", labels))
    if not len(rows):
        reasons = " ".join(line for line in told if line) or "there are no labels."
        raise InputError(f"no label of {labels.origin} is about a face of the table: {reasons}")
    labels = labels.rows(places)
    table = features.faces.iloc[rows]
    return Matched(
        features.values[rows],
        labels.values,
        labels.columns,
        table["source"].to_numpy(object),
        labels.people,
        labels.splits,
        table["time_s"].to_numpy(np.float64),
        features.model,
        features.sha256,
        tuple(line for line in told if line),
    )


def _left_out(out: npt.NDArray[np.bool_], what: str, labels: FrameLabels) -> str:
    """How many are left out, and the first of them; "" where none is."""
    if not out.any():
        return ""
    first = int(np.flatnonzero(out)[0])
    timed = labels.frames[first] < 0
    at = f"{labels.times[first]:g} s" if timed else f"frame {labels.frames[first]}"
    return f"{int(out.sum()):,} {what} left out (the first: {labels.films[first]}, {at})."


def _shown(faces: pd.DataFrame, films: list[str], labels: FrameLabels) -> pd.DataFrame:
    """The faces of the labelled films, a row a film and face.

    Columns: film (a place in `films`), row (in `faces`), source (a number), number (of the frame,
    counted as the labels do), time_s, track, face, area, middle.
    """
    import pandas as pd

    still = faces["time_s"].isna().to_numpy()
    sources, where = np.unique(faces["source"].to_numpy(str), return_inverse=True)
    pictures = np.zeros(len(sources), np.bool_)
    pictures[where] = still
    if labels.counting == "names":
        known = zip(sources.tolist(), pictures.tolist(), strict=True)
        of = _coded(films, [film_names(source, picture) for source, picture in known])
        own = [
            number_of(source, 0, True) if picture else 1
            for source, picture in zip(sources.tolist(), pictures.tolist(), strict=True)
        ]
        numbers = np.array(own, np.int64)[where] + np.where(still, 0, faces["frame"])
    else:
        of = _told(films, sources.tolist(), labels.origin)
        numbers = faces["frame"].to_numpy(np.int64)
    order = np.argsort(where, kind="stable")
    ends = np.cumsum(np.bincount(where, minlength=len(sources)))
    rows_of = np.split(order, ends[:-1])
    rows = [np.concatenate([rows_of[i] for i in of[film]]) for film in of]
    row = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    film = np.repeat(list(of), [len(part) for part in rows]).astype(np.int64)
    table = faces.iloc[row]
    return pd.DataFrame(
        {
            "film": film,
            "row": row,
            "source": where[row],
            "number": numbers[row],
            "time_s": table["time_s"].to_numpy(np.float64),
            "track": table["track_id"].fillna(-1).to_numpy(np.int64),
            "face": table["face"].to_numpy(np.int64),
            "area": ((table["x2"] - table["x1"]) * (table["y2"] - table["y1"])).to_numpy(),
            "middle": (table["x1"] + table["x2"]).to_numpy(),
        }
    )


def _coded(films: list[str], names: Iterable[tuple[str, ...]]) -> dict[int, list[int]]:
    """Which sources each film of a data set is; ``VIDEO_left`` may be a person in ``VIDEO``."""
    called: Mapping[str, list[int]] = defaultdict(list)
    for place, every in enumerate(names):
        for name in every:
            called[name].append(place)
    found: dict[int, list[int]] = {}
    for number, film in enumerate(films):
        plain = film.casefold()
        short = next((plain.removesuffix(end) for end in _SIDES if plain.endswith(end)), plain)
        sources = called.get(plain) or called.get(short)
        if sources:
            found[number] = sources
    return found


def _told(films: list[str], sources: list[str], origin: str) -> dict[int, list[int]]:
    """Which source each film of a table is: by its whole path, its name, or that without suffix.

    Raises:
        InputError: two sources are called so.
    """
    ways: list[Mapping[str, list[int]]] = [defaultdict(list) for _ in range(3)]
    for place, source in enumerate(sources):
        path = PurePath(source)
        for way, name in zip(ways, (source, path.name, path.stem), strict=True):
            way[name].append(place)
    found: dict[int, list[int]] = {}
    for number, film in enumerate(films):
        places = next((way[film] for way in ways if film in way), [])
        if len(places) > 1:
            one, other = (sources[place] for place in places[:2])
            raise InputError(f"{film} in {origin} may be {one} or {other}: write the whole path.")
        if places:
            found[number] = places
    return found


def _pairs(shown: pd.DataFrame, labels: FrameLabels, own: IntArray) -> tuple[IntArray, IntArray]:
    """Places of labels, and the row of the face that each is about, in the labels' order.

    A label meets one face of each source that is its film: DISFA has two cameras.
    """
    import pandas as pd

    wanted = pd.DataFrame(
        {
            "label": np.arange(len(labels)),
            "film": own,
            "number": np.where(labels.frames < 0, _at(shown, own, labels.times), labels.frames),
            "track": labels.tracks,
            "face": labels.faces,
        }
    )
    by_track, by_face = labels.tracks >= 0, labels.faces >= 0
    parts = [wanted.iloc[:0].assign(row=np.zeros(0, np.int64))]
    for track, face in ((True, True), (True, False), (False, True), (False, False)):
        named = (by_track == track) & (by_face == face)
        by = ["film", "number", *(["track"] * track), *(["face"] * face)]
        ways = ((LARGEST, "area", False), (LEFT, "middle", True), (RIGHT, "middle", False))
        for place, key, rising in ways if not (track or face) else ((None, "area", False),):
            chosen = named if place is None else named & (labels.places == place)
            if chosen.any():
                best = shown.sort_values(key, ascending=rising, kind="stable")
                best = best.drop_duplicates([*by, "source"])
                parts.append(wanted[chosen].merge(best[[*by, "row"]], on=by))
    found = pd.concat(parts).sort_values(["label", "row"])
    return found["label"].to_numpy(np.int64), found["row"].to_numpy(np.int64)


def _at(shown: pd.DataFrame, own: IntArray, times: npt.NDArray[np.float64]) -> IntArray:
    """``(m,)`` the number of the frame that is shown at each time of its film, -1 for none."""
    numbers = np.full(len(times), -1, np.int64)
    for film in np.unique(own[~np.isnan(times)]):
        frames = shown[shown["film"] == film].drop_duplicates("number").sort_values("time_s")
        begins = frames["time_s"].to_numpy(np.float64)
        steps = np.diff(begins)
        longest = 1.5 * float(np.median(steps)) if len(steps) else _STEP_S
        rows = np.flatnonzero((own == film) & ~np.isnan(times))
        place = np.searchsorted(begins, times[rows] + 1e-6, side="right") - 1
        good = (place >= 0) & (times[rows] - begins[np.maximum(place, 0)] <= longest)
        numbers[rows[good]] = frames["number"].to_numpy(np.int64)[place[good]]
    return numbers
