"""Faces in frames that lie apart: looked for where they were, searched for where that may fail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.faces.detectors.base import FaceDetector, check_image, describe_detector
from mien.faces.geometry import iou, quarter_turns
from mien.tracking.sampling import STRIDE
from mien.tracking.track import SURE
from mien.tracking.tracker import LENIENT, RefiningDetector, joined
from mien.types import Boxes, Faces, FloatArray, Image

Flags = npt.NDArray[np.bool_]

_AGAIN_S = 2.0  # so often all is searched, down to the smallest face
_SMALL = 16  # other searches leave out faces below this part of the shorter side
_SIDE = 96  # longer side in pixels of the small picture on which changes are seen
_CELL = 4  # pixels of it that are taken together: a small face
_CHANGED = 6.0  # grey levels by which a cell has changed: noise and coding stay below
_AROUND = 0.5  # of a face's size: what moves so near to it is the face itself
_SAME = 0.3  # overlap of one face with itself


@dataclass(frozen=True, eq=False)
class _Glance:
    """What was found in a frame.

    Attributes:
        shot: the number of the shot that it is in.
        faces: its n faces.
        sure: ``(n,)`` which of them were once found with certainty.
    """

    shot: int
    faces: Faces
    sure: Flags


@dataclass(frozen=True, eq=False)
class _Search:
    """How a frame looked when all of it was searched.

    Attributes:
        cells: ``(h, w)`` brightness, grey levels.
        faces: what was found.
    """

    cells: FloatArray
    faces: Faces


class Glances:
    """Finds the faces of frames of a film that are looked at out of order, up to a stride apart.

    A face is looked for where the nearest looks at the same shot found it. The whole picture is
    searched at the first look at a shot, where a face is not where it was, where the picture has
    changed anywhere but around the faces since the last search, and every two seconds. So
    somebody new is found by the change that they make, at the latest after two seconds.

    Args:
        detector: any face detector. One without a method ``refine`` searches every time.
        fps: frames a second of the film.
    """

    def __init__(self, detector: FaceDetector, fps: float) -> None:
        self._detector, self._fps = detector, fps
        self._seen: dict[int, _Glance] = {}
        self._place = self._shot = 0
        self._last: dict[int, _Search] = {}  # by shot
        self._thorough_at = -math.inf

    def at(self, place: int, shot: int) -> FaceDetector:
        """The detector for the frame at this place among all, in the shot with this number."""
        if not isinstance(self._detector, RefiningDetector):
            return self._detector
        self._place, self._shot = place, shot
        return self

    def detect(self, image: Image) -> Faces:
        """Find the faces of the frame that `at` was told of.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.
        """
        assert isinstance(self._detector, RefiningDetector)
        check_image(image)
        before, after = self._neighbours()
        known = [glance for glance in (before, after) if glance is not None]
        faces, sure = _refined(self._detector, image, known)
        lost = any(_missing(glance.faces, faces) for glance in known)
        if not known or lost or (after is None and self._due(image, faces)):
            faces = self._search(self._detector, image, faces)
            sure = _sure(faces, known)
        self._seen = {i: g for i, g in self._seen.items() if i >= self._place - 2 * STRIDE}
        self._seen[self._place] = _Glance(self._shot, faces, sure)
        return faces

    def _neighbours(self) -> tuple[_Glance | None, _Glance | None]:
        """The nearest looks at the same shot, before and after."""
        here = [place for place, glance in self._seen.items() if glance.shot == self._shot]
        before = max((i for i in here if i < self._place), default=None)
        after = min((i for i in here if i > self._place), default=None)
        found = [None if place is None else self._seen[place] for place in (before, after)]
        return found[0], found[1]

    def _due(self, image: Image, faces: Faces) -> bool:
        """Whether it is time to search, or something has changed away from the faces."""
        last = self._last.get(self._shot)
        if last is None or self._late:
            return True
        cells = _cells(image)
        moved = np.abs(cells - last.cells) > _CHANGED
        for box in np.concatenate([faces.boxes, last.faces.boxes]):
            grow = _AROUND * (box[2:] - box[:2])
            scale = np.array([cells.shape[1] / image.shape[1], cells.shape[0] / image.shape[0]])
            low = np.maximum((box[:2] - grow) * scale, 0).astype(int)
            high = np.maximum((box[2:] + grow) * scale, 0).astype(int) + 1
            moved[low[1] : high[1], low[0] : high[0]] = False
        return bool(moved.any())

    @property
    def _late(self) -> bool:
        return self._place - self._thorough_at >= _AGAIN_S * self._fps

    def _search(self, detector: RefiningDetector, image: Image, known: Faces) -> Faces:
        """Look everywhere; `known` are those that need not be found again."""
        thorough = self._late or self._shot not in self._last
        if thorough:
            self._thorough_at = max(self._thorough_at, self._place)
        found = detector.detect(image, 0 if thorough else min(image.shape[:2]) // _SMALL)
        faces = joined(known, found)
        self._last = {shot: s for shot, s in self._last.items() if shot >= self._shot - 1}
        self._last[self._shot] = _Search(_cells(image), faces)
        return faces


def _refined(detector: RefiningDetector, image: Image, known: list[_Glance]) -> tuple[Faces, Flags]:
    """The faces that are about where they were in the neighbours, and which of them are sure."""
    boxes: Boxes = np.concatenate([np.zeros((0, 4)), *(glance.faces.boxes for glance in known)])
    if not len(boxes):
        return Faces.empty(), np.zeros(0, bool)
    limit = describe_detector(detector).min_score
    turns = np.concatenate([quarter_turns(glance.faces) for glance in known])
    lying = {"turns": turns} if turns.any() else {}
    faces = detector.refine(image, boxes, LENIENT * limit, **lying)
    # A false find would stay for long: only what was once surely a face is favoured.
    sure = _sure(faces, known)
    kept = ~(np.asarray(faces.scores) < limit) | sure
    return faces[kept], sure[kept]


def _sure(faces: Faces, known: list[_Glance]) -> Flags:
    """Which faces leave no doubt, or did so in a neighbour."""
    sure = np.asarray(faces.scores) >= SURE
    for glance in known:
        if glance.sure.any() and len(faces):
            overlap = iou(faces.boxes, glance.faces.boxes[glance.sure])
            sure |= overlap.max(axis=1) >= _SAME
    return np.asarray(sure, bool)


def _missing(before: Faces, now: Faces) -> bool:
    """Whether a face is not where it was any more."""
    if not len(before) or not len(now):
        return len(before) > len(now)
    return bool(iou(before.boxes, now.boxes).max(axis=1).min() < _SAME)


def _cells(image: Image) -> FloatArray:
    """Brightness ``(h, w)`` of the picture in small squares, grey levels."""
    import cv2

    step = max(1, max(image.shape[:2]) // _SIDE)
    grey = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
    size = max(1, grey.shape[1] // _CELL), max(1, grey.shape[0] // _CELL)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
