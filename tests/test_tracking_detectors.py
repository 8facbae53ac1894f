"""The tracker with real detectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.tracking import track_ids

from mien.errors import PluginError
from mien.faces.detectors.base import FaceDetector
from mien.faces.detectors.haar import HaarDetector
from mien.faces.detectors.mtcnn import MtcnnDetector
from mien.faces.detectors.yunet import YunetDetector
from mien.faces.geometry import iou
from mien.testing import check_detector
from mien.tracking.tracker import TrackingDetector
from mien.types import Faces, FloatArray, Image


def test_real_detectors_pass_the_checks(astronaut: Image) -> None:
    for detector in (YunetDetector(threads=1), MtcnnDetector(threads=1)):
        check_detector(TrackingDetector(detector), astronaut, stateless=False)
    check_detector(TrackingDetector(HaarDetector()), astronaut, stateless=False)


def moving(astronaut: Image, frames: int) -> Iterator[tuple[Image, FloatArray]]:
    """The astronaut wanders over a grey ground; with the true box of the face."""
    for step in range(frames):
        x, y = 40 + 6 * step, round(20 + 10 * math.sin(step / 3))
        image = np.full((240, 400, 3), 120, np.uint8)
        image[y : y + 200, x : x + 200] = cv2.resize(astronaut, (200, 200))
        share = 200 / 512
        box = np.array([176, 62, 266, 176], np.float32) * share + (x, y, x, y)
        yield image, box.astype(np.float32)


@pytest.mark.parametrize("detector", [YunetDetector(threads=1), MtcnnDetector(threads=1)])
def test_a_moving_face_is_followed(astronaut: Image, detector: FaceDetector) -> None:
    tracked = TrackingDetector(detector)
    for image, box in moving(astronaut, 20):
        faces = tracked.detect(image)
        assert track_ids(faces) == [1]
        assert iou(faces.boxes, box[None])[0, 0] > 0.6
        assert faces.landmarks is not None
        low, high = faces.boxes[0, :2], faces.boxes[0, 2:]
        assert ((faces.landmarks[0] > low) & (faces.landmarks[0] < high)).all()


def test_haar_faces_are_followed_between_detections(astronaut: Image) -> None:
    tracked = TrackingDetector(HaarDetector(min_face=30), every=6)
    for image, box in moving(astronaut, 14):
        faces = tracked.detect(image)
        assert track_ids(faces) == [1]
        assert iou(faces.boxes, box[None])[0, 0] > 0.5
        assert np.isnan(np.asarray(faces.scores)).all()


def test_faces_are_followed_from_boxes_that_are_off(astronaut: Image) -> None:
    detector = YunetDetector(threads=1)
    true = detector.detect(astronaut)[0]
    side = true.boxes[0, 2] - true.boxes[0, 0]
    for shift in np.array([[0, 0], [0.2, 0], [-0.2, 0.1], [0, -0.2]]) * side:
        faces = detector.follow(astronaut, Faces(true.boxes + np.tile(shift, 2)), 0.5)
        assert len(faces) == 1
        assert iou(faces.boxes, true.boxes)[0, 0] > 0.75
    drifted = true
    for _ in range(20):
        drifted = detector.follow(astronaut, drifted, 0.5)
    assert iou(drifted.boxes, true.boxes)[0, 0] > 0.9


def test_new_faces_are_seen_while_others_are_followed(astronaut: Image) -> None:
    detector = YunetDetector(threads=1)
    both = np.concatenate([astronaut, astronaut], axis=1)
    first = detector.detect(astronaut)
    assert len(detector.follow(both, first, 0.5)) == 2
    assert len(detector.follow(both, Faces.empty(), 0.5)) == 2
    assert len(detector.follow(np.zeros_like(both), first, 0.5)) == 0


class Forgetful(YunetDetector):
    """A detector that loses the faces that it is to follow."""

    def follow(self, image: Image, faces: Faces, min_score: float) -> Any:
        return self._answer

    _answer: Any = None


@pytest.mark.parametrize("answer", [[], Faces.empty()])
def test_the_check_notices_a_method_follow_that_does_not(astronaut: Image, answer: Any) -> None:
    detector = Forgetful(threads=1)
    detector._answer = answer
    with pytest.raises(PluginError, match=r"follow\(\) must"):
        check_detector(detector, astronaut)
