"""Write tests/golden/mesh.npz: what MediaPipe's own FaceLandmarker 1.2.3 makes of the test photos.

Run it in a separate environment, because MediaPipe brings its own OpenCV:

    python -m venv mp && mp/bin/pip install mediapipe==1.2.3
    mp/bin/python scripts/mesh_reference.py

For each face it keeps the region that MediaPipe looks at (center, side, angle), the points in
fractions of that region, the blendshapes and the pose matrix.
"""

from __future__ import annotations

import zipfile
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
GROWTH = 1.5  # of the detector's box, in MediaPipe's face_detector_graph.cc
Array = npt.NDArray[np.float64]


def tasks() -> tuple[Any, Any]:
    """The landmarker, and the detector that it has inside: it does not report its regions."""
    landmarker = vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(BUNDLE)),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
            num_faces=5,
        )
    )
    with zipfile.ZipFile(BUNDLE) as bundle:
        weights = bundle.read("face_detector.tflite")
    options = vision.FaceDetectorOptions(base_options=BaseOptions(model_asset_buffer=weights))
    return landmarker, vision.FaceDetector.create_from_options(options)


def region(detection: Any, size: Array) -> Array:
    """Center, side and angle in radians of the region that MediaPipe takes around a box."""
    box = detection.bounding_box
    start, end = ([point.x, point.y] * size for point in detection.keypoints[:2])
    angle = np.arctan2(end[1] - start[1], end[0] - start[0])
    center = box.origin_x + box.width / 2, box.origin_y + box.height / 2
    return np.array([*center, GROWTH * max(box.width, box.height), angle])


def faces(path: Path, landmarker: Any, detector: Any) -> list[dict[str, Any]]:
    """A row for each face of a photo."""
    pixels = cv2.imread(str(path))
    image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels[..., ::-1]))
    size = np.array([image.width, image.height], np.float64)
    regions = [region(detection, size) for detection in detector.detect(image).detections]
    answer = landmarker.detect(image)
    rows = []
    for face, points in enumerate(answer.face_landmarks):
        place = np.array([(p.x, p.y, p.z) for p in points]) * [*size, size[0]]
        middle = place[:, :2].mean(axis=0)
        nearest = min(regions, key=lambda one: float(np.hypot(*(one[:2] - middle))))
        rows.append(
            {
                "photos": path.name,
                "regions": nearest,
                "points": ((place - [*nearest[:2], 0]) / nearest[2]).astype(np.float16),
                "blendshapes": np.array(
                    [shape.score for shape in answer.face_blendshapes[face]], np.float16
                ),
                "poses": answer.facial_transformation_matrixes[face],
            }
        )
    return rows


def main() -> None:
    """Write the golden file."""
    landmarker, detector = tasks()
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".png"))
    rows = [row for path in photos for row in faces(path, landmarker, detector)]
    np.savez_compressed(GOLDEN, **{name: np.array([row[name] for row in rows]) for name in rows[0]})
    print(f"{GOLDEN}: {GOLDEN.stat().st_size:,} bytes, {len(rows)} faces")


if __name__ == "__main__":
    main()
