"""Tracking: who is who from frame to frame, told by place and by looks, without a network."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.detectors import SIZE, Place, Refiner, Script, box_of, frame

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import tidy
from mien.faces.detectors.haar import HaarDetector
from mien.faces.detectors.mtcnn import MtcnnDetector
from mien.faces.geometry import iou
from mien.testing import check_detector
from mien.tracking.appearance import appearance
from mien.tracking.association import assign
from mien.tracking.motion import ChangeBaseline, Changes, FlowTracker
from mien.tracking.track import FaceImage
from mien.tracking.tracker import RefiningDetector, TrackingDetector
from mien.types import Faces, FloatArray, Image


def ids_of(faces: Faces) -> list[int]:
    assert faces.track_ids is not None
    assert faces.track_ids.dtype == np.int64
    return [int(number) for number in faces.track_ids]


def watch(
    film: Sequence[Sequence[Place]], tracked: TrackingDetector, grounds: Sequence[int] = ()
) -> Iterator[dict[str, int]]:
    """For each frame the number of everyone who was found."""
    for number, people in enumerate(film):
        ground = grounds[number] if grounds else 0
        faces = tracked.detect(frame(number, people, ground))
        found = {}
        for face in faces:
            centre = (face.boxes[0, :2] + face.boxes[0, 2:]) / 2
            away = {name: math.dist(centre, (x, y)) for name, x, y in people}
            found[min(away, key=lambda name: away[name])] = ids_of(face)[0]
        yield found


KINDS = (Script, Refiner)
both = pytest.mark.parametrize("kind", KINDS)


def line(name: str, start: float, end: float, frames: int, y: float = 60) -> list[Place]:
    """Someone who walks."""
    return [(name, float(x), y) for x in np.linspace(start, end, frames)]


def together(*people: Sequence[Place]) -> list[list[Place]]:
    return [list(places) for places in zip(*people, strict=True)]


# The parts


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


def test_changes_see_another_picture_but_not_another_light() -> None:
    first, other = frame(0, [("ann", 50, 60)], 0), frame(0, [("bob", 50, 60)], 3)
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
    flow.update(frame(0, [("ann", 50, 60)]))
    assert len(flow.follow(faces)) == 0
    flow.update(frame(0, [("ann", 54, 57)]))
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


# Who is who


@both
def test_crossing_people_keep_their_numbers(kind: type[Script]) -> None:
    film = together(line("ann", 20, 140, 60), line("bob", 140, 20, 60, 63))
    seen = list(watch(film, TrackingDetector(kind(film))))
    assert seen[0] == {"ann": 1, "bob": 2}
    assert seen[-1] == seen[0]
    assert {found.get("bob", 2) for found in seen} == {2}
    assert sum(found.get("ann", 1) != 1 for found in seen) == 0


@both
def test_people_who_meet_and_turn_back_keep_their_numbers(kind: type[Script]) -> None:
    to_and_fro = [*np.linspace(0, 42, 25), *np.linspace(42, 0, 25)]
    film = [[("ann", 30 + x, 60.0), ("bob", 130 - x, 64.0)] for x in map(float, to_and_fro)]
    seen = list(watch(film, TrackingDetector(kind(film))))
    assert seen[-1] == {"ann": 1, "bob": 2}


@both
def test_a_short_occlusion_changes_nothing(kind: type[Script]) -> None:
    walk = line("ann", 20, 140, 60)
    film: list[list[Place]] = [[] if 20 <= i < 45 else [place] for i, place in enumerate(walk)]
    seen = list(watch(film, TrackingDetector(kind(film))))
    assert [found.get("ann") for found in seen[:20]] == [1] * 20
    assert all(not found for found in seen[20:45])
    assert seen[51] == {"ann": 1}  # at the next search, a quarter of a second later
    assert {number for found in seen for number in found.values()} == {1}


@both
def test_who_comes_back_keeps_the_number_and_who_comes_instead_does_not(
    kind: type[Script],
) -> None:
    out, nobody = line("ann", 60, 185, 20), [[]] * 60  # type: ignore[var-annotated]
    for name, number in (("ann", 1), ("bob", 2)):
        back = line(name, 140, 60, 20)
        film = [[p] for p in line("ann", 60, 60, 5) + out[:15]] + nobody + [[p] for p in back]
        seen = list(watch(film, TrackingDetector(kind(film))))
        assert seen[-1] == {name: number}


@both
def test_a_cut_gives_another_number_and_the_cut_back_the_old_one(kind: type[Script]) -> None:
    names = ["ann"] * 20 + ["bob"] * 20 + ["ann"] * 20
    film: list[list[Place]] = [[(name, 80.0, 60.0)] for name in names]
    grounds = [0] * 20 + [1] * 20 + [0] * 20
    seen = list(watch(film, TrackingDetector(kind(film)), grounds))
    assert [found.get(name) for found, name in zip(seen, names, strict=True)] == (
        [1] * 20 + [2] * 20 + [1] * 20
    )


@both
def test_another_face_in_one_part_of_the_picture_is_another_person(kind: type[Script]) -> None:
    film: list[list[Place]] = [
        [("ann" if i < 20 else "bob", 40.0, 60.0), ("cat", 120.0, 60.0)] for i in range(40)
    ]
    seen = list(watch(film, TrackingDetector(kind(film))))
    assert seen[0] == {"ann": 1, "cat": 2}
    assert seen[-1] == {"bob": 3, "cat": 2}


@both
def test_a_jump_cut_to_the_same_face_elsewhere_keeps_the_number(kind: type[Script]) -> None:
    film: list[list[Place]] = [[("ann", 50.0 if i < 15 else 110.0, 60.0)] for i in range(30)]
    seen = list(watch(film, TrackingDetector(kind(film)), [0] * 15 + [1] * 15))
    assert [found["ann"] for found in seen] == [1] * 30


def test_who_is_who_is_asked_only_in_doubt() -> None:
    asked: list[int] = []

    def identity(image: Image, faces: Faces) -> FloatArray:
        asked.append(len(faces))
        return appearance(image, faces)

    apart = together(line("ann", 30, 70, 40), line("bob", 130, 120, 40, 30))
    list(watch(apart, TrackingDetector(Refiner(apart), identity=identity, alike=0.9)))
    assert asked == []
    cut: list[list[Place]] = [[("ann" if i < 10 else "bob", 80.0, 60.0)] for i in range(20)]
    seen = list(
        watch(
            cut, TrackingDetector(Refiner(cut), identity=identity, alike=0.9), [0] * 10 + [1] * 10
        )
    )
    assert seen[-1] == {"bob": 2}
    assert 0 < len(asked) <= 4


def test_your_own_identity_decides() -> None:
    def everyone_is_one(image: Image, faces: Faces) -> FloatArray:
        return np.ones((len(faces), 1), np.float32)

    film: list[list[Place]] = [[("ann" if i < 10 else "bob", 80.0, 60.0)] for i in range(20)]
    tracked = TrackingDetector(Refiner(film), identity=everyone_is_one)
    assert list(watch(film, tracked, [0] * 10 + [1] * 10))[-1] == {"bob": 1}


@pytest.mark.parametrize("answer", [np.zeros(3), np.full((1, 2), np.nan), np.zeros((5, 2))])
def test_a_wrong_identity_is_named(answer: Any) -> None:
    film: list[list[Place]] = [[("ann" if i < 10 else "bob", 80.0, 60.0)] for i in range(20)]
    tracked = TrackingDetector(Script(film), identity=lambda image, faces: answer)
    with pytest.raises(PluginError, match="identity must return"):
        list(watch(film, tracked, [0] * 10 + [1] * 10))


# Which faces are returned


@both
def test_a_doubtful_face_of_one_frame_has_neither_row_nor_number(kind: type[Script]) -> None:
    film: list[list[Place]] = [[("ann", 40.0, 60.0)] for _ in range(30)]
    film[12] = [("ann", 40.0, 60.0), ("ghost", 120.0, 60.0)]
    film[24:] = [[("ann", 40.0, 60.0), ("bob", 120.0, 60.0)]] * 6
    seen = list(watch(film, TrackingDetector(kind(film, lambda number: 0.91))))
    assert seen[12] == {"ann": 1}
    assert seen[24] == {"ann": 1}
    assert seen[25] == {"ann": 1, "bob": 2}


def test_a_sure_face_comes_at_once_and_without_confidence_it_waits_a_frame() -> None:
    film: list[list[Place]] = [[("ann", 40.0, 60.0)]] * 6
    film += [[("ann", 40.0, 60.0), ("bob", 120.0, 60.0)]] * 6
    sure = list(watch(film, TrackingDetector(Script(film, lambda number: 0.985))))
    assert sure[6] == {"ann": 1, "bob": 2}
    without = list(watch(film, TrackingDetector(Script(film, None))))
    assert without[0] == {"ann": 1}  # nothing was there to wait for
    assert without[6] == {"ann": 1}
    assert without[7] == {"ann": 1, "bob": 2}


def test_no_faces_are_no_rows() -> None:
    tracked = TrackingDetector(Script([[]] * 3))
    for number in range(3):
        faces = tracked.detect(frame(number, []))
        assert len(faces) == 0
        assert ids_of(faces) == []


def test_rows_come_largest_first_with_everything_the_detector_said() -> None:
    boxes = np.array([[100, 20, 140, 70], [10, 10, 90, 110]], np.float32)
    points = np.arange(20, dtype=np.float32).reshape(2, 5, 2)

    class Fixed:
        def detect(self, image: Image) -> Faces:
            return tidy(Faces(boxes, np.array([0.99, 0.995]), points))

    faces = TrackingDetector(Fixed()).detect(frame(0, []))
    assert ids_of(faces) == [1, 2]
    np.testing.assert_array_equal(faces.boxes, boxes[::-1])
    np.testing.assert_allclose(np.asarray(faces.scores), [0.995, 0.99])
    np.testing.assert_array_equal(np.asarray(faces.landmarks), points[::-1])


# How often is searched


def test_a_search_every_few_frames_at_a_cut_and_when_someone_is_lost() -> None:
    film: list[list[Place]] = [[("ann", 60.0 + i % 2, 60.0)] for i in range(26)]
    film[21:] = [[]] * 5
    grounds = [0] * 15 + [1] * 11
    for kind in KINDS:
        detector = kind(film)
        list(watch(film, TrackingDetector(detector, every=6), grounds))
        assert detector.detected == [0, 6, 12, 15, 18, 21, 24]


def test_most_searches_leave_small_faces_out() -> None:
    asked: list[int] = []

    class Asked(Refiner):
        def detect(self, image: Image, min_face: int = 0) -> Faces:
            asked.append(min_face)
            return super().detect(image)

    film: list[list[Place]] = [[("ann", 60.0, 60.0)]] * 31
    detector = Asked(film)
    assert isinstance(detector, RefiningDetector)
    assert not isinstance(Script(film), RefiningDetector)
    list(watch(film, TrackingDetector(detector, every=5)))
    small = SIZE[1] // 16
    assert asked == [0, small, small, small, small, small, 0]
    assert detector.refined == 30


def test_the_frame_rate_turns_seconds_into_frames() -> None:
    film: list[list[Place]] = [[("ann", 60.0, 60.0)]] * 24
    slow, fast = Script(film), Script(film)
    list(watch(film, TrackingDetector(slow, fps=4)))
    assert slow.detected == list(range(24))
    tracked = TrackingDetector(fast, fps=4)
    tracked.reset(fps=48)
    list(watch(film, tracked))
    assert fast.detected == [0, 12]
    assert tracked.fps == 48


# A new film, and copies


def test_reset_begins_to_count_anew() -> None:
    film: list[list[Place]] = [[("ann", 60.0, 60.0)]] * 10
    tracked = TrackingDetector(Script(film))
    first = list(watch(film, tracked))
    tracked.reset()
    other: list[list[Place]] = [[("bob", 60.0, 60.0)]] * 10
    tracked.detector = Script(other)
    assert first[-1] == {"ann": 1}
    assert next(watch(other, tracked)) == {"bob": 1}


def test_two_trackers_know_nothing_of_each_other() -> None:
    film = together(line("ann", 30, 60, 10), line("bob", 130, 110, 10))
    other = [[places[1]] for places in film]
    one, two = TrackingDetector(Script(film)), TrackingDetector(Script(other))
    pairs = list(zip(watch(film, one), watch(other, two), strict=True))
    assert pairs[-1] == ({"ann": 1, "bob": 2}, {"bob": 1})


@both
def test_a_copy_goes_on_where_the_original_was(kind: type[Script]) -> None:
    film = together(line("ann", 30, 90, 20), line("bob", 130, 110, 20, 30))
    tracked = TrackingDetector(kind(film, None))
    for number, people in enumerate(film[:8]):
        tracked.detect(frame(number, people))
    copy = pickle.loads(pickle.dumps(tracked))
    for number in range(8, 20):
        image = frame(number, film[number])
        here, there = tracked.detect(image), copy.detect(image)
        np.testing.assert_array_equal(here.boxes, there.boxes)
        assert ids_of(here) == ids_of(there)
    assert sorted(ids_of(here)) == [1, 2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fps": 0}, "fps must be above 0"),
        ({"fps": math.nan}, "fps must be above 0"),
        ({"every": 0}, "every must be at least 1"),
        ({"alike": 1.5}, "alike must be between 0 and 1"),
    ],
)
def test_numbers_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrackingDetector(Script([]), **wrong)


def test_a_new_rate_is_checked_too() -> None:
    with pytest.raises(UsageError, match="fps"):
        TrackingDetector(Script([])).reset(fps=-1)


def test_a_detector_that_returns_something_else_is_named() -> None:
    class Wrong:
        def detect(self, image: Image) -> Any:
            return [[0, 0, 10, 10]]

    with pytest.raises(PluginError, match=r"mien\.Faces, got list"):
        TrackingDetector(Wrong()).detect(frame(0, []))


# With real detectors


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
        assert ids_of(faces) == [1]
        assert iou(faces.boxes, box[None])[0, 0] > 0.6
        assert faces.landmarks is not None
        low, high = faces.boxes[0, :2], faces.boxes[0, 2:]
        assert ((faces.landmarks[0] > low) & (faces.landmarks[0] < high)).all()


def test_haar_faces_are_followed_between_detections(astronaut: Image) -> None:
    tracked = TrackingDetector(HaarDetector(min_face=30), every=6)
    for image, box in moving(astronaut, 14):
        faces = tracked.detect(image)
        assert ids_of(faces) == [1]
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
