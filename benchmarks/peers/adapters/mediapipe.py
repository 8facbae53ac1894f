"""mediapipe's face landmarker: boxes of the mesh and 52 blendshapes, no expression labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.adapters.contract import Face, frames_of


class Adapter:
    """The contract of `peers.adapters.contract.Peer`."""

    package = "mediapipe"

    def load(self) -> None:
        """Open the networks."""
        from mediapipe.tasks import python
        from mediapipe.tasks.python import vision

        model = Path(os.environ["PEER_MODELS"]) / "face_landmarker.task"
        base = python.BaseOptions(model_asset_path=str(model))
        self.options = {"base_options": base, "output_face_blendshapes": True, "num_faces": 10}
        self.vision = vision
        options = vision.FaceLandmarkerOptions(**self.options)
        self.peer = vision.FaceLandmarker.create_from_options(options)

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        import mediapipe as mp

        image = mp.Image.create_from_file(str(path))
        return _faces(self.peer.detect(image), image.width, image.height)

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        return None

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        import cv2
        import mediapipe as mp

        mode = self.vision.RunningMode.VIDEO
        options = self.vision.FaceLandmarkerOptions(**self.options, running_mode=mode)
        with self.vision.FaceLandmarker.create_from_options(options) as peer:
            for number, frame in enumerate(frames_of(path)):
                data: Any = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                image = mp.Image(image_format=mp.ImageFormat.SRGB, data=data)
                found = peer.detect_for_video(image, number * 40)
                yield _faces(found, image.width, image.height)


def _faces(found: Any, width: int, height: int) -> list[Face]:
    faces = []
    for points in found.face_landmarks:
        x, y = [p.x * width for p in points], [p.y * height for p in points]
        faces.append(Face([min(x), min(y), max(x), max(y)]))
    return faces
