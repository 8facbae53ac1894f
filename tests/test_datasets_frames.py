"""Labels of frames, in generated files of every layout, and the faces they match."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.datasets.frames.labels import FrameLabels, unit_name
from mien.datasets.frames.reading import read_frame_labels
from mien.errors import InputError, InputNotFoundError, UsageError
from mien.training.heads.alignment import LabeledFeatures, match
from mien.training.heads.features import Features

UNITS = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
FACES = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def film(source: str, frames: int, fps: float = 25.0, people: int = 1) -> pd.DataFrame:
    """A table's rows: person p is `p` px further right and larger; the last one is the largest."""
    rows = [
        (source, i, i / fps, p, p + 1, 100.0 * p, 0.0, 100.0 * p + 20 + 5 * p, 20 + 5 * p)
        for i in range(frames)
        for p in range(people)
    ]
    return table(rows)


def pictures(*sources: str) -> pd.DataFrame:
    return table([(s, 0, np.nan, 0, pd.NA, 0.0, 0.0, 20.0, 20.0) for s in sources])


def table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    names = ["source", "frame", "time_s", "face", "track_id", "x1", "y1", "x2", "y2"]
    return pd.DataFrame(rows, columns=names).astype({"track_id": "Int64"})


def seen(*tables: pd.DataFrame) -> Features:
    """Features that number the rows."""
    rows = pd.concat(tables, ignore_index=True)
    return Features(np.arange(len(rows), dtype=np.float32)[:, None], rows, "tiny", "abc")


def rows_of(found: LabeledFeatures) -> list[int]:
    return [int(row) for row in found.features[:, 0]]


def test_affwild2_counts_frames_from_one(tmp_path: Path) -> None:
    folder = tmp_path / "VA_Estimation_Challenge"
    write(
        folder / "Train_Set" / "7-60-1920x1080.txt", "valence,arousal", "0.5,0.1", "-5,-5", "-1,1"
    )
    write(folder / "Validation_Set" / "other.txt", "valence, arousal", "0.25,-0.25")
    labels = read_frame_labels(tmp_path, "valence-arousal")
    assert labels.columns == ("valence", "arousal")
    assert sorted(set(labels.splits)) == ["train", "validation"]
    # The official crops: the picture of row 3 is 00003.jpg. A film: frame 2 of the table.
    crops = [f"crops/7-60-1920x1080/{n:05}.jpg" for n in (1, 2, 3)]
    for features, expected in (
        (seen(pictures(*crops)), [0, 2]),
        (seen(film("films/7-60-1920x1080.mp4", 3)), [0, 2]),
    ):
        found = match(features, labels)
        assert rows_of(found) == expected
        assert found.values.tolist() == [[0.5, pytest.approx(0.1)], [-1, 1]]
        assert set(found.splits) == {"train"}
        assert any("1 labels without a value" in line for line in found.notes)
        assert any(
            "videos that are not in the table left out (the first: other" in x for x in found.notes
        )


def test_affwild2_expressions_and_units(tmp_path: Path) -> None:
    write(tmp_path / "EXPR_Set" / "Training_Set" / "a.txt", FACES, "4", "-1", "7", "0")
    write(tmp_path / "AU_Set" / "Train_Set" / "a.txt", UNITS, "0,1" + ",0" * 10, "-1" + ",-1" * 11)
    labeled = read_frame_labels(tmp_path, "expression")
    assert labeled.columns[:5] == ("neutral", "anger", "disgust", "fear", "happiness")
    assert labeled.columns[-1] == "other"
    assert labeled.values.argmax(axis=1)[[0, 2, 3]].tolist() == [4, 7, 0]
    assert np.isnan(labeled.values[1]).all()
    assert set(labeled.splits) == {"train"}
    some = read_frame_labels(tmp_path, "expression", ["happiness", "neutral"])
    assert some.frames.tolist() == [labeled.frames[0], labeled.frames[1], labeled.frames[3]]
    assert np.nansum(some.values, axis=1).tolist() == [1, 0, 1]
    units = read_frame_labels(tmp_path, "action-units")
    assert units.columns[:3] == ("AU01", "AU02", "AU04")
    assert units.values[0, :2].tolist() == [0, 1]
    assert np.isnan(units.values[1]).all()
    assert read_frame_labels(tmp_path, "action-units", ["AU2", "au26"]).columns == ("AU02", "AU26")
    with pytest.raises(InputError, match="nothing for the task valence-arousal, but for action-u"):
        read_frame_labels(tmp_path, "valence-arousal")


