"""The contract of a face detector, and helpers shared by the built-in detectors."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from mien.errors import UsageError
from mien.types import Faces, Image


@runtime_checkable
class FaceDetector(Protocol):
    """The plug for face detectors: any object with this method."""

    def detect(self, image: Image) -> Faces:
        """Detect the faces in one image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, upright; it must not be modified.

        Returns:
            the faces; an image without faces is a normal case.
        """
        ...


def check_image(image: Image) -> None:
    """Raise `UsageError` unless `image` is ``(H, W, 3)`` uint8."""
    if not (isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8):
        raise UsageError("a detector needs an image of shape (H, W, 3), uint8, RGB.")
    if image.shape[2] != 3:
        raise UsageError(f"a detector needs an RGB image of shape (H, W, 3), got {image.shape}.")


def check_min_score(min_score: float) -> None:
    """Raise `UsageError` unless `min_score` is between 0 and 1."""
    if not 0 <= min_score <= 1:
        raise UsageError(f"min_score must be between 0 and 1, got {min_score}.")


def tidy(faces: Faces, min_score: float = 0.0, min_face: float = 0.0) -> Faces:
    """Drop uncertain and small faces, and sort the others by area, largest first.

    A score of NaN (no confidence) passes any `min_score`. `min_face` applies to the shorter side of
    the box, in pixels. Faces of equal area are sorted from top to bottom, left to right.
    """
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    scores = np.asarray(faces.scores)
    keep = ~(scores < min_score) & (size.min(axis=1, initial=np.inf) >= min_face)
    faces, size = faces[keep], size[keep]
    order = np.lexsort((faces.boxes[:, 0], faces.boxes[:, 1], -size.prod(axis=1)))
    return faces[order]
