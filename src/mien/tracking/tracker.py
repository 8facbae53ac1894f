"""Tracker around any face detector: the same track id for the same person.

Every frame is searched at the scale that the faces in it need, if the detector can do so, and for
smaller ones only periodically; the faces of other detectors are tracked by optical flow in between.
Faces are matched to tracks by motion and, where that is ambiguous or impossible (a cut, a person
who returns), by appearance.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import (
    FaceDetector,
    FollowingDetector,
    SelfDescribing,
    check_image,
    describe_detector,
    tidy,
)
from mien.faces.geometry import iou, quarter_turns
from mien.tracking.appearance import Identity, Recognition
from mien.tracking.association import TrackManager
from mien.tracking.motion import CutDetector, FlowTracker
from mien.tracking.track import Track
from mien.types import Faces, Image

LENIENT = 2 / 3  # factor on min_score for a face that is tracked already
_FOLLOWED_S, _FLOWN_S = 1 / 3, 1 / 4  # seconds between searches: boxes drift with optical flow
_NEAR = 0.3  # minimum overlap (IoU) of a face with itself one frame earlier
_RELIEF = 3  # frames between searches for a lost face


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
        detector: any face detector. With a `FollowingDetector`, such as `YunetDetector`, every
            frame is searched by its method ``follow``, at the scale of the faces in it, and three
            times a second for all others; faces that were certain once are tracked down to two
            thirds of its ``min_score``. With other detectors faces are tracked by optical flow
            between searches; confidences are then those of the last detection.
        fps: frame rate of the images passed to `detect`, which converts these times to frames.
        every: search for new faces every n frames; None for three or four times a second. The
            image is also searched at a cut, and when a face is lost.
        identity: a function of an image and n faces in it that returns ``(n, d)`` vectors of
            length 1, similar for one person, called only if motion is ambiguous; None for
            `mien.tracking.appearance`.
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
        self.fps: float = _positive(fps)
        self.every = every
        self.alike = alike
        own = identity and Recognition(identity, near=alike / 2, stayed=alike, again=alike)
        self._recognition = own or None
        self.reset()

    def track_manager(self, fps: float) -> TrackManager:
        """An empty `TrackManager` with the settings of this tracker, for `fps` frames a second."""
        certain = describe_detector(self.detector).certain
        return TrackManager(fps, certain, self._recognition)

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
        self._count = self._relief = 0

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
        follows = isinstance(self.detector, FollowingDetector)
        often = max(1, round(self.fps * (_FOLLOWED_S if follows else _FLOWN_S)))
        due = cut or self._count % (self.every or often) == 0
        self._relief = max(0, self._relief - 1)
        if isinstance(self.detector, FollowingDetector):
            faces = self._follow(self.detector, image, here)
            lost = self._missing(here, faces)
            if due or lost or (self._cuts.restless and not here):
                faces = merged(faces, self.detector.detect(image))
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
    def _follow(detector: FollowingDetector, image: Image, here: list[Track]) -> Faces:
        """The faces that the detector sees at the scale of the tracked ones."""
        limit = describe_detector(detector).min_score
        expected = Faces.concat([track.expected for track in here])
        faces = detector.follow(image, expected, LENIENT * limit)
        # A false positive would persist: the lower limit is only for confirmed faces.
        sure = np.array([track.sure for track in here], bool)
        favored = (iou(faces.boxes, expected.boxes) * sure).max(axis=1, initial=0) > _NEAR
        return faces[~(np.asarray(faces.scores) < limit) | favored]

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
