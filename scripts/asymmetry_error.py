"""How far the asymmetry of a smile is from the truth, and what a turned head adds to actions.

    python scripts/asymmetry_error.py ../shared/media/photos

Prints, of the smiling studio portraits, the asymmetry of ``AU12`` of each photo and of its mirror
image, which must be the opposite: half of their sum is error. Then the same photos turned: the
photo's own mesh, with its depth, is rotated about the vertical axis and drawn 60 cm away; the
change from the unturned drawing is what the turn adds to the asymmetry. Last, of all portraits
those are counted whose units a turn changes by more than an event needs. The figures are in
docs/actions.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import mien
from mien.expressions.actions import ACTION_UNITS
from mien.faces.pose import canonical_face
from mien.media.images import read_image
from mien.timeline.actions import HIGH
from mien.types import FloatArray, Floats, Image

TURNS = (-45, -30, -20, -15, -10, -5, 0, 5, 10, 15, 20, 30, 45)
SIDE, FACE_CM, DISTANCE_CM = 640, 14.0, 60.0


def render(photo: Image, mesh: Floats, yaw_deg: float) -> Image:
    """The face of a photo, turned by an angle, on gray."""
    points = mesh[:468] - mesh[:468].mean(axis=0)
    points = points * FACE_CM / np.ptp(points[:, 1])
    turn = np.radians(-yaw_deg)
    x, z = points[:, 0], points[:, 2]
    across = x * np.cos(turn) + z * np.sin(turn)
    deep = z * np.cos(turn) - x * np.sin(turn) + DISTANCE_CM
    focal = 0.6 * SIDE * DISTANCE_CM / FACE_CM
    flat = np.stack([across, points[:, 1]], axis=1) / deep[:, None] * focal + SIDE / 2
    out = np.full((SIDE, SIDE, 3), 128, np.uint8)
    triangles = canonical_face().triangles
    for triangle in triangles[np.argsort(-deep[triangles].mean(axis=1))]:
        corners = flat[triangle].astype(np.float32)
        low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, SIDE)
        high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, SIDE)
        if (high <= low).any():
            continue
        matrix = cv2.getAffineTransform(
            mesh[triangle, :2].astype(np.float32), (corners - low).astype(np.float32)
        )
        width, height = (high - low).tolist()
        part = cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(mask, np.rint(corners - low).astype(np.int32), 1)
        out[low[1] : high[1], low[0] : high[0]][mask > 0] = part[mask > 0]
    return out


def smile(analyzer: mien.EmotionAnalyzer, image: Image) -> tuple[float, float]:
    """Asymmetry of ``AU12`` of the largest face, and its strength; NaN without a mesh."""
    result = analyzer(np.ascontiguousarray(image))
    if not len(result):
        return np.nan, np.nan
    measures = result.scores.measures
    left, right = (float(measures[f"mouthSmile{side}"][0]) for side in ("Left", "Right"))
    return (left - right) / max(left + right, 1e-6), (left + right) / 2


def units(analyzer: mien.EmotionAnalyzer, image: Image) -> FloatArray:
    """The units of the largest face; NaN without a mesh."""
    result = analyzer(image)
    if not len(result):
        return np.full(len(ACTION_UNITS), np.nan, np.float32)
    return np.array([result.scores.measures[name][0] for name in ACTION_UNITS], np.float32)


def count_changes(analyzer: mien.EmotionAnalyzer, folder: Path) -> None:
    """Print how many portraits each turn changes."""
    changes: dict[int, list[FloatArray]] = {turn: [] for turn in TURNS}
    for path in sorted(folder.glob("???_0?.jpg")):
        photo = read_image(path)
        found = analyzer(photo).mesh
        assert found is not None
        mesh = found.points[0].astype(np.float64)
        drawn = {turn: units(analyzer, render(photo, mesh, turn)) for turn in TURNS}
        for turn, values in drawn.items():
            changes[turn].append(np.abs(values - drawn[0]))
    for turn, rows in changes.items():
        large = (np.array(rows) > HIGH).sum(axis=0)
        named = [f"{name} {n}" for name, n in zip(ACTION_UNITS, large, strict=True) if n]
        print(f"yaw {turn:+d}: of {len(rows)} portraits change: {', '.join(named) or 'none'}")


def main(folder: Path) -> None:
    """Print both."""
    analyzer = mien.EmotionAnalyzer(also=("actions", "landmarks"), threads=1)
    errors: list[float] = []
    changes: dict[int, list[float]] = {turn: [] for turn in TURNS}
    for path in sorted(folder.glob("*_08.jpg")):
        photo = read_image(path)
        own, strength = smile(analyzer, photo)
        mirrored, _ = smile(analyzer, photo[:, ::-1])
        print(f"{path.stem}: AU12 {strength:.2f}, asymmetry {own:+.3f}, mirrored {mirrored:+.3f}")
        if not strength >= 0.25:
            continue
        errors.append((own + mirrored) / 2)
        found = analyzer(photo).mesh
        assert found is not None
        mesh = found.points[0].astype(np.float64)
        drawn = {turn: smile(analyzer, render(photo, mesh, turn)) for turn in TURNS}
        for turn, (value, there) in drawn.items():
            changes[turn].append(value - drawn[0][0] if there >= 0.25 else np.nan)
    print(f"mirror error: mean {np.mean(errors):+.3f}, mean absolute {np.mean(np.abs(errors)):.3f}")
    for turn, added in changes.items():
        kept = np.array(added)[np.isfinite(added)]
        print(
            f"yaw {turn:+d}: {len(kept)} of {len(added)}, mean change {kept.mean():+.3f}, "
            f"largest {np.abs(kept).max():.3f}"
        )
    count_changes(analyzer, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
