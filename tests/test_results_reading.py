"""Tables that were edited, damaged or made to harm: one sentence with the file's name."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mien.cli.commands import app
from mien.errors import InputError, MienError
from mien.results.collection import Results, load_tables
from mien.results.files import SUFFIXES
from mien.results.reading import read_rows
from mien.results.tables import face_dtypes, read_table, write_table
from mien.timeline.timeline import Timeline

LABELS = ("neutral", "happiness")
SETTINGS = {"labels": json.dumps(LABELS), "classifier_sha256": "ab", "uncertain_below": "0.5"}


def faces(frames: int = 4) -> pd.DataFrame:
    """One face a frame, of one person."""
    rows = np.arange(frames)
    columns: dict[str, Any] = {
        "source": "talk.mp4", "frame": rows, "time_s": rows / 10, "face": 0,
        "x1": 10.0, "y1": 10.0, "x2": 60.0, "y2": 60.0, "detection_score": 0.9, "track_id": 1,
        "emotion": "happiness", "probability": 0.75, "neutral": 0.25, "happiness": 0.75,
    }  # fmt: skip
    table = pd.DataFrame(columns, index=rows)
    for name, dtype in face_dtypes(LABELS).items():
        if name not in table:
            table[name] = pd.Series([True if dtype == "boolean" else 1.0] * frames, dtype=object)
            if dtype == "string":
                table[name] = ""
    return table[list(face_dtypes(LABELS))].astype(face_dtypes(LABELS))


def images(frames: int = 4) -> pd.DataFrame:
    from mien.results.tables import IMAGE_DTYPES

    rows = np.arange(frames)
    columns = {
        "source": "talk.mp4", "frame": rows, "time_s": rows / 10, "width": 100, "height": 100,
        "n_faces": 1, "status": "ok", "error": None, "milliseconds": 5.0,
    }  # fmt: skip
    table = pd.DataFrame(columns, index=rows)
    return table.assign(
        **{n: pd.Series([None] * frames) for n in IMAGE_DTYPES if n not in table}
    ).astype(IMAGE_DTYPES)


def write(
    folder: Path,
    faces_table: pd.DataFrame,
    images_table: pd.DataFrame,
    suffix: str = ".parquet",
    settings: dict[str, str] | None = None,
) -> Path:
    known = SETTINGS if settings is None else settings
    target = folder / f"t{suffix}"
    write_table(faces_table, target, known)
    write_table(images_table, folder / f"t.images{suffix}", known)
    return target


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_table_is_read(tmp_path: Path, suffix: str) -> None:
    timeline = Timeline.load(write(tmp_path, faces(), images(), suffix))
    assert len(timeline.faces) == 4
    assert timeline.labels == LABELS


def changed(name: str, value: Any, row: int | None = 2) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        column = table[name].astype(object)
        if row is None:
            column[:] = value
        else:
            column[row] = value
        return table.assign(**{name: column.infer_objects()})

    return change


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("happiness", 7.0), "probabilities that do not sum to 1: frame 2 of talk.mp4"),
        (changed("probability", 7.0), "a probability outside 0 to 1: frame 2"),
        (changed("neutral", np.nan), "a label without a number: frame 2"),
        (changed("emotion", "joyful"), "an emotion that is neither uncertain nor one of its"),
        (changed("x1", np.inf), "a box that is not finite"),
        (changed("x2", -50.0), "a box that ends before it begins"),
        (changed("frame", -1), "no frame number"),
        (changed("time_s", 1e30), "a time that no video has"),
        (lambda t: t.drop(columns="fit"), "has no column fit"),
        (lambda t: t.drop(columns=["track_id", "time_s"]), "has no column time_s, track_id"),
        (lambda t: pd.concat([t, t.iloc[2:3]]), "a face that is there twice: frame 2"),
        (lambda t: t.iloc[:3], "has 3 faces where"),
    ],
)
def test_what_no_faces_table_holds_is_said(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], words: str, suffix: str
) -> None:
    path = write(tmp_path, change(faces()), images(), suffix)
    with pytest.raises(InputError) as caught:
        Timeline.load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("n_faces", -1), "no number of faces"),
        (changed("n_faces", 30_000_000_000), "faces"),
        (changed("n_faces", 2), "faces"),
        (changed("time_s", 0.05), "a time before that of the frame before: frame 2"),
        (changed("status", "fine"), "a status other than ok, error, dropped"),
        (changed("width", 0), "no width of an image"),
        (changed("height", None, None), "no height of an image"),
        (lambda t: t.drop(columns="n_faces"), "has no column n_faces"),
        (lambda t: pd.concat([t, t.iloc[2:3]]), "a frame that is there twice"),
    ],
)
def test_what_no_images_table_holds_is_said(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], words: str, suffix: str
) -> None:
    path = write(tmp_path, faces(), change(images()), suffix)
    with pytest.raises(InputError) as caught:
        Timeline.load(path)
    assert words in str(caught.value)
    assert "t.images" in str(caught.value) or str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels", "null"),
        ("labels", "[" * 5000),
        ("labels", "[1, 2]"),
        ("uncertain_below", "nan"),
        ("uncertain_below", "null"),
        ("smooth_s", "-1"),
        ("people", "[1]"),
        ("people", '{"x": "anna"}'),
        ("heads", '["a"]'),
    ],
)
def test_settings_are_typed(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path, faces(), images(), settings={**SETTINGS, name: text})
    with pytest.raises(InputError, match=f"the setting {name} of .*t.parquet cannot be read"):
        Timeline.load(path)


def test_a_label_of_the_settings_is_a_column(tmp_path: Path) -> None:
    path = write(tmp_path, faces().drop(columns="happiness"), images())
    with pytest.raises(InputError, match=r"t\.parquet has no column happiness"):
        Timeline.load(path)


def test_what_is_left_of_a_table_is_read_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, faces().iloc[:3], images())
    whole = tmp_path / "whole.parquet"
    run = CliRunner().invoke
    assert run(app, ["export", str(path), "-o", str(whole)]).exit_code == 3
    done = run(app, ["export", str(path), "--incomplete", "-o", str(whole)])
    assert done.exit_code == 0, done.output
    assert Timeline.load(whole).images["n_faces"].tolist() == [1, 1, 1, 0]


def test_scores_that_are_no_probabilities_stay_what_they_are(tmp_path: Path) -> None:
    """A classifier of one's own may give any numbers; every row of its tables does."""
    table = faces().assign(neutral=-3.0, happiness=5.0, probability=5.0)
    settings = {**SETTINGS, "classifier_sha256": ""}
    results = Results.load(write(tmp_path, table, images(), settings=settings))
    assert results[0].scores.kind == "score"


