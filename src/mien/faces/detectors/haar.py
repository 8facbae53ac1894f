"""Haar cascades: the classic of Viola and Jones 2001, fast, frontal and easily fooled."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from mien.errors import ModelError, UsageError
from mien.faces.detectors.base import check_image, check_min_score, tidy
from mien.types import Faces, Image

CASCADE = "haarcascade_frontalface_default.xml"

_TURN = Lock()  # a cascade keeps notes while it looks: one thread at a time


class HaarDetector:
    """Find frontal faces with OpenCV's cascade; it gives neither confidence nor landmarks.

    All scores are NaN, "no confidence given", and such faces pass every `min_score`. To be
    stricter raise `min_neighbors`.

    Args:
        min_face: side in pixels of the smallest face to look for, at least 1.
        min_neighbors: how many overlapping finds make a face; more means fewer false ones.
        min_score: taken so that all detectors look alike; NaN passes it, whatever it is.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(self, min_face: int = 40, min_neighbors: int = 5, min_score: float = 0.0) -> None:
        if min_face < 1 or min_neighbors < 0:
            raise UsageError("min_face must be at least 1 and min_neighbors at least 0.")
        check_min_score(min_score)
        self.min_face = min_face
        self.min_neighbors = min_neighbors
        self.min_score = min_score
        self._cascade: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cascade": None}

    def detect(self, image: Image) -> Faces:
        """Find the faces of one picture, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.

        Raises:
            ModelError: this OpenCV has no Haar cascades.
        """
        check_image(image)
        if self._cascade is None:
            self._cascade = _load()
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        side = (self.min_face, self.min_face)
        with _TURN:
            found = self._cascade.detectMultiScale(
                grey, scaleFactor=1.1, minNeighbors=self.min_neighbors, minSize=side
            )
        if not len(found):
            return Faces.empty()
        corner, size = np.split(np.asarray(found, np.float32), 2, axis=1)
        return tidy(Faces(np.concatenate([corner, corner + size], axis=1)), self.min_score)


def _load() -> Any:
    """OpenCV's own cascade file, opened."""
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder) / CASCADE
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise ModelError(
            f"OpenCV {cv2.__version__} has no Haar cascades: "
            "install opencv-python-headless below version 5, or use the detector 'mtcnn'."
        )
    cascade = cv2.CascadeClassifier(str(path))
    if cascade.empty():
        raise ModelError(f"OpenCV cannot read its own cascade {CASCADE}.")
    return cascade
