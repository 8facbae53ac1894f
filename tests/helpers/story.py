"""A video of two people whose expressions change at known times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from helpers.results import frame_result
from mien.results.result import Result
from mien.results.settings import RunSettings

LABELS = ("neutral", "happiness", "sadness")


Row = tuple[int, Sequence[float]]

SAD, GLAD, CALM, TORN = (0.1, 0.1, 0.8), (0.1, 0.9, 0.0), (0.7, 0.2, 0.1), (0.4, 0.4, 0.2)


def story_frame(
    index: int, faces: Sequence[Row], *, source: str = "film.mp4", fps: float = 25.0, **fields: Any
) -> Result:
    """One frame with these people and scores; each crop is as bright as its happiness."""
    gray = np.array([255 * row[1] for _, row in faces]).astype(np.uint8)
    given = {"index": index, "size": (320, 240), **fields}
    return frame_result(
        given.pop("time_s", index / fps),
        faces,
        labels=LABELS,
        boxes=[[10 * track, 0, 10 * track + 40, 40] for track, _ in faces],
        crops=np.zeros((len(faces), 16, 16, 3), np.uint8) + gray[:, None, None, None],
        settings=RunSettings(detector="none"),
        source=source,
        **given,
    )


def story(source: str = "film.mp4") -> Iterator[Result]:
    """Ten seconds at 25 fps: 1 is sad for 4 s, then glad; 2 is calm from 2 to 5 s and 7 to 10 s."""
    for index in range(250):
        people: list[Row] = [(1, SAD if index < 100 else GLAD)]
        if 50 <= index < 125 or index >= 175:
            people.append((2, CALM))
        yield story_frame(index, people, source=source)
