"""Files that belong to a table are not overwritten, and edited tables are reported."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.results import frame_result, mostly, save_table
from typer.testing import CliRunner

from mien import Timeline
from mien.cli.commands import app
from mien.errors import InputError, UsageError
from mien.results.embeddings import Embeddings
from mien.results.files import AnalysisFiles


def table(folder: Path, suffix: str = ".parquet") -> Path:
    frames = (frame_result(i / 25, {1: mostly("happiness")}, index=i) for i in range(4))
    return save_table(frames, folder / f"film{suffix}")


@pytest.mark.parametrize("name", ["film.parquet", "film.images.parquet", "film.embeddings.parquet"])
def test_export_does_not_write_over_its_table(tmp_path: Path, name: str) -> None:
    path = table(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    done = CliRunner().invoke(app, ["export", str(path), "-o", str(tmp_path / name)])
    assert done.exit_code == 2
    assert ("is the table itself" if name == "film.parquet" else "belongs to") in done.output
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["other.parquet", "film.csv", "film.vtt"])
def test_other_names_and_formats_are_free(tmp_path: Path, name: str) -> None:
    path = table(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    done = CliRunner().invoke(app, ["export", str(path), "-o", str(tmp_path / name)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / name).stat().st_size > 0
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize(
    ("name", "belongs"), [("film.images.parquet", True), ("film.images.svg", False)]
)
def test_what_belongs_to_a_table(tmp_path: Path, name: str, belongs: bool) -> None:
    assert AnalysisFiles(tmp_path / "film.parquet").has(tmp_path / name) == belongs


@pytest.mark.parametrize("column", ["time_s", "track_id", "frame"])
def test_a_table_without_a_column(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, ".csv")
    pd.read_csv(path).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"film\.csv has no column {column}"):
        Timeline.load(path)


@pytest.mark.parametrize("time_s", [float("inf"), -1e300])
def test_times_that_no_video_has(tmp_path: Path, time_s: float) -> None:
    path = table(tmp_path, ".csv")
    pd.read_csv(path).assign(time_s=time_s).to_csv(path, index=False)
    with pytest.raises(InputError, match="a time that no video has"):
        Timeline.load(path)


def test_a_video_that_is_in_a_table_twice() -> None:
    faces = Timeline.from_results([frame_result(0.0, {1: mostly("fear")})]).faces
    keys = faces[["source", "frame", "face"]]
    twice = pd.concat([keys, keys], ignore_index=True)
    vectors = {"features": [[1.0], [1.0]]}
    with pytest.raises(UsageError, match=r"film.mp4 is in the table twice"):
        Embeddings(twice, vectors).of(faces, "features")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "words"), [("--attributes", "identity"), ("--embeddings", "age")]
)
def test_each_option_knows_its_own_words(tmp_path: Path, option: str, words: str) -> None:
    target = str(tmp_path / "t.csv")
    done = CliRunner().invoke(app, ["analyze", "x.jpg", "-o", target, option, words])
    assert done.exit_code == 2
    assert f"'{words}' is not one of" in done.output
