"""Labeled faces from folders, tables and URLs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien import load_detector
from mien.datasets import load_faces
from mien.errors import InputError, InputNotFoundError, PluginError, UsageError
from mien.labels import EMOTIONS
from mien.media.images import write_image
from mien.models.card import CropSpec
from mien.types import Faces, FloatArray, Image


def face(seed: int, height: int = 60, width: int = 60) -> Image:
    """A picture unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def place(path: Path, seed: int, height: int = 60, width: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, face(seed, height, width))
    return path


def words(distribution: FloatArray) -> list[str]:
    return [EMOTIONS[place] for place in distribution.argmax(axis=1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("Angry", "happy", "0_fearful", "surprised")):
        for number in (1, 2, 10):
            place(tmp_path / "set" / name / f"{number}.png", 10 * seed + number)
    return tmp_path / "set"


def test_a_folder_a_label(folder: Path) -> None:
    (folder / "happy" / "notes.txt").write_text("no picture")
    (folder / ".cache").mkdir()
    place(folder / ".cache" / "x.png", 1)
    faces = load_faces(folder)
    assert len(faces) == 12
    assert faces.names[:4].tolist() == [
        *("0_fearful/1.png", "0_fearful/2.png", "0_fearful/10.png", "Angry/1.png")
    ]
    assert words(faces.distribution)[::3] == ["fear", "anger", "happiness", "surprise"]
    assert faces.labels == ("happiness", "surprise", "anger", "fear")
    assert faces.kind == "label"
    assert faces.majority.tolist() == faces.votes.argmax(axis=1).tolist()
    assert not faces.missed.any()
    assert faces.broken == ()
    np.testing.assert_array_equal(faces.image(3), face(1))


def test_folders_of_splits_are_found_inside_a_wrapping_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/happy/a", "train/sad/b", "val/sad/c", "test/happy/d")):
        place(tmp_path / "archive" / f"{name}.png", seed)
    faces = load_faces(tmp_path)
    assert sorted(faces.splits.tolist()) == ["test", "train", "train", "validation"]
    assert faces.names[0] == "archive/test/happy/d.png"
    assert words(load_faces(tmp_path, "validation").distribution) == ["sadness"]
    assert words(faces.split("val").distribution) == ["sadness"]
    with pytest.raises(UsageError, match="no split 'held': it has test, train, validation"):
        load_faces(tmp_path, "held")
    with pytest.raises(UsageError, match="no split"):
        faces.split("held")


def test_data_without_splits_says_so(folder: Path) -> None:
    with pytest.raises(UsageError, match="one set, without splits"):
        load_faces(folder, "train")


def test_broken_images_are_listed_and_no_crash(folder: Path) -> None:
    (folder / "happy" / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    whole = (folder / "happy" / "1.png").read_bytes()
    (folder / "happy" / "cut.png").write_bytes(whole[: len(whole) // 2])
    faces = load_faces(folder)
    assert len(faces) == 12
    assert [broken.name for broken in faces.broken] == ["happy/bad.jpg", "happy/cut.png"]
    assert "cut off" in faces.broken[1].reason
    assert len(faces[:2].broken) == 2
    reported = faces.describe()
    assert reported[0] == "12 faces: 3 happiness, 3 surprise, 3 anger, 3 fear."
    assert reported[1] == "2 broken images left out:"
    assert reported[2].startswith("  happy/bad.jpg: ")


def test_unknown_labels_are_named_with_the_known_ones(folder: Path) -> None:
    place(folder / "bored" / "1.png", 90)
    place(folder / "sleepy" / "1.png", 91)
    with pytest.raises(InputError, match=r"'bored' \(1x\), 'sleepy' \(1x\); known are neutral, "):
        load_faces(folder)
    faces = load_faces(folder, labels={"bored": "neutral", "sleepy": ""})
    assert len(faces) == 13
    assert faces.unlabeled == ("sleepy/1.png",)
    assert "neutral" in faces.labels
    assert faces.describe()[1] == "1 images without an expression left out."


def test_numbers_need_a_numbering(tmp_path: Path) -> None:
    for number in range(1, 8):
        place(tmp_path / str(number) / "a.png", number)
    with pytest.raises(InputError, match="name the numbering"):
        load_faces(tmp_path)
    with pytest.raises(UsageError, match="labels cannot be 'jaffe': give fer2013, "):
        load_faces(tmp_path, labels="jaffe")
    with pytest.raises(InputError, match=r"outside the numbering fer2013, 0 to 6: '7' \(1x\)"):
        load_faces(tmp_path, labels="fer2013")
    faces = load_faces(tmp_path, labels="rafdb")
    assert words(faces.distribution) == [
        *("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    ]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"No such file|there is nothing at"):
        load_faces(tmp_path / "none")
    with pytest.raises(InputError, match="holds no labeled images"):
        load_faces(tmp_path)
    (tmp_path / "data.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="no data that mien reads"):
        load_faces(tmp_path / "data.bin")
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "a.png").write_bytes(b"x")
    with pytest.raises(InputError, match="no labeled image that can be read; the first: happy"):
        load_faces(tmp_path)


def sheet(folder: Path, text: str, name: str = "faces.csv") -> Path:
    for seed in range(4):
        place(folder / "pictures" / f"{seed}.png", seed)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_table_of_path_and_label_keeps_its_further_columns(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        "File Name,Emotion,age,skin tone,Usage\n"
        "pictures/0.png,Sad,31,VI,Training\n"
        "pictures\\1.png,calm,,II,PublicTest\n"
        "pictures/9.png,happy,20,II,Training\n"
        "pictures/2.png,not a face,20,II,Training\n",
    )
    faces = load_faces(path)
    assert words(faces.distribution) == ["sadness", "neutral"]
    assert faces.splits.tolist() == ["train", "validation"]
    assert list(faces.columns) == ["age", "skin tone"]
    assert faces.columns["age"][0] == 31
    assert np.isnan(faces.columns["age"][1])
    assert faces.columns["skin tone"].tolist() == ["VI", "II"]
    assert [broken.name for broken in faces.broken] == ["pictures/9.png"]
    assert "No such file" in faces.broken[0].reason
    assert faces.unlabeled == ("pictures/2.png",)
    assert load_faces(tmp_path).names.tolist() == faces.names.tolist()


def test_a_table_of_votes_or_shares(tmp_path: Path) -> None:
    votes = (
        "image;happiness;sad;contempt;unknown\npictures/0.png;8;1;0;1\npictures/1.png;0;0;0;10\n"
    )
    faces = load_faces(sheet(tmp_path, votes))
    assert faces.kind == "votes"
    assert faces.votes[0, EMOTIONS.index("happiness")] == 8
    assert faces.unlabeled == ("pictures/1.png",)
    assert faces.columns["unknown"].tolist() == [1]
    shares = (
        "path\tvotes_happiness\tvotes_sadness\npictures/0.png\t.4\t.6\npictures/1.png\t.5\t.5\n"
    )
    faces = load_faces(sheet(tmp_path, shares, "shares.tsv"))
    assert faces.kind == "shares"
    assert faces.majority.tolist() == [EMOTIONS.index("sadness"), -1]
    assert faces.arrays(48).votes[0].sum() == pytest.approx(10)


def test_scores_beside_a_label_are_further_columns(tmp_path: Path) -> None:
    text = ",path,label,happy,sad,neutral\n0,pictures/0.png,sad,.9,.1,0\n"
    faces = load_faces(sheet(tmp_path, text))
    assert words(faces.distribution) == ["sadness"]
    assert {name: values.tolist() for name, values in faces.columns.items()} == {
        "happy": [0.9],
        "sad": [0.1],
        "neutral": [0],
    }


def test_tables_named_by_their_split(tmp_path: Path) -> None:
    sheet(tmp_path, "path,label\npictures/0.png,sad\n", "train.csv")
    sheet(tmp_path, "path,label,sex\npictures/1.png,happy,f\n", "test.csv")
    faces = load_faces(tmp_path)
    assert faces.splits.tolist() == ["test", "train"]
    assert faces.columns["sex"].tolist() == ["f", ""]
    sheet(tmp_path, "path,label\npictures/1.png,happy\n", "more.csv")
    with pytest.raises(InputError, match=r"several tables .*give one of them"):
        load_faces(tmp_path)


def test_a_table_without_the_columns_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the columns path, mood: one with the image"):
        load_faces(sheet(tmp_path, "path,mood\npictures/0.png,sad\n"))
    with pytest.raises(InputError, match=r"has the columns \(none\)"):
        load_faces(sheet(tmp_path, ""))
    with pytest.raises(InputError, match="more fields than the header"):
        load_faces(sheet(tmp_path, "path,label\npictures/0.png,sad,1\n"))
    (tmp_path / "faces.csv").write_bytes(b"path,label\n\xff\xfe\xfa,sad\n")
    with pytest.raises(InputError, match="not a readable CSV file"):
        load_faces(tmp_path / "faces.csv")
    with pytest.raises(InputError, match=r"column votes_sad: .*could not convert"):
        load_faces(sheet(tmp_path, "path,votes_sad,votes_happy\npictures/0.png,many,1\n"))


def test_crops_keep_the_whole_image_and_arrays_are_for_training(tmp_path: Path) -> None:
    place(tmp_path / "happy" / "tall.png", 1, height=80, width=40)
    place(tmp_path / "sad" / "square.png", 2)
    faces = load_faces(tmp_path)
    crops = faces.crops(80)
    assert crops.shape == (2, 80, 80, 3)
    np.testing.assert_array_equal(crops[0][:, 20:60], face(1, 80, 40))
    np.testing.assert_array_equal(crops[0][:, :20], np.repeat(crops[0][:, 20:21], 20, axis=1))
    np.testing.assert_array_equal(faces.crops(60, [1])[0], face(2))
    arrays = faces.arrays(48)
    assert arrays.images.shape == (2, 48, 48)
    assert arrays.majority.tolist() == faces.majority.tolist()
    assert arrays.groups.tolist() == [-1, -1]
    color = faces.arrays(48, color=True)
    assert color.images.shape == (2, 3, 48, 48)
    np.testing.assert_array_equal(color.images[1].transpose(1, 2, 0), faces.crops(48)[1])


def test_faces_in_whole_photos_are_found_and_misses_marked(tmp_path: Path) -> None:
    place(tmp_path / "happy" / "there.png", 1, 100, 200)
    place(tmp_path / "happy" / "missed.png", 2, 100, 201)

    def find(image: Image) -> Faces:
        if image.shape[1] == 201:
            return Faces.empty()
        return Faces(np.array([[0, 0, 10, 10], [100, 20, 140, 60]], np.float32))

    faces = load_faces(tmp_path, find=find)
    assert faces.names.tolist() == ["happy/missed.png", "happy/there.png"]
    assert faces.missed.tolist() == [True, False]
    crops = faces.crops(40, spec=CropSpec())
    assert (crops[0] == 128).all()
    np.testing.assert_array_equal(crops[1], face(1, 100, 200)[20:60, 100:140])
    assert len(faces.arrays(48)) == 1
    assert faces[faces.missed].missed.all()
    assert faces.describe()[1] == "1 photos in which no face was found."


def test_a_detector_of_mien_finds_the_face_of_a_photo(tmp_path: Path, photo: Path) -> None:
    place(tmp_path / "sad" / "nobody.png", 3, 120, 120)
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / photo.name).write_bytes(photo.read_bytes())
    faces = load_faces(tmp_path, find=load_detector("haar").detect)
    assert faces.missed.tolist() == [False, True]
    assert faces.found is not None
    x1, y1, x2, y2 = faces.found[0].boxes[0]
    whole = faces.image(0)
    assert 0.02 < (x2 - x1) * (y2 - y1) / (whole.shape[0] * whole.shape[1]) < 0.6


def test_a_finder_that_returns_something_else_is_named(folder: Path) -> None:
    def find(image: Image) -> Any:
        return [image]

    with pytest.raises(PluginError, match="returned list, not Faces"):
        load_faces(folder, find=find)


def test_progress_counts_batches(folder: Path) -> None:
    reported: list[int] = []

    def progress(batches: Iterable[int], total: int) -> Iterable[int]:
        reported.append(total)
        return batches

    load_faces(folder, progress=progress)
    assert reported == [1]
