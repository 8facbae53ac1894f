"""Haar cascade detector (Viola and Jones 2001): fast, frontal faces only, many false positives."""

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

_LOCK = Lock()  # a cascade has buffers for its search: one thread at a time
_MOST = 12_500_000  # maximum pixels per search: OpenCV takes 46 bytes for each


class HaarDetector(SelfDescribing):
    """Find frontal faces with OpenCV's cascade; it gives neither confidence nor landmarks.

    All scores are NaN (no confidence), which passes every `min_score`. Raise `min_neighbors` for
    fewer false positives.

    An image of more than 12.5 million pixels is downscaled to that for the search, and so is
    `min_face`.

    Args:
        min_face: side in pixels of the smallest face to detect, at least 1.
        min_neighbors: number of overlapping hits that make a face; more means fewer false ones.
        min_score: without effect; accepted for consistency with the other detectors.

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
        """Detect the faces in one image, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.

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
        with _LOCK:
            try:
                hits = self._sized(gray.shape).detectMultiScale(
                    gray, scaleFactor=1.1, minNeighbors=self.min_neighbors, minSize=side
                )
            except cv2.error as error:
                self._cascade = None  # its buffers are unusable now
                raise PluginError(
                    f"OpenCV's Haar cascade cannot search an image of {width} x {height} pixels:"
                    " use the detector 'mtcnn', or scale the image."
                ) from error
        if not len(hits):
            return Faces.empty()
        scale = np.array([width / gray.shape[1], height / gray.shape[0]], np.float32)
        corner, span = np.split(np.asarray(hits, np.float32), 2, axis=1)
        boxes = np.concatenate([corner * scale, (corner + span) * scale], axis=1)
        return tidy(Faces(boxes), self.min_score)

    def _sized(self, shape: tuple[int, ...]) -> Any:
        """The cascade; a new one if the buffers of the old one would become too large.

        They cover the largest height and the largest width so far: a wide image after a tall one
        would need gigabytes.
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
