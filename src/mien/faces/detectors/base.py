"""What a face detector is, and the manners that all of mien's detectors share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from mien.errors import UsageError
from mien.types import Faces, Image


@runtime_checkable
class FaceDetector(Protocol):
    """Anything with this one method can find faces for mien."""

    def detect(self, image: Image) -> Faces:
        """Find the faces of one picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, upright; it must not be changed.

        Returns:
            the faces; none is a normal answer.
        """
        ...


def check_image(image: Image) -> None:
    """Raise `UsageError` unless `image` is ``(H, W, 3)`` uint8."""
    if not (isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8):
        raise UsageError("a detector needs an image of shape (H, W, 3), uint8, RGB.")
    if image.shape[2] != 3:
        raise UsageError(f"a detector needs three colours, red, green, blue, got {image.shape}.")


def check_min_score(min_score: float) -> None:
    """Raise `UsageError` unless `min_score` lies between 0 and 1."""
    if not 0 <= min_score <= 1:
        raise UsageError(f"min_score lies between 0 and 1, got {min_score}.")


def tidy(faces: Faces, min_score: float = 0.0, min_face: float = 0.0) -> Faces:
    """Drop doubtful and small faces, and put the others in order: largest area first.

    A score of NaN, "no confidence given", passes any `min_score`. `min_face` is measured on the
    shorter side of the box, in pixels. Faces of one area stand from top to bottom, left to right.
    """
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    scores = np.asarray(faces.scores)
    kept = ~(scores < min_score) & (size.min(axis=1, initial=np.inf) >= min_face)
    faces, size = faces[kept], size[kept]
    order = np.lexsort((faces.boxes[:, 0], faces.boxes[:, 1], -size.prod(axis=1)))
    return faces[order]