def test_a_table_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("person,age\nanna,30\n")
    with pytest.raises(InputError, match=r"photos\.csv is not a table of mien's: it has"):
        load_tables(tmp_path / "photos.csv")
    for sign, decimal, name in ((";", ",", "semicolons"), ("\t", ".", "tabs")):
        other = faces().to_csv(sep=sign, decimal=decimal, index=False)
        (tmp_path / "other.csv").write_text(other)
        with pytest.raises(InputError, match=rf"other\.csv is separated by {name}: save it"):
            load_tables(tmp_path / "other.csv")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "photos.csv")])
    assert done.exit_code == 3
    assert "is not a table of mien's" in done.output


def test_a_video_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(b"")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "talk.mp4")])
    assert done.exit_code == 2
    assert "create one first: mien analyze talk.mp4" in done.output


def test_pandas_metadata_that_lies_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path, faces(), images())
    table = pq.read_table(path)
    for text in (b"{}", b"null", b'{"columns": [{"name": "source"}], "index_columns": 3}'):
        metadata = {**(table.schema.metadata or {}), b"pandas": text}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        assert len(Timeline.load(path).faces) == 4
    pq.write_table(table.replace_schema_metadata({b"mien.labels": b"\xff\xfe"}), path)
    with pytest.raises(InputError, match=r"t\.parquet does not hold a readable table"):
        Timeline.load(path)


