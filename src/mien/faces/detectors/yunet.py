"""YuNet, a small and fast face detection network.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence
Research 20, 656-665). The model is OpenCV Zoo's ``face_detection_yunet_2023mar.onnx``.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from mien.errors import ModelError, UsageError
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score, tidy
from mien.faces.detectors.onet import OutputNetwork
from mien.faces.detectors.weights import weights
from mien.media.brightness import brightened
from mien.models.trial import try_model
from mien.types import Faces, Image

_LOCK = Lock()  # the input size is set before each run: one thread at a time
_LEAST = 64  # pixels; smaller images get a black border


class YunetDetector(SelfDescribing):
    """Find faces with a YuNet model on OpenCV: confidence and five landmarks each.

    YuNet is specified for faces of about 10 to 300 pixels, so an image whose longer side exceeds
    `max_side` is downscaled for it; the results are in pixels of the original image.

    Args:
        model_path: the ``.onnx`` file.
        min_score: minimum confidence, 0 to 1.
        min_face: minimum length of the shorter side of a box, pixels.
        max_side: maximum side of YuNet's input, pixels; more detects smaller faces, less is
            faster.
        any_angle: determine the rotation of each face with MTCNN's O-Net: YuNet detects faces that
            lie or are upside down, but places their landmarks as if they were upright.

    Raises:
        ModelError: there is no such file, or it is not a YuNet that this OpenCV can run.
        UsageError: an argument is out of its range.
    """

    def __init__(
        self,
        model_path: str | Path,
        min_score: float = 0.7,
        min_face: int = 10,
        max_side: int = 640,
        any_angle: bool = True,
    ) -> None:
        self.model_path = Path(model_path)
        if not self.model_path.is_file():
            raise ModelError(f"no such YuNet model file: {self.model_path}.")
        if max_side < 32:
            raise UsageError(f"max_side must be at least 32 pixels, got {max_side}.")
        check_min_score(min_score)
        self.min_score = min_score
        self.min_face = min_face
        self.max_side = max_side
        self.any_angle = any_angle
        self._output = OutputNetwork(weights("mtcnn_onet")) if any_angle else None
        try_model(self.model_path, runtime="opencv")
        self._net: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_net": None}

    def detect(self, image: Image) -> Faces:
        """Detect the faces in one image, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.

        Raises:
            ModelError: the model file is not a YuNet that this OpenCV can run.
        """
        check_image(image)
        image = brightened(image)
        height, width = image.shape[:2]
        shrink = min(1.0, self.max_side / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        rows = self._find(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), np.uint8))
        points = rows[:, :14].reshape(-1, 7, 2) * (width / size[0], height / size[1])
        corner, span, landmarks = points[:, 0], points[:, 1], points[:, 2:]
        boxes = np.concatenate([corner, corner + np.maximum(span, 0)], axis=1)
        # YuNet's "right" eye and mouth corner are the person's own, so they come first, as here.
        faces = tidy(Faces(boxes, rows[:, 14], landmarks), self.min_score, self.min_face)
        return faces if self._output is None else self._output.upright(image, faces, self.min_score)

    def _find(self, bgr: Image) -> Any:
        """OpenCV's result ``(n, 15)``: x, y, width, height, five points, score."""
        # For images of at most 32 px OpenCV's network reads uninitialized memory.
        height, width = (max(0, _LEAST - side) for side in bgr.shape[:2])
        bgr = np.pad(bgr, ((0, height), (0, width), (0, 0)))
        size = (bgr.shape[1], bgr.shape[0])
        try:
            if self._net is None:
                self._net = cv2.FaceDetectorYN.create(
                    str(self.model_path), "", size, self.min_score
                )
            with _LOCK:
                self._net.setInputSize(size)
                _, rows = self._net.detect(bgr)
        except cv2.error as error:
            raise ModelError(
                f"{self.model_path} is not a YuNet model that OpenCV {cv2.__version__} can run."
            ) from error
        return np.zeros((0, 15), np.float32) if rows is None else rows
