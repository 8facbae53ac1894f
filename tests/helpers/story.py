"""A video of two people whose expressions change at known times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from helpers.results import quality
from mien.results.result import Result
from mien.types import Faces, Scores

LABELS = ("neutral", "happiness", "sadness")


Row = tuple[int, Sequence[float]]

SAD, GLAD, CALM, TORN = (0.1, 0.1, 0.8), (0.1, 0.9, 0.0), (0.7, 0.2, 0.1), (0.4, 0.4, 0.2)


def story_frame(
    index: int, faces: Sequence[Row], *, source: str = "film.mp4", fps: float = 25.0, **known: Any
) -> Result:
    """One frame with these people and scores; each square is as bright as its happiness."""
    n = len(faces)
    boxes = np.array([[10 * i, 0, 10 * i + 40, 40] for i, _ in faces], np.float32).reshape(-1, 4)
    values = np.array([row for _, row in faces], np.float32).reshape(-1, 3)
    crops = np.zeros((n, 16, 16, 3), np.uint8) + (255 * values[:, 1, None, None, None]).astype("u1")
    people = Faces(boxes, np.full(n, 0.9), track_ids=np.array([i for i, _ in faces], np.int64))
    given = {"index": index, "time_s": index / fps, "size": (320, 240), **known}
    settings = {"detector": "none", "uncertain_below": "0.5"}
    return Result(
        source, people, Scores(values, LABELS), quality([""] * n), crops,
        settings=settings, **given,
    )  # fmt: skip


def story(source: str = "film.mp4") -> Iterator[Result]:
    """Ten seconds at 25 fps: 1 is sad for 4 s, then glad; 2 is calm from 2 to 5 s and 7 to 10 s."""
    for index in range(250):
        people: list[Row] = [(1, SAD if index < 100 else GLAD)]
        if 50 <= index < 125 or index >= 175:
            people.append((2, CALM))
        yield story_frame(index, people, source=source)
