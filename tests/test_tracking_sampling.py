"""Coarse-to-fine sampling: which frames are evaluated, and no change is missed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from mien.tracking.sampling import coarse_to_fine


def run(film: str, stride: int = 16) -> tuple[list[int], list[int]]:
    """Frames that were handed on, and frames that were looked at, of a film of letters."""
    looked: list[int] = []

    def look(frame: tuple[int, str]) -> tuple[int, str]:
        looked.append(frame[0])
        return frame

    found = coarse_to_fine(enumerate(film), look, lambda a, b: a[1] == b[1], stride)
    return [index for index, _ in found], looked


def test_where_nothing_happens_strides_are_long() -> None:
    shown, looked = run("a" * 100)
    assert shown == [0, 1, 17, 33, 49, 65, 81, 97, 99]
    assert looked == shown


@pytest.mark.parametrize("change", [1, 2, 15, 16, 17, 40, 41, 63, 97, 98, 99])
def test_a_change_is_located_to_the_frame(change: int) -> None:
    shown, looked = run("a" * change + "b" * (100 - change))
    assert {change - 1, change} <= set(shown)
    assert len(looked) == len(set(looked))
    assert len(looked) <= 15
    assert shown == sorted(shown)


@pytest.mark.parametrize("length", range(1, 40))
def test_the_first_two_and_the_last_frame_are_evaluated(length: int) -> None:
    shown, _ = run("a" * length)
    assert shown[:2] == [0, 1][:length]
    assert shown[-1] == length - 1


def test_where_all_changes_every_frame_is_evaluated_once() -> None:
    film = "".join(chr(ord("A") + i) for i in range(50))
    shown, looked = run(film)
    assert shown == list(range(50))
    assert sorted(looked) == shown


def test_an_empty_video() -> None:
    assert run("") == ([], [])


def test_only_a_stride_of_frames_is_held() -> None:
    taken = 0

    def frames() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken - 1

    found = coarse_to_fine(frames(), lambda f: f, lambda _a, _b: True)
    assert list(itertools.islice(found, 4)) == [0, 1, 17, 33]
    assert taken <= 34
