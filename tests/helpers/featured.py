"""Results of films whose faces carry features, made without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.results import quality
from mien.results.result import Result
from mien.timeline.timeline import Timeline
from mien.types import Faces, FloatArray, Scores

LABELS = ("neutral", "happiness", "sadness")
SHA = "5e" * 32
EVEN = (0.4, 0.3, 0.3)
Seen = tuple[Sequence[float], npt.ArrayLike | None]


def frame_with_features(
    index: int,
    people: Mapping[int, Seen],
    *,
    source: str = "film.mp4",
    time_s: float | None = None,
    model: str = SHA,
) -> Result:
    """One frame, 1/10 s apart: `people` maps track ids to their scores and features."""
    n = len(people)
    boxes = np.array([[10 * i, 0, 10 * i + 40, 40] for i in people], np.float32).reshape(-1, 4)
    scores = np.array([row for row, _ in people.values()], np.float32).reshape(-1, len(LABELS))
    vectors = [vector for _, vector in people.values() if vector is not None]
    embeddings: dict[str, FloatArray] = {}
    if n and len(vectors) == n:
        embeddings = {"features": np.array(vectors, np.float32)}
    faces = Faces(boxes, np.full(n, 0.9), track_ids=np.array([*people], np.int64))
    crops = np.zeros((n, 8, 8, 3), np.uint8)
    settings = {"uncertain_below": "0.5", "classifier": "stand-in", "classifier_sha256": model}
    return Result(
        source,
        faces,
        Scores(scores, LABELS, embeddings=embeddings),
        quality([""] * n),
        crops,
        index=index,
        time_s=index / 10 if time_s is None else time_s,
        size=(320, 240),
        settings=settings,
    )


def timeline_with_features(
    features: Callable[[int], Mapping[int, npt.ArrayLike]],
    frames: int = 12,
    source: str = "film.mp4",
    **known: Any,
) -> Timeline:
    """A film; `features` gives each frame's faces by track id."""
    return Timeline.from_results(
        frame_with_features(
            i, {who: (EVEN, v) for who, v in features(i).items()}, source=source, **known
        )
        for i in range(frames)
    )
