"""The layouts of published data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.datasets import load_faces, load_ferplus, read_list
from mien.errors import InputError, UsageError
from mien.labels import EMOTIONS
from mien.media.images import encode, write_image
from mien.types import Image

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 48, 48)).astype(np.uint8)
VOTES = [
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF",
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
    "Training,fer0000001.png,0,9,0,0,0,0,0,0,1,0",
    "Training,,0,0,0,0,0,0,0,0,0,10",
    "PublicTest,fer0000003.png,0,0,10,0,0,0,0,0,0,0",
    "PrivateTest,fer0000004.png,0,0,0,10,0,0,0,0,0,0",
]
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
USAGES = ["Training", "Training", "Training", "PublicTest", "PrivateTest"]


def rgb(gray: Image) -> Image:
    return np.repeat(gray[..., None], 3, axis=2)


def write_fer2013(folder: Path) -> Path:
    rows = ["emotion,pixels,Usage"]
    for number, usage, pixels in zip((0, 3, 2, 5, 6), USAGES, PIXELS, strict=True):
        rows.append(f"{number},{' '.join(map(str, pixels.ravel()))},{usage}")
    path = folder / "fer2013.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def write_folders(root: Path, box: bool) -> None:
    for row, pixels in zip(VOTES[1:], PIXELS, strict=True):
        usage, name, *counts = row.split(",")
        if not name:
            continue
        folder = root / FOLDERS[usage]
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, rgb(pixels))
        line = [name, '"(0, 0, 48, 48)"', *counts] if box else [name, *counts]
        with (folder / "label.csv").open("a") as labels:
            labels.write(",".join(line) + "\n")


def test_the_kaggle_table_of_pixels(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path)
    faces = load_faces(path)
    assert faces.names[0] == "fer2013.csv:2"
    assert faces.splits.tolist() == ["train", "train", "train", "validation", "test"]
    named = [EMOTIONS[place] for place in faces.majority]
    assert named == ["anger", "happiness", "fear", "surprise", "neutral"]
    np.testing.assert_array_equal(faces.image(1), rgb(PIXELS[1]))
    assert len(load_faces(tmp_path, "PrivateTest")) == 1
    without = load_faces(path, labels={"6": ""})
    assert without.labels == ("happiness", "surprise", "anger", "fear")


def test_broken_pixels_are_listed(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path)
    with path.open("a") as file:
        file.write("1,1 2 x,Training\n1,1 2 3,Training\n1,256 2 3 4,Training\n1,,Training\n")
    faces = load_faces(path)
    assert len(faces) == 5
    assert [broken.name for broken in faces.broken] == [f"fer2013.csv:{n}" for n in (7, 8, 9, 10)]
    assert "whole numbers from 0 to 255" in faces.broken[0].reason
    assert "3 pixels are no square" in faces.broken[1].reason


def test_ferplus_votes_beside_the_pixels(tmp_path: Path) -> None:
    write_fer2013(tmp_path)
    (tmp_path / "fer2013new.csv").write_text("\n".join(VOTES) + "\n")
    faces = load_faces(tmp_path)
    assert faces.names.tolist() == [f"fer000000{n}.png" for n in (0, 1, 3, 4)]
    assert faces.kind == "votes"
    assert faces.votes[0].tolist() == [4, 0, 0, 1, 3, 2, 0, 0]
    assert faces.majority.tolist() == [-1, 1, 2, 3]
    assert faces.columns["fer2013_label"].tolist() == ["anger", "happiness", "surprise", "neutral"]
    assert faces.columns["unknown"].tolist() == [0, 1, 0, 0]
    assert faces.unlabeled == ("fer2013.csv:4",)
    np.testing.assert_array_equal(faces.image(2), rgb(PIXELS[3]))
    (tmp_path / "fer2013new.csv").write_text("\n".join(VOTES[:-1]) + "\n")
    with pytest.raises(InputError, match=r"has 4 rows and .* 5, but they must go row by row"):
        load_faces(tmp_path)


@pytest.mark.parametrize("box", [True, False])
def test_ferplus_folders_with_their_label_files(tmp_path: Path, box: bool) -> None:
    write_folders(tmp_path, box)
    faces = load_faces(tmp_path)
    assert faces.splits.tolist() == ["train", "train", "validation", "test"]
    assert faces.votes[0].tolist() == [4, 0, 0, 1, 3, 2, 0, 0]
    assert faces.columns["votes_unknown"].tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(faces.image(3), rgb(PIXELS[4]))
    alone = load_faces(tmp_path / "FER2013Train")
    assert alone.names.tolist() == ["fer0000000.png", "fer0000001.png"]


def test_ferplus_votes_beside_the_folders(tmp_path: Path) -> None:
    path = tmp_path / "fer2013new.csv"
    path.write_text("\n".join(VOTES) + "\n")
    with pytest.raises(InputError, match=r"votes but no images: put Kaggle's fer2013\.csv or"):
        load_faces(path)
    write_folders(tmp_path / "images", box=False)
    faces = load_faces(path)
    assert faces.names.tolist() == [f"fer000000{n}.png" for n in (0, 1, 3, 4)]
    assert faces.broken == ()


def parquet(path: Path, **columns: Sequence[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_parquet_with_an_image_column_and_hard_labels(tmp_path: Path) -> None:
    pictures = [{"bytes": encode(rgb(p)), "path": f"{i}.png"} for i, p in enumerate(PIXELS)]
    labels = ["happy", "sad", "angry", "fear", None]
    path = parquet(tmp_path / "faces.parquet", image=pictures, label=labels, age=[1, 2, 3, 4, 5])
    faces = load_faces(path)
    assert faces.names.tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert faces.labels == ("happiness", "sadness", "anger", "fear")
    assert faces.columns["age"].tolist() == [1, 2, 3, 4]
    assert faces.unlabeled == ("4.png",)
    np.testing.assert_array_equal(faces.image(2), rgb(PIXELS[2]))


def test_parquet_names_its_classes_in_the_metadata(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"image.bytes": [encode(rgb(p)) for p in PIXELS[:2]], "label": [1, 0]})
    names = {"info": {"features": {"label": {"names": ["sad", "happy"], "_type": "ClassLabel"}}}}
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), path)
    faces = load_faces(tmp_path)
    assert [EMOTIONS[place] for place in faces.majority] == ["happiness", "sadness"]
    assert set(faces.splits.tolist()) == {"train"}
    pq.write_table(table, path)
    with pytest.raises(InputError, match=r"numbers for labels, '0' \(1x\), '1' \(1x\)"):
        load_faces(tmp_path)
    assert len(load_faces(tmp_path, labels={"0": "sad", "1": "happy"})) == 2


def test_parquet_of_votes_and_paths_and_missing_images(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", rgb(PIXELS[0]))
    votes = {"votes_happiness": [3, 1, 2], "votes_sadness": [0, 1, 7]}
    path = parquet(tmp_path / "faces.parquet", file=["a.png", "b.png", None], **votes)
    faces = load_faces(path)
    assert faces.names.tolist() == ["a.png"]
    assert faces.kind == "votes"
    assert [broken.name for broken in faces.broken] == ["b.png", "faces.parquet:2"]


def test_parquet_of_another_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the columns a, b: an image column"):
        load_faces(parquet(tmp_path / "x.parquet", a=[1], b=[2]))
    (tmp_path / "y.parquet").write_text("nothing")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        load_faces(tmp_path / "y.parquet")


def test_a_list_chooses_rows(tmp_path: Path) -> None:
    pictures = [{"bytes": encode(rgb(p)), "path": f"{i}.png"} for i, p in enumerate(PIXELS)]
    parquet(tmp_path / "test.parquet", image=pictures, label=["happy"] * 5)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "few.csv").write_text("image,label\n3.png,happiness\n1.png,happiness\n")
    assert load_faces(tmp_path, "few").names.tolist() == ["1.png", "3.png"]
    with pytest.raises(UsageError, match="no split 'other': it has test"):
        load_faces(tmp_path, "other")
    (tmp_path / "lists" / "few.csv").write_text("1.png\n")
    with pytest.raises(InputError, match="its first line must name image and label"):
        load_faces(tmp_path, "few")
    (tmp_path / "lists" / "few.csv").write_text("image,label\n9.png,happiness\n")
    with pytest.raises(InputError, match="lacks 1 of the 1 images of the list few, such as 9"):
        load_faces(tmp_path, "few")


def test_the_ferplus_of_this_project_reads_as_before(shared: Path) -> None:
    folder = shared / "data" / "ferplus"
    faces, before = load_faces(folder, "test"), load_ferplus(folder, "test")
    arrays = faces.arrays(48)
    np.testing.assert_array_equal(arrays.images, before.images)
    np.testing.assert_array_equal(arrays.groups, before.groups)
    np.testing.assert_array_equal(arrays.fer2013, before.fer2013)
    np.testing.assert_array_equal(faces.votes, before.votes)
    np.testing.assert_array_equal(faces.majority, before.majority)
    assert faces.broken == ()
    listed = read_list(folder / "lists" / "literature_test.csv")
    rows = np.isin(faces.names, list(listed))
    assert [EMOTIONS[place] for place in faces.majority[rows]] == [
        listed[name] for name in faces.names[rows].tolist()
    ]
