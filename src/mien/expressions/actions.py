"""Facial actions from a face mesh: blendshape coefficients, and FACS action units by definition.

The blendshapes are those of ARKit, by MediaPipe's network (May 2023, Grishchenko et al.). Action
units are their means by what the shapes show, not learned from coded faces: docs/actions.md says
what was measured of each, and which ones to leave alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np

from mien.faces.gaze import eye_openness, gaze_angles, head_points
from mien.faces.mesh import FaceMesh, MeshTracker
from mien.faces.model import FaceValues
from mien.faces.pose import head_angles
from mien.labels import ACTIONS
from mien.models.session import Session
from mien.types import Faces, FloatArray, Floats, Image

#: Names of the coefficients, as ARKit has them, in the order of the network's outputs; sides are
#: the person's own.
BLENDSHAPES = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight"),
    *("eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft"),
    *("eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen"),
    *("jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower"),
    *("mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight"),
    *("mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
#: Action units (Ekman and Friesen 1978): a name, and the shapes whose mean they are. Sides are
#: those of the shapes, which have columns of their own.
ACTION_UNITS: Mapping[str, tuple[str, ...]] = {
    "AU01": ("browInnerUp",),
    "AU02": ("browOuterUpLeft", "browOuterUpRight"),
    "AU04": ("browDownLeft", "browDownRight"),
    "AU05": ("eyeWideLeft", "eyeWideRight"),
    "AU07": ("eyeSquintLeft", "eyeSquintRight"),
    "AU10": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU12": ("mouthSmileLeft", "mouthSmileRight"),
    "AU14": ("mouthDimpleLeft", "mouthDimpleRight"),
    "AU15": ("mouthFrownLeft", "mouthFrownRight"),
    "AU16": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "AU17": ("mouthShrugLower",),
    "AU18": ("mouthPucker",),
    "AU20": ("mouthStretchLeft", "mouthStretchRight"),
    "AU22": ("mouthFunnel",),
    "AU24": ("mouthPressLeft", "mouthPressRight"),
    "AU26": ("jawOpen",),
    "AU28": ("mouthRollLower", "mouthRollUpper"),
    "AU45": ("eyeBlinkLeft", "eyeBlinkRight"),
}
#: What FACS calls the units.
UNIT_NAMES: Mapping[str, str] = {
    "AU01": "inner brow raiser",
    "AU02": "outer brow raiser",
    "AU04": "brow lowerer",
    "AU05": "upper lid raiser",
    "AU07": "lid tightener",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU16": "lower lip depressor",
    "AU17": "chin raiser",
    "AU18": "lip pucker",
    "AU20": "lip stretcher",
    "AU22": "lip funneler",
    "AU24": "lip pressor",
    "AU26": "jaw drop",
    "AU28": "lip suck",
    "AU45": "blink",
}
#: Units that may be used, as measured (docs/actions.md): pages and live views show these first.
USABLE_UNITS = ("AU01", "AU02", "AU05", "AU10", "AU12", "AU26")
#: Units whose shapes the network never moves (docs/actions.md): a column would always be 0.
UNMOVED_UNITS: Mapping[str, tuple[str, ...]] = {
    "AU06": ("cheekSquintLeft", "cheekSquintRight"),
    "AU09": ("noseSneerLeft", "noseSneerRight"),
    "AU29": ("jawForward",),
    "AU34": ("cheekPuff",),
}
#: Measured from the points of the mesh, see `mien.faces.pose` and `mien.faces.gaze`: degrees,
#: ratios of lengths, and the probability that the points are those of a face.
GEOMETRY = (
    *("pitch_deg", "gaze_pitch_deg", "gaze_yaw_deg", "eye_openness_left", "eye_openness_right"),
    *("mouth_openness", "mesh_presence"),
)
#: All columns of facial actions in the ``faces`` table, in order.
ACTION_COLUMNS = (*ACTION_UNITS, *GEOMETRY, *BLENDSHAPES)
_LIPS, _MOUTH_CORNERS = (13, 14), (61, 291)  # points of the mesh, inside and at the corners


class BlendshapeModel:
    """Estimates the blendshapes of faces from the points of their meshes.

    Args:
        path: the ``.onnx`` file.
        threads: threads per run; None for all processors.

    Raises:
        ModelError: the file is missing or broken.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        self._net = Session(path, threads)

    def estimate(self, points: Floats) -> FloatArray:
        """``(n, 51)``: coefficients, 0 to 1, in the order of `BLENDSHAPES`; NaN for NaN.

        Args:
            points: ``(n, 478, 3)``, with level eyes (`mien.faces.mesh.Mesh.level_points`): the
                network was trained on upright faces.
        """
        values = np.full((len(points), len(BLENDSHAPES)), np.nan, np.float32)
        rows = np.isfinite(points[:, 0, 0])
        if rows.any():
            flat = points[rows, :, :2].astype(np.float32)
            values[rows] = self._net.run(["coefficients"], flat)[0][:, 1:]  # the first is "neutral"
        return values


