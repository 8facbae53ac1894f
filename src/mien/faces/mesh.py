"""Face mesh: 478 points of each face, with both irises, by MediaPipe's network.

The network looks at a square region around a face, rotated so that the eyes are level. The first
region comes from the box of any detector, and a second one from the points found in the first; in a
video, the region of a face comes from its points in the frame before.

Source: Grishchenko et al. 2020, arXiv 2006.10962, and Kartynnik et al. 2019, arXiv 1907.06724;
network of May 2023, converted by ``scripts/convert_mesh.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.faces.crops import warp
from mien.faces.geometry import roll_deg, turned_square_matrix
from mien.faces.pose import head_rotations
from mien.models.session import Session, file_sha256
from mien.types import Comparable, Faces, FloatArray, Floats, Image, Index, rows_of

#: Points of a mesh: 468 on the skin and lips, then 5 of the person's right iris and 5 of the left.
POINTS = 478
#: Side of the network's input, pixels.
SIDE = 256
#: Presence below which the points are not to be trusted.
MIN_PRESENCE = 0.5
#: The outer corners of the eyes: of the person's right one, on the left of an upright image, and of
#: the left one.
EYE_CORNERS = 33, 263
# How MediaPipe's detector frames a face, in terms of the box around the points or of a detector:
# side of the region, and how much lower it lies, in sides. Measured on 103 faces; the side varies
# by 4 % around the points. Around boxes: medians of 63 faces in photos, 1.23 and 0.088 for YuNet
# (standard deviation 5 %), 1.22 and 0.093 for MTCNN; from end to end, others agree no better.
_AROUND_POINTS = 1.37, 0.04
_AROUND_BOX = 1.22, 0.09


@dataclass(frozen=True, eq=False)
class Mesh(Comparable):
    """The points of n faces in one image.

    Attributes:
        points: ``(n, 478, 3)`` float32: x and y in pixels of the image, and the depth z in the same
            unit, smaller towards the camera; NaN where the network does not trust them.
        presence: ``(n,)`` float32: the network's probability, 0 to 1, that there is a face.

    Raises:
        UsageError: a shape does not fit.
    """

    points: FloatArray
    presence: FloatArray

    def __post_init__(self) -> None:
        points = np.array(self.points, np.float32)
        presence = np.array(self.presence, np.float32)
        if points.shape[1:] != (POINTS, 3) or presence.shape != points.shape[:1]:
            raise UsageError(
                f"a mesh has points (n, {POINTS}, 3) and presence (n,), got {points.shape} and "
                f"{presence.shape}."
            )
        for name, values in (("points", points), ("presence", presence)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @classmethod
    def empty(cls) -> Mesh:
        """The mesh of no faces."""
        return cls(np.zeros((0, POINTS, 3), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.points)

    def __bool__(self) -> bool:
        """True even when empty: use ``len`` to count."""
        return True

    def __getitem__(self, index: Index) -> Mesh:
        """Select faces by int, slice, list of ints or boolean mask; always returns `Mesh`."""
        rows = rows_of(index, len(self), "face")
        return Mesh(self.points[rows], self.presence[rows])

    @property
    def trusted(self) -> npt.NDArray[np.bool_]:
        """``(n,)`` bool: whether a face has points."""
        return np.asarray(np.isfinite(self.points[:, 0, 0]), np.bool_)

    @property
    def tilt(self) -> Floats:
        """``(n,)``: angle of the line through the eyes, radians, positive = clockwise."""
        right, left = (self.points[:, corner, :2].astype(np.float64) for corner in EYE_CORNERS)
        return np.asarray(np.arctan2((left - right)[:, 1], (left - right)[:, 0]))

    @property
    def level_points(self) -> Floats:
        """``(n, 478, 3)``: the points rotated in the image so that the eyes are level."""
        flat = np.einsum("nij,npj->npi", _rotations(-self.tilt), self.points[..., :2])
        return np.concatenate([flat, self.points[..., 2:]], axis=2, dtype=np.float64)

    @cached_property
    def rotations(self) -> Floats:
        """``(n, 3, 3)``: rotations of the heads, see `mien.faces.pose`; NaN where not trusted."""
        return head_rotations(self.points)

    @property
    def regions(self) -> Floats:
        """``(n, 4)``: the region around the points of each face, see `FaceMesh.locate`."""
        low, high = self.points[..., :2].min(axis=1), self.points[..., :2].max(axis=1)
        return _framed((low + high) / 2, (high - low).max(axis=1), self.tilt, _AROUND_POINTS)


def face_regions(faces: Faces) -> Floats:
    """``(n, 4)``: the regions around the boxes of n faces, level with their eyes where known."""
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1, initial=0)
    angle = np.zeros(len(faces)) if faces.landmarks is None else roll_deg(faces.landmarks)
    centers = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    return _framed(centers, sides, np.radians(angle, dtype=np.float64), _AROUND_BOX)


class FaceMesh:
    """Finds the points of faces whose boxes are known.

    Args:
        path: the ``.onnx`` file.
        threads: threads per run; None for all processors.
        batch_size: maximum number of faces per run.

    Raises:
        ModelError: the file is missing or broken.
    """

    def __init__(
        self, path: str | Path, *, threads: int | None = None, batch_size: int = 4
    ) -> None:
        self._net = Session(path, threads)
        self._batch_size = batch_size
        self.sha256 = file_sha256(self._net.path)

    def __call__(self, image: Image, faces: Faces, before: Mesh | None = None) -> Mesh:
        """The mesh of each face in an ``(H, W, 3)`` uint8 RGB image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            faces: n faces.
            before: n meshes from the frame before, NaN for faces without one. These faces are
                looked for around that, once; the others around their boxes, and then again around
                their points.

        Raises:
            ModelError: the network failed.
        """
        own = face_regions(faces)
        last = own if before is None else before.regions
        followed = np.zeros(len(faces), bool) if before is None else _near(last, own)
        mesh = self.locate(image, np.where(followed[:, None], last, own))
        # A new face is looked for around its points, one that was lost around its box.
        rows = np.flatnonzero(followed != mesh.trusted)
        if not len(rows):
            return mesh
        regions = np.where(mesh.trusted[:, None], mesh.regions, own)
        second = self.locate(image, regions[rows])
        better = second.trusted | ~mesh.trusted[rows]
        points, presence = mesh.points.copy(), mesh.presence.copy()
        points[rows[better]] = second.points[better]
        presence[rows[better]] = second.presence[better]
        return Mesh(points, presence)

    def locate(self, image: Image, regions: Floats) -> Mesh:
        """The mesh in each region of an image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            regions: ``(n, 4)``: center x and y and side in pixels, and the angle of the eyes in
                radians, clockwise.
        """
        meshes = [Mesh.empty()]
        for start in range(0, len(regions), self._batch_size):
            batch = regions[start : start + self._batch_size]
            crops = np.stack([_crop(image, region) for region in batch]).astype(np.float32)
            points, presence = self._net.run(["points", "presence"], crops)
            points = _to_image(points, batch)
            points[presence < MIN_PRESENCE] = np.nan
            meshes.append(Mesh(points, presence))
        points = np.concatenate([mesh.points for mesh in meshes])
        return Mesh(points, np.concatenate([mesh.presence for mesh in meshes]))


class MeshTracker:
    """The meshes of a video, frame by frame: each person is looked for around their last mesh.

    Args:
        mesh: finds the points.
    """

    def __init__(self, mesh: FaceMesh) -> None:
        self._mesh = mesh
        self._last: dict[int, Mesh] = {}

    def __call__(self, image: Image, faces: Faces) -> Mesh:
        """The mesh of each face of the next frame; faces without track ids stand alone."""
        if faces.track_ids is None or not len(faces):
            return self._mesh(image, faces)
        ids = faces.track_ids.tolist()
        nothing = np.full((1, POINTS, 3), np.nan, np.float32)
        lasts = [self._last[i].points if i in self._last else nothing for i in ids]
        before = Mesh(np.concatenate(lasts), np.zeros(len(ids), np.float32))
        mesh = self._mesh(image, faces, before)
        self._last = {person: mesh[row] for row, person in enumerate(ids)}
        return mesh


def _framed(
    centers: FloatArray | Floats, sides: FloatArray, tilt: Floats, frame: tuple[float, float]
) -> Floats:
    """``(n, 4)``: regions that are larger than boxes of these sides, and lie lower on the face."""
    growth, lower = frame
    side = growth * sides.astype(np.float64)
    down = np.stack([-np.sin(tilt), np.cos(tilt)], axis=1) * (lower * side)[:, None]
    return np.column_stack([centers + down, side, tilt])


def _crop(image: Image, region: Floats) -> Image:
    x, y, half = region[0], region[1], region[2] / 2
    box = np.array([x - half, y - half, x + half, y + half])
    return warp(image, turned_square_matrix(box, SIDE, float(np.degrees(region[3]))), SIDE)


def _to_image(points: FloatArray, regions: Floats) -> FloatArray:
    """Points in pixels of their crops as points in pixels of the image."""
    scale = (regions[:, 2] / SIDE)[:, None, None]
    level = (points[..., :2] - SIDE / 2) * scale
    flat = np.einsum("nij,npj->npi", _rotations(regions[:, 3]), level) + regions[:, None, :2]
    return np.concatenate([flat, points[..., 2:] * scale], axis=2).astype(np.float32)


def _rotations(angles: Floats) -> Floats:
    """``(n, 2, 2)``: clockwise rotations of points in an image, whose y goes down."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)


def _near(last: Floats, own: Floats) -> npt.NDArray[np.bool_]:
    """``(n,)``: whether the region of the frame before still lies around the face; not for NaN."""
    apart = np.hypot(last[:, 0] - own[:, 0], last[:, 1] - own[:, 1])
    larger = last[:, 2] / np.maximum(own[:, 2], 1e-6)
    return np.asarray((apart < 0.25 * own[:, 2]) & (larger > 0.5) & (larger < 2), np.bool_)
