"""Adaptive frame sampling of a video: choose frames, compare their results, keep track ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mien.errors import InputError
from mien.faces.detectors.base import FaceDetector
from mien.faces.geometry import iou
from mien.results.result import Result
from mien.tracking.motion import Changes, CutDetector
from mien.tracking.sampling import STRIDE, coarse_to_fine
from mien.tracking.tracker import TrackingDetector
from mien.types import Faces, Frame, Image

_STAYED = 0.4  # minimum overlap of a face with itself up to `STRIDE` frames later
_STEADY = 0.3  # maximum total variation distance of the probabilities


def alike(one: Result, other: Result) -> bool:
    """Whether two frames of a video have the same faces, each with the same expression.

    Faces are the same if their boxes overlap by 0.4 (IoU); their expression is the same if the
    label, or ``uncertain``, is equal and the total variation distance of the probabilities is at
    most 0.3. Frames without faces are alike; a failed frame equals no other.
    """
    if one.error is not None or other.error is not None or len(one) != len(other):
        return False
    if not len(one):
        return True
    overlap = iou(one.faces.boxes, other.faces.boxes)
    rows = overlap.argmax(axis=1)
    if len(set(rows.tolist())) < len(one) or overlap.max(axis=1).min() < _STAYED:
        return False
    labels = [other.emotions[row] for row in rows]
    moved = np.abs(one.scores.values - other.scores.values[rows]).sum(axis=1) / 2
    return list(one.emotions) == labels and bool(moved.max() <= _STEADY)


@dataclass(frozen=True, eq=False)
class ShotFrame:
    """A frame with its image, held as long as it may have to be analyzed.

    Attributes:
        frame: the frame, whose image is in memory.
        place: index among the given frames, from 0.
        shot: index of its shot.
        again: reads the image from the video, after it has been released.
    """

    frame: Frame
    place: int
    shot: int
    again: Callable[[], Image]


class SparseTracker:
    """Assigns track ids in results that are several frames apart.

    Args:
        tracked: the tracker whose settings are used; it is not modified.
    """

    def __init__(self, tracked: TrackingDetector) -> None:
        # The rate of analyzed frames: about halfway between the longest stride and the next.
        self._tracks = tracked.track_manager(2 * tracked.fps / STRIDE)
        # Changes count only between consecutive frames: across a gap they are expected.
        self._changes, self._still = Changes(), Changes()
        self._shot = self._place = -1

    def track(self, result: Result, item: ShotFrame) -> Result:
        """The result with ``track_ids``, without unconfirmed faces.

        Args:
            result: the result of the next analyzed frame.
            item: that frame.
        """
        cut, self._shot = item.shot != self._shot, item.shot
        next_one, self._place = item.place == self._place + 1, item.place
        image = result.image
        self._changes.update(image)
        changes = self._changes if next_one else self._still
        numbers = self._tracks.update(image, result.faces, changes, cut=cut)
        rows = np.flatnonzero(numbers)
        result = result[rows]
        faces = result.faces
        tracked = Faces(faces.boxes, faces.scores, faces.landmarks, numbers[rows])
        return replace(result, faces=tracked)


def with_shots(frames: Iterable[Frame], fps: float) -> Iterator[ShotFrame]:
    """The frames with their images and shot indices."""
    cuts, shot = CutDetector(fps), -1
    for place, frame in enumerate(frames):
        try:
            image = frame.read()
        except InputError:
            yield ShotFrame(frame, place, shot, frame.read)
            continue
        shot += cuts.begins(image)
        yield ShotFrame(replace(frame, read=partial(np.asarray, image)), place, shot, frame.read)


def adaptive_results(
    frames: Iterable[Frame],
    tracked: TrackingDetector,
    analyze: Callable[[Frame, FaceDetector], Result],
) -> Iterator[tuple[ShotFrame, Result]]:
    """Analyze a video coarse to fine, and track people over the analyzed frames.

    Args:
        frames: the frames of one source, in order.
        tracked: detector and settings of the tracker; it is not modified.
        analyze: returns the result of a frame with the given detector.

    Yields:
        frames between which something changes, and a few others, each with its result.
    """
    tracker = SparseTracker(tracked)

    def analyzed(item: ShotFrame) -> tuple[ShotFrame, Result]:
        return item, analyze(item.frame, tracked.detector)

    def same(one: tuple[ShotFrame, Result], other: tuple[ShotFrame, Result]) -> bool:
        return one[0].shot == other[0].shot and alike(one[1], other[1])

    for item, result in coarse_to_fine(with_shots(frames, tracked.fps), analyzed, same):
        yield item, result if result.error else tracker.track(result, item)
