"""Tables: the same columns and types always, and files that can be read back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mien.errors import InputError, InputNotFoundError, MissingExtraError, UsageError
from mien.labels import EMOTIONS
from mien.results import tables
from mien.types import Faces, Scores

SUFFIXES = [".parquet", ".csv", ".jsonl"]
EXPECTED = {
    "source": "string", "frame": "int64", "time_s": "float64", "face": "int64",
    "x1": "float32", "y1": "float32", "x2": "float32", "y2": "float32",
    "detection_score": "float32", "track_id": "Int64", "emotion": "string",
    "probability": "float32",
    "neutral": "float32", "happiness": "float32", "surprise": "float32", "sadness": "float32",
    "anger": "float32", "disgust": "float32", "fear": "float32", "contempt": "float32",
    "size_px": "float32", "sharpness": "float32", "roll_deg": "float32", "yaw_deg": "float32",
    "fit": "boolean",
    "unfit_reason": "string",
}  # fmt: skip


def part(n: int, source: str = "a.jpg", tracks: bool = False, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    corner = rng.uniform(0, 100, (n, 2))
    faces = Faces(
        np.concatenate([corner, corner + 50], axis=1).astype(np.float32),
        rng.uniform(size=n).astype(np.float32),
        track_ids=np.arange(n) + 7 if tracks else None,
    )
    scores = Scores(rng.dirichlet(np.ones(8), n).astype(np.float32), EMOTIONS)
    quality = {
        "size_px": np.full(n, 50, np.float32),
        "sharpness": np.full(n, 0.1, np.float32),
        "roll_deg": np.full(n, np.nan, np.float32),
        "yaw_deg": np.full(n, -3.5, np.float32),
        "fit": np.ones(n, bool),
        "unfit_reason": [None] * n,
    }
    given: dict[str, Any] = {"source": source, "frame": 0, "time_s": None, "quality": quality}
    given |= changes
    emotions = [EMOTIONS[i] for i in scores.top]
    tops = scores.values.max(axis=1, initial=0)
    return tables.face_columns(
        faces=faces, scores=scores, emotions=emotions, probabilities=tops, **given
    )


def faces_table() -> pd.DataFrame:
    parts = [part(2), part(0, "empty.jpg"), part(3, "film.mp4", tracks=True, frame=4, time_s=0.16)]
    return tables.to_dataframe(parts, EMOTIONS)


def images_part(source: str = "a.jpg", error: str | None = None) -> dict[str, Any]:
    size = None if error else 640
    return {
        "source": [source], "frame": [0], "time_s": [None], "width": [size], "height": [size],
        "n_faces": [0], "status": ["error" if error else "ok"], "error": [error],
        "milliseconds": [12.5],
    }  # fmt: skip


@pytest.mark.parametrize("parts", [[], [part(0)], [part(2)], [part(2), part(1, tracks=True)]])
def test_columns_and_types_never_change(parts: list[dict[str, Any]]) -> None:
    table = tables.to_dataframe(parts, EMOTIONS)
    assert {name: str(table[name].dtype) for name in table.columns} == EXPECTED
    assert list(table.columns) == list(EXPECTED)
    assert len(table) == sum(len(columns["face"]) for columns in parts)


def test_rows_say_what_was_given() -> None:
    table = faces_table()
    assert table["source"].tolist() == ["a.jpg"] * 2 + ["film.mp4"] * 3
    assert table["face"].tolist() == [0, 1, 0, 1, 2]
    assert table["frame"].tolist() == [0, 0, 4, 4, 4]
    assert table["time_s"].isna().tolist() == [True] * 2 + [False] * 3
    assert table["track_id"].isna().tolist() == [True] * 2 + [False] * 3
    assert table["track_id"][2:].tolist() == [7, 8, 9]
    given = part(3)
    assert np.array_equal(table["x1"][2:], given["x1"])
    assert np.array_equal(table["fear"][2:], given["fear"])
    assert table["roll_deg"].isna().all()
    assert tables.label_columns(table) == EMOTIONS


def test_images_have_fixed_types_too() -> None:
    for parts in ([], [images_part()], [images_part(), images_part("b", "it is not a picture.")]):
        table = tables.images_dataframe(parts)
        assert tuple(table.columns) == tables.IMAGE_COLUMNS
        assert {n: str(table[n].dtype) for n in table.columns} == tables.IMAGE_DTYPES
    assert table["width"].isna().tolist() == [False, True]
    assert table["error"].isna().tolist() == [True, False]


def test_missing_quality_is_missing_not_wrong() -> None:
    table = tables.to_dataframe([part(2, quality={})], EMOTIONS)
    assert table["fit"].isna().all()
    assert table["size_px"].isna().all()


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="equally long"):
        tables.to_dataframe([{**part(2), "emotion": ["fear"]}], EMOTIONS)
    with pytest.raises(UsageError, match="needs the columns fear"):
        tables.to_dataframe([{k: v for k, v in part(2).items() if k != "fear"}], EMOTIONS)
    with pytest.raises(UsageError, match="'source'"):
        tables.to_dataframe([], ["source", "joy"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    for name, table in [
        ("faces", faces_table()),
        ("images", tables.images_dataframe([images_part("NA"), images_part("007", "no, \"é\".")])),
    ]:  # fmt: skip
        path = tables.write_table(table, tmp_path / f"{name}{suffix}", {"model": "ferplus ü"})
        found, metadata = tables.read_table(path)
        pd.testing.assert_frame_equal(found, table)
        assert metadata == {"model": "ferplus ü"}
    names = {f"faces{suffix}", f"images{suffix}"}
    names |= set() if suffix == ".parquet" else {f"{name}.settings.json" for name in names}
    assert {p.name for p in tmp_path.iterdir()} == names


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, suffix: str) -> None:
    table = tables.to_dataframe([], EMOTIONS)
    found, _ = tables.read_table(tables.write_table(table, tmp_path / f"t{suffix}"))
    pd.testing.assert_frame_equal(found, table)


def test_a_users_own_columns_survive(tmp_path: Path) -> None:
    table = faces_table().assign(note="x", weight=np.float64(0.1))
    for suffix in SUFFIXES:
        found, _ = tables.read_table(tables.write_table(table, tmp_path / f"t{suffix}"))
        assert found["note"].tolist() == ["x"] * 5
        assert found["weight"].tolist() == [0.1] * 5
        assert tables.label_columns(found) == EMOTIONS


def test_parquet_metadata_lies_under_our_prefix(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tables.write_table(faces_table(), tmp_path / "t.parquet", {"version": "1"})
    assert pq.read_schema(path).metadata[b"mien.version"] == b"1"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tables.write_table(faces_table(), tmp_path / "t.parquet")
    before = path.read_bytes()
    with pytest.raises(Exception, match="convert"):
        tables.write_table(pd.DataFrame({"mixed": [1, "a", object()]}), path, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_bad_places_are_told_in_one_sentence(tmp_path: Path) -> None:
    table = faces_table()
    with pytest.raises(UsageError, match=r"\.parquet, \.csv, \.jsonl"):
        tables.write_table(table, tmp_path / "t.xlsx")
    with pytest.raises(UsageError, match="there is no folder"):
        tables.write_table(table, tmp_path / "none" / "t.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        tables.TableWriter(tmp_path / "d.csv", tables.IMAGE_DTYPES)
    with pytest.raises(UsageError, match="cannot be written"):
        tables.write_table(table, tmp_path / ("n" * 254 + ".csv"))
    with pytest.raises(InputNotFoundError, match="there is no file"):
        tables.read_table(tmp_path / "none.csv")
    with pytest.raises(UsageError, match=r"\.parquet"):
        tables.read_table(tmp_path / "none.txt")
    for name in ("bad.parquet", "bad.jsonl"):
        (tmp_path / name).write_text("not a table")
        with pytest.raises(InputError, match="readable table"):
            tables.read_table(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_writer_gives_the_same_file_in_parts(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 3)
    path = tmp_path / f"t{suffix}"
    parts = [part(2, f"{i}.jpg", tracks=i % 2 == 0) for i in range(5)]
    dtypes = tables.face_dtypes(EMOTIONS)
    with tables.TableWriter(path, dtypes, {"model": "m"}) as writer:
        for columns in parts:
            writer.write(columns)
        assert not path.exists()
    found, metadata = tables.read_table(path)
    pd.testing.assert_frame_equal(found, tables.to_dataframe(parts, EMOTIONS))
    assert metadata == {"model": "m"}
    names = {path.name} if suffix == ".parquet" else {path.name, f"{path.name}.settings.json"}
    assert {p.name for p in tmp_path.iterdir()} == names


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_broken_run_leaves_readable_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"

    def run() -> None:
        with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
            writer.write(images_part("first"))
            writer.write(images_part("second", "broken."))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    found, _ = tables.read_table(path)
    assert found["source"].tolist() == ["first", "second"]


def test_a_wrong_part_does_not_take_the_good_ones_with_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        writer.write(images_part("good"))
        with pytest.raises(UsageError, match="needs the columns"):
            writer.write({"source": ["bad"]})
    assert tables.read_table(path)[0]["source"].tolist() == ["good"]


KILLED = """
import sys, time
from pathlib import Path
from mien.results import tables
tables._SECONDS_AT_ONCE = 0.0
with tables.TableWriter(Path(sys.argv[1]), tables.IMAGE_DTYPES, {"model": "m"}) as writer:
    for number in range(1000000):
        writer.write({
            "source": [f'film "{number}"\\n.mp4'], "frame": [number], "time_s": [number / 25],
            "width": [640], "height": [None], "n_faces": [2], "status": ["ok"], "error": [None],
            "milliseconds": [1.5],
        })
        print(number, flush=True)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_killed_run_leaves_a_readable_table(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"t{suffix}"
    run = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout:
        written = [int(run.stdout.readline()) for _ in range(20)]
        run.kill()
        written += [int(line) for line in run.stdout]
    assert run.wait() == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == [f"t{suffix}.partial"]
    found, metadata = tables.read_table(path)
    assert found["frame"].tolist()[: len(written)] == written
    assert len(found) - len(written) in (0, 1)  # it may die after a row and before it says so
    assert found["source"][3] == 'film "3"\n.mp4'
    assert {n: str(found[n].dtype) for n in found.columns} == tables.IMAGE_DTYPES
    assert metadata == {"model": "m"}
    assert len(caplog.messages) == 1
    assert f"t{suffix}.partial is of a run that did not end" in caplog.text
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:  # the next run begins afresh
        writer.write(images_part("new"))
    assert tables.read_table(path)[0]["source"].tolist() == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_cut_anywhere_is_read_up_to_its_last_whole_row(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 1)
    path, partial = tmp_path / f"t{suffix}", tmp_path / f"t{suffix}.partial"
    parts = [images_part(f'a\nb, "{i}"\r\n') for i in range(3)]
    whole = tables.images_dataframe(parts)
    ends = []
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        ends.append(partial.stat().st_size)
        for columns in parts:
            writer.write(columns)
            ends.append(partial.stat().st_size)
        data = partial.read_bytes()
    path.unlink()
    for cut in range(max(ends[0], 1), len(data) + 1, 7 if suffix == ".parquet" else 1):
        partial.write_bytes(data[:cut])
        found, _ = tables.read_table(partial)
        rows = max(i for i, end in enumerate(ends) if end <= cut)
        assert (
            found["source"].tolist() == whole["source"].tolist()[:rows] if rows else not len(found)
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_on_disk_after_two_seconds(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("mien.results.tables.time.monotonic", lambda: now)
    path = tmp_path / f"t{suffix}"
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        writer.write(images_part("first"))
        assert len(tables.read_table(path)[0]) == 0
        now += 2.1
        writer.write(images_part("second"))
        assert tables.read_table(path)[0]["source"].tolist() == ["first", "second"]
        writer.write(images_part("third"))
        assert len(tables.read_table(path)[0]) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_breaks_off_hides_no_row(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 1)
    path = tmp_path / f"t{suffix}"
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        writer.write(images_part("first"))
        file = writer.file._file

        class Interrupted:
            def write(self, data: memoryview) -> int:
                file.write(data[:9])
                raise KeyboardInterrupt

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        monkeypatch.setattr(writer.file, "_file", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            writer.write(images_part("second"))
        monkeypatch.setattr(writer.file, "_file", file)
        writer.write(images_part("third"))
    assert tables.read_table(path)[0]["source"].tolist() == ["first", "second", "third"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file go")
def test_two_runs_do_not_write_one_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        writer.write(images_part("first"))
        second = tables.TableWriter(path, tables.IMAGE_DTYPES)
        with pytest.raises(UsageError, match=r"t\.csv is being written by another run"):
            second.__enter__()
    assert tables.read_table(path)[0]["source"].tolist() == ["first"]


def test_an_old_table_beside_a_newer_unfinished_one_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "t.csv"
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        writer.write(images_part("old"))
    os.utime(path, (1, 1))
    (tmp_path / "t.csv.partial").write_bytes(path.read_bytes())
    assert tables.read_table(path)[0]["source"].tolist() == ["old"]
    assert "t.csv is older than" in caplog.text
    with pytest.raises(UsageError, match="unfinished table"):
        tables.TableWriter(tmp_path / "t.csv.partial", tables.IMAGE_DTYPES)


def test_a_long_stream_becomes_a_few_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 1)
    monkeypatch.setattr("mien.results.writer._ROW_GROUP", 4)
    path = tmp_path / "t.parquet"
    with tables.TableWriter(path, tables.IMAGE_DTYPES) as writer:
        for number in range(10):
            writer.write(images_part(str(number)))
    assert pq.ParquetFile(path).num_row_groups == 3
    assert tables.read_table(path)[0]["source"].tolist() == [str(i) for i in range(10)]


def test_style_colours_probabilities_and_escapes_names() -> None:
    table = faces_table().iloc[:2].copy()
    table["source"] = pd.Series(["<script>", "b"], dtype="string")
    table["happiness"] = np.array([1.0, 0.0], np.float32)
    table["fear"] = np.array([np.nan, 0.5], np.float32)
    table["emotion"] = pd.Series(["happiness", "uncertain"], dtype="string")
    html = tables.style(table, EMOTIONS).to_html()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert "background-color: rgb(230, 159, 0)" in html
    assert "background-color: rgb(255, 255, 255)" in html
    assert ">100%<" in html
    assert ">50%<" in html
    assert html.count("–") >= 5  # fear, time, track, roll
    assert f">{table['x1'].iloc[0]:.0f}<" in html


def test_style_takes_any_rows_and_columns() -> None:
    table = faces_table()
    twice = pd.concat([table, table])  # the index is no longer unique
    assert "<table" in tables.style(twice, EMOTIONS).to_html()
    assert "<table" in tables.style(table[["fear", "face"]], EMOTIONS).to_html()
    assert "<table" in tables.style(tables.to_dataframe([], EMOTIONS), EMOTIONS).to_html()


def test_style_without_jinja2_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("jinja2", "pandas.io.formats.style"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match="pip install jinja2"):
        tables.style(faces_table(), EMOTIONS)


def test_pictures_without_a_face_do_not_pile_up(tmp_path: Path) -> None:
    dtypes = tables.face_dtypes(("a",))
    nothing: dict[str, Any] = {name: [] for name in dtypes}
    with tables.TableWriter(tmp_path / "t.csv", dtypes) as writer:
        for _ in range(100):
            writer.write(nothing)
        assert writer._parts == []
