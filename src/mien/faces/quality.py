"""Image quality of faces: size, sharpness, roll and yaw, and why a face is unfit for prediction."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from mien.faces.geometry import roll_deg, yaw_deg
from mien.faces.mesh import Mesh
from mien.faces.pose import head_angles
from mien.types import Comparable, Crops, Faces, FloatArray, Index, rows_of

#: Why a face is unfit for prediction; if several apply, the first one is given.
REASONS = ("too_small", "blurred", "noisy", "turned")
#: The reason for an unfit face in a table that has no reasons.
UNKNOWN_REASON = "unknown"
#: Limits within which a face is fit; docs/quality.md has the measurements behind them.
MIN_SIZE_PX = 24.0
MIN_SHARPNESS = 0.014
MAX_SHARPNESS = 0.07  # more fine structure is noise, as sensors add in little light
MAX_YAW_DEG = 45.0


@dataclass(frozen=True, eq=False)
class Quality(Comparable):
    """How well each of n faces can be judged.

    Attributes:
        size_px: ``(n,)`` shorter side of the box in the image.
        sharpness: ``(n,)`` fine detail of the crop; 0 for a uniform crop, 0.036 for the median
            image of FER+.
        roll_deg: ``(n,)`` roll, positive = clockwise; NaN without landmarks.
        yaw_deg: ``(n,)`` yaw, positive = towards the image's right: fitted to a mesh where there is
            one, else estimated from five landmarks; NaN without.
        reason: ``(n,)`` str: why the face is unfit, one of `REASONS`; "" if it is fit.
    """

    size_px: FloatArray
    sharpness: FloatArray
    roll_deg: FloatArray
    yaw_deg: FloatArray
    reason: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.size_px)

    def __bool__(self) -> bool:
        """True even when empty: use ``len`` to count."""
        return True

    def __getitem__(self, index: Index) -> Quality:
        """Select faces by int, slice, list of ints or boolean mask; always returns `Quality`."""
        rows = rows_of(index, len(self), "face")
        return Quality(*(getattr(self, item.name)[rows] for item in fields(self)))

    @property
    def fit(self) -> npt.NDArray[np.bool_]:
        """``(n,)`` bool: whether a prediction for the face is meaningful."""
        return np.asarray(self.reason == "", np.bool_)

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """The columns of the ``faces`` table, by name."""
        return {
            "size_px": self.size_px,
            "sharpness": self.sharpness,
            "roll_deg": self.roll_deg,
            "yaw_deg": self.yaw_deg,
            "fit": self.fit,
            "unfit_reason": np.array([str(why) or None for why in self.reason], object),
        }


def assess(faces: Faces, crops: Crops, mesh: Mesh | None = None) -> Quality:
    """Measure the quality of n faces from their boxes, landmarks and ``(n, S, S, 3)`` crops.

    Where there is a mesh, roll and yaw are those of the head pose fitted to it.
    """
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    size = sides.min(axis=1) if len(faces) else np.zeros(0, np.float32)
    unknown = np.full(len(faces), np.nan, np.float32)
    roll = unknown if faces.landmarks is None else roll_deg(faces.landmarks)
    yaw = unknown if faces.landmarks is None else yaw_deg(faces.landmarks)
    if mesh is not None:
        _, turned, rolled = head_angles(mesh.rotations)
        roll = np.where(mesh.trusted, rolled, roll)
        yaw = np.where(mesh.trusted, turned, yaw)
    sharp = np.array([sharpness(crop) for crop in crops], np.float32)
    return Quality(size, sharp, roll, yaw, unfit_reasons(size, sharp, yaw))


def unfit_reasons(
    size_px: FloatArray, sharpness: FloatArray, yaw_deg: FloatArray
) -> npt.NDArray[np.str_]:
    """The first of `REASONS` that applies to each of n faces, "" if none does; ``(n,)`` str.

    An unknown measure (NaN) does not make a face unfit: comparisons with NaN are False.
    """
    unfit = (
        size_px < MIN_SIZE_PX,
        sharpness < MIN_SHARPNESS,
        sharpness > MAX_SHARPNESS,
        np.abs(yaw_deg) > MAX_YAW_DEG,
    )
    return np.select(unfit, REASONS, "").astype(np.str_)


def sharpness(crop: Crops) -> float:
    """Fine detail of one crop ``(S, S, 3)``, 0 for a uniform one, independent of contrast.

    Mean absolute Laplacian at 48 x 48 pixels, divided by the standard deviation of the brightness,
    times 0.1.
    """
    import cv2

    gray = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32)
    spread = float(small.std())
    if spread < 1.0:
        return 0.0
    return float(np.abs(cv2.Laplacian(small, cv2.CV_32F)).mean() / spread * 0.1)
