"""The same number for the same person: a tracker around any face detector.

Detection in full is dear, and where a face was, it mostly still is. So the picture is searched
only now and then, and in between each face is looked for where it is about to be: by the
detector's own last network where it has a method ``refine``, by optical flow otherwise.
Who is who is told by the way people move, and where that leaves two answers, or none (a cut,
someone coming back), by how they look.
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
from mien.tracking.association import Bars, Crowd
from mien.tracking.motion import Cuts, Flow
from mien.tracking.track import Identity, Person
from mien.types import Boxes, Faces, Image, IntArray

LENIENT = 2 / 3  # what is left of min_score for a face that is already followed
_REFINED_S, _FLOWN_S = 1 / 3, 1 / 4  # from one search to the next: boxes that flow drift
_SMALL = 16  # most searches leave out faces below this part of the shorter side
_THOROUGH = 6  # every so manieth search is for the small ones too
_RELIEF = 3  # frames after a search for someone lost until the next one
_APPEARANCE = Bars(near=0.82, stayed=0.92, again=0.94)  # measured: benchmarks/README.md


@runtime_checkable
class RefiningDetector(Protocol):
    """A detector that can also look only where faces are expected."""

    def detect(self, image: Image, min_face: int = 0) -> Faces:
        """Find the faces of one picture that are at least `min_face` pixels large."""
        ...

    def refine(
        self,
        image: Image,
        boxes: Boxes,
        min_score: float | None = None,
        turns: IntArray | None = None,
    ) -> Faces:
        """Find the faces in or next to `boxes` ``(n, 4)``; at most n.

        `turns` ``(n,)``, the quarter turns by which they lie, is given only where one does.
        """
        ...


class Tracked(SelfDescribing):
    """Make any face detector remember: the same number for the same person, frame after frame.

    Numbers count from 1 in the order of appearance. Every face that is returned has one: a new
    face comes at once where its confidence is at least 0.98 or a shot begins with it; a doubtful
    one, or one without a confidence, only when it is seen in the next frame too. So a false find
    of a single frame has neither a row nor a number.

    People keep their number while they are hidden for up to two seconds and come out where they
    may have gone, and when they come back within 30 seconds and look the same. After a cut
    everyone is known by their looks alone.

    Args:
        detector: any face detector. Where it is a `RefiningDetector`, as `MtcnnDetector` is,
            faces are followed by its method ``refine``, those once seen with a confidence of
            0.98 down to two thirds of its ``min_score``, and most searches leave out faces
            smaller than a 16th of the picture's shorter side: these are found within 2 s, the
            others within a third. For the other detectors faces are followed by optical flow;
            confidences are then those of the last detection.
        fps: frames a second that `detect` will be given: what turns these times into frames.
        every: search the whole picture every so many frames; None for three or four times a second.
            A search is also made at a cut, and when someone is lost.
        identity: a function of an image and n faces in it that returns ``(n, d)`` vectors of
            length 1, alike for one person, asked for only where motion leaves a doubt; None for
            `mien.tracking.appearance.appearance`, which knows people by head, hair and colours.
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
            raise UsageError(f"alike lies between 0 and 1, got {alike}.")
        self.detector = detector
        self.fps = _positive(fps)
        self.every = every
        self.alike = alike
        self._identity = identity or appearance
        self._bars = Bars(alike / 2, alike, alike) if identity else _APPEARANCE
        self.reset()

    def crowd(self, fps: float) -> Crowd:
        """Nobody yet, but everyone will be recognised as by this tracker, `fps` looks a second."""
        return Crowd(self._identity, self._bars, fps)

    def fresh(self, fps: float | None = None) -> Tracked:
        """A tracker with the same settings that has seen nobody yet; see `reset`."""
        other = copy(self)
        other.reset(fps)
        return other

    def reset(self, fps: float | None = None) -> None:
        """Forget everyone: a new film begins, and with it the numbers.

        Args:
            fps: its frames a second; None for as many as before.

        Raises:
            UsageError: `fps` is not above 0.
        """
        self.fps = _positive(self.fps if fps is None else fps)
        self._crowd = self.crowd(self.fps)
        self._cuts = Cuts(self.fps)
        self._flow = Flow()
        self._count = self._searches = self._relief = 0

    def detect(self, image: Image) -> Faces:
        """Find and number the faces of the next frame, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.

        Returns:
            the faces, with ``track_ids``.

        Raises:
            PluginError: the detector or `identity` does not return what it should.
        """
        check_image(image)
        cut = self._cuts.begins(image)
        faces = self._look(image, cut)
        if not isinstance(faces, Faces):
            raise PluginError(f"a detector must return mien.Faces, got {type(faces).__name__}.")
        numbers = self._crowd.recognise(
            image, faces, self._cuts.changes, cut=cut, restless=self._cuts.restless
        )
        self._count += 1
        sure = numbers > 0
        faces = faces[sure]
        return Faces(faces.boxes, faces.scores, faces.landmarks, numbers[sure])

    def _look(self, image: Image, cut: bool) -> Faces:
        """The faces of this frame, found in the cheapest way that will do."""
        here = [] if cut else self._crowd.here
        refined = isinstance(self.detector, RefiningDetector)
        often = max(1, round(self.fps * (_REFINED_S if refined else _FLOWN_S)))
        due = cut or self._count % (self.every or often) == 0
        self._relief = max(0, self._relief - 1)
        if isinstance(self.detector, RefiningDetector):
            faces = self._refine(self.detector, image, here)
            lost = self._missing(here, faces)
            if due or lost or (self._cuts.restless and not here):
                faces = joined(faces, self._search(self.detector, image, cut))
            if len(faces) >= len(here):
                self._relief = 0  # everyone is there: the next one lost is searched for at once
            return faces
        self._flow.update(image)
        if not due and all(person.number for person in here):
            faces = self._flow.follow(Faces.concat([person.face for person in here]))
            if not self._missing(here, faces):
                return tidy(faces)
        faces = self.detector.detect(image)
        if len(faces) >= len(here):
            self._relief = 0
        return faces

    @staticmethod
    def _refine(detector: RefiningDetector, image: Image, here: list[Person]) -> Faces:
        if not here:
            return Faces.empty()
        boxes = np.stack([person.box for person in here])
        limit = describe_detector(detector).min_score
        turns = np.concatenate([quarter_turns(person.face) for person in here])
        lying = {"turns": turns} if turns.any() else {}
        faces = detector.refine(image, boxes, LENIENT * limit, **lying)
        # A false find would drift along for long: only who was once surely a face is favoured.
        whose = iou(faces.boxes, boxes.astype(np.float32)).argmax(axis=1)
        favoured = np.array([person.sure for person in here])[whose]
        return faces[~(np.asarray(faces.scores) < limit) | favoured]

    def _search(self, detector: RefiningDetector, image: Image, cut: bool) -> Faces:
        thorough = cut or self._searches % _THOROUGH == 0
        self._searches += 1
        return detector.detect(image, 0 if thorough else min(image.shape[:2]) // _SMALL)

    def _missing(self, here: list[Person], faces: Faces) -> bool:
        """Whether someone was lost just now, so that it is time to search for them."""
        sure = [person.box for person in here if person.number]
        if self._relief or not sure:
            return False
        overlap = iou(np.array(sure, np.float32), faces.boxes)
        if len(faces) and overlap.max(axis=1).min() > 0.2:
            return False
        self._relief = _RELIEF
        return True


def joined(followed: Faces, found: Faces) -> Faces:
    """What was followed, and what was found elsewhere or another way up, largest first."""
    if not len(followed) or not len(found):
        return found if len(found) else followed
    overlap = iou(found.boxes, followed.boxes)
    same = overlap.argmax(axis=1)
    new = overlap.max(axis=1) < 0.3
    turned = ~new & (quarter_turns(found) != quarter_turns(followed)[same])
    kept = np.setdiff1d(np.arange(len(followed)), same[turned])
    return tidy(Faces.concat([followed[kept], found[new | turned]]))


def _positive(fps: float) -> float:
    if not fps > 0:
        raise UsageError(f"fps must be above 0, got {fps}.")
    return fps
