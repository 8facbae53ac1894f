"""Haar cascades: the classic of Viola and Jones 2001, fast, frontal and easily fooled."""

from __future__ import annotations

import math
from pathlib import Path
from threading import Lock
from typing import Any, cast

import cv2
import numpy as np

from mien.errors import ModelError, PluginError, UsageError
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score, tidy
from mien.types import Faces, Image

CASCADE = "haarcascade_frontalface_default.xml"

_TURN = Lock()  # a cascade keeps buffers while it searches: one thread at a time
_MOST = 12_500_000  # pixels that are searched at once: OpenCV takes 46 bytes for each


class HaarDetector(SelfDescribing):
    """Find frontal faces with OpenCV's cascade; it gives neither confidence nor landmarks.

    All scores are NaN, "no confidence given", and such faces pass every `min_score`. To be
    stricter raise `min_neighbors`.

    An image of over 12.5 million pixels is shrunk to that for the search, and so is `min_face`.

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
        self._extent = (0, 0)  # height and width of the cascade's buffers

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cascade": None, "_extent": (0, 0)}

    def detect(self, image: Image) -> Faces:
        """Find the faces of one picture, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.

        Raises:
            ModelError: this OpenCV has no Haar cascades.
            PluginError: OpenCV cannot search an image of this size.
        """
        check_image(image)
        height, width = image.shape[:2]
        shrink = min(1.0, math.sqrt(_MOST / (height * width)))
        if shrink < 1:
            size = (max(1, int(width * shrink)), max(1, int(height * shrink)))
            image = cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        side = (max(1, round(self.min_face * shrink)),) * 2
        with _TURN:
            try:
                found = self._sized(gray.shape).detectMultiScale(
                    gray, scaleFactor=1.1, minNeighbors=self.min_neighbors, minSize=side
                )
            except cv2.error as error:
                self._cascade = None  # what it keeps is of no use any more
                raise PluginError(
                    f"OpenCV's Haar cascade cannot search an image of {width} x {height} pixels:"
                    " use the detector 'mtcnn', or scale the image."
                ) from error
        if not len(found):
            return Faces.empty()
        scale = np.array([width / gray.shape[1], height / gray.shape[0]], np.float32)
        corner, span = np.split(np.asarray(found, np.float32), 2, axis=1)
        boxes = np.concatenate([corner * scale, (corner + span) * scale], axis=1)
        return tidy(Faces(boxes), self.min_score)

    def _sized(self, shape: tuple[int, ...]) -> Any:
        """The cascade; a new one where the buffers of the old one would grow out of bounds.

        They cover the largest height and the largest width so far: after a tall image a wide one
        would ask for gigabytes.
        """
        extent = (max(shape[0], self._extent[0]), max(shape[1], self._extent[1]))
        if self._cascade is None or extent[0] * extent[1] > _MOST:
            self._cascade, extent = _load(), (shape[0], shape[1])
        self._extent = extent
        return self._cascade


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
