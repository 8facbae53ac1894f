"""Alignment of labels with features: the face of the frame that each label is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.datasets.frames.labels import LARGEST, LEFT, RIGHT, FrameLabels
from mien.datasets.frames.layouts import number_of, video_names
from mien.errors import InputError
from mien.labels import FEATURES
from mien.training.heads.features import Features
from mien.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

_SIDES = ("_left", "_right")
_STEP_S = 0.1  # duration of the last frame of a video, and of one without neighbors


@dataclass(frozen=True, eq=False)
class LabeledFeatures:
    """Features and labels of m faces.

    Attributes:
        features: ``(m, d)`` float32.
        values: ``(m, k)`` float32 labels, NaN where unknown; see `FrameLabels`.
        columns: the k names.
        videos, people, splits: ``(m,)`` text, see `FrameLabels`.
        times: ``(m,)`` seconds in the video; NaN for images.
        model, sha256: the model that the features are of.
        inputs: what the features are, see `mien.expressions.heads.INPUTS`.
        notes: what was left out, a sentence each.
    """

    features: FloatArray
    values: FloatArray
    columns: tuple[str, ...]
    videos: npt.NDArray[Any]
    people: npt.NDArray[Any]
    splits: npt.NDArray[Any]
    times: npt.NDArray[np.float64]
    model: str
    sha256: str
    inputs: tuple[str, ...] = (FEATURES,)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, chosen: npt.NDArray[Any]) -> LabeledFeatures:
        """Fewer rows: positions or a mask."""
        names = ("features", "values", "videos", "people", "splits", "times")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def only(self, chosen: npt.NDArray[np.bool_]) -> LabeledFeatures:
        """Fewer columns, by a mask."""
        columns = tuple(np.array(self.columns, dtype=object)[chosen].tolist())
        return replace(self, values=self.values[:, chosen], columns=columns)


def match(features: Features, labels: FrameLabels, shift: int = 0) -> LabeledFeatures:
    """The faces that have both.

    Labels of videos that were not analyzed, of frames that are not in the table (because they do
    not exist, were not analyzed, or have no face) and without a value are left out and counted. A
    label that names no face is about the largest. `shift` is added to every frame of the labels,
    where a video was cut or renumbered.

    Raises:
        InputError: no label is about a face of the table, or two videos have the same name.
    """
    labels = replace(labels, frames=np.where(labels.frames < 0, -1, labels.frames + shift))
    known = np.asarray((~np.isnan(labels.values)).any(axis=1), np.bool_)
    notes = [features.note, _left_out(~known, "labels without a value", labels)]
    labels = labels.rows(known)
    videos, own = np.unique(labels.videos.astype(str), return_inverse=True)
    faces = _faces_of(features.faces, videos.tolist(), labels)
    there = np.isin(own, faces["video"].unique())
    notes.append(_left_out(~there, "labels of videos that are not in the table", labels))
    labels, own = labels.rows(there), own[there]
    places, rows = _pairs(faces, labels, own)
    missing = ~np.isin(np.arange(len(labels)), places)
    notes.append(_left_out(missing, "labels of frames or people that are not in it", labels))
    if not len(rows):
        reasons = " ".join(line for line in notes if line) or "there are no labels."
        raise InputError(f"no label of {labels.origin} is about a face of the table: {reasons}")
    labels = labels.rows(places)
    table = features.faces.iloc[rows]
    return LabeledFeatures(
        features.values[rows],
        labels.values,
        labels.columns,
        table["source"].to_numpy(object),
        labels.people,
        labels.splits,
        table["time_s"].to_numpy(np.float64),
        features.model,
        features.sha256,
        features.inputs,
        tuple(line for line in notes if line),
    )


def _left_out(out: npt.NDArray[np.bool_], what: str, labels: FrameLabels) -> str:
    """How many are left out, and the first of them; "" where none is."""
    if not out.any():
        return ""
    first = int(np.flatnonzero(out)[0])
    timed = labels.frames[first] < 0
    at = f"{labels.times[first]:g} s" if timed else f"frame {labels.frames[first]}"
    return f"{int(out.sum()):,} {what} left out (the first: {labels.videos[first]}, {at})."


def _faces_of(faces: pd.DataFrame, videos: list[str], labels: FrameLabels) -> pd.DataFrame:
    """The faces of the labeled videos, one row for each video and face.

    Columns: video (a place in `videos`), row (in `faces`), source (a number), number (of the frame,
    counted as in the labels), time_s, track, face, area, middle.
    """
    import pandas as pd

    still = faces["time_s"].isna().to_numpy()
    sources, where = np.unique(faces["source"].to_numpy(str), return_inverse=True)
    is_image = np.zeros(len(sources), np.bool_)
    is_image[where] = still
    if labels.counting == "names":
        pairs = list(zip(sources.tolist(), is_image.tolist(), strict=True))
        of = _coded(videos, [video_names(source, image) for source, image in pairs])
        own = [number_of(source, 0, True) if image else 1 for source, image in pairs]
        numbers = np.array(own, np.int64)[where] + np.where(still, 0, faces["frame"])
    else:
        of = _named(videos, sources.tolist(), labels.origin)
        numbers = faces["frame"].to_numpy(np.int64)
    order = np.argsort(where, kind="stable")
    ends = np.cumsum(np.bincount(where, minlength=len(sources)))
    rows_of = np.split(order, ends[:-1])
    rows = [np.concatenate([rows_of[i] for i in of[video]]) for video in of]
    row = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    video = np.repeat(list(of), [len(part) for part in rows]).astype(np.int64)
    table = faces.iloc[row]
    return pd.DataFrame(
        {
            "video": video,
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


def _coded(videos: list[str], names: Iterable[tuple[str, ...]]) -> dict[int, list[int]]:
    """The sources of each video of a data set; ``VIDEO_left`` may be a person in ``VIDEO``."""
    places: Mapping[str, list[int]] = defaultdict(list)
    for place, every in enumerate(names):
        for name in every:
            places[name].append(place)
    result: dict[int, list[int]] = {}
    for number, video in enumerate(videos):
        plain = video.casefold()
        short = next((plain.removesuffix(end) for end in _SIDES if plain.endswith(end)), plain)
        sources = places.get(plain) or places.get(short)
        if sources:
            result[number] = sources
    return result


def _named(videos: list[str], sources: list[str], origin: str) -> dict[int, list[int]]:
    """The source of each video of a table, by its whole path, its name, or that without suffix.

    Raises:
        InputError: two sources have that name.
    """
    ways: list[Mapping[str, list[int]]] = [defaultdict(list) for _ in range(3)]
    for place, source in enumerate(sources):
        path = PurePath(source)
        for way, name in zip(ways, (source, path.name, path.stem), strict=True):
            way[name].append(place)
    result: dict[int, list[int]] = {}
    for number, video in enumerate(videos):
        places = next((way[video] for way in ways if video in way), [])
        if len(places) > 1:
            one, other = (sources[place] for place in places[:2])
            raise InputError(f"{video} in {origin} may be {one} or {other}: write the whole path.")
        if places:
            result[number] = places
    return result


def _pairs(faces: pd.DataFrame, labels: FrameLabels, own: IntArray) -> tuple[IntArray, IntArray]:
    """Places of labels, and the row of the face that each is about, in the labels' order.

    A label is about one face of each source of its video: DISFA has two cameras.
    """
    import pandas as pd

    wanted = pd.DataFrame(
        {
            "label": np.arange(len(labels)),
            "video": own,
            "number": np.where(labels.frames < 0, _at(faces, own, labels.times), labels.frames),
            "track": labels.tracks,
            "face": labels.faces,
        }
    )
    by_track, by_face = labels.tracks >= 0, labels.faces >= 0
    parts = [wanted.iloc[:0].assign(row=np.zeros(0, np.int64))]
    for track, face in ((True, True), (True, False), (False, True), (False, False)):
        named = (by_track == track) & (by_face == face)
        by = ["video", "number", *(["track"] * track), *(["face"] * face)]
        ways = ((LARGEST, "area", False), (LEFT, "middle", True), (RIGHT, "middle", False))
        for place, key, rising in ways if not (track or face) else ((None, "area", False),):
            chosen = named if place is None else named & (labels.places == place)
            if chosen.any():
                best = faces.sort_values(key, ascending=rising, kind="stable")
                best = best.drop_duplicates([*by, "source"])
                parts.append(wanted[chosen].merge(best[[*by, "row"]], on=by))
    pairs = pd.concat(parts).sort_values(["label", "row"])
    return pairs["label"].to_numpy(np.int64), pairs["row"].to_numpy(np.int64)


def _at(faces: pd.DataFrame, own: IntArray, times: npt.NDArray[np.float64]) -> IntArray:
    """``(m,)`` the number of the frame at each time of its video, -1 for none."""
    numbers = np.full(len(times), -1, np.int64)
    for video in np.unique(own[~np.isnan(times)]):
        frames = faces[faces["video"] == video].drop_duplicates("number").sort_values("time_s")
        begins = frames["time_s"].to_numpy(np.float64)
        steps = np.diff(begins)
        longest = 1.5 * float(np.median(steps)) if len(steps) else _STEP_S
        rows = np.flatnonzero((own == video) & ~np.isnan(times))
        place = np.searchsorted(begins, times[rows] + 1e-6, side="right") - 1
        good = (place >= 0) & (times[rows] - begins[np.maximum(place, 0)] <= longest)
        numbers[rows[good]] = frames["number"].to_numpy(np.int64)[place[good]]
    return numbers
