"""Tracking: identities from frame to frame by position and appearance."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from helpers.detectors import Place, ScriptedDetector, ScriptedFollower, painted_frame
from helpers.tracking import in_one_video, track_ids, tracked_people, walk

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import FollowingDetector, tidy
from mien.tracking.appearance import appearance
from mien.tracking.tracker import TrackingDetector
from mien.types import Faces, FloatArray, Image

KINDS = (ScriptedDetector, ScriptedFollower)
both = pytest.mark.parametrize("kind", KINDS)


# Who is who


@both
def test_crossing_people_keep_their_ids(kind: type[ScriptedDetector]) -> None:
    film = in_one_video(walk("ann", 20, 140, 60), walk("bob", 140, 20, 60, 63))
    seen = list(tracked_people(film, TrackingDetector(kind(film))))
    assert seen[0] == {"ann": 1, "bob": 2}
    assert seen[-1] == seen[0]
    assert {found.get("bob", 2) for found in seen} == {2}
    assert sum(found.get("ann", 1) != 1 for found in seen) == 0


@both
def test_people_who_meet_and_turn_back_keep_their_ids(kind: type[ScriptedDetector]) -> None:
    to_and_fro = [*np.linspace(0, 42, 25), *np.linspace(42, 0, 25)]
    film = [[("ann", 30 + x, 60.0), ("bob", 130 - x, 64.0)] for x in map(float, to_and_fro)]
    seen = list(tracked_people(film, TrackingDetector(kind(film))))
    assert seen[-1] == {"ann": 1, "bob": 2}


@both
def test_a_short_occlusion_changes_nothing(kind: type[ScriptedDetector]) -> None:
    path = walk("ann", 20, 140, 60)
    film: list[list[Place]] = [[] if 20 <= i < 45 else [place] for i, place in enumerate(path)]
    seen = list(tracked_people(film, TrackingDetector(kind(film))))
    assert [found.get("ann") for found in seen[:20]] == [1] * 20
    assert all(not found for found in seen[20:45])
    assert seen[51] == {"ann": 1}  # at the next search, a quarter of a second later
    assert {number for found in seen for number in found.values()} == {1}


@both
def test_a_person_who_returns_keeps_the_id_and_another_one_does_not(
    kind: type[ScriptedDetector],
) -> None:
    out, nobody = walk("ann", 60, 185, 20), [[]] * 60  # type: ignore[var-annotated]
    for name, number in (("ann", 1), ("bob", 2)):
        back = walk(name, 140, 60, 20)
        film = [[p] for p in walk("ann", 60, 60, 5) + out[:15]] + nobody + [[p] for p in back]
        seen = list(tracked_people(film, TrackingDetector(kind(film))))
        assert seen[-1] == {name: number}


@both
def test_a_cut_gives_another_id_and_the_cut_back_the_old_one(
    kind: type[ScriptedDetector],
) -> None:
    names = ["ann"] * 20 + ["bob"] * 20 + ["ann"] * 20
    film: list[list[Place]] = [[(name, 80.0, 60.0)] for name in names]
    grounds = [0] * 20 + [1] * 20 + [0] * 20
    seen = list(tracked_people(film, TrackingDetector(kind(film)), grounds))
    assert [found.get(name) for found, name in zip(seen, names, strict=True)] == (
        [1] * 20 + [2] * 20 + [1] * 20
    )


@both
def test_another_face_in_one_part_of_the_image_is_another_person(
    kind: type[ScriptedDetector],
) -> None:
    film: list[list[Place]] = [
        [("ann" if i < 20 else "bob", 40.0, 60.0), ("cat", 120.0, 60.0)] for i in range(40)
    ]
    seen = list(tracked_people(film, TrackingDetector(kind(film))))
    assert seen[0] == {"ann": 1, "cat": 2}
    assert seen[-1] == {"bob": 3, "cat": 2}


@both
def test_a_jump_cut_to_the_same_face_elsewhere_keeps_the_id(
    kind: type[ScriptedDetector],
) -> None:
    film: list[list[Place]] = [[("ann", 50.0 if i < 15 else 110.0, 60.0)] for i in range(30)]
    seen = list(tracked_people(film, TrackingDetector(kind(film)), [0] * 15 + [1] * 15))
    assert [found["ann"] for found in seen] == [1] * 30


def test_identity_is_computed_only_in_doubt() -> None:
    asked: list[int] = []

    def identity(image: Image, faces: Faces) -> FloatArray:
        asked.append(len(faces))
        return appearance(image, faces)

    apart = in_one_video(walk("ann", 30, 70, 40), walk("bob", 130, 120, 40, 30))
    list(
        tracked_people(
            apart, TrackingDetector(ScriptedFollower(apart), identity=identity, alike=0.9)
        )
    )
    assert asked == []
    cut: list[list[Place]] = [[("ann" if i < 10 else "bob", 80.0, 60.0)] for i in range(20)]
    seen = list(
        tracked_people(
            cut,
            TrackingDetector(ScriptedFollower(cut), identity=identity, alike=0.9),
            [0] * 10 + [1] * 10,
        )
    )
    assert seen[-1] == {"bob": 2}
    assert 0 < len(asked) <= 4


def test_your_own_identity_decides() -> None:
    def everyone_is_one(image: Image, faces: Faces) -> FloatArray:
        return np.ones((len(faces), 1), np.float32)

    film: list[list[Place]] = [[("ann" if i < 10 else "bob", 80.0, 60.0)] for i in range(20)]
    tracked = TrackingDetector(ScriptedFollower(film), identity=everyone_is_one)
    assert list(tracked_people(film, tracked, [0] * 10 + [1] * 10))[-1] == {"bob": 1}


@pytest.mark.parametrize("answer", [np.zeros(3), np.full((1, 2), np.nan), np.zeros((5, 2))])
def test_a_wrong_identity_is_named(answer: Any) -> None:
    film: list[list[Place]] = [[("ann" if i < 10 else "bob", 80.0, 60.0)] for i in range(20)]
    tracked = TrackingDetector(ScriptedDetector(film), identity=lambda image, faces: answer)
    with pytest.raises(PluginError, match="identity must return"):
        list(tracked_people(film, tracked, [0] * 10 + [1] * 10))


# Which faces are returned


@both
def test_a_doubtful_face_of_one_frame_has_neither_row_nor_id(
    kind: type[ScriptedDetector],
) -> None:
    film: list[list[Place]] = [[("ann", 40.0, 60.0)] for _ in range(30)]
    film[12] = [("ann", 40.0, 60.0), ("ghost", 120.0, 60.0)]
    film[24:] = [[("ann", 40.0, 60.0), ("bob", 120.0, 60.0)]] * 6
    seen = list(tracked_people(film, TrackingDetector(kind(film, lambda number: 0.91))))
    assert seen[12] == {"ann": 1}
    assert seen[24] == {"ann": 1}
    assert seen[25] == {"ann": 1, "bob": 2}


def test_a_sure_face_comes_at_once_and_without_confidence_it_waits_a_frame() -> None:
    film: list[list[Place]] = [[("ann", 40.0, 60.0)]] * 6
    film += [[("ann", 40.0, 60.0), ("bob", 120.0, 60.0)]] * 6
    sure = list(
        tracked_people(film, TrackingDetector(ScriptedDetector(film, lambda number: 0.985)))
    )
    assert sure[6] == {"ann": 1, "bob": 2}
    without = list(tracked_people(film, TrackingDetector(ScriptedDetector(film, None))))
    assert without[0] == {"ann": 1}  # nothing was there to wait for
    assert without[6] == {"ann": 1}
    assert without[7] == {"ann": 1, "bob": 2}


def test_no_faces_are_no_rows() -> None:
    tracked = TrackingDetector(ScriptedDetector([[]] * 3))
    for number in range(3):
        faces = tracked.detect(painted_frame(number, []))
        assert len(faces) == 0
        assert track_ids(faces) == []


def test_rows_come_largest_first_with_everything_the_detector_said() -> None:
    boxes = np.array([[100, 20, 140, 70], [10, 10, 90, 110]], np.float32)
    points = np.arange(20, dtype=np.float32).reshape(2, 5, 2)

    class Fixed:
        def detect(self, image: Image) -> Faces:
            return tidy(Faces(boxes, np.array([0.99, 0.995]), points))

    faces = TrackingDetector(Fixed()).detect(painted_frame(0, []))
    assert track_ids(faces) == [1, 2]
    np.testing.assert_array_equal(faces.boxes, boxes[::-1])
    np.testing.assert_allclose(np.asarray(faces.scores), [0.995, 0.99])
    np.testing.assert_array_equal(np.asarray(faces.landmarks), points[::-1])


# How often is searched


def test_detection_runs_every_few_frames_at_a_cut_and_when_someone_is_lost() -> None:
    film: list[list[Place]] = [[("ann", 60.0 + i % 2, 60.0)] for i in range(26)]
    film[21:] = [[]] * 5
    grounds = [0] * 15 + [1] * 11
    for kind in KINDS:
        detector = kind(film)
        list(tracked_people(film, TrackingDetector(detector, every=6), grounds))
        assert detector.detected == [0, 6, 12, 15, 18, 21, 24]


def test_a_following_detector_sees_every_frame() -> None:
    film: list[list[Place]] = [[("ann", 60.0, 60.0)]] * 31
    detector = ScriptedFollower(film)
    assert isinstance(detector, FollowingDetector)
    assert not isinstance(ScriptedDetector(film), FollowingDetector)
    list(tracked_people(film, TrackingDetector(detector, every=5)))
    assert detector.followed == 31
    assert detector.detected == [0, 5, 10, 15, 20, 25, 30]


def test_the_frame_rate_turns_seconds_into_frames() -> None:
    film: list[list[Place]] = [[("ann", 60.0, 60.0)]] * 24
    slow, fast = ScriptedDetector(film), ScriptedDetector(film)
    list(tracked_people(film, TrackingDetector(slow, fps=4)))
    assert slow.detected == list(range(24))
    tracked = TrackingDetector(fast, fps=4)
    tracked.reset(fps=48)
    list(tracked_people(film, tracked))
    assert fast.detected == [0, 12]
    assert tracked.fps == 48


# A new film, and copies


def test_reset_restarts_the_ids() -> None:
    film: list[list[Place]] = [[("ann", 60.0, 60.0)]] * 10
    tracked = TrackingDetector(ScriptedDetector(film))
    first = list(tracked_people(film, tracked))
    tracked.reset()
    other: list[list[Place]] = [[("bob", 60.0, 60.0)]] * 10
    tracked.detector = ScriptedDetector(other)
    assert first[-1] == {"ann": 1}
    assert next(tracked_people(other, tracked)) == {"bob": 1}


def test_two_trackers_are_independent() -> None:
    film = in_one_video(walk("ann", 30, 60, 10), walk("bob", 130, 110, 10))
    other = [[places[1]] for places in film]
    one, two = TrackingDetector(ScriptedDetector(film)), TrackingDetector(ScriptedDetector(other))
    pairs = list(zip(tracked_people(film, one), tracked_people(other, two), strict=True))
    assert pairs[-1] == ({"ann": 1, "bob": 2}, {"bob": 1})


@both
def test_a_copy_goes_on_where_the_original_was(kind: type[ScriptedDetector]) -> None:
    film = in_one_video(walk("ann", 30, 90, 20), walk("bob", 130, 110, 20, 30))
    tracked = TrackingDetector(kind(film, None))
    for number, people in enumerate(film[:8]):
        tracked.detect(painted_frame(number, people))
    copy = pickle.loads(pickle.dumps(tracked))
    for number in range(8, 20):
        image = painted_frame(number, film[number])
        here, there = tracked.detect(image), copy.detect(image)
        np.testing.assert_array_equal(here.boxes, there.boxes)
        assert track_ids(here) == track_ids(there)
    assert sorted(track_ids(here)) == [1, 2]


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
        TrackingDetector(ScriptedDetector([]), **wrong)


def test_a_new_rate_is_checked_too() -> None:
    with pytest.raises(UsageError, match="fps"):
        TrackingDetector(ScriptedDetector([])).reset(fps=-1)


def test_a_detector_that_returns_something_else_is_named() -> None:
    class Wrong:
        def detect(self, image: Image) -> Any:
            return [[0, 0, 10, 10]]

    with pytest.raises(PluginError, match=r"mien\.Faces, got list"):
        TrackingDetector(Wrong()).detect(painted_frame(0, []))
