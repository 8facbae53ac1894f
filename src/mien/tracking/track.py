"""One person on the way through a film: where they were, how fast they move, how they look."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mien.faces.geometry import square
from mien.tracking.motion import Usual
from mien.types import Boxes, Faces, FloatArray, Image
from mien.types import Floats as Values

Identity = Callable[[Image, Faces], FloatArray]
"""Of a picture and n faces in it makes ``(n, d)`` vectors of length 1, alike for one person."""

SURE = 0.98  # the confidence from which a new face needs no second look
_STEADY = 0.5  # how much of the newest move goes into the velocity
_DRAG = 0.95  # what is left of the velocity a frame later, out of sight
_AROUND = 0.35  # of a face's side, kept on each side of it
_SIDE = 112  # pixels: larger faces are kept as small as this
_ALBUM = 5  # pictures kept of a person


class Portrait:
    """A small picture of one face; its identity is asked for only when it is needed."""

    def __init__(self, image: Image, face: Faces) -> None:
        import cv2

        height, width = image.shape[:2]
        around = square(face.boxes, _AROUND)[0]
        low = np.clip(np.floor(around[:2]).astype(int), 0, (width - 1, height - 1))
        high = np.clip(np.ceil(around[2:]).astype(int), low + 1, (width, height))
        part = image[low[1] : high[1], low[0] : high[0]]
        shrink = min(1.0, _SIDE * (1 + 2 * _AROUND) / float(around[2] - around[0] + 1e-6))
        size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        self.image: Image = np.array(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        scale = np.array(size) / (part.shape[1], part.shape[0])
        boxes = (face.boxes - np.tile(low, 2)) * np.tile(scale, 2)
        points = None if face.landmarks is None else (face.landmarks - low) * scale
        self.face = Faces(boxes, face.scores, points)
        self._vector: FloatArray | None = None

    def vector(self, identity: Identity) -> FloatArray:
        """``(d,)``, by `identity`."""
        if self._vector is None:
            self._vector = np.asarray(identity(self.image, self.face), np.float32)[0]
        return self._vector


@dataclass(eq=False)
class Person:
    """Someone who is, or was a while ago, in the film.

    Attributes:
        face: the one row where they were seen last.
        shot: the number of the shot, counted by cuts, in which they were seen last.
        usual: how much their surroundings change from frame to frame.
        number: the track id; 0 while it is not sure that there is someone.
        missed: frames since they were seen.
        waited: frames for which they have had no number.
        sure: whether one look at least left no doubt that this is a face.
        velocity: of the box's centre, pixels a frame, ``(2,)``.
    """

    face: Faces
    shot: int
    usual: Usual
    number: int = 0
    missed: int = 0
    waited: int = 0
    sure: bool = False
    velocity: Values = field(default_factory=lambda: np.zeros(2))
    album: deque[Portrait] = field(default_factory=lambda: deque(maxlen=_ALBUM))
    _newest: Portrait | None = None
    _age: int = 0

    @property
    def box(self) -> Boxes:
        """``(4,)``, where they are expected next."""
        steps = (1 - _DRAG ** (self.missed + 1)) / (1 - _DRAG)
        moved: Boxes = self.face.boxes[0] + np.tile(steps * self.velocity, 2)
        return moved

    def see(self, face: Faces, shot: int) -> None:
        """They are at `face` now."""
        if shot != self.shot:
            self.velocity = np.zeros(2)
        else:
            centres = [(b[:2] + b[2:]) / 2.0 for b in (self.face.boxes[0], face.boxes[0])]
            move = (centres[1] - centres[0]) / (self.missed + 1)
            self.velocity += _STEADY * (move - self.velocity)
        self.face, self.shot, self.missed = face, shot, 0
        self.sure |= float(np.asarray(face.scores)[0]) >= SURE

    def remember(self, image: Image, often: int, *, lasting: bool) -> None:
        """Keep a picture of how they look now.

        Args:
            image: the frame in which they were seen.
            often: every so many frames the picture before is kept for longer; the first sooner.
            lasting: whether this one may be: not where they are half hidden.
        """
        if self._newest is not None and self._age >= (often if self.album else often // 5):
            self.album.append(self._newest)
            self._age = 0
        if lasting or self._newest is None:
            self._newest = Portrait(image, self.face)
        self._age += 1

    def likeness(self, vector: FloatArray, identity: Identity) -> float:
        """The cosine between `vector` ``(d,)`` and the most similar picture of them."""
        pictures = [*self.album, *([] if self._newest is None else [self._newest])]
        return max((float(p.vector(identity) @ vector) for p in pictures), default=-1.0)
