"""Tracker around any face detector: the same track id for the same person.

Full-frame detection is expensive, so it runs only periodically; in between, each face is searched
for near its expected position, with the detector's method ``refine`` if it has one, otherwise with
optical flow. Faces are matched to tracks by motion and, where that is ambiguous or impossible (a
cut, a person who returns), by appearance.
"""

from __future__ import annotations

from copy import copy
from typing import Protocol, runtime_checkable

import numpy as np

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import (
    FaceDetector,
    SelfDescribing,
    check_image,
    describe_detector,
    tidy,
)
from mien.faces.geometry import iou, quarter_turns
from mien.tracking.appearance import appearance
from mien.tracking.association import Thresholds, TrackManager
from mien.tracking.motion import CutDetector, FlowTracker
from mien.tracking.track import Identity, Track
from mien.types import Boxes, Faces, Image, IntArray

LENIENT = 2 / 3  # factor on min_score for a face that is tracked already
_REFINED_S, _FLOWN_S = 1 / 3, 1 / 4  # seconds between full searches: boxes drift with optical flow
_SMALL = 16  # most searches skip faces below this fraction (1/16) of the shorter side
_THOROUGH = 6  # every n-th search includes small faces
_RELIEF = 3  # frames between searches for a lost face
_APPEARANCE = Thresholds(near=0.82, stayed=0.92, again=0.94)  # measured: benchmarks/README.md


@runtime_checkable
class RefiningDetector(Protocol):
    """A detector that can also search only near expected faces."""

    def detect(self, image: Image, min_face: int = 0) -> Faces:
        """Detect the faces in one image that are at least `min_face` pixels large."""
        ...

    def refine(
        self,
        image: Image,
        boxes: Boxes,
        min_score: float | None = None,
        turns: IntArray | None = None,
    ) -> Faces:
        """Detect the faces in or next to `boxes` ``(n, 4)``; at most n.

        `turns` ``(n,)``, their rotation in quarter turns, is passed only if one is rotated.
        """
        ...


