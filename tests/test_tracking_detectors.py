"""The tracker with real detectors, and their search near a known box."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from helpers.tracking import track_ids

from mien.errors import UsageError
from mien.faces.detectors.haar import HaarDetector
from mien.faces.detectors.mtcnn import MtcnnDetector
from mien.faces.geometry import iou
from mien.testing import check_detector
from mien.tracking.tracker import TrackingDetector
from mien.types import FloatArray, Image


def test_real_detectors_pass_the_checks(astronaut: Image) -> None:
    check_detector(TrackingDetector(MtcnnDetector(threads=1)), astronaut, stateless=False)
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


def test_mtcnn_follows_a_moving_face(astronaut: Image) -> None:
    detector = MtcnnDetector(threads=1)
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


def test_refine_finds_the_face_from_a_box_that_is_off(astronaut: Image) -> None:
    detector = MtcnnDetector(threads=1)
    true = detector.detect(astronaut)[0]
    side = true.boxes[0, 2] - true.boxes[0, 0]
    shifts = np.array([[0, 0], [0.2, 0], [-0.2, 0.1], [0, -0.2]]) * side
    boxes = true.boxes + np.tile(shifts, 2)
    for box in boxes:
        found = detector.refine(astronaut, box[None])
        assert len(found) == 1
        assert iou(found.boxes, true.boxes)[0, 0] > 0.75
    assert len(detector.refine(astronaut, boxes)) == 1
    drifted = true
    for _ in range(20):
        drifted = detector.refine(astronaut, drifted.boxes.astype(np.float64))
    assert iou(drifted.boxes, true.boxes)[0, 0] > 0.9


def test_refine_finds_nothing_where_nothing_is(astronaut: Image) -> None:
    detector = MtcnnDetector(threads=1)
    assert len(detector.refine(astronaut, np.zeros((0, 4)))) == 0
    assert len(detector.refine(astronaut, np.array([[5.0, 5, 5, 5]]))) == 0
    assert len(detector.refine(astronaut, np.array([[330.0, 330, 430, 430]]))) == 0
    with pytest.raises(UsageError, match="min_score"):
        detector.refine(astronaut, np.zeros((0, 4)), min_score=2)


def test_a_search_may_leave_small_faces_out(astronaut: Image) -> None:
    detector = MtcnnDetector(threads=1)
    assert len(detector.detect(astronaut, min_face=60)) == 1
    assert len(detector.detect(astronaut, min_face=400)) == 0
