"""Faces and scores: validated when they are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mien import Faces, Scores
from mien.errors import UsageError

BOXES = np.array([[0, 0, 10, 20], [5, 5, 9, 9], [1, 2, 3, 4]], np.float32)


def faces() -> Faces:
    landmarks = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
    return Faces(BOXES, np.array([0.9, 0.8, 0.7]), landmarks, np.array([4, 5, 6]))


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (0, [0]),
        (-1, [2]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([], []),
        (np.int64(1), [1]),
    ],
)
def test_every_index_selects_rows_of_every_column(index: Any, rows: list[int]) -> None:
    chosen = faces()[index]
    assert chosen.boxes.tolist() == BOXES[rows].tolist()
    assert chosen.landmarks is not None
    assert chosen.landmarks[:, 0, 0].tolist() == [10.0 * row for row in rows]
    assert chosen.track_ids is not None
    assert chosen.track_ids.tolist() == [4 + row for row in rows]


def test_faces_cannot_be_changed_by_anyone() -> None:
    mine = BOXES.copy()
    kept = Faces(mine)
    mine[:] = 0
    assert kept.boxes[0, 3] == 20
    with pytest.raises(ValueError, match="read-only"):
        kept.boxes[0, 0] = 1
    with pytest.raises(AttributeError):
        kept.boxes = mine  # type: ignore[misc]


def test_scores_of_faces_without_confidence_are_nan() -> None:
    found = Faces(BOXES)
    assert found.scores is not None
    assert np.isnan(found.scores).all()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"boxes": np.zeros((2, 3))}, r"shape \(n, 4\), got \(2, 3\)"),
        ({"boxes": BOXES, "scores": [1.0]}, r"shape \(3\), got \(1,\)"),
        ({"boxes": BOXES, "landmarks": np.zeros((3, 4, 2))}, r"\(3, 5, 2\)"),
        ({"boxes": [[10, 0, 0, 20]]}, "x1 <= x2"),
        ({"boxes": [[np.nan, 0, 0, 20]]}, "finite"),
        ({"boxes": "abc"}, "array of numbers"),
    ],
)
def test_wrong_faces_say_what_was_expected(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Faces(**columns)


def test_concat_and_empty() -> None:
    assert len(Faces.empty()) == 0
    assert len(Faces.concat([])) == 0
    joined = Faces.concat([faces(), Faces.empty(), faces()[0]])
    assert len(joined) == 4
    assert joined.track_ids is not None
    assert Faces.concat([faces(), Faces(BOXES)]).landmarks is None


def test_an_index_beyond_the_end_is_an_error() -> None:
    with pytest.raises(IndexError):
        faces()[3]


def test_scores_keep_the_distribution() -> None:
    scores = Scores([[0.2, 0.5, 0.3], [1, 0, 0]], ("a", "b", "c"))  # type: ignore[arg-type]
    assert scores.top.tolist() == [1, 0]
    seven = scores.without("b")
    assert seven.labels == ("a", "c")
    assert seven.values[0] == pytest.approx([0.4, 0.6])


@pytest.mark.parametrize(
    ("values", "words"),
    [([[0.5, 0.1]], "sum to 1"), ([[1.5, -0.5]], ">= 0"), ([[0.5, np.nan]], "finite")],
)
def test_what_is_no_distribution_is_refused(values: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Scores(values, ("a", "b"))


def test_other_numbers_need_their_kind_named() -> None:
    assert Scores([[3.0, -1.0]], ("a", "b"), kind="score").top.tolist() == [0]  # type: ignore[arg-type]
