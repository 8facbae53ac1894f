"""The mood of a group: the mean distribution of everyone's faces, its spread, how many they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mien.errors import UsageError
from mien.labels import UNCERTAIN
from mien.timeline.tracks import Presence
from mien.types import Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

_HEAD = {"source": "string", "start_s": "float64", "end_s": "float64", "visible_s": "float64"}
_HEAD |= {
    "n_faces": "float64",
    "fit_share": "float64",
    "emotion": "string",
    "probability": "float64",
}
_SLIP = 1e-9  # seconds: what a sum of lengths of frames may be off


class Moments(NamedTuple):
    """What m frames show of a group.

    Attributes:
        starts, ends: ``(m,)`` seconds.
        faces: ``(m,)`` how many are visible.
        fit: ``(m,)`` how many of them are fit.
        counted: ``(m,)`` how many of them count.
        mean: ``(m, c)`` over the faces that count; NaN where there are none.
        spread: ``(m, c)`` standard deviation over them; NaN where there are fewer than two.
        video: ``(m,)`` number of the video, ascending.
    """

    starts: Floats
    ends: Floats
    faces: IntArray
    fit: IntArray
    counted: IntArray
    mean: Floats
    spread: Floats
    video: IntArray


def moments(
    presence: Presence, faces: pd.DataFrame, images: pd.DataFrame, columns: Sequence[str]
) -> Moments:
    """The faces of each frame together; frames that failed, were left out or have no time aside.

    `presence` is made of `faces` and `images`, which are sorted by source and frame; `columns` are
    the c numbers of each face.
    """
    import pandas as pd

    starts, ends = presence.frames
    shown = np.flatnonzero(np.isfinite(ends) & (images["status"] == "ok").to_numpy(bool))
    key = ["source", "frame"]
    frames = pd.MultiIndex.from_frame(images.iloc[shown][key])
    place = frames.get_indexer(pd.MultiIndex.from_frame(faces[key]))
    timed = place >= 0
    visible, fit = (
        np.bincount(place[timed & of], minlength=len(shown)) for of in (timed, presence.fit)
    )
    counts = timed & presence.counted
    place, values = place[counts], faces.loc[counts, list(columns)].to_numpy(np.float64)
    count = np.bincount(place, minlength=len(shown))
    mean = _per_frame(place, values, len(shown)) / np.where(count, count, np.nan)[:, None]
    off = _per_frame(place, (values - mean[place]) ** 2, len(shown))
    spread = np.sqrt(off / np.where(count > 1, count, np.nan)[:, None])
    video = pd.factorize(images["source"])[0][shown]
    numbers = visible, fit, count
    return Moments(starts[shown], ends[shown], *numbers, mean, spread, np.asarray(video, np.int64))


def mood(
    presence: Presence,
    faces: pd.DataFrame,
    images: pd.DataFrame,
    labels: Sequence[str],
    measures: Sequence[str],
    seconds: float | None,
    uncertain_below: float,
) -> pd.DataFrame:
    """The table that `Timeline.group` documents.

    `presence` is made of `faces` and `images`, which are sorted by source and frame;
    `uncertain_below` is -inf for scores that are no probabilities.

    Raises:
        UsageError: `seconds` is negative or infinite.
    """
    import pandas as pd

    if seconds is not None and not 0 <= seconds < math.inf:
        raise UsageError(f"a row of the group lasts 0 seconds or more, got {seconds}.")
    found = moments(presence, faces, images, (*labels, *measures))
    sources = images["source"].unique()
    frame, starts, ends, first = _pieces(found, seconds)
    length = np.maximum(ends - starts, _SLIP)
    count, shown = found.faces[frame], length * (found.faces[frame] > 0)
    visible = np.add.reduceat(shown, first)
    fit = (found.fit[frame] / np.maximum(count, 1))[:, None]
    counted = length * (found.counted[frame] > 0)
    judged = np.add.reduceat(counted, first) > 0
    mean = _averaged(found.mean[frame], counted, first)
    shares = np.nan_to_num(mean[:, : len(labels)], nan=-math.inf)
    probability = shares.max(axis=1, initial=-math.inf)
    names = np.array([*labels, UNCERTAIN], dtype=object)
    top = shares.argmax(axis=1) if labels else np.zeros_like(first)
    emotion = names[np.where(probability >= uncertain_below, top, len(labels))]
    emotion[~judged] = None
    columns = {
        "source": np.asarray(sources, dtype=object)[found.video[frame[first]]],
        "start_s": starts[first],
        "end_s": np.maximum.reduceat(ends, first),
        "visible_s": visible,
        "n_faces": np.add.reduceat(length * count, first) / np.add.reduceat(length, first),
        "fit_share": _averaged(fit, shown, first)[:, 0],
        "emotion": emotion,
        "probability": np.where(judged, probability, np.nan),
    }
    spread = _averaged(found.spread[frame], length * (found.counted[frame] > 1), first)
    for name, values in (("mean", mean), ("spread", spread)):
        both = zip((*labels, *measures), values.T, strict=True)
        columns |= {f"{name}_{label}": column for label, column in both}
    return pd.DataFrame(columns).astype(_HEAD)


def _pieces(found: Moments, seconds: float | None) -> tuple[IntArray, Floats, Floats, IntArray]:
    """The frames, cut where a row of the table ends.

    Returns:
        frame ``(p,)`` of each piece, its start and end, and the first piece of each row ``(r,)``.
    """
    starts, ends, video = found.starts, found.ends, found.video
    frame = np.arange(len(starts))
    if not seconds:
        row = frame if seconds == 0 else np.zeros_like(frame)
    else:
        begin = starts[np.searchsorted(video, video)]
        low = np.floor((starts - begin) / seconds + _SLIP).astype(np.int64)
        high = np.maximum(np.ceil((ends - begin) / seconds - _SLIP).astype(np.int64) - 1, low)
        parts = high - low + 1
        frame = np.repeat(frame, parts)
        row = low[frame] + np.arange(len(frame)) - np.repeat(np.cumsum(parts) - parts, parts)
        edge = begin[frame] + row * seconds
        starts = np.maximum(starts[frame], edge)
        ends = np.minimum(ends[frame], edge + seconds)
    begins = (np.diff(video[frame], prepend=-1) != 0) | (np.diff(row, prepend=-1) != 0)
    return frame, starts, ends, np.flatnonzero(begins)


def _averaged(values: Floats, weights: Floats, first: IntArray) -> Floats:
    """Means of each row's pieces; NaN where none counts."""
    mass = np.add.reduceat(weights, first)[:, None]
    total = np.add.reduceat(np.nan_to_num(values) * weights[:, None], first, axis=0)
    return np.asarray(total / np.where(mass > 0, mass, np.nan))


def _per_frame(place: IntArray, values: Floats, frames: int) -> Floats:
    """Sums of ``(n, c)`` values by frame, ``(frames, c)``."""
    total = np.zeros((frames, values.shape[1]))
    np.add.at(total, place, values)
    return total
