"""The contract of a face detector, and helpers shared by the built-in ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mien.errors import UsageError
from mien.types import Faces, Image

_PLAIN = (int, float, str, tuple, Path, type(None))


@runtime_checkable
class FaceDetector(Protocol):
    """The plug for face detectors: one method, nothing to inherit."""

    def detect(self, image: Image) -> Faces:
        """Find the faces of one image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, upright; it must not be modified.

        Returns:
            the faces; an image without faces is a normal case.
        """
        ...


@dataclass(frozen=True)
class DetectorDescription:
    """What a detector says of itself.

    Attributes:
        min_score: confidence from which it reports a face, 0 to 1; the tracker is more lenient
            with faces that it follows.
        settings: plain values by name, stored with every result.
        certain: confidence that only faces reach: the tracker does not wait for a second frame.
    """

    min_score: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    certain: float = 0.98


@runtime_checkable
class DescribedDetector(FaceDetector, Protocol):
    """A face detector that also describes itself; optional."""

    @property
    def description(self) -> DetectorDescription:
        """Its minimum score and its settings."""
        ...


@runtime_checkable
class FollowingDetector(FaceDetector, Protocol):
    """A face detector that is faster where the faces of the frame before are known; optional."""

    def follow(self, image: Image, faces: Faces, min_score: float) -> Faces:
        """Find the faces of the next frame of a video.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, upright; it must not be modified.
            faces: those of the frame before, at the positions expected now.
            min_score: minimum confidence of a face near one of these; others need their usual one.

        Returns:
            the same faces where they are now, and any others that it sees.
        """
        ...


def describe_detector(detector: FaceDetector) -> DetectorDescription:
    """The description of a `DescribedDetector`; an empty one for any other."""
    if isinstance(detector, DescribedDetector) and isinstance(
        detector.description, DetectorDescription
    ):
        return detector.description
    return DetectorDescription()


class SelfDescribing:
    """Base of the built-in detectors: their public attributes are their settings."""

    min_score: float = 0.0
    _certain: float = 0.98

    @property
    def description(self) -> DetectorDescription:
        """Minimum score and settings."""
        settings = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(self).items()
            if not name.startswith("_")
            and isinstance(value, int | float | str | tuple | Path | None)
        }
        return DetectorDescription(self.min_score, settings, self._certain)

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.description.settings.items())
        return f"{type(self).__name__}({settings})"


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