def test_text_that_is_not_utf8_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, faces(), images())
    table = pq.read_table(path)
    damaged = pa.array([b"talk.mp\xff"] * 4, pa.binary()).view(pa.string())
    place = table.schema.get_field_index("source")
    pq.write_table(table.set_column(place, "source", damaged), path)
    with pytest.raises(InputError, match=r"t\.parquet does not hold a readable table"):
        read_table(path)


@pytest.mark.parametrize("kind", ["rows", "text"])
def test_a_small_file_that_holds_gigabytes_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb.parquet"
    if kind == "rows":
        one = pa.table({f"c{n}": np.zeros(1_000_000, np.int8) for n in range(25)})
        with pq.ParquetWriter(path, one.schema, compression="zstd") as writer:
            for _ in range(4):
                writer.write_table(one)
    else:
        index = pa.array(np.zeros(2000, np.int32))
        text = pa.DictionaryArray.from_arrays(index, pa.array(["x" * 200_000]))
        pq.write_table(pa.table({"source": text}), path, compression="zstd")
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match=r"bomb\.parquet would take 0\.[48] GB of memory"):
        read_table(path)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 50_000_000


def test_lines_that_are_no_objects(tmp_path: Path) -> None:
    for text in ("[1]\n", "[" * 100_000 + "\n", "{\n", '{"a": 1e999}\n', "\xff\n"):
        path = tmp_path / "t.jsonl"
        path.write_text(text, encoding="latin-1")
        with pytest.raises(MienError, match=r"t\.jsonl"):
            Timeline.load(path)


def test_embeddings_and_peaks_are_checked_too(tmp_path: Path) -> None:
    path = write(tmp_path, faces(), images())
    for name, table in (
        ("t.embeddings.parquet", pa.table({"source": ["talk.mp4"], "frame": [0]})),
        ("t.peaks.parquet", pa.table({"source": ["talk.mp4"], "frame": [0]})),
        ("t.peaks.parquet", pa.table({"source": [None], "track_id": ["x"]})),
    ):
        beside = tmp_path / name
        pq.write_table(table, beside)
        with pytest.raises(InputError, match=name):
            Timeline.load(path)
        beside.unlink()


def test_the_tables_that_failed(shared: Path) -> None:
    folders = sorted((shared / "cases" / "storm").glob("table_*"))
    assert folders
    for folder in folders:
        table = min(folder.iterdir(), key=lambda path: len(path.name))
        try:
            Timeline.load(table)
        except InputError as error:
            assert folder.name in str(error)  # noqa: PT017 - some are whole but for one comment


def test_a_table_that_is_still_being_written_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")
    path = write(tmp_path, faces(), images(), ".csv")
    partial = path.rename(path.with_name("t.csv.partial"))
    with partial.open("rb") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        assert len(read_table(path)[0]) == 4
    assert "is still being written: it has 4 rows" in caplog.text
    read_table(path)
    assert "is of a run that did not end: it has 4 rows" in caplog.text


@pytest.mark.parametrize("name", ["t.parquet", "t.parquet.partial"])
def test_pyarrow_reads_files_without_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threads outlive the main one, and would close a file of Python's in an ending process."""
    opened: list[object] = []
    table = pa.Table.from_pandas(faces(), preserve_index=False)
    if name.endswith(".partial"):
        with pa.ipc.new_stream(tmp_path / name, table.schema) as stream:
            stream.write_table(table)
    else:
        pq.write_table(table, tmp_path / name)

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: object, *arguments: Any, **options: Any) -> Any:
            opened.append(file)
            return function(file, *arguments, **options)

        return call

    for place, function in ((pq, "ParquetFile"), (pa.ipc, "open_stream")):
        monkeypatch.setattr(place, function, recorded(getattr(place, function)))
    assert len(read_rows(tmp_path / name, {})[0]) == 4
    assert opened
    assert all(type(file) is pa.OSFile for file in opened)
