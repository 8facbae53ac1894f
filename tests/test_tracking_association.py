"""The parts of the tracker: assignment, motion, appearance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.detectors import SIZE, box_of, painted_frame

from mien.tracking.appearance import appearance
from mien.tracking.association import assign
from mien.tracking.motion import ChangeBaseline, Changes, FlowTracker
from mien.tracking.track import FaceImage
from mien.types import Faces, Image


def test_assign_finds_the_greatest_sum() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        rows, columns = rng.integers(0, 5, 2)
        gains = np.round(rng.random((rows, columns)) - 0.3, 1)
        pairs = assign(gains)
        assert len({row for row, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
        wide = np.maximum(gains if rows <= columns else gains.T, 0)
        orders = itertools.permutations(range(wide.shape[1]), wide.shape[0])
        best = max((sum(wide[i, c] for i, c in enumerate(order)) for order in orders), default=0)
        assert sum(gains[pair] for pair in pairs) == pytest.approx(best)
        assert all(gains[pair] > 0 for pair in pairs)


def test_assign_prefers_two_good_pairs_to_the_best_one() -> None:
    assert assign(np.array([[0.9, 0.8], [0.7, np.nan]])) == [(0, 1), (1, 0)]


def test_changes_notice_another_image_but_not_another_light() -> None:
    first, other = painted_frame(0, [("ann", 50, 60)], 0), painted_frame(0, [("bob", 50, 60)], 3)
    changes = Changes()
    assert not changes.update(first)
    assert changes.update(first)
    assert changes.around() == 0
    assert changes.update(np.clip(first * 1.3, 0, 255).astype(np.uint8))
    assert changes.around() < 0.1
    assert changes.update(other)
    assert changes.around() > 0.4
    assert changes.around(np.array(box_of(50, 60))) > 0.4
    assert not changes.update(other[:-20])
    assert changes.around() == 0
    assert changes.update(other[:-20])
    assert changes.around(np.array([900.0, 900, 950, 950])) == 0


def test_what_is_usual_is_no_leap() -> None:
    usual = ChangeBaseline(0.2, fps=25)
    assert not usual.exceeded(0.5)  # nothing to compare with
    assert not any(usual.exceeded(0.5) for _ in range(30))
    calm = ChangeBaseline(0.2, fps=25)
    assert not any(calm.exceeded(0.02) for _ in range(10))
    assert calm.exceeded(0.5)
    assert not calm.exceeded(0.19)


def test_flow_follows_a_face_and_its_points_and_loses_one_that_is_gone() -> None:
    flow = FlowTracker()
    points = np.array([[[44, 54], [56, 54], [50, 60], [45, 66], [55, 66]]], np.float32)
    faces = Faces(np.array([box_of(50, 60)], np.float32), np.array([0.9]), points)
    flow.update(painted_frame(0, [("ann", 50, 60)]))
    assert len(flow.follow(faces)) == 0
    flow.update(painted_frame(0, [("ann", 54, 57)]))
    moved = flow.follow(faces)
    np.testing.assert_allclose(moved.boxes[0], box_of(54, 57), atol=1.5)
    assert moved.landmarks is not None
    np.testing.assert_allclose(moved.landmarks[0], points[0] + (4, -3), atol=1.5)
    assert moved.scores is not None
    assert moved.scores[0] == pytest.approx(0.9)
    rng = np.random.default_rng(0)
    flow.update(rng.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8))
    assert len(flow.follow(moved)) == 0


def test_appearance_knows_a_head_before_another_ground(astronaut: Image) -> None:
    box = np.array([[175.0, 60, 265, 175]], np.float32)
    y, x = np.mgrid[:512, :512]
    head = (np.hypot((x - 220) / 85, (y - 112) / 100) < 1)[..., None]
    elsewhere = np.where(head, astronaut, np.uint8(90))
    brighter = np.clip(elsewhere * 1.1, 0, 255).astype(np.uint8)
    other = np.where(head, astronaut[:, ::-1, ::-1][:, 60:][:, :452].repeat(2, axis=1)[:, :512], 90)
    pictures = (astronaut, elsewhere, brighter, other.astype(np.uint8))
    vectors = [appearance(picture, Faces(box))[0] for picture in pictures]
    assert all(np.linalg.norm(v) == pytest.approx(1, abs=1e-4) for v in vectors)
    assert vectors[0] @ vectors[1] > 0.92
    assert vectors[0] @ vectors[2] > 0.92
    assert vectors[0] @ vectors[3] < 0.8
    assert appearance(astronaut, Faces.empty()).shape[0] == 0


@pytest.mark.parametrize(
    "box", [[-50, -50, -20, -20], [500, 500, 900, 900], [100, 100, 100, 100], [-9, 30, 700, 40]]
)
def test_a_portrait_may_reach_over_the_edge(astronaut: Image, box: list[float]) -> None:
    portrait = FaceImage(astronaut, Faces(np.array([box], np.float32)))
    assert max(portrait.image.shape) <= 200
    assert portrait.vector(appearance).shape == appearance(astronaut, portrait.face)[0].shape
