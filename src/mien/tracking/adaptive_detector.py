"""Face detection in frames that are far apart: near known faces, and everywhere when necessary."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.faces.detectors.base import FaceDetector, check_image, describe_detector
from mien.faces.geometry import iou, quarter_turns
from mien.tracking.sampling import STRIDE
from mien.tracking.track import SURE
from mien.tracking.tracker import LENIENT, RefiningDetector, merged
from mien.types import Boxes, Faces, FloatArray, Image

Flags = npt.NDArray[np.bool_]

_AGAIN_S = 2.0  # seconds between full searches down to the smallest face
_SMALL = 16  # other searches skip faces below this fraction (1/16) of the shorter side
_SIDE = 96  # longer side in pixels of the thumbnail on which changes are detected
_CELL = 4  # pixels of the thumbnail per cell: a small face
_CHANGED = 6.0  # gray levels by which a cell has changed: noise and compression stay below
_AROUND = 0.5  # margin, fraction of a face's size, in which changes are those of the face
_SAME = 0.3  # minimum overlap of a face with itself


@dataclass(frozen=True, eq=False)
class _Detections:
    """The faces of an analyzed frame.

    Attributes:
        shot: index of its shot.
        faces: its n faces.
        sure: ``(n,)`` which of them have been confirmed.
    """

    shot: int
    faces: Faces
    sure: Flags


@dataclass(frozen=True, eq=False)
class _Search:
    """A frame that was searched completely.

    Attributes:
        cells: ``(h, w)`` brightness, gray levels.
        faces: its faces.
    """

    cells: FloatArray
    faces: Faces


class AdaptiveDetector:
    """Detects the faces in frames of a video that come out of order, up to a stride apart.

    A face is searched for at its position in the nearest analyzed frames of the same shot. The
    whole image is searched in the first frame of a shot, if a face is lost, if the image has
    changed since the last search anywhere but around the faces, and every two seconds. So a new
    person is detected by the change, and after two seconds at the latest.

    Args:
        detector: any face detector. One without a method ``refine`` searches every frame.
        fps: frame rate of the video.
    """

    def __init__(self, detector: FaceDetector, fps: float) -> None:
        self._detector, self._fps = detector, fps
        self._results: dict[int, _Detections] = {}
        self._place = self._shot = 0
        self._last: dict[int, _Search] = {}  # by shot
        self._thorough_at = -math.inf

    def at(self, place: int, shot: int) -> FaceDetector:
        """The detector for the frame with this index, in the shot with this index."""
        if not isinstance(self._detector, RefiningDetector):
            return self._detector
        self._place, self._shot = place, shot
        return self

    def detect(self, image: Image) -> Faces:
        """Detect the faces in the frame set by `at`.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.
        """
        assert isinstance(self._detector, RefiningDetector)
        check_image(image)
        before, after = self._neighbors()
        near = [frame for frame in (before, after) if frame is not None]
        faces, sure = _refined(self._detector, image, near)
        lost = any(_missing(frame.faces, faces) for frame in near)
        if not near or lost or (after is None and self._due(image, faces)):
            faces = self._search(self._detector, image, faces)
            sure = _sure(faces, near)
        self._results = {i: g for i, g in self._results.items() if i >= self._place - 2 * STRIDE}
        self._results[self._place] = _Detections(self._shot, faces, sure)
        return faces

    def _neighbors(self) -> tuple[_Detections | None, _Detections | None]:
        """The nearest analyzed frames of the same shot, before and after."""
        here = [place for place, frame in self._results.items() if frame.shot == self._shot]
        before = max((i for i in here if i < self._place), default=None)
        after = min((i for i in here if i > self._place), default=None)
        nearest = [None if place is None else self._results[place] for place in (before, after)]
        return nearest[0], nearest[1]

    def _due(self, image: Image, faces: Faces) -> bool:
        """Whether a search is due, or something has changed away from the faces."""
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

    def _search(self, detector: RefiningDetector, image: Image, refined: Faces) -> Faces:
        """Search the whole image, in addition to the faces refined already."""
        thorough = self._late or self._shot not in self._last
        if thorough:
            self._thorough_at = max(self._thorough_at, self._place)
        detected = detector.detect(image, 0 if thorough else min(image.shape[:2]) // _SMALL)
        faces = merged(refined, detected)
        self._last = {shot: s for shot, s in self._last.items() if shot >= self._shot - 1}
        self._last[self._shot] = _Search(_cells(image), faces)
        return faces


def _refined(
    detector: RefiningDetector, image: Image, near: list[_Detections]
) -> tuple[Faces, Flags]:
    """The faces near their positions in the neighboring frames, and which are confirmed."""
    boxes: Boxes = np.concatenate([np.zeros((0, 4)), *(frame.faces.boxes for frame in near)])
    if not len(boxes):
        return Faces.empty(), np.zeros(0, bool)
    limit = describe_detector(detector).min_score
    turns = np.concatenate([quarter_turns(frame.faces) for frame in near])
    lying = {"turns": turns} if turns.any() else {}
    faces = detector.refine(image, boxes, LENIENT * limit, **lying)
    # A false positive would persist: the lower limit is only for confirmed faces.
    sure = _sure(faces, near)
    keep = ~(np.asarray(faces.scores) < limit) | sure
    return faces[keep], sure[keep]


def _sure(faces: Faces, near: list[_Detections]) -> Flags:
    """Which faces are confirmed, here or in a neighboring frame."""
    sure = np.asarray(faces.scores) >= SURE
    for frame in near:
        if frame.sure.any() and len(faces):
            overlap = iou(faces.boxes, frame.faces.boxes[frame.sure])
            sure |= overlap.max(axis=1) >= _SAME
    return np.asarray(sure, bool)


def _missing(before: Faces, now: Faces) -> bool:
    """Whether a face is lost."""
    if not len(before) or not len(now):
        return len(before) > len(now)
    return bool(iou(before.boxes, now.boxes).max(axis=1).min() < _SAME)


def _cells(image: Image) -> FloatArray:
    """Brightness ``(h, w)`` of the image in cells, gray levels."""
    import cv2

    step = max(1, max(image.shape[:2]) // _SIDE)
    gray = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
    size = max(1, gray.shape[1] // _CELL), max(1, gray.shape[0] // _CELL)
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.float32)
