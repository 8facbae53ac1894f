"""Tables: the same columns and types always, and files that can be read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.tables import face_part, faces_table, images_part

from mien.errors import InputError, InputNotFoundError, MissingExtraError, UsageError
from mien.labels import EMOTIONS
from mien.results import display, tables
from mien.results.files import SUFFIXES

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


@pytest.mark.parametrize(
    "parts", [[], [face_part(0)], [face_part(2)], [face_part(2), face_part(1, tracks=True)]]
)
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
    given = face_part(3)
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
    table = tables.to_dataframe([face_part(2, quality={})], EMOTIONS)
    assert table["fit"].isna().all()
    assert table["size_px"].isna().all()


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="equally long"):
        tables.to_dataframe([{**face_part(2), "emotion": ["fear"]}], EMOTIONS)
    with pytest.raises(UsageError, match="needs the columns fear"):
        tables.to_dataframe([{k: v for k, v in face_part(2).items() if k != "fear"}], EMOTIONS)
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
    with pytest.raises(pa.ArrowInvalid, match="convert"):
        tables.write_table(pd.DataFrame({"mixed": [1, "a", object()]}), path, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_bad_paths_are_one_sentence(tmp_path: Path) -> None:
    table = faces_table()
    with pytest.raises(UsageError, match=", ".join(SUFFIXES)):
        tables.write_table(table, tmp_path / "t.xlsx")
    with pytest.raises(UsageError, match="there is no folder"):
        tables.write_table(table, tmp_path / "none" / "t.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        tables.TableWriter(tmp_path / "d.csv", tables.IMAGE_DTYPES)
    with pytest.raises(UsageError, match="cannot be written"):
        tables.write_table(table, tmp_path / ("n" * 254 + ".csv"))
    with pytest.raises(InputNotFoundError, match="no such file"):
        tables.read_table(tmp_path / "none.csv")
    with pytest.raises(UsageError, match=r"\.parquet"):
        tables.read_table(tmp_path / "none.txt")
    for name in ("bad.parquet", "bad.jsonl"):
        (tmp_path / name).write_text("not a table")
        with pytest.raises(InputError, match="readable table"):
            tables.read_table(tmp_path / name)


def test_style_colors_probabilities_and_escapes_names() -> None:
    table = faces_table().iloc[:2].copy()
    table["source"] = pd.Series(["<script>", "b"], dtype="string")
    table["happiness"] = np.array([1.0, 0.0], np.float32)
    table["fear"] = np.array([np.nan, 0.5], np.float32)
    table["emotion"] = pd.Series(["happiness", "uncertain"], dtype="string")
    html = display.style(table, EMOTIONS).to_html()
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
    assert "<table" in display.style(twice, EMOTIONS).to_html()
    assert "<table" in display.style(table[["fear", "face"]], EMOTIONS).to_html()
    assert "<table" in display.style(tables.to_dataframe([], EMOTIONS), EMOTIONS).to_html()


def test_style_without_jinja2_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("jinja2", "pandas.io.formats.style"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match="pip install jinja2"):
        display.style(faces_table(), EMOTIONS)