class TrackingDetector(SelfDescribing):
    """Make any face detector remember: the same number for the same person, frame after frame.

    Ids count from 1 in order of appearance. Every returned face has one: a new face is returned
    immediately if its confidence is at least 0.98 or a shot begins with it; an uncertain one, or
    one without a confidence, only if it is detected in the next frame, too. So a false positive in
    a single frame has neither a row nor an id.

    People keep their id if they are hidden for up to two seconds and reappear within reach, and if
    they return within 30 seconds and look the same. After a cut they are matched by appearance
    alone.

    Args:
        detector: any face detector. With a `RefiningDetector`, such as `MtcnnDetector`, faces are
            tracked by its method ``refine``, those once detected with a confidence of 0.98 down to
            two thirds of its ``min_score``, and most searches skip faces smaller than a 16th of
            the image's shorter side: these are detected within 2 s, others within 1/3 s. With other
            detectors faces are tracked by optical flow; confidences are then those of the last
            detection.
        fps: frame rate of the images passed to `detect`, which converts these times to frames.
        every: search the whole image every n frames; None for three or four times a second. The
            image is also searched at a cut, and when a face is lost.
        identity: a function of an image and n faces in it that returns ``(n, d)`` vectors of
            length 1, similar for one person, called only if motion is ambiguous; None for
            `mien.tracking.appearance.appearance`, which compares head, hair and colors.
        alike: for your own `identity`, the cosine from which two faces are one person.

    Raises:
        UsageError: a number is out of its range.
    """

    def __init__(
        self,
        detector: FaceDetector,
        *,
        fps: float = 25.0,
        every: int | None = None,
        identity: Identity | None = None,
        alike: float = 0.5,
    ) -> None:
        if every is not None and every < 1:
            raise UsageError(f"every must be at least 1, got {every}.")
        if not 0 < alike < 1:
            raise UsageError(f"alike must be between 0 and 1, got {alike}.")
        self.detector = detector
        self.fps = _positive(fps)
        self.every = every
        self.alike = alike
        self._identity = identity or appearance
        self._thresholds = Thresholds(alike / 2, alike, alike) if identity else _APPEARANCE
        self.reset()

    def track_manager(self, fps: float) -> TrackManager:
        """An empty `TrackManager` with the settings of this tracker, for `fps` frames a second."""
        return TrackManager(self._identity, self._thresholds, fps)

    def fresh(self, fps: float | None = None) -> TrackingDetector:
        """A tracker with the same settings that has seen nobody yet; see `reset`."""
        other = copy(self)
        other.reset(fps)
        return other

    def reset(self, fps: float | None = None) -> None:
        """Forget all tracks: a new video begins, and with it the ids.

        Args:
            fps: its frame rate; None to keep the current one.

        Raises:
            UsageError: `fps` is not above 0.
        """
        self.fps = _positive(self.fps if fps is None else fps)
        self._tracks = self.track_manager(self.fps)
        self._cuts = CutDetector(self.fps)
        self._flow = FlowTracker()
        self._count = self._searches = self._relief = 0

    def detect(self, image: Image) -> Faces:
        """Detect and track the faces of the next frame, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.

        Returns:
            the faces, with ``track_ids``.

        Raises:
            PluginError: the detector or `identity` returned something invalid.
        """
        check_image(image)
        cut = self._cuts.begins(image)
        faces = self._detect(image, cut)
        if not isinstance(faces, Faces):
            raise PluginError(f"a detector must return mien.Faces, got {type(faces).__name__}.")
        numbers = self._tracks.update(
            image, faces, self._cuts.changes, cut=cut, restless=self._cuts.restless
        )
        self._count += 1
        sure = numbers > 0
        faces = faces[sure]
        return Faces(faces.boxes, faces.scores, faces.landmarks, numbers[sure])

    def _detect(self, image: Image, cut: bool) -> Faces:
        """The faces of this frame, detected in the cheapest sufficient way."""
        here = [] if cut else self._tracks.here
        refined = isinstance(self.detector, RefiningDetector)
        often = max(1, round(self.fps * (_REFINED_S if refined else _FLOWN_S)))
        due = cut or self._count % (self.every or often) == 0
        self._relief = max(0, self._relief - 1)
        if isinstance(self.detector, RefiningDetector):
            faces = self._refine(self.detector, image, here)
            lost = self._missing(here, faces)
            if due or lost or (self._cuts.restless and not here):
                faces = merged(faces, self._search(self.detector, image, cut))
            if len(faces) >= len(here):
                self._relief = 0  # none is lost: search at once for the next lost one
            return faces
        self._flow.update(image)
        if not due and all(track.number for track in here):
            faces = self._flow.follow(Faces.concat([track.face for track in here]))
            if not self._missing(here, faces):
                return tidy(faces)
        faces = self.detector.detect(image)
        if len(faces) >= len(here):
            self._relief = 0
        return faces

    @staticmethod
    def _refine(detector: RefiningDetector, image: Image, here: list[Track]) -> Faces:
        if not here:
            return Faces.empty()
        boxes = np.stack([person.box for person in here])
        limit = describe_detector(detector).min_score
        turns = np.concatenate([quarter_turns(person.face) for person in here])
        lying = {"turns": turns} if turns.any() else {}
        faces = detector.refine(image, boxes, LENIENT * limit, **lying)
        # A false positive would persist: the lower limit is only for confirmed faces.
        whose = iou(faces.boxes, boxes.astype(np.float32)).argmax(axis=1)
        favored = np.array([track.sure for track in here])[whose]
        return faces[~(np.asarray(faces.scores) < limit) | favored]

    def _search(self, detector: RefiningDetector, image: Image, cut: bool) -> Faces:
        thorough = cut or self._searches % _THOROUGH == 0
        self._searches += 1
        return detector.detect(image, 0 if thorough else min(image.shape[:2]) // _SMALL)

    def _missing(self, here: list[Track], faces: Faces) -> bool:
        """Whether a face has just been lost and should be searched for."""
        sure = [track.box for track in here if track.number]
        if self._relief or not sure:
            return False
        overlap = iou(np.array(sure, np.float32), faces.boxes)
        if len(faces) and overlap.max(axis=1).min() > 0.2:
            return False
        self._relief = _RELIEF
        return True


def merged(tracked: Faces, detected: Faces) -> Faces:
    """Followed faces, and those detected elsewhere or at another rotation, largest first."""
    if not len(tracked) or not len(detected):
        return detected if len(detected) else tracked
    overlap = iou(detected.boxes, tracked.boxes)
    same = overlap.argmax(axis=1)
    new = overlap.max(axis=1) < 0.3
    rotated = ~new & (quarter_turns(detected) != quarter_turns(tracked)[same])
    unchanged = np.setdiff1d(np.arange(len(tracked)), same[rotated])
    return tidy(Faces.concat([tracked[unchanged], detected[new | rotated]]))


def _positive(fps: float) -> float:
    if not fps > 0:
        raise UsageError(f"fps must be above 0, got {fps}.")
    return fps
