"""Face crops: the same cropping in training and in prediction."""

from __future__ import annotations

import numpy as np

from mien.faces.geometry import (
    Matrices,
    align_matrices,
    box_to_square_matrices,
    quarter_turns,
    square,
    turned_square_matrix,
)
from mien.models.card import CropSpec
from mien.types import Crops, Faces, FloatArray, Image


def crop_faces(image: Image, faces: Faces, size: int, spec: CropSpec | None = None) -> Crops:
    """Crop every face to a square.

    With a template in `spec` and landmarks in `faces` the crops are aligned; otherwise they are
    squares around the boxes, rotated by quarter turns if the landmarks show a face that lies on its
    side or is upside down. Outside the image its edge is repeated.

    Args:
        image: ``(H, W, 3)`` uint8.
        faces: n faces in pixels of `image`.
        size: side of the crops, pixels.
        spec: margin and template; None for the square around the box.

    Returns:
        ``(n, size, size, 3)`` uint8, same order as the faces.
    """
    matrices = crop_matrices(faces, size, spec or CropSpec())
    crops = np.empty((len(faces), size, size, 3), np.uint8)
    for i, matrix in enumerate(matrices):
        crops[i] = warp(image, matrix, size)
    return crops


def crop_matrices(faces: Faces, size: int, spec: CropSpec) -> Matrices:
    """``(n, 2, 3)`` affine maps from image pixels to crop pixels."""
    if spec.template and faces.landmarks is not None:
        template: FloatArray = np.asarray(spec.template, np.float32)
        if spec.margin:  # a margin shrinks the template towards the center
            template = 0.5 + (template - 0.5) / (1 + 2 * spec.margin)
        return align_matrices(faces.landmarks, template, size)
    boxes = square(faces.boxes, spec.margin)
    matrices = box_to_square_matrices(boxes, size)
    turns = quarter_turns(faces)
    for row in np.flatnonzero(turns):
        matrices[row] = turned_square_matrix(boxes[row], size, 90.0 * turns[row])
    return matrices


def warp(image: Image, matrix: Matrices, size: int) -> Image:
    """Resample one crop, with averaging if the face is larger than the crop."""
    import cv2

    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], np.float64)
    inverse = cv2.invertAffineTransform(matrix)
    reach = corners @ inverse.T
    height, width = image.shape[:2]
    # Work on the relevant part only, so that the cost does not depend on the size of the image.
    low = np.clip(np.floor(reach.min(axis=0)).astype(int) - 2, 0, (width - 1, height - 1))
    high = np.clip(np.ceil(reach.max(axis=0)).astype(int) + 2, low + 1, (width, height))
    part = image[low[1] : high[1], low[0] : high[0]]
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ low

    shrink = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink < 0.5:  # bilinear sampling alone would skip pixels
        target = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        factor = np.array([target[0] / part.shape[1], target[1] / part.shape[0]])
        part = np.asarray(cv2.resize(part, target, interpolation=cv2.INTER_AREA), np.uint8)
        local[:, :2] = local[:, :2] / factor
    # Pixel centers are at +0.5 in edge coordinates, but at integers in OpenCV.
    local[:, 2] += local[:, :2] @ (0.5, 0.5) - 0.5
    return np.asarray(
        cv2.warpAffine(
            part, local, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )
