"""``mien people``: videos and tables in, identities out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.command import mien
from helpers.people import video_of_shots

from mien import EmotionAnalyzer, Timeline
from mien.labels import EMOTIONS
from mien.results.files import AnalysisFiles


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    """Two films with somebody in common."""
    first = video_of_shots("a.mp4", {1: "anna"}, {2: "bert"}, {3: "anna"})
    second = video_of_shots("b.mp4", {1: "bert", 2: "cleo"})
    return [first.save(tmp_path / "a.parquet"), second.save(tmp_path / "b.csv")]


def test_one_row_a_person_in_the_terminal(tables: list[Path]) -> None:
    done = mien("people", *tables)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["person", "person 1", "person 2", "person 3"]
    assert "a.mp4, b.mp4" in lines[2]
    assert "0:02.0" in lines[1]


def test_everything_into_a_folder(tables: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = mien("people", *tables, "-o", folder, "--name", "2=Bert")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "people.csv", "tracks.csv",
        "merged.parquet", "merged.images.parquet", "merged.peaks.parquet",
    }  # fmt: skip
    assert pd.read_csv(folder / "people.csv")["name"].tolist() == ["person 1", "Bert", "person 3"]
    assert pd.read_csv(folder / "tracks.csv")["person"].tolist() == [1, 2, 1, 2, 3]
    merged = Timeline.load(folder / "merged.parquet")
    assert merged.names == {2: "Bert"}
    assert merged.embeddings is None, "nobody asked to keep them"
    assert (folder / "index.html").read_text().count("<img") == 5
    assert mien("report", folder / "merged.parquet").exit_code == 0
    assert "Bert" in (folder / "merged.html").read_text()


def test_one_table_or_one_page(tables: list[Path], tmp_path: Path) -> None:
    for name in ("who.csv", "who.html"):
        done = mien("people", *tables, "-o", tmp_path / name)
        assert done.exit_code == 0, done.stderr
        assert f"wrote {tmp_path / name}" in done.stderr
    assert len(pd.read_csv(tmp_path / "who.csv")) == 3


def test_wrong_names_lose_nothing(tables: list[Path], tmp_path: Path) -> None:
    done = mien("people", *tables, "-o", tmp_path / "who.csv", "--name", "9=Zoe")
    assert done.exit_code == 2
    assert "there is no person 9; there are 3" in done.stderr
    assert "person 3" in done.stdout
    assert len(pd.read_csv(tmp_path / "who.csv")) == 3


def test_a_table_without_identity(tables: list[Path]) -> None:
    AnalysisFiles(tables[1]).embeddings.unlink()
    done = mien("people", *tables)
    assert done.exit_code == 2
    assert "b.csv has no identity embeddings" in done.stderr


def test_no_people_at_all(tmp_path: Path) -> None:
    table = video_of_shots("a.mp4", {}, {}).save(tmp_path / "t.parquet")
    done = mien("people", table, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "no face was found" in done.stderr
    assert "No face was found" in (tmp_path / "out" / "index.html").read_text()
    assert len(pd.read_csv(tmp_path / "out" / "people.csv")) == 0


def test_tables_of_two_models(tables: list[Path], tmp_path: Path) -> None:
    other = video_of_shots("c.mp4", {1: "anna"})
    assert other.embeddings is not None
    strange = replace(other, embeddings=replace(other.embeddings, identity_model="def"))
    done = mien("people", *tables, strange.save(tmp_path / "c.parquet"))
    assert done.exit_code == 2
    assert "of different models" in done.stderr
    labels = (*EMOTIONS[:-1], "scorn")
    faces = other.faces.rename(columns={EMOTIONS[-1]: "scorn"})
    renamed = replace(other, labels=labels, faces=faces)
    done = mien("people", tables[0], renamed.save(tmp_path / "d.parquet"))
    assert done.exit_code == 2
    assert "different labels" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--name", "anna"], 2, "--name is NUMBER=NAME, such as 3=anna, got 'anna'"),
        (["--threshold", "7"], 2, "Invalid value for '--threshold'"),
        (["--known", "anna"], 3, "no such image or folder: anna"),
        (["-o", "/nowhere/x.html"], 2, "/nowhere"),
        (["-o", "PHOTO"], 2, "is a file: give a folder, a page or a table"),
        (["--known", "PHOTO"], 2, "say whose face"),
    ],
)
def test_wrong_use_is_one_sentence(
    tables: list[Path], photo: Path, options: list[str], code: int, message: str
) -> None:
    given = [str(photo) if option == "PHOTO" else option for option in options]
    done = mien("people", *tables, *given)
    text = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == code, text
    assert message in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_eight_people_in_a_video_and_again_in_another(shared: Path, tmp_path: Path) -> None:
    videos, photos = shared / "media" / "videos", shared / "media" / "photos"
    film, again = videos / "london_timeline.mp4", videos / "london_timeline_vfr.mp4"
    known = [f"Anna={photos / '136_03.jpg'}", f"Astrid={photos / 'astronaut.png'}"]
    options = [part for one in known for part in ("--known", one)]
    done = mien("people", film, again, "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.stderr
    people = pd.read_csv(tmp_path / "out" / "people.csv")
    assert len(people) == 8
    assert (people["films"] == 2).all()
    assert people["name"].tolist() == [
        "person 1", "Anna", *(f"person {number}" for number in range(3, 9))
    ]  # fmt: skip
    assert "not found: Astrid" in done.stderr
    assert (tmp_path / "out" / "index.html").read_text().count('src="data:image/jpeg') == 16
    merged = Timeline.load(tmp_path / "out" / "merged.parquet")
    seconds = merged.summary(across=True)["visible_s"]
    assert seconds.iloc[:-1].tolist() == pytest.approx([6.0] * 8, abs=0.2)
    assert set(merged.track("Anna").sources) == {str(film), str(again)}


def test_photos_of_one_person_and_of_others(shared: Path, tmp_path: Path) -> None:
    """Faces are read again for the page, as photos keep none."""
    photos = shared / "media" / "photos"
    names = ("021_03", "021_08", "136_03", "136_08", "lisa2", "lisa4", "119_03", "chelsea")
    paths = [next(photos.glob(f"{name}.*")) for name in names]
    done = mien("people", *paths, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    people = pd.read_csv(tmp_path / "out" / "people.csv")
    assert people["tracks"].tolist() == [2, 2, 2, 1]
    assert (tmp_path / "out" / "index.html").read_text().count('src="data:image/jpeg') == 7


def test_missing_faces_are_reported_once(tables: list[Path], tmp_path: Path) -> None:
    AnalysisFiles(tables[0]).peaks.unlink()
    done = mien("people", *tables, "-o", tmp_path / "who.html")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("a.mp4 is not there any more") == 1
    assert (tmp_path / "who.html").read_text().count("<img") == 2


def test_a_video_that_cannot_be_read_loses_nothing(tables: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no film at all")
    kept = Timeline.load(tables[0])
    assert kept.embeddings is not None
    model = EmotionAnalyzer(also=("identity",)).settings.identity_sha256
    ours = replace(kept, embeddings=replace(kept.embeddings, identity_model=model))
    table = ours.save(tmp_path / "ours.parquet")
    done = mien("people", table, tmp_path / "broken.mp4", "-o", tmp_path / "who.csv")
    assert done.exit_code == 3
    assert "broken.mp4" in done.stderr
    assert len(pd.read_csv(tmp_path / "who.csv")) == 2
    done = mien("people", tables[0], tmp_path / "broken.mp4")
    assert done.exit_code == 2
    assert "identity vectors of another network" in done.stderr


def test_no_table_that_is_read_is_written_over(tables: list[Path], tmp_path: Path) -> None:
    before = tables[0].read_bytes()
    for output in (tables[0], tmp_path / "a.images.parquet"):
        done = mien("people", *tables, "-o", output)
        assert done.exit_code == 2, output
        assert "choose another name" in done.stderr
    assert tables[0].read_bytes() == before
    assert mien("people", *tables, "-o", tmp_path / "out").exit_code == 0
    merged = tmp_path / "out" / "merged.parquet"
    done = mien("people", merged, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "merged.parquet is the table itself" in done.stderr
