"""Write tests/golden/mesh.npz: what MediaPipe's own FaceLandmarker 1.2.3 makes of the test photos.

Run it in a separate environment, because MediaPipe brings its own OpenCV:

    python -m venv mp && mp/bin/pip install mediapipe==1.2.3
    mp/bin/python scripts/mesh_reference.py

MediaPipe does not report the region of an image that it looks at. In a video, though, it is the
box around the points of the frame before: each photo is shown twice, beside a copy of itself,
because MediaPipe smooths the points of a single face. So the file keeps, for each face, that region
(center, side, angle), the points in fractions of it and their blendshapes; and the blendshapes and
the pose of the photo alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python import BaseOptions, vision

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT.parent / "shared" / "media" / "photos"
BUNDLE = ROOT.parent / "shared" / "models" / "face_landmarker.task"
GOLDEN = ROOT / "tests" / "golden" / "mesh.npz"
EYES = 33, 263  # outer corners
GROWTH = 1.5  # of the box around the points, in MediaPipe's face_landmarks_detector_graph.cc
Array = npt.NDArray[np.float64]


def landmarker(mode: Any) -> Any:
    """MediaPipe's task, for images or for a new video of two faces."""
    return vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(BUNDLE)),
            running_mode=mode,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
            num_faces=2,
        )
    )


def as_image(pixels: Any) -> Any:
    """OpenCV's array as MediaPipe takes it."""
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)


def leftmost(answer: Any, size: Array) -> tuple[Array, Array]:
    """Points in pixels and blendshapes of the face that is farthest to the left."""
    places = np.array([[(p.x, p.y, p.z) for p in face] for face in answer.face_landmarks])
    face = int(places[:, :, 0].mean(axis=1).argmin())
    shapes = [shape.score for shape in answer.face_blendshapes[face]]
    return places[face] * [*size, size[0]], np.array(shapes)


def region(points: Array) -> Array:
    """Center, side and angle in radians of the region that the next frame is searched in."""
    across = points[EYES[1], :2] - points[EYES[0], :2]
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    angle = np.arctan2(across[1], across[0])
    return np.array([*(low + high) / 2, GROWTH * (high - low).max(), angle])


def row(path: Path, images: Any) -> dict[str, Any] | None:
    """What is kept of a photo; nothing where MediaPipe does not find its face both times."""
    pixels = cv2.imread(str(path))
    alone = images.detect(as_image(pixels))
    twice = as_image(np.concatenate([pixels, pixels], axis=1))
    size = np.array([twice.width, twice.height], np.float64)
    video = landmarker(vision.RunningMode.VIDEO)
    before, after = (video.detect_for_video(twice, time) for time in (0, 40))
    if [len(answer.face_landmarks) for answer in (alone, before, after)] != [1, 2, 2]:
        return None
    spot = region(leftmost(before, size)[0])
    points, shapes = leftmost(after, size)
    return {
        "photos": path.name,
        "regions": spot,
        "points": ((points - [*spot[:2], 0]) / spot[2]).astype(np.float16),
        "blendshapes": shapes.astype(np.float32),
        "alone": leftmost(alone, size)[1].astype(np.float32),
        "poses": alone.facial_transformation_matrixes[0],
    }


def main() -> None:
    """Write the golden file."""
    images = landmarker(vision.RunningMode.IMAGE)
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".png"))
    rows = [made for path in photos if (made := row(path, images)) is not None]
    arrays: dict[str, Any] = {name: np.array([one[name] for one in rows]) for name in rows[0]}
    np.savez_compressed(GOLDEN, **arrays)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size:,} bytes, {len(rows)} faces")


if __name__ == "__main__":
    main()
