"""A video in one vector: numpy's own values, weights of time, and what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.features import EVEN, frame_with_features, timeline_with_features

from mien.errors import InputError, UsageError
from mien.timeline.descriptors import group_values, person_values
from mien.timeline.timeline import Timeline

D = 5


@pytest.fixture
def faces(rng: np.random.Generator) -> np.ndarray:
    """``(40, 3, D)``: features of three people in forty frames, as float16 can hold them."""
    return rng.normal(1, 2, (40, 3, D)).astype(np.float16).astype(np.float32)


@pytest.fixture
def film(faces: np.ndarray) -> Timeline:
    """1 is there from the beginning to the end, 2 in the first half, 3 in every third frame."""

    def people(i: int) -> dict[int, np.ndarray]:
        there = {1: True, 2: i < 20, 3: i % 3 == 0}
        return {who: faces[i, who - 1] for who in there if there[who]}

    return timeline_with_features(people, 40)


def test_of_a_person_mean_deviation_least_and_most(film: Timeline, faces: np.ndarray) -> None:
    for person, rows in ((1, slice(None)), (2, slice(20)), (3, slice(None, None, 3))):
        own = faces[rows, person - 1]
        wanted = np.concatenate([own.mean(0), own.std(0), own.min(0), own.max(0)])
        found = film.descriptor(person)
        assert found.values == pytest.approx(wanted, abs=1e-5)
        assert found.values.dtype == np.float32
        assert found.values.shape == (4 * D,)
        assert (found.kind, found.track_id, found.source) == ("person", person, "film.mp4")
        assert (found.frames, found.left_out) == (len(own), 0)


def test_the_default_is_the_person_visible_longest(film: Timeline) -> None:
    assert film.descriptor().track_id == 1
    assert film.track(3).descriptor().track_id == 3


def test_of_a_group_over_the_faces_and_then_over_the_frames(
    film: Timeline, faces: np.ndarray
) -> None:
    frames = []
    for i in range(40):
        own = faces[i, [True, i < 20, i % 3 == 0]]
        frames.append(np.concatenate([own.mean(0), own.std(0)]))
    both = np.array(frames)
    found = film.descriptor(group=True)
    assert found.values == pytest.approx(np.concatenate([both.mean(0), both.std(0)]), abs=1e-5)
    assert (found.kind, found.track_id, found.frames) == ("group", None, 40)


def test_a_group_of_one_has_no_deviation_over_faces(faces: np.ndarray) -> None:
    found = timeline_with_features(lambda i: {1: faces[i, 0]}, 40).descriptor(group=True).values
    assert found[:D] == pytest.approx(faces[:, 0].mean(0), abs=1e-5)
    assert found[2 * D : 3 * D] == pytest.approx(faces[:, 0].std(0), abs=1e-5)
    assert not found[D : 2 * D].any()
    assert not found[3 * D :].any()


def test_parts_of_any_length_give_the_same(rng: np.random.Generator) -> None:
    from mien.timeline import descriptors

    features = rng.normal(0, 1, (5000, 3)).astype(np.float32)
    frame = np.sort(rng.integers(0, 3000, 5000))
    frame = np.unique(frame, return_inverse=True)[1]
    seconds = rng.uniform(0.01, 0.1, int(frame[-1]) + 1)
    whole = group_values(features, frame, seconds), person_values(features, np.ones(5000))
    for size in (1, 7, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(descriptors, "_AT_ONCE", size)
            assert group_values(features, frame, seconds) == pytest.approx(whole[0], abs=1e-6)
            assert person_values(features, np.ones(5000)) == pytest.approx(whole[1], abs=1e-6)


def test_frames_count_for_the_time_they_are_shown() -> None:
    """One second of 0 and one of 1, whatever was looked at of each."""
    sparse = [0.0, 0.5, *(1 + np.arange(10) / 10)]
    results = [
        frame_with_features(i, {1: (EVEN, [float(t >= 1)])}, time_s=float(t))
        for i, t in enumerate(sparse)
    ]
    timeline = Timeline.from_results(results)
    assert timeline.descriptor().values == pytest.approx([0.5, 0.5, 0, 1])
    assert timeline.descriptor(group=True).values == pytest.approx([0.5, 0, 0.5, 0])


def test_frames_without_features_are_left_out_and_counted() -> None:
    results = [
        frame_with_features(i, {1: (EVEN, None if i in (3, 4, 5) else [float(i)])})
        for i in range(10)
    ]
    timeline = Timeline.from_results(results)
    for group in (False, True):
        found = timeline.descriptor(group=group)
        assert (found.frames, found.left_out) == (7, 3)
        assert found.values[0] == pytest.approx(np.mean([0, 1, 2, 6, 7, 8, 9]))


def test_it_comes_back_from_a_file(film: Timeline, tmp_path: Path) -> None:
    again = Timeline.load(film.save(tmp_path / "film.parquet"))
    for group in (False, True):
        one, other = film.descriptor(group=group), again.descriptor(group=group)
        assert one.values == pytest.approx(other.values, abs=1e-6)


def test_smoothing_does_not_change_it(film: Timeline) -> None:
    assert film.smooth(1).descriptor(2).values == pytest.approx(film.descriptor(2).values)


def test_several_videos_are_distinguished(faces: np.ndarray) -> None:
    results = [
        frame_with_features(i, {1: (EVEN, faces[i, film])}, source=f"{film}.mp4")
        for film in (0, 1)
        for i in range(20)
    ]
    timeline = Timeline.from_results(results)
    with pytest.raises(UsageError, match=r"choose a video: source=\.\.\. of 0\.mp4, 1\.mp4"):
        timeline.descriptor()
    for film in (0, 1):
        found = timeline.descriptor(source=f"{film}.mp4")
        assert found.values[:D] == pytest.approx(faces[:20, film].mean(0), abs=1e-5)


@pytest.mark.parametrize("group", [False, True])
def test_what_cannot_be_described_says_why(group: bool) -> None:
    def describe(timeline: Timeline) -> None:
        timeline.descriptor(group=group)

    nobody = Timeline.from_results(frame_with_features(i, {}) for i in range(5))
    with pytest.raises(InputError, match=r"no face was found in film\.mp4"):
        describe(nobody)
    with pytest.raises(InputError, match="too short: 1 frame with a face; it takes 2"):
        describe(timeline_with_features(lambda i: {1: [1.0]} if i == 2 else {}))
    gaps = [frame_with_features(0, {1: (EVEN, [1.0])}), frame_with_features(1, {1: (EVEN, None)})]
    with pytest.raises(InputError, match="1 frame with a face, and 1 without features"):
        describe(Timeline.from_results(gaps))
    with pytest.raises(UsageError, match="not kept: analyze it again with --embeddings features"):
        describe(Timeline.from_results(frame_with_features(i, {1: (EVEN, None)}) for i in range(5)))
    with pytest.raises(InputError, match="no face was found in an empty table"):
        describe(Timeline.from_results([]))


def test_a_person_who_is_not_in_the_video(film: Timeline) -> None:
    with pytest.raises(UsageError, match=r"no person 9 in film\.mp4; the track ids are: 1, 2, 3"):
        film.descriptor(9)
    with pytest.raises(UsageError, match="there is no video 'other'"):
        film.descriptor(source="other")
