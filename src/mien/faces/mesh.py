"""Face mesh: 478 points of each face, with both irises, by MediaPipe's network.

The network looks at a square region around a face, rotated so that the eyes are level. The first
region comes from the box of any detector, and a second one from the points found in the first; in a
video, the region of a face comes from its points in the frame before.

Source: Grishchenko et al. 2020, arXiv 2006.10962, and Kartynnik et al. 2019, arXiv 1907.06724;
network of May 2023, converted by ``scripts/convert_mesh.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.faces.crops import warp
from mien.faces.geometry import roll_deg, turned_square_matrix
from mien.models.session import Session, file_sha256
from mien.types import Comparable, Faces, FloatArray, Floats, Image, Index, rows_of

#: Points of a mesh: 468 on the skin and lips, then 5 of the person's right iris and 5 of the left.
POINTS = 478
#: Side of the network's input, pixels.
SIDE = 256
#: Presence below which the points are not to be trusted.
MIN_PRESENCE = 0.5
#: The outer corners of the eyes, on the image's left and right in an upright view.
EYE_CORNERS = 33, 263
_MARGIN = 0.25  # of the longer side of the points or the box, on each side of the region


@dataclass(frozen=True, eq=False)
class Mesh(Comparable):
    """The points of n faces in one image.

    Attributes:
        points: ``(n, 478, 3)`` float32: x and y in pixels of the image, and the depth z in the same
            unit, smaller towards the camera; NaN where the network does not trust them.
        presence: ``(n,)`` float32: the network's probability, 0 to 1, that the region shows a face.

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
        return np.asarray(np.isfinite(self.points[:, 0, 0]))

    @property
    def regions(self) -> Floats:
        """``(n, 4)``: the region around the points of each face, see `FaceMesh.locate`."""
        across = self.points[:, EYE_CORNERS[1], :2] - self.points[:, EYE_CORNERS[0], :2]
        low, high = self.points[..., :2].min(axis=1), self.points[..., :2].max(axis=1)
        side = (1 + 2 * _MARGIN) * (high - low).max(axis=1)
        angle = np.arctan2(across[:, 1], across[:, 0])
        return np.column_stack([(low + high) / 2, side, angle]).astype(np.float64)


def face_regions(faces: Faces) -> Floats:
    """``(n, 4)``: the regions around the boxes of n faces, level with their eyes where known."""
    boxes = faces.boxes.astype(np.float64)
    side = (1 + 2 * _MARGIN) * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    angle = np.zeros(len(faces)) if faces.landmarks is None else roll_deg(faces.landmarks)
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, side, np.radians(angle)])


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
        self._net.check((SIDE, SIDE, 3), {"points": 3 * POINTS, "presence": 1})
        self.sha256 = file_sha256(self._net.path)

    def __call__(self, image: Image, faces: Faces) -> Mesh:
        """The mesh of each face in an ``(H, W, 3)`` uint8 RGB image.

        Raises:
            ModelError: the network failed.
        """
        return self.follow(image, faces, [None] * len(faces))

    def follow(self, image: Image, faces: Faces, before: Sequence[Mesh | None]) -> Mesh:
        """As a call; a face with a mesh in the frame before is looked for around that.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            faces: n faces.
            before: the mesh of each face in the frame before, of length 1, or None.
        """
        regions = face_regions(faces)
        fresh = np.ones(len(faces), bool)
        for row, last in enumerate(before):
            if last is not None and last.trusted[0] and _covers(last.regions[0], regions[row]):
                regions[row], fresh[row] = last.regions[0], False
        mesh = self.locate(image, regions)
        again = np.flatnonzero(fresh | ~mesh.trusted)
        again = again[mesh.trusted[again] | ~fresh[again]]
        if not len(again):
            return mesh
        own = face_regions(faces)
        better = np.where(mesh.trusted[:, None], mesh.regions, own)[again]
        second = self.locate(image, better)
        points, presence = mesh.points.copy(), mesh.presence.copy()
        points[again], presence[again] = second.points, second.presence
        return Mesh(points, presence)

    def locate(self, image: Image, regions: Floats) -> Mesh:
        """The mesh in each region of an image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            regions: ``(n, 4)``: center x and y and side in pixels, and the angle of the eyes in
                radians, clockwise.
        """
        parts = [np.zeros((0, POINTS, 3), np.float32)]
        presences = [np.zeros(0, np.float32)]
        for start in range(0, len(regions), self._batch_size):
            batch = regions[start : start + self._batch_size]
            boxes = np.concatenate([batch[:, :2] - batch[:, 2:3] / 2] * 2, axis=1)
            boxes[:, 2:] += batch[:, 2:3]
            matrices = [
                turned_square_matrix(box, SIDE, float(np.degrees(angle)))
                for box, angle in zip(boxes, batch[:, 3], strict=True)
            ]
            crops = np.stack([warp(image, matrix, SIDE) for matrix in matrices])
            found, presence = self._net.run(["points", "presence"], crops.astype(np.float32))
            parts.append(_to_image(found, batch))
            presences.append(presence)
        points, presence = np.concatenate(parts), np.concatenate(presences)
        points[presence < MIN_PRESENCE] = np.nan
        return Mesh(points, presence)


def _to_image(points: FloatArray, regions: Floats) -> FloatArray:
    """Points in pixels of their crops as points in pixels of the image."""
    scale = regions[:, 2] / SIDE
    cos, sin = np.cos(regions[:, 3]), np.sin(regions[:, 3])
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    level = (points[..., :2] - SIDE / 2) * scale[:, None, None]
    flat = np.einsum("nij,npj->npi", turn, level) + regions[:, None, :2]
    depth = points[..., 2:] * scale[:, None, None]
    return np.concatenate([flat, depth], axis=2).astype(np.float32)


def _covers(region: Floats, own: Floats) -> bool:
    """Whether the region of the frame before still lies around the face."""
    apart = np.hypot(*(region[:2] - own[:2]))
    return bool(apart < 0.25 * own[2] and 0.5 < region[2] / own[2] < 2)
