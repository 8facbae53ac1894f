"""OpenCV with two networks of its zoo: YuNet and the expression model (int8), as its demo."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.adapters.contract import Face, frames_of, named, read

LABELS = ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
#: Eyes, nose, mouth corners in a crop of 112 pixels: the template of the zoo's demo.
TEMPLATE = (
    (38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
    (70.7299, 92.2041),
)  # fmt: skip


class Adapter:
    """The contract of `peers.adapters.contract.Peer`."""

    package = "opencv-python-headless"

    def load(self) -> None:
        """Open the networks."""
        import cv2

        folder = Path(os.environ["PEER_MODELS"])
        yunet = folder / "face_detection_yunet_2023mar.onnx"
        expression = folder / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
        self.detector = cv2.FaceDetectorYN.create(str(yunet), "", (320, 320), 0.8)
        self.net = cv2.dnn.readNet(str(expression))

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        image = read(path)
        if image is None:
            raise ValueError("cv2.imread returned None")
        return self._faces(image)

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        import cv2

        return self._classify(cv2.resize(read(path), (112, 112)))

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        for image in frames_of(path):
            yield self._faces(image)

    def _faces(self, image: Any) -> list[Face]:
        import cv2
        import numpy as np

        height, width = image.shape[:2]
        self.detector.setInputSize((width, height))
        _, found = self.detector.detect(image)
        faces = []
        for row in () if found is None else found:
            matrix, _ = cv2.estimateAffinePartial2D(
                row[4:14].reshape(5, 2), np.array(TEMPLATE, np.float32), method=cv2.LMEDS
            )
            aligned = cv2.warpAffine(image, matrix, (112, 112))
            x, y, w, h = row[:4].tolist()
            faces.append(Face([x, y, x + w, y + h], self._classify(aligned)))
        return faces

    def _classify(self, crop: Any) -> dict[str, float]:
        import cv2

        blob = cv2.dnn.blobFromImage(crop, 1 / 127.5, (112, 112), (127.5,) * 3, swapRB=True)
        self.net.setInput(blob)
        logits = self.net.forward().ravel().tolist()
        powers = [math.exp(value - max(logits)) for value in logits]
        return named(dict(zip(LABELS, powers, strict=True)))
