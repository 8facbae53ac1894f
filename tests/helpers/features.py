"""Results of videos whose faces carry features, made without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.results import frame_result
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.timeline.timeline import Timeline

LABELS = ("neutral", "happiness", "sadness")
SHA = "5e" * 32
EVEN = (0.4, 0.3, 0.3)
ScoresAndFeatures = tuple[Sequence[float], npt.ArrayLike | None]


def frame_with_features(
    index: int,
    people: Mapping[int, ScoresAndFeatures],
    *,
    source: str = "film.mp4",
    time_s: float | None = None,
    model: str = SHA,
) -> Result:
    """One frame, 1/10 s apart: `people` maps track ids to their scores and features."""
    vectors = [vector for _, vector in people.values() if vector is not None]
    embeddings = {}
    if people and len(vectors) == len(people):
        embeddings = {"features": np.array(vectors, np.float32)}
    return frame_result(
        index / 10 if time_s is None else time_s,
        {track: scores for track, (scores, _) in people.items()},
        labels=LABELS,
        embeddings=embeddings,
        boxes=[[10 * track, 0, 10 * track + 40, 40] for track in people],
        index=index,
        source=source,
        settings=RunSettings(classifier="stand-in", classifier_sha256=model),
    )


def timeline_with_features(
    features: Callable[[int], Mapping[int, npt.ArrayLike]],
    frames: int = 12,
    source: str = "film.mp4",
    **options: Any,
) -> Timeline:
    """A video; `features` gives the vector of each face of a frame by track id."""
    return Timeline.from_results(
        frame_with_features(
            i, {who: (EVEN, v) for who, v in features(i).items()}, source=source, **options
        )
        for i in range(frames)
    )
