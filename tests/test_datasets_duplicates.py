"""Near-duplicates of images, within a set and between sets."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mien.datasets import LabelledFaces, duplicates, load_faces, split_faces
from mien.datasets.duplicates import twin_groups
from mien.datasets.loading import thumbnail
from mien.errors import InputError, UsageError
from mien.types import Image


def photo(seed: int) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC), np.uint8)


def faces_of(
    pictures: list[Image],
    labels: list[int] | None = None,
    split: str = "",
    columns: Mapping[str, npt.NDArray[Any]] | None = None,
) -> LabelledFaces:
    votes = np.zeros((len(pictures), 8), np.float32)
    votes[np.arange(len(pictures)), labels or [1] * len(pictures)] = 1
    return LabelledFaces(
        names=np.array([f"{row}.png" for row in range(len(pictures))]),
        sources=tuple(pictures),
        votes=votes,
        kind="label",
        splits=np.full(len(pictures), split),
        columns=columns or {},
        thumbnails=np.stack([thumbnail(picture) for picture in pictures]),
    )


def changed(picture: Image) -> dict[str, Image]:
    """The same photo as another site may show it."""
    marked = picture.copy()
    cv2.putText(marked, "stock", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    return {
        "copy": picture.copy(),
        "small": np.asarray(cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), np.uint8),
        "darker": (picture * 0.6 + 10).astype(np.uint8),
        "trimmed": picture[3:-3, 3:-3],
        "moved": np.roll(picture, 3, axis=1),
        "mirrored": np.ascontiguousarray(picture[:, ::-1]),
        "jpeg": np.asarray(jpeg, np.uint8),
        "marked": marked,
    }


@pytest.mark.parametrize("how", list(changed(photo(0))))
def test_the_same_photo_is_found_in_another_guise(how: str) -> None:
    train = faces_of([photo(seed) for seed in range(30)], split="train")
    test = faces_of([photo(90), changed(photo(4))[how], photo(91)], split="test")
    found = duplicates(train, test)
    assert np.flatnonzero(found.shared(0, 1)).tolist() == [4]
    assert np.flatnonzero(found.shared(1, 0)).tolist() == [1]
    assert found.summary() == ["1 of 3 images of test have a twin in train."]


def test_different_photos_are_no_twins() -> None:
    assert (twin_groups(faces_of([photo(seed) for seed in range(200)]).thumbnails) == -1).all()


def test_repeats_within_a_set_and_images_without_contrast() -> None:
    flat = [np.full((48, 48, 3), gray, np.uint8) for gray in (0, 1, 0, 90, 200)]
    found = duplicates(faces_of([photo(1), *flat, photo(1)]), names=("all",))
    assert found.groups[0].tolist() == [0, 1, 1, 1, -1, -1, 0]
    assert found.surplus(0).tolist() == [False, False, True, True, False, False, True]
    assert found.summary() == ["3 of 7 images repeat within all."]
    assert duplicates(faces_of([photo(1), photo(2)])).summary() == []


def test_splits_keep_shares_and_twins_together() -> None:
    labels = [1] * 100 + [3] * 40
    pictures = [photo(seed) for seed in range(130)] + [photo(seed) for seed in range(100, 110)]
    faces = split_faces(faces_of(pictures, labels))
    for label, count in ((1, 100), (3, 40)):
        own = faces.splits[np.array(labels) == label]
        assert np.sum(own == "validation") == pytest.approx(0.15 * count, abs=1)
        assert np.sum(own == "test") == pytest.approx(0.15 * count, abs=1)
    assert faces.splits[100:110].tolist() == faces.splits[130:].tolist()
    assert duplicates(faces.split("train"), faces.split("test")).shared(1, 0).sum() == 0
    again = split_faces(faces_of(pictures, labels))
    assert again.splits.tolist() == faces.splits.tolist()
    other = split_faces(faces_of(pictures, labels), seed=1)
    assert other.splits.tolist() != faces.splits.tolist()


def test_people_stay_together_also_through_a_duplicate() -> None:
    people = np.array([f"p{row // 4}" for row in range(80)])
    pictures = [photo(seed) for seed in range(79)] + [photo(0)]  # one photo under two names
    faces = split_faces(faces_of(pictures, columns={"person": people}), together="person")
    for person in set(people):
        assert len(set(faces.splits[people == person])) == 1
    assert faces.splits[0] == faces.splits[79]
    assert set(faces.splits.tolist()) == {"train", "validation", "test"}


def test_faces_that_are_all_alike_cannot_be_split() -> None:
    bright = [np.clip(photo(1).astype(int) + step, 0, 255).astype(np.uint8) for step in range(40)]
    faces = faces_of(bright, [1, 3] * 20)
    message = "nothing is left for 'test': 40 of 40 are near-duplicates of each other, and"
    with pytest.raises(InputError, match=message):
        split_faces(faces, validation=0)
    people = faces_of([photo(i) for i in range(40)], columns={"person": np.array(["p"] * 40)})
    with pytest.raises(InputError, match="or have the same person"):
        split_faces(people, together="person")


def test_shares_and_columns_that_cannot_be() -> None:
    faces = faces_of([photo(1), photo(2)])
    with pytest.raises(UsageError, match="leave some of the faces for training"):
        split_faces(faces, validation=0.5, test=0.5)
    with pytest.raises(UsageError, match="no column 'person' to keep together; it has none"):
        split_faces(faces, together="person")
    assert split_faces(faces, test=0).splits.tolist() == ["train", "train"]


def test_every_known_duplicate_of_ferplus_test_rows_is_found(shared: Path) -> None:
    faces = load_faces(shared / "data" / "ferplus", "test")
    known = np.nan_to_num(faces.columns["duplicate_group"], nan=-1)
    groups = duplicates(faces).groups[0]
    pairs = [
        pair
        for group in np.unique(known[known >= 0])
        for pair in combinations(np.flatnonzero(known == group), 2)
    ]
    assert len(pairs) > 20
    assert all(groups[first] == groups[second] >= 0 for first, second in pairs)
    assert (groups >= 0).sum() < 150  # of 3,573: few others, which are twins to the eye
