"""Tables that grow row by row: killed, cut, interrupted, and written by two runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.tables import face_part, images_part

from mien.errors import UsageError
from mien.labels import EMOTIONS
from mien.results import tables
from mien.results.files import SUFFIXES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_writer_gives_the_same_file_in_parts(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 3)
    path = tmp_path / f"t{suffix}"
    parts = [face_part(2, f"{i}.jpg", tracks=i % 2 == 0) for i in range(5)]
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


@pytest.mark.slow
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


def test_an_old_table_beside_a_newer_unfinished_one_is_reported(
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


def test_images_without_a_face_use_no_memory(tmp_path: Path) -> None:
    dtypes = tables.face_dtypes(("a",))
    nothing: dict[str, Any] = {name: [] for name in dtypes}
    with tables.TableWriter(tmp_path / "t.csv", dtypes) as writer:
        for _ in range(100):
            writer.write(nothing)
        assert writer._parts == []
