"""One vector for a whole video: statistics of the features of a person's or everyone's faces.

After Savchenko (SISY 2021, arXiv 2103.17107): of a person mean, standard deviation, minimum and
maximum over the frames with a face; of a group mean and deviation over the faces of each frame,
then mean and deviation of both over the frames. The paper counts frames; here each frame counts
for the time it is shown, which is the same at a constant frame rate, and does not change where
frames were left out (``--adaptive``, ``--every``, a live stream that fell behind).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from mien.errors import InputError, UsageError
from mien.labels import FEATURES
from mien.timeline.tracks import Presence
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.embeddings import Embeddings

Kind = Literal["person", "group"]

#: Who a descriptor may be of.
KINDS: tuple[Kind, ...] = ("person", "group")
#: Frames that a descriptor needs: one alone has no deviation, and is a photo.
LEAST = 2
_AT_ONCE = 2048  # rows that are widened to float64 together


@dataclass(frozen=True, eq=False)
class Descriptor:
    """A video in one vector.

    Attributes:
        kind: of a ``person``, or of the ``group``.
        values: ``(4 d,)`` float32, d being the length of a face's features. Of a person: mean,
            standard deviation, minimum, maximum. Of a group: mean over the frames of the faces'
            mean, then of their deviation; deviation over the frames of the mean, then of the
            deviation. Not of length 1.
        source: the video.
        track_id: the person; None for a group.
        frames: how many it is made of.
        left_out: frames with a face that do not count: its features are missing, or it is unfit
            to be judged.
    """

    kind: Kind
    values: FloatArray = field(repr=False)
    source: str
    track_id: int | None
    frames: int
    left_out: int


def person_values(features: FloatArray, seconds: npt.ArrayLike) -> FloatArray:
    """``(4 d,)`` mean, standard deviation, minimum and maximum of ``(n, d)``, a row a frame.

    Args:
        features: at least one row.
        seconds: ``(n,)``, how much each frame counts in mean and deviation.
    """
    mean, deviation = _moments(features, _weights(seconds))
    values = [mean, deviation, features.min(axis=0), features.max(axis=0)]
    return np.concatenate(values).astype(np.float32)


def group_values(features: FloatArray, frame: IntArray, seconds: npt.ArrayLike) -> FloatArray:
    """``(4 d,)``: means over m frames of the faces' mean and deviation, then their deviations.

    Args:
        features: ``(n, d)``, a row a face.
        frame: ``(n,)`` from 0 to m - 1, ascending: the frame of each face; each has one or more.
        seconds: ``(m,)``, how much each frame counts.
    """
    first = np.searchsorted(frame, np.arange(int(frame[-1]) + 1))
    count = np.diff(np.append(first, len(frame)))[:, None]
    mean = np.add.reduceat(features, first, axis=0, dtype=np.float64) / count
    spread = np.empty_like(mean)
    for start in range(0, len(mean), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(mean))
        rows = slice(first[start], first[stop] if stop < len(mean) else None)
        off = (features[rows] - mean[frame[rows]]) ** 2
        spread[start:stop] = np.sqrt(np.add.reduceat(off, first[start:stop] - first[start], axis=0))
    spread /= np.sqrt(count)
    both = np.concatenate([mean, spread], axis=1)
    return np.concatenate(_moments(both, _weights(seconds))).astype(np.float32)


def describe(
    presence: Presence,
    faces: pd.DataFrame,
    embeddings: Embeddings | None,
    source: str,
    person: int | None = None,
    group: bool = False,
) -> Descriptor:
    """The descriptor of one video; see `Timeline.descriptor`.

    `presence` is made of `faces`, which are sorted by source and frame, with an index that counts
    from 0.
    """
    subject = source if person is None else f"person {person} of {source}"
    if group:
        rows = _everyone(presence, faces, source)
    else:
        person, rows = _somebody(presence, faces, source, person)
    if embeddings is None:
        raise UsageError(
            f"the features of the faces in {source} were not kept: "
            f"analyze it again with --embeddings {FEATURES}."
        )
    frames = faces["frame"].to_numpy(np.int64)
    visible = len(np.unique(frames[rows]))
    rows = rows[presence.counted[rows]]
    counted = len(np.unique(frames[rows]))
    rows = rows[embeddings.known(faces.iloc[rows])]
    shown, frame = np.unique(frames[rows], return_inverse=True)
    if len(shown) < LEAST:
        gone = {"unfit": visible - counted, "without features": counted - len(shown)}
        missing = "".join(f", and {n} {why}" for why, n in gone.items() if n)
        raise InputError(
            f"{subject} is too short: {len(shown)} frame{'s' * (len(shown) != 1)} with a face"
            f"{missing}; it takes {LEAST} and more."
        )
    features = embeddings.of(faces.iloc[rows], FEATURES)
    seconds = presence.seconds[rows]
    if group:
        first = np.searchsorted(frame, np.arange(len(shown)))
        values = group_values(features, frame, seconds[first])
        return Descriptor("group", values, source, None, len(shown), visible - len(shown))
    values = person_values(features, seconds)
    return Descriptor("person", values, source, person, len(shown), visible - len(shown))


def _everyone(presence: Presence, faces: pd.DataFrame, source: str) -> IntArray:
    here = (faces["source"] == source).to_numpy(bool) & np.isfinite(presence.spans[0])
    if not here.any():
        raise InputError(f"no face was found in {source}.")
    return np.flatnonzero(here)


def _somebody(
    presence: Presence, faces: pd.DataFrame, source: str, person: int | None
) -> tuple[int, IntArray]:
    """The rows of a person, or of the one who is visible longest, the earlier of equals."""
    people = {who[1]: rows for who, rows in presence.people.items() if who[0] == source}
    if person is None:
        if not people:
            _everyone(presence, faces, source)
            presence.need_people()
            raise InputError(f"nobody was followed in {source}.")
        person = max(people, key=lambda who: round(float(presence.seconds[people[who]].sum()), 6))
    if person not in people:
        known = ", ".join(map(str, people)) or "none"
        raise UsageError(f"there is no person {person} in {source}; the track ids are: {known}.")
    return person, people[person]


def _weights(seconds: npt.ArrayLike) -> Floats:
    """Shares of the time; a frame that lasts none still counts a little."""
    lasting = np.maximum(np.asarray(seconds, np.float64), 1e-9)
    return np.asarray(lasting / lasting.sum())


def _moments(values: npt.NDArray[np.floating], weights: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of each column, in float64 without a copy of all."""
    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(values), _AT_ONCE)]
    mean = np.zeros(values.shape[1])
    for rows in parts:
        mean += weights[rows] @ values[rows].astype(np.float64)
    variance = np.zeros_like(mean)
    for rows in parts:
        variance += weights[rows] @ (values[rows].astype(np.float64) - mean) ** 2
    return mean, np.sqrt(variance)