def test_affwild2_of_two_people(tmp_path: Path) -> None:
    write(tmp_path / "duo.txt", "valence,arousal", "0.1,0")
    write(tmp_path / "duo_right.txt", "valence,arousal", "0.2,0")
    labels = read_frame_labels(tmp_path, "valence-arousal")
    in_film = match(seen(film("duo.mp4", 1, people=3)), labels)
    assert dict(zip(rows_of(in_film), in_film.values[:, 0].round(1).tolist(), strict=True)) == {
        0: pytest.approx(0.1),  # the one without a suffix is the other one: the leftmost
        2: pytest.approx(0.2),
    }
    assert set(in_film.people) == {"duo"}  # both in one split
    crops = match(seen(pictures("c/duo/00001.jpg", "c/duo_right/00001.jpg")), labels)
    assert rows_of(crops) == [0, 1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("valence,arousal", "0.1,0.2", "0.3"), r"line 3: '0.3' is not 2 numbers"),
        (("valence,arousal", "0.1,x"), r"line 2: '0.1,x' is not 2 numbers"),
        (("valence,arousal", "0.1,3"), r"arousal is 3, not -1 to 1"),
        (("valence,arousal",), "has no rows"),
    ],
)
def test_broken_affwild2_is_one_sentence(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    write(tmp_path / "a.txt", *lines)
    with pytest.raises(InputError, match=message):
        read_frame_labels(tmp_path, "valence-arousal")


def test_bp4d(tmp_path: Path) -> None:
    header = "0,1,2,12,99"
    write(
        tmp_path / "AUCoding" / "F001_T1.csv",
        header,
        "2440,0,1,1,0",
        "2441,9,0,0,0",
        "2442,1,1,1,1",
    )
    write(tmp_path / "AUCoding" / "M002_T8.csv", header, "1,0,0,1,0")
    labels = read_frame_labels(tmp_path, "action-units")
    assert labels.columns == ("AU01", "AU02", "AU12")
    assert np.isnan(labels.values[1]).tolist() == [True, False, False]
    assert np.isnan(labels.values[2]).all()  # unit 99: this frame could not be coded
    assert sorted(set(labels.people)) == ["F001", "M002"]
    stills = seen(pictures("BP4D/F001/T1/2440.jpg", "BP4D/F001/T1/2441.jpg", "x/M002_T8/0001.jpg"))
    found = match(stills, labels)
    assert rows_of(found) == [0, 1, 2]
    assert found.values[0].tolist() == [0, 1, 1]
    films = seen(film("BP4D/M002/T8.avi", 1), film("F001_T1.mp4", 2441))
    assert rows_of(match(films, labels)) == [2440, 2441, 0]
    zero_based = seen(pictures("F001/T1/2439.jpg"))  # pictures counted from 0
    assert rows_of(match(zero_based, labels, shift=-1)) == [0]
    with pytest.raises(InputError, match="coded for action units"):
        read_frame_labels(tmp_path, "expression")


def test_disfa(tmp_path: Path) -> None:
    folder = tmp_path / "ActionUnit_Labels" / "SN001"
    write(folder / "SN001_au1.txt", "1,0", "2,1", "3,2", "4,5")
    write(folder / "SN001_au25.txt", "1,5", "2,0", "3,0", "4,0")
    present = read_frame_labels(tmp_path, "action-units")
    assert present.columns == ("AU01", "AU25")
    assert present.values[:, 0].tolist() == [0, 0, 1, 1]  # an intensity of 2 and more
    strong = read_frame_labels(tmp_path, "regression")
    assert strong.columns == ("AU01_intensity", "AU25_intensity")
    assert strong.values[:, 0].tolist() == [0, 1, 2, 5]
    both = seen(film("LeftVideoSN001_comp.avi", 3), film("RightVideoSN001_comp.avi", 2))
    assert sorted(set(rows_of(match(both, present)))) == [0, 1, 2, 3, 4]
    stills = pictures("SN001/0002.png", "d/LeftVideoSN001_comp/LeftVideoSN001_comp_0003.png")
    assert rows_of(match(seen(stills), present)) == [0, 1]
    write(folder / "SN001_au4.txt", "1,6")
    with pytest.raises(InputError, match=r"SN001_au4.txt: the intensity is 6, not 0 to 5"):
        read_frame_labels(tmp_path, "action-units")


def csv(tmp_path: Path, *lines: str, task: str = "valence-arousal") -> FrameLabels:
    return read_frame_labels(write(tmp_path / "labels.csv", *lines), task)


def test_a_table_by_frame_time_and_person(tmp_path: Path) -> None:
    features = seen(film("films/a.mp4", 4, fps=2, people=2), film("b.mp4", 1))
    head = "source,frame,time_s,track_id,valence,arousal"
    labels = csv(
        tmp_path, head, "a.mp4,1,,1,0.1,0", "a,,1.2,2,0.2,0", "films/a.mp4,3,,,0.3,0", "b,0,,,,"
    )
    found = match(features, labels)
    # Frame 1, person 1; the frame shown at 1.2 s, person 2; the largest face of frame 3.
    assert rows_of(found) == [2, 5, 7]
    assert np.isnan(found.times).sum() == 0
    late = csv(tmp_path, head, "a,,9,,0.2,0", "a,0,,1,0,0")
    found = match(features, late)
    assert rows_of(found) == [0]
    assert found.notes == (
        "1 labels of frames or people that are not in it left out (the first: a, 9 s).",
    )


def test_labels_of_missing_frames_are_reported(tmp_path: Path) -> None:
    features = seen(film("a.mp4", 4))
    labels = csv(tmp_path, "source,frame,valence,arousal", "a.mp4,900,0,0", "a.mp4,901,0,0")
    with pytest.raises(InputError) as raised:
        match(features, labels)
    assert str(raised.value).endswith(
        "labels.csv is about a face of the table: 2 labels of frames or people that are not in "
        "it left out (the first: a.mp4, frame 900)."
    )
    two = seen(film("x/a.mp4", 1), film("y/a.mp4", 1))
    with pytest.raises(InputError, match=r"a.mp4 in .*labels.csv may be x/a.mp4 or y/a.mp4"):
        match(two, labels)


def test_words_and_shares_are_distributions(tmp_path: Path) -> None:
    words = csv(tmp_path, "file,emotion", "a.jpg,Happy", "b.jpg,", "c.jpg,sad", task="expression")
    assert words.columns == ("happiness", "sadness")
    assert words.values[[0, 2]].tolist() == [[1, 0], [0, 1]]
    assert np.isnan(words.values[1]).all()
    assert rows_of(match(seen(pictures("d/c.jpg", "d/a.jpg")), words)) == [1, 0]
    votes = csv(
        tmp_path, "file,votes_happiness,votes_anger", "a.jpg,8,2", "b.jpg,0,0", task="expression"
    )
    assert votes.columns == ("happiness", "anger")
    assert votes.values[0].tolist() == pytest.approx([0.8, 0.2])
    assert np.isnan(votes.values[1]).all()


@pytest.mark.parametrize(
    ("lines", "task", "message"),
    [
        (("frame,valence,arousal", "0,0,0"), "valence-arousal", "needs a column source"),
        (("source,frame,valence", "a,0,0"), "valence-arousal", "needs the columns valence and"),
        (("source,frame,AU12", "a,0,3"), "action-units", "AU12 is 3, not 0 to 1; intensities are"),
        (("source,frame,smile", "a,0,1"), "action-units", "no column of an action unit"),
        (
            ("source,frame,AU12", "a,x,1"),
            "action-units",
            "line 2: frame is 'x', which is no number",
        ),
        (("source,frame,time_s,AU12", "a,,,1"), "action-units", "line 2: neither a frame nor a"),
        (("source,expression", "a,3"), "expression", "has numbers for expressions: write the w"),
        (("source,frame", "a,3"), "regression", "no column of numbers to learn"),
        (("source,frame,x", "a,3,2"), "multilabel", "x is 2, not 0 to 1"),
        (("source,frame,x", "a,3,inf"), "regression", "x is inf, which is no number to learn"),
        (("source,frame,x", "a,3,1e39"), "regression", r"x is 1e\+39, which is no number"),
        (("source,frame,x",), "multilabel", "has no rows"),
    ],
)
def test_a_wrong_table_is_one_sentence(
    tmp_path: Path, lines: tuple[str, ...], task: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        csv(tmp_path, *lines, task=task)


def test_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="there are no labels at"):
        read_frame_labels(tmp_path / "nothing", "regression")
    with pytest.raises(InputError, match="holds no labels of frames: expected a CSV table"):
        read_frame_labels(tmp_path, "regression")
    path = write(tmp_path / "t.csv", "source,x", "a,1")
    assert read_frame_labels(path, "regression").columns == ("x",)
    with pytest.raises(InputError, match="no column 'y'; its columns are x"):
        read_frame_labels(path, "regression", ["y"])
    write(tmp_path / "AUs" / "F001_T1.csv", "0,1", "1,0")
    with pytest.raises(UsageError, match="has no column 'AU02'; it has AU01"):
        read_frame_labels(tmp_path / "AUs", "action-units", ["AU2"])


@pytest.mark.parametrize("name", ["AU1", "au_01", "AU01_c", "au 1", "action_unit_1", "AU01_r"])
def test_units_have_one_name(name: str) -> None:
    assert unit_name(name) == ("AU01" if name != "au 1" else None)
    assert unit_name("audio") is None
