"""One track of a video: last position, velocity, and a gallery of the person's appearance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mien.errors import PluginError
from mien.faces.geometry import square
from mien.tracking.appearance import Identity
from mien.tracking.motion import ChangeBaseline
from mien.types import Boxes, Faces, FloatArray, Image
from mien.types import Floats as Values

_STEADY = 0.5  # weight of the latest movement in the velocity
_DRAG = 0.95  # decay of the velocity per frame while hidden
_AROUND = 0.35  # margin around a face in the gallery, fraction of its side
_SIDE = 112  # pixels: larger faces are downscaled for the gallery
_GALLERY = 5  # images in the gallery of a track


class FaceImage:
    """A small image of one face; its identity vector is computed on first use."""

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
        self.face: Faces = Faces(boxes, face.scores, points)
        self._vector: FloatArray | None = None

    def vector(self, identity: Identity) -> FloatArray:
        """The vector ``(d,)`` by `identity`."""
        if self._vector is None:
            vectors = np.asarray(identity(self.image, self.face), np.float32)
            if vectors.ndim != 2 or len(vectors) != 1 or not np.isfinite(vectors).all():
                raise PluginError(
                    "identity must return an array of finite numbers of shape (n, d) for n faces, "
                    f"got {vectors.shape} for one."
                )
            self._vector = vectors[0]
        return self._vector


@dataclass(eq=False)
class Track:
    """A person who is, or was recently, in the video.

    Attributes:
        face: the last detection, one row.
        shot: index of the shot, counted by cuts, of the last detection.
        usual: usual amount of change around the face from frame to frame.
        number: the track id; 0 while unconfirmed.
        missed: frames since the last detection.
        waited: frames without an id.
        certain: confidence that only faces reach.
        sure: whether a detection reached it.
        velocity: velocity of the box's center, pixels per frame, ``(2,)``.
        gallery: images of the face, oldest first.
    """

    face: Faces
    shot: int
    usual: ChangeBaseline
    certain: float
    number: int = 0
    missed: int = 0
    waited: int = 0
    sure: bool = False
    velocity: Values = field(default_factory=lambda: np.zeros(2))
    gallery: deque[FaceImage] = field(default_factory=lambda: deque(maxlen=_GALLERY))
    _newest: FaceImage | None = None
    _age: int = 0

    @property
    def box(self) -> Boxes:
        """The expected box in the next frame, ``(4,)``."""
        steps = (1 - _DRAG ** (self.missed + 1)) / (1 - _DRAG)
        moved: Boxes = self.face.boxes[0] + np.tile(steps * self.velocity, 2)
        return moved

    @property
    def expected(self) -> Faces:
        """The face where it is expected in the next frame, one row."""
        shift = self.box[:2].astype(np.float32) - self.face.boxes[0, :2]
        points = None if self.face.landmarks is None else self.face.landmarks + shift
        return Faces(self.box[None].astype(np.float32), self.face.scores, points)

    def update(self, face: Faces, shot: int) -> None:
        """Set the position to a new detection."""
        if shot != self.shot:
            self.velocity = np.zeros(2)
        else:
            centers = [(b[:2] + b[2:]) / 2.0 for b in (self.face.boxes[0], face.boxes[0])]
            move = (centers[1] - centers[0]) / (self.missed + 1)
            self.velocity += _STEADY * (move - self.velocity)
        self.face, self.shot, self.missed = face, shot, 0
        self.sure |= float(np.asarray(face.scores)[0]) >= self.certain

    def remember(self, image: Callable[[], FaceImage], often: int, *, lasting: bool) -> None:
        """Add the current face to the gallery.

        Args:
            image: makes the image of the current face.
            often: frames between images of the gallery; the first is added sooner.
            lasting: whether this face may be added: not if it is partly hidden.
        """
        if self._newest is not None and self._age >= (often if self.gallery else often // 5):
            self.gallery.append(self._newest)
            self._age = 0
        if lasting or self._newest is None:
            self._newest = image()
        self._age += 1

    def likeness(self, vector: FloatArray, identity: Identity) -> float:
        """The cosine between `vector` ``(d,)`` and the most similar image in the gallery."""
        images = [*self.gallery, *([] if self._newest is None else [self._newest])]
        return max((float(p.vector(identity) @ vector) for p in images), default=-1.0)
