"""Painted people who walk, and the track ids that a tracker gives them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from helpers.detectors import Place, painted_frame
from mien.tracking.tracker import TrackingDetector
from mien.types import Faces


def track_ids(faces: Faces) -> list[int]:
    assert faces.track_ids is not None
    assert faces.track_ids.dtype == np.int64
    return [int(number) for number in faces.track_ids]


def tracked_people(
    film: Sequence[Sequence[Place]], tracked: TrackingDetector, grounds: Sequence[int] = ()
) -> Iterator[dict[str, int]]:
    """The track id of each person that was found, frame by frame."""
    for number, people in enumerate(film):
        ground = grounds[number] if grounds else 0
        faces = tracked.detect(painted_frame(number, people, ground))
        found = {}
        for face in faces:
            centre = (face.boxes[0, :2] + face.boxes[0, 2:]) / 2
            away = {name: math.dist(centre, (x, y)) for name, x, y in people}
            found[min(away, key=lambda name: away[name])] = track_ids(face)[0]
        yield found


def walk(name: str, start: float, end: float, frames: int, y: float = 60) -> list[Place]:
    """A person who walks."""
    return [(name, float(x), y) for x in np.linspace(start, end, frames)]


def in_one_video(*people: Sequence[Place]) -> list[list[Place]]:
    return [list(places) for places in zip(*people, strict=True)]
