"""Alignment of training images: faces rotated and scaled onto the landmarks of a template."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mien.faces.crops import crop_faces, warp
from mien.faces.detectors.yunet import YunetDetector
from mien.faces.geometry import align_matrices
from mien.models.card import CropSpec
from mien.types import Faces, Image

Template = tuple[tuple[float, float], ...]
#: Small crops are enlarged to this side, for the detector, with their edges repeated around them.
_SIDE, _EDGE = 192, 32


def aligned(
    images: npt.NDArray[np.uint8], usual: Template, template: Template, size: int
) -> tuple[npt.NDArray[np.uint8], int]:
    """The faces of ``(n, h, w)`` gray images, or ``(n, 3, h, w)``, aligned to a template.

    Args:
        images: crops of one face each.
        usual: where the landmarks usually are in these crops, as shares of their side; used for a
            face in which the detector finds none.
        template: where they go.
        size: side of the new crops, pixels.

    Returns:
        The crops, in the layout of `images`, and in how many the detector found the landmarks.
    """
    detector = YunetDetector(any_angle=False)
    spec = CropSpec(template=template)
    planes = images[:, None] if images.ndim == 3 else images
    out = np.empty((*planes.shape[:2], size, size), np.uint8)
    found = 0
    for row, image in enumerate(planes):
        pixels = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
        large = _enlarged(pixels)
        faces = _largest(detector.detect(large))
        if not len(faces):
            side = pixels.shape[0]
            points = np.asarray(usual, np.float32)[None] * side
            goal = np.asarray(template, np.float32)
            crop = warp(np.ascontiguousarray(pixels), align_matrices(points, goal, size)[0], size)
        else:
            crop = crop_faces(large, faces, size, spec)[0]
            found += 1
        out[row] = crop.transpose(2, 0, 1)[: len(image)]
    return (out[:, 0] if images.ndim == 3 else out), found


def _enlarged(pixels: Image) -> Image:
    import cv2

    large = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    edges = (_EDGE, _EDGE, _EDGE, _EDGE)
    return np.asarray(cv2.copyMakeBorder(large, *edges, cv2.BORDER_REPLICATE), np.uint8)


def _largest(faces: Faces) -> Faces:
    """The largest face, or none where it is too small to be the one that was labeled."""
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1, initial=0)
    return faces[sides >= max(0.4 * _SIDE, float(sides.max(initial=0)))][:1]
