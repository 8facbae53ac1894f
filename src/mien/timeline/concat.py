"""Several timelines as one, so that people can be identified across them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import UsageError
from mien.results.embeddings import Embeddings
from mien.timeline.timeline import Timeline

if TYPE_CHECKING:
    import pandas as pd

_FRAME = ["frame", "time_s", "width", "height", "n_faces", "status"]
_BOX = ["x1", "y1", "x2", "y2"]
#: One video analyzed twice, on two machines or with other threads, gives boxes this near, pixels.
_SAME_PX = 0.5
#: And probabilities.
_SAME_SCORE = 0.02


def join(timelines: Sequence[Timeline]) -> Timeline:
    """All videos of some timelines in one, in this order.

    A video that is there twice is taken once. Different recordings of one name, such as
    ``film.mp4`` of two sessions, stay two: the second is called ``film.mp4 (2)``. They count as
    one only if every frame and every face in it agree, by box and score, or if both are of one
    and the same run; `new_names` says which. Settings that differ are left out; embeddings are
    kept of the kinds that all timelines with faces have.

    Raises:
        UsageError: there is none, their labels differ, or their embeddings come from different
            models.
    """
    if not timelines:
        raise UsageError("there are no timelines to join.")
    for other in timelines[1:]:
        if other.labels != timelines[0].labels:
            raise UsageError(
                f"these tables have different labels: {', '.join(timelines[0].labels)}; and "
                f"{', '.join(other.labels)}."
            )
    parts = [
        _renamed(timeline, names)
        for timeline, names in zip(timelines, new_names(timelines), strict=True)
    ]
    settings = parts[0].settings.shared_with([part.settings for part in parts])
    raw = Timeline(
        _stacked([part.raw.faces for part in parts]),
        _stacked([part.raw.images for part in parts]),
        replace(settings, smooth_s=0.0),
        parts[0].labels,
        [peak for part in parts for peak in part.raw.peaks],
        _embeddings(parts),
    )
    return raw.smooth(settings.smooth_s)


def new_names(timelines: Sequence[Timeline]) -> list[dict[str, str]]:
    """What each video of each timeline is called in `join`; those left out are not there."""
    taken: dict[str, _Recording] = {}
    every: list[dict[str, str]] = []
    for timeline in timelines:
        names: dict[str, str] = {}
        faces = dict(list(timeline.raw.faces.groupby("source", sort=False)))
        for source, images in timeline.images.groupby("source", sort=False):
            old = str(source)
            recording = _Recording(images, faces.get(source), timeline.labels)
            name, number = old, 1
            while name in taken and not recording.is_same(taken[name]):
                number += 1
                name = f"{old} ({number})"
            if name not in taken:
                taken[name] = recording
                names[old] = name
        every.append(names)
    return every


class _Recording:
    """What is compared of two videos of one name; their pixels may be gone by now."""

    def __init__(
        self, images: pd.DataFrame, faces: pd.DataFrame | None, labels: Sequence[str]
    ) -> None:
        self.frames = images[_FRAME].reset_index(drop=True)
        self.milliseconds = images["milliseconds"].to_numpy(np.float64)
        self.boxes, self.scores = np.zeros((0, 4)), np.zeros((0, len(labels)))
        if faces is not None:
            faces = faces.sort_values(["frame", "face"])
            self.boxes = faces[_BOX].to_numpy(np.float64)
            self.scores = faces[list(labels)].to_numpy(np.float64)

    def is_same(self, other: _Recording) -> bool:
        """Whether both are of one video; two without a face, of different runs, are not."""
        if not self.frames.equals(other.frames) or len(self.boxes) != len(other.boxes):
            return False
        spent = self.milliseconds
        if spent.any() and np.array_equal(spent, other.milliseconds, equal_nan=True):
            return True  # no two runs take the same time over every frame
        return bool(
            len(self.boxes)
            and np.allclose(self.boxes, other.boxes, rtol=0, atol=_SAME_PX)
            and np.allclose(self.scores, other.scores, rtol=0, atol=_SAME_SCORE)
        )


def _renamed(timeline: Timeline, names: Mapping[str, str]) -> Timeline:
    """The videos in `names`, by their new names."""
    raw = timeline.raw
    embeddings = raw.embeddings
    if embeddings is not None:
        kept = embeddings.keys["source"].isin(list(names)).to_numpy(bool)
        vectors = {name: values[kept] for name, values in embeddings.vectors.items()}
        embeddings = replace(embeddings, keys=_called(embeddings.keys, names), vectors=vectors)
    renamed = replace(
        raw,
        faces=_called(raw.faces, names),
        images=_called(raw.images, names),
        peaks=[replace(p, source=names[p.source]) for p in raw.peaks if p.source in names],
        embeddings=embeddings,
    )
    return renamed.smooth(timeline.settings.smooth_s)


def _called(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    kept = table[table["source"].isin(list(names))]
    return kept.assign(source=kept["source"].map(dict(names)).astype("string"))


def _stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables under one another, with the columns that all filled ones have."""
    import pandas as pd

    filled = [part for part in parts if len(part)] or parts[:1]
    shared = [name for name in filled[0] if all(name in part for part in filled)]
    return pd.concat([part[shared] for part in filled], ignore_index=True)


def _embeddings(parts: Sequence[Timeline]) -> Embeddings | None:
    with_faces = [part.embeddings for part in parts if len(part.faces)]
    found = [embeddings for embeddings in with_faces if embeddings is not None]
    shared = {name for some in found[:1] for name in some.names}
    shared = shared.intersection(*(some.names for some in found))
    if len(found) < len(with_faces) or not shared:
        return None
    kept = [
        replace(some, vectors={name: some.vectors[name] for name in sorted(shared)})
        for some in found
    ]
    return Embeddings.concat(kept)