class ActionModel:
    """Facial actions, head pose and gaze of faces, from their meshes.

    Args:
        mesh: finds the points.
        blendshapes: estimates the actions from these.
        requested: "actions" for the columns, "landmarks" for the points, or both.
    """

    def __init__(
        self, mesh: FaceMesh, blendshapes: BlendshapeModel, requested: tuple[str, ...] = (ACTIONS,)
    ) -> None:
        self._mesh, self._blendshapes, self.requested = mesh, blendshapes, requested
        self._locate: FaceMesh | MeshTracker = mesh

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the columns."""
        return ACTION_COLUMNS if ACTIONS in self.requested else ()

    @property
    def settings(self) -> Mapping[str, str]:
        """What an analysis keeps of it."""
        return {"mesh_sha256": self._mesh.sha256}

    def fresh(self) -> Self:
        """The same for one video, where it follows each person from frame to frame."""
        other = copy(self)
        other._locate = MeshTracker(self._mesh)
        return other

    def values(self, image: Image, faces: Faces) -> FaceValues:
        """The columns of n faces, NaN where a mesh is not trusted, and their meshes."""
        mesh = self._locate(image, faces)
        if ACTIONS not in self.requested:
            return FaceValues(mesh=mesh)
        points = head_points(mesh.points, mesh.rotations)
        columns = action_columns(self._blendshapes.estimate(mesh.level_points))
        columns["pitch_deg"], _, _ = head_angles(mesh.rotations)
        columns["gaze_pitch_deg"], columns["gaze_yaw_deg"] = gaze_angles(points)
        columns["eye_openness_left"], columns["eye_openness_right"] = eye_openness(points)
        columns["mouth_openness"] = mouth_openness(points)
        columns["mesh_presence"] = mesh.presence
        return FaceValues({name: columns[name] for name in ACTION_COLUMNS}, mesh=mesh)


def action_columns(coefficients: FloatArray) -> dict[str, FloatArray]:
    """The columns of blendshapes and of action units, each ``(n,)``, for ``(n, 51)``."""
    columns = dict(zip(BLENDSHAPES, coefficients.T, strict=True))
    for unit, shapes in ACTION_UNITS.items():
        columns[unit] = np.mean([columns[shape] for shape in shapes], axis=0, dtype=np.float32)
    return columns


def mouth_openness(points: Floats) -> FloatArray:
    """``(n,)``: distance of the lips by the width of the mouth; 0 when closed.

    Args:
        points: ``(n, 478, 3)`` of a mesh.
    """
    gap, width = (
        np.linalg.norm(points[:, one] - points[:, other], axis=1)
        for one, other in (_LIPS, _MOUTH_CORNERS)
    )
    return np.asarray(gap / width, np.float32)
