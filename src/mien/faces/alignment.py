"""Alignment of faces in images that are crops of one face already, as those of data sets are."""

from __future__ import annotations

import numpy as np

from mien.faces.crops import crop_faces
from mien.faces.detectors.yunet import YunetDetector
from mien.models.card import CropSpec
from mien.types import Faces, FloatArray, Image

#: The detector gets such an image with this longer side, its edges repeated this far around it.
_SIDE, _EDGE = 192, 32
#: Side of a face in it, at least, to be the one that was labeled.
_LEAST = 0.4 * _SIDE


class Aligner:
    """Rotates and scales faces onto the template of a crop.

    Args:
        spec: with a template, and with the usual landmarks of such images, for those in which the
            detector finds none.
    """

    def __init__(self, spec: CropSpec) -> None:
        self._detector = YunetDetector(any_angle=False)
        self._spec = spec

    def crop(self, image: Image, size: int) -> tuple[Image, bool]:
        """``(size, size, 3)``: the face in an image ``(H, W, 3)``, and whether it was detected."""
        points = self._landmarks(image)
        detected = points is not None
        sides: FloatArray = np.asarray(image.shape[1::-1], np.float32)
        if points is None:
            points = np.asarray(self._spec.usual, np.float32) * sides
        whole = np.concatenate([np.zeros(2, np.float32), sides])[None]
        face = Faces(whole, np.ones(1, np.float32), points[None])
        return crop_faces(image, face, size, self._spec)[0], detected

    def _landmarks(self, image: Image) -> FloatArray | None:
        """``(5, 2)`` pixels in the image: of the largest face that is large enough."""
        import cv2

        scale = _SIDE / max(image.shape[:2])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
        edges = (_EDGE, _EDGE, _EDGE, _EDGE)
        framed = cv2.copyMakeBorder(resized, *edges, cv2.BORDER_REPLICATE)
        faces = self._detector.detect(np.asarray(framed, np.uint8))
        sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1, initial=0)
        if not len(faces) or sides.max() < _LEAST or faces.landmarks is None:
            return None
        points = faces.landmarks[int(sides.argmax())]
        return np.asarray((points - _EDGE) / scale, np.float32)
