"""Gaze direction and openness of the eyes, from the points of a mesh around them.

An estimate from the place of the irises between the corners of the eyes, as if both eyes were
spheres of average size: good for "left", "straight on" and "down", not for what is looked at. Its
errors are in docs/actions.md.
"""

from __future__ import annotations

import numpy as np

from mien.types import FloatArray, Floats

#: Outer corner, inner corner, center of the iris, and pairs of points on the upper and lower lid:
#: of the person's right eye (on the left of an image), and of the left eye.
RIGHT_EYE = 33, 133, 468, ((160, 144), (158, 153))
LEFT_EYE = 263, 362, 473, ((387, 373), (385, 380))
#: Between the corners of an eye, in units of the distance from its center of rotation to the iris:
#: 2.65 cm of the mean face and 1.0 cm.
_EYE_WIDTH = 2.65
#: How far an iris that looks straight on lies above the line between the corners, in eye widths.
_STRAIGHT_ON = 0.07
#: Openness below which nothing of an iris is visible.
_CLOSED = 0.12


def head_points(points: FloatArray, rotations: Floats) -> Floats:
    """``(n, 478, 3)``: the points with the rotation of the head undone, about their mean.

    Args:
        points: ``(n, 478, 3)``, as in `mien.faces.mesh.Mesh`.
        rotations: ``(n, 3, 3)``, as from `mien.faces.pose.head_rotations`.
    """
    centered = points - points.mean(axis=1, keepdims=True)
    return np.asarray(centered.astype(np.float64) @ rotations)


def gaze_angles(points: Floats) -> tuple[FloatArray, FloatArray]:
    """Pitch and yaw of the gaze in the head's frame, degrees, each ``(n,)``; the mean of both eyes.

    Positive pitch = up, positive yaw = towards the image's right, as of `mien.faces.pose`. NaN
    where the eyes are closed: the network then only guesses where the irises are.

    Args:
        points: ``(n, 478, 3)``, from `head_points`.
    """
    across, above = [], []
    for outer, inner, iris, _ in (RIGHT_EYE, LEFT_EYE):
        width = np.linalg.norm(points[:, outer] - points[:, inner], axis=1)
        apart = points[:, iris] - (points[:, outer] + points[:, inner]) / 2
        across.append(apart[:, 0] / width)
        above.append(-apart[:, 1] / width - _STRAIGHT_ON)
    sines = np.clip(_EYE_WIDTH * np.array([np.mean(above, axis=0), np.mean(across, axis=0)]), -1, 1)
    closed = np.mean(eye_openness(points), axis=0) < _CLOSED
    pitch, yaw = np.where(closed, np.nan, np.degrees(np.arcsin(sines))).astype(np.float32)
    return pitch, yaw


def eye_openness(points: Floats) -> tuple[FloatArray, FloatArray]:
    """Distance of the lids of the left and right eye by its width, each ``(n,)``; 0 when closed.

    The eye aspect ratio of Soukupová and Čech (2016, CVWW): about 0.3 for open eyes; sides are the
    person's.

    Args:
        points: ``(n, 478, 3)``, from `head_points`.
    """
    ratios = []
    for outer, inner, _, lids in (LEFT_EYE, RIGHT_EYE):
        width = np.linalg.norm(points[:, outer] - points[:, inner], axis=1)
        gaps = [
            np.linalg.norm(points[:, upper] - points[:, lower], axis=1) for upper, lower in lids
        ]
        ratios.append((np.mean(gaps, axis=0) / width).astype(np.float32))
    return ratios[0], ratios[1]
