"""Boxes and crops: squares, overlap, and crops beyond the edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.faces.crops import crop_faces, crop_matrices
from mien.faces.geometry import align_matrices, iou, roll_deg, square, yaw_deg
from mien.faces.quality import assess, sharpness
from mien.models.card import CropSpec
from mien.types import Faces, Image

TEMPLATE = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)


def test_crop_boxes_share_the_center_and_take_the_longer_side() -> None:
    boxes = np.array([[10, 20, 30, 60]], np.float32)
    assert square(boxes).tolist() == [[0, 20, 40, 60]]
    assert square(boxes, margin=0.25).tolist() == [[-10, 10, 50, 70]]


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert iou(a, b)[0] == pytest.approx([1, 1 / 3, 0])


@pytest.mark.parametrize("angle", [-40, 0, 25, 170])
def test_alignment_undoes_any_turn_scale_and_shift(angle: float) -> None:
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (TEMPLATE @ matrix.T * 57 + [120, 33]).astype(np.float32)[None]
    aligned = align_matrices(points, TEMPLATE, 100)[0]
    back = points[0] @ aligned[:, :2].T + aligned[:, 2]
    assert back == pytest.approx(TEMPLATE * 100, abs=0.01)
    assert roll_deg(points)[0] == pytest.approx(angle, abs=0.01)


def test_a_face_from_the_front_has_no_yaw_and_turning_has_a_sign() -> None:
    points = np.stack([TEMPLATE, TEMPLATE, TEMPLATE]) * 100
    points[1, 2, 0] += 8
    points[2, 2, 0] -= 8
    front, right, left = yaw_deg(points)
    assert front == pytest.approx(0, abs=0.1)
    assert right > 10
    assert left == pytest.approx(-right)


def test_a_crop_of_the_whole_image_is_the_image(astronaut: Image) -> None:
    side = astronaut.shape[0]
    whole = Faces(np.array([[0, 0, side, side]], np.float32))
    assert np.array_equal(crop_faces(astronaut, whole, side)[0], astronaut)
    half = crop_faces(astronaut, whole, side // 2)[0].astype(int)
    expected = cv2.resize(astronaut, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    assert np.abs(half - expected).mean() < 1.0


def test_small_crops_do_not_alias(rng: np.random.Generator) -> None:
    noise = rng.integers(0, 255, (400, 400, 3)).astype(np.uint8)
    crop = crop_faces(noise, Faces(np.array([[0, 0, 400, 400]], np.float32)), 40)[0]
    assert crop.std() < 0.3 * noise.std()  # every pixel is the mean of a hundred


def test_crops_keep_order_and_reach_over_the_edge() -> None:
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[:, :30], picture[:, 30:60], picture[:, 60:] = 50, 100, 150
    boxes = np.array([[65, 5, 85, 25], [5, 5, 25, 25], [-20, 20, 10, 50], [200, 9, 230, 39]])
    crops = crop_faces(picture, Faces(boxes.astype(np.float32)), 16)
    assert crops.shape == (4, 16, 16, 3)
    assert [int(np.median(c)) for c in crops] == [150, 50, 50, 150]
    assert len(crop_faces(picture, Faces.empty(), 16)) == 0


def test_the_template_needs_landmarks_and_falls_back_without() -> None:
    spec = CropSpec(template=tuple(map(tuple, TEMPLATE.tolist())))
    box = np.array([[10, 10, 30, 30]], np.float32)
    plain = crop_matrices(Faces(box), 20, spec)
    assert plain[0].tolist() == [[1, 0, -10], [0, 1, -10]]
    points = TEMPLATE[None] * 40 + 5
    aligned = crop_matrices(Faces(box, landmarks=points), 20, spec)[0]
    assert points[0] @ aligned[:, :2].T + aligned[:, 2] == pytest.approx(TEMPLATE * 20, abs=0.01)


def test_blur_lowers_sharpness_and_contrast_does_not(astronaut: Image) -> None:
    face = np.ascontiguousarray(astronaut[60:180, 160:280])
    blurred = np.asarray(cv2.GaussianBlur(face, (0, 0), 6), np.uint8)
    pale = (face // 2 + 60).astype(np.uint8)
    assert sharpness(blurred) < 0.5 * sharpness(face)
    assert sharpness(pale) == pytest.approx(sharpness(face), rel=0.05)
    assert sharpness(np.full((48, 48, 3), 9, np.uint8)) == 0


def test_small_blurred_and_turned_faces_are_not_fit(astronaut: Image) -> None:
    crop = astronaut[60:180, 160:280]
    turned = TEMPLATE * 100
    turned[2, 0] += 25
    boxes = np.array([[0, 0, 100, 100], [0, 0, 12, 12], [0, 0, 100, 100]], np.float32)
    landmarks = np.stack([TEMPLATE * 100, TEMPLATE * 12, turned])
    quality = assess(Faces(boxes, landmarks=landmarks), np.stack([crop] * 3))
    assert quality.fit.tolist() == [True, False, False]
    flat = np.full_like(np.stack([crop]), 90)
    assert not assess(Faces(boxes[:1]), flat).fit[0]
    assert np.isnan(assess(Faces(boxes), np.stack([crop] * 3)).yaw_deg).all()
