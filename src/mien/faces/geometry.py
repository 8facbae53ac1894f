"""Geometry of boxes, landmarks and crops: plain arithmetic on arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mien.types import Faces, FloatArray, IntArray

Matrices = npt.NDArray[np.float64]


def square(boxes: FloatArray, margin: float = 0.0) -> FloatArray:
    """Grow boxes ``(n, 4)`` to squares about the same centers.

    The side is the longer side of the box times ``1 + 2 * margin``; squares may exceed the image.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * (0.5 + margin)
    return np.asarray(np.concatenate([center - half, center + half], axis=1), np.float32)


def area(boxes: FloatArray) -> FloatArray:
    """Area of each box ``(n, 4)``, square pixels."""
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), np.float32)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of every box in `a` ``(n, 4)`` with every box in `b` ``(m, 4)``.

    Returns ``(n, m)``; 0 where both are empty.
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def box_to_square_matrices(boxes: FloatArray, size: int) -> Matrices:
    """``(n, 2, 3)`` affine maps of each box onto ``size x size`` pixels, edge to edge."""
    boxes = boxes.astype(np.float64)
    scale = size / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = scale[:, 0], scale[:, 1]
    matrices[:, :, 2] = -boxes[:, :2] * scale
    return matrices


def align_matrices(landmarks: FloatArray, template: FloatArray, size: int) -> Matrices:
    """``(n, 2, 3)`` similarity maps that bring landmarks closest to a template.

    Least squares over rotation, scale and shift, without mirroring (Umeyama 1991).

    Args:
        landmarks: ``(n, 5, 2)`` pixels in the image.
        template: ``(5, 2)`` target positions as fractions of the crop's side.
        size: side of the crop in pixels.
    """
    source = landmarks.astype(np.float64)
    target = np.asarray(template, np.float64) * size
    source_mean, target_mean = source.mean(axis=1), target.mean(axis=0)
    s, t = source - source_mean[:, None], target - target_mean
    norm = np.maximum((s**2).sum(axis=(1, 2)), 1e-9)
    cos = (s * t).sum(axis=(1, 2)) / norm
    sin = (s[:, :, 0] * t[:, 1] - s[:, :, 1] * t[:, 0]).sum(axis=1) / norm
    matrices = np.empty((len(source), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cos, -sin
    matrices[:, 1, 0], matrices[:, 1, 1] = sin, cos
    moved = np.einsum("nij,nj->ni", matrices[:, :, :2], source_mean)
    matrices[:, :, 2] = target_mean - moved
    return matrices


def roll_deg(landmarks: FloatArray) -> FloatArray:
    """Roll of the head from the eye line, degrees, ``(n,)``; positive = clockwise in the image."""
    across = landmarks[:, 1] - landmarks[:, 0]
    return np.asarray(np.degrees(np.arctan2(across[:, 1], across[:, 0])), np.float32)


def yaw_deg(landmarks: FloatArray) -> FloatArray:
    """Approximate yaw of the head, degrees, ``(n,)``; positive = nose towards the image's right.

    From the position of the nose tip between the midpoints of each side of the face (eye and mouth
    corner): in a frontal view it is in the middle. The tip protrudes from the plane of those points
    by about 0.8 of half their distance, so ``tan(yaw) = offset / 0.8``. Good enough to separate
    frontal from turned faces, not a measurement of head pose.
    """
    left = (landmarks[:, 0] + landmarks[:, 3]) / 2
    right = (landmarks[:, 1] + landmarks[:, 4]) / 2
    axis = right - left
    length = np.maximum(np.linalg.norm(axis, axis=1), 1e-6)
    nose = landmarks[:, 2] - (left + right) / 2
    offset = (nose * axis).sum(axis=1) / length / (length / 2)
    return np.asarray(np.degrees(np.arctan(offset / 0.8)), np.float32)


def quarter_turns(faces: Faces) -> IntArray:
    """Clockwise rotation of n faces in quarter turns: ``(n,)``, 0 to 3.

    0 for a roll of less than 45 degrees, 2 for a face that is upside down, and 0 without landmarks.
    """
    if faces.landmarks is None:
        return np.zeros(len(faces), np.int64)
    return np.asarray(np.rint(roll_deg(faces.landmarks) / 90), np.int64) % 4


def turned_square_matrix(box: npt.ArrayLike, size: int, roll: float) -> Matrices:
    """``(2, 3)``: an affine map of a square onto ``size x size`` pixels that undoes a roll.

    Args:
        box: x1, y1, x2, y2 of the square.
        size: side of the result, pixels.
        roll: degrees, clockwise, by which the content of the square is rotated.
    """
    corners = np.asarray(box, np.float64)
    scale = size / max(float(corners[2] - corners[0]), 1e-6)
    cos, sin = scale * np.cos(np.radians(roll)), scale * np.sin(np.radians(roll))
    linear = np.array([[cos, sin], [-sin, cos]])
    center = (corners[:2] + corners[2:]) / 2
    return np.concatenate([linear, (size / 2 - linear @ center)[:, None]], axis=1)
