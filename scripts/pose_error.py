"""The error of head poses for known turns: the table of docs/actions.md.

    python scripts/pose_error.py ../shared/media/photos

The texture of frontal portraits is laid over MediaPipe's mean face, which is turned by known angles
and seen by a camera 60 cm away. Beside the pose by the mesh stands the estimate from the five
landmarks that YuNet finds. The mean face is also what the pose is fitted to: of people whose faces
differ from it, the error is larger. Printed too is how far gaze and head pose together miss the
camera in studio portraits, whose people look into it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import mien
from mien.faces.gaze import gaze_angles, head_points
from mien.faces.geometry import yaw_deg
from mien.faces.pose import canonical_face, head_angles
from mien.media.images import read_image
from mien.types import Faces, Floats, Image

FRONTAL = ("021_03", "025_03", "062_03", "119_03", "135_03", "136_03")
TURNS = (
    *((0, yaw, 0) for yaw in (-60, -45, -30, -15, 0, 15, 30, 45, 60)),
    *((pitch, 0, 0) for pitch in (-30, -20, -10, 10, 20, 30)),
    *((0, 0, roll) for roll in (-30, 30)),
    *((10, 20, 10), (-10, -25, -15)),
)
SIDE, DISTANCE, FOCAL = 640, 60.0, 2000.0


def rotation(pitch: float, yaw: float, roll: float) -> Floats:
    """The rotation of these angles, degrees, as `mien.faces.pose` defines them."""
    a, b, c = np.radians([-pitch, -yaw, roll])
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.asarray(np.array(about_z) @ about_y @ about_x)


def render(photo: Image, texture: Floats, turn: Floats) -> tuple[Image, Faces]:
    """The turned face on gray, triangle by triangle from back to front, and its box."""
    model = canonical_face()
    places = (model.points - model.points.mean(axis=0)) @ turn.T + [0, 0, DISTANCE]
    flat = (places[:, :2] / places[:, 2:] * FOCAL + SIDE / 2).astype(np.float32)
    out = np.full((SIDE, SIDE, 3), 128, np.uint8)
    depths = places[model.triangles][:, :, 2].mean(axis=1)
    for triangle in model.triangles[np.argsort(-depths)]:
        corners = flat[triangle]
        low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, SIDE)
        high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, SIDE)
        if (high <= low).any():
            continue
        matrix = cv2.getAffineTransform(
            texture[triangle].astype(np.float32), (corners - low).astype(np.float32)
        )
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        patch = cv2.warpAffine(photo, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(size[::-1], np.uint8)
        cv2.fillConvexPoly(mask, np.rint(corners - low).astype(np.int32), 1)
        out[low[1] : high[1], low[0] : high[0]][mask > 0] = patch[mask > 0]
    box = np.array([[*flat.min(axis=0), *flat.max(axis=0)]], np.float32)
    return out, Faces(box)


def main(folder: str) -> None:
    """Print both tables."""
    mesh, detector = mien.load_mesh(), mien.load_detector("yunet")
    errors: dict[tuple[int, int, int], list[list[float]]] = {turn: [] for turn in TURNS}
    for name in FRONTAL:
        photo = read_image(Path(folder) / f"{name}.jpg")
        texture = mesh(photo, detector.detect(photo)[0]).points[0, :468, :2].astype(np.float64)
        for turn in TURNS:
            image, face = render(photo, texture, rotation(*turn))
            angles = [float(a[0]) for a in head_angles(mesh(image, face).rotations)]
            five = detector.detect(image)[:1].landmarks
            guess = np.nan if five is None or not len(five) else float(yaw_deg(five)[0])
            errors[turn].append([*np.abs(np.subtract(angles, turn)), abs(guess - turn[1])])
    print("| pitch, yaw, roll | missing | pitch | yaw | roll | yaw by five landmarks |")
    print("|---|--:|--:|--:|--:|--:|")
    for turn, rows in errors.items():
        values = np.array(rows)
        finite = [column[np.isfinite(column)] for column in values.T]
        cells = [f"{column.mean():.1f}" if len(column) else "–" for column in finite]
        missing = int(np.isnan(values[:, 0]).sum())
        print(f"| {', '.join(map(str, turn))} | {missing} | {' | '.join(cells)} |")
    every = np.nanmean(np.concatenate([np.array(rows) for rows in errors.values()]), axis=0)
    print(f"all: {every.round(1)}")
    off = []
    for path in sorted(Path(folder).glob("???_0?.jpg")):
        photo = read_image(path)
        fitted = mesh(photo, detector.detect(photo)[0])
        pitch, yaw, _ = head_angles(fitted.rotations)
        up, right = gaze_angles(head_points(fitted.points, fitted.rotations))
        off.append([float((pitch + up)[0]), float((yaw + right)[0])])
    print(f"gaze and pose from the camera, {len(off)} portraits: pitch, yaw")
    print(f"mean {np.mean(off, axis=0).round(1)}, deviation {np.std(off, axis=0).round(1)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
