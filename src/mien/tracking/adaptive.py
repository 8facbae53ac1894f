"""Looks at a film that lie apart: where to look, whether anything changed, and who is who."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mien.errors import InputError
from mien.faces.detectors.base import FaceDetector
from mien.faces.geometry import iou
from mien.faces.quality import assess
from mien.results.result import Result
from mien.tracking.adaptive_detector import Glances
from mien.tracking.motion import Changes, Cuts
from mien.tracking.sampling import STRIDE, coarse_to_fine
from mien.tracking.tracker import Tracked
from mien.types import Faces, Frame, Image

_STAYED = 0.4  # overlap of a face with itself, up to `STRIDE` frames later
_STEADY = 0.3  # share of the distribution that may have moved


def alike(one: Result, other: Result) -> bool:
    """Whether two frames of a film tell the same: the same faces, each with the same expression.

    A face stays where its boxes overlap by 0.4 (IoU); it tells the same where the label, or
    ``uncertain``, is the same and at most 0.3 of the distribution has moved to other labels (total
    variation distance). Frames without a face are alike; one that failed is like no other.
    """
    if one.error is not None or other.error is not None or len(one) != len(other):
        return False
    if not len(one):
        return True
    overlap = iou(one.faces.boxes, other.faces.boxes)
    rows = overlap.argmax(axis=1)
    if len(set(rows.tolist())) < len(one) or overlap.max(axis=1).min() < _STAYED:
        return False
    told = [other.emotions[row] for row in rows]
    moved = np.abs(one.scores.values - other.scores.values[rows]).sum(axis=1) / 2
    return list(one.emotions) == told and bool(moved.max() <= _STEADY)


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame of a film, with its picture, as long as it may still have to be looked at.

    Attributes:
        frame: gives the picture at once.
        place: the number of the frame among those that are given, from 0.
        shot: the number of the shot that it is in.
        again: reads the picture from the film, for when it is not held any more.
    """

    frame: Frame
    place: int
    shot: int
    again: Callable[[], Image]


class Follower:
    """Numbers the people of results that lie some frames apart.

    Args:
        tracked: the tracker that recognises them; it is not changed.
    """

    def __init__(self, tracked: Tracked) -> None:
        # Looks are rarer than frames: about halfway between the longest stride and the next.
        self._crowd = tracked.crowd(2 * tracked.fps / STRIDE)
        # What moves while nobody looks is no leap; from one frame to the very next it may be.
        self._changes, self._still = Changes(), Changes()
        self._shot = self._place = -1

    def follow(self, result: Result, shown: Shown) -> Result:
        """The same result with ``track_ids``; faces that are not sure yet are left out.

        Args:
            result: of the next look.
            shown: the frame that it is of.
        """
        cut, self._shot = shown.shot != self._shot, shown.shot
        next_one, self._place = shown.place == self._place + 1, shown.place
        image = result.image
        self._changes.update(image)
        changes = self._changes if next_one else self._still
        numbers = self._crowd.recognise(image, result.faces, changes, cut=cut)
        rows = np.flatnonzero(numbers)
        faces, crops = result.faces[rows], result.crops[rows]
        return replace(
            result,
            faces=Faces(faces.boxes, faces.scores, faces.landmarks, numbers[rows]),
            scores=result.scores[rows],
            quality=assess(faces, crops),
            crops=crops,
        )


def in_shots(frames: Iterable[Frame], fps: float) -> Iterator[Shown]:
    """Read the frames and count the shots."""
    cuts, shot = Cuts(fps), -1
    for place, frame in enumerate(frames):
        try:
            image = frame.read()
        except InputError:
            yield Shown(frame, place, shot, frame.read)
            continue
        shot += cuts.begins(image)
        yield Shown(replace(frame, read=partial(np.asarray, image)), place, shot, frame.read)


def looked_at(
    film: Iterable[Frame], tracked: Tracked, look: Callable[[Frame, FaceDetector], Result]
) -> Iterator[tuple[Shown, Result]]:
    """Look at a film coarse to fine, and follow the people over what was looked at.

    Args:
        film: the frames of one source, in order.
        tracked: tells how to find people and to know them again; it is not changed.
        look: judges the faces of a frame that a detector finds.

    Yields:
        frames between which something changes, and a few others, each with its result.
    """
    glances, follower = Glances(tracked.detector, tracked.fps), Follower(tracked)

    def judged(shown: Shown) -> tuple[Shown, Result]:
        return shown, look(shown.frame, glances.at(shown.place, shown.shot))

    def same(one: tuple[Shown, Result], other: tuple[Shown, Result]) -> bool:
        return one[0].shot == other[0].shot and alike(one[1], other[1])

    for shown, result in coarse_to_fine(in_shots(film, tracked.fps), judged, same):
        yield shown, result if result.error else follower.follow(result, shown)
