"""Head pose: how far a face is turned, from its mesh and MediaPipe's mean face.

The mean face is fitted to the points of the mesh that facial expressions move least. The pose is
relative to the line from the camera to the face, not to the optical axis, because the focal length
of a photo is unknown: it does not change when an image is cropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from mien.errors import ModelError
from mien.types import FloatArray, Floats

#: Assumed distance of the camera, cm: of a person before a screen. At half or twice of it, the
#: angles change by less than the error of the mesh.
_DISTANCE_CM = 60.0


@dataclass(frozen=True, eq=False)
class CanonicalFace:
    """MediaPipe's mean face.

    Attributes:
        points: ``(468, 3)`` float64 cm: x to the image's right, y down, z away from the camera.
        triangles: ``(898, 3)`` int64: its surface, as numbers of points.
        weights: ``(468,)`` float64: how much each point counts in the fit; 0 for most.
    """

    points: Floats
    triangles: npt.NDArray[np.int64]
    weights: Floats


@cache
def canonical_face() -> CanonicalFace:
    """The mean face that ships with mien.

    Raises:
        ModelError: it is missing: the package was copied without being built.
    """
    path = resources.files("mien") / "weights" / "canonical_face.npz"
    if not path.is_file():
        raise ModelError("mien's canonical_face.npz is missing; reinstall mien.")
    with path.open("rb") as file, np.load(file) as arrays:
        points = arrays["points"].astype(np.float64) * [1, -1, -1]
        triangles = arrays["triangles"].astype(np.int64)
        return CanonicalFace(points, triangles, arrays["weights"].astype(np.float64))


def head_rotations(points: FloatArray) -> Floats:
    """``(n, 3, 3)``: rotations of the mean face onto the meshes of n faces; NaN for those without.

    Args:
        points: ``(n, 478, 3)`` pixels, as in `mien.faces.mesh.Mesh`.
    """
    import cv2

    rotations = np.full((len(points), 3, 3), np.nan)
    model = canonical_face()
    rows = np.flatnonzero(model.weights)
    own = model.points[rows] - model.points[rows].mean(axis=0)
    extent = float(np.hypot(*np.ptp(own[:, :2], axis=0)))
    for face, mesh in enumerate(points[:, rows, :2].astype(np.float64)):
        size = float(np.hypot(*np.ptp(mesh, axis=0)))
        if not np.isfinite(mesh).all() or size <= 0:
            continue
        focal = _DISTANCE_CM / extent * size
        camera = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1.0]])
        done, turn, _ = cv2.solvePnP(
            own, mesh - mesh.mean(axis=0), camera, None, flags=cv2.SOLVEPNP_SQPNP
        )
        if done:
            rotations[face] = cv2.Rodrigues(turn)[0]
    return rotations


def head_angles(rotations: Floats) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Pitch, yaw and roll of n heads in degrees, each ``(n,)``; NaN without a rotation.

    Positive pitch = nose up, positive yaw = nose towards the image's right, positive roll =
    clockwise in the image: the head is first pitched, then turned, then rolled.
    """
    pitch = np.arctan2(-rotations[:, 2, 1], rotations[:, 2, 2])
    yaw = np.arcsin(np.clip(rotations[:, 2, 0], -1, 1))
    roll = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    angles = np.degrees([pitch, yaw, roll]).astype(np.float32)
    return angles[0], angles[1], angles[2]
