"""Names of files that hold anything: nothing acts in a terminal, a spreadsheet or a page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from helpers.command import run_mien
from helpers.results import frame_result, mostly, save_table

from mien import Results, Timeline
from mien.escaping import csv_cell, csv_text, json_text, printable
from mien.reports.video import write_report
from mien.results.files import SUFFIXES
from mien.results.reading import read_rows
from mien.results.writer import write_rows

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ESCAPES, BELL = "=1+1\x1b[31m\x1b]0;title\x07", "\x07\r\x9b31m\u202egnp"
FORMULAS = ("=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg", "\t=1.jpg", "\r=1.jpg")
TEXTS = (*FORMULAS, "'=1.jpg", "''=1.jpg", "''", "'", "", "a=1.jpg", "日本.jpg", "'a.jpg")


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_is_no_formula_and_reads_back(text: str) -> None:
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert csv_text(csv_cell(text)) == text


def test_an_ordinary_text_stays_as_it_is() -> None:
    for text in ("photo.jpg", "C:\\new\\table", "日本語 é 😀", "'a'", "'tis"):
        assert csv_cell(text) == csv_text(text) == printable(text) == json_text(text) == text


def test_control_characters_are_shown_as_escapes() -> None:
    assert printable("a\x1b[31m\n\x9b\u202e\udce9b") == r"a\x1b[31m\n\x9b\u202e\udce9b"
    assert (
        json.loads(json_text(json.dumps("\x9b\x7f\u202e", ensure_ascii=False))) == "\x9b\x7f\u202e"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_reads_back_every_name(tmp_path: Path, suffix: str) -> None:
    names = [*FORMULAS, "'=1.jpg", f"{ESCAPES}.jpg", "line\nend.jpg", 'quo"te,.jpg']
    results = [frame_result(None, {1: mostly("happiness")}, source=name) for name in names]
    path = save_table(results, tmp_path / f"t{suffix}")
    assert [result.source for result in Results.load(path)] == names
    if suffix == ".csv":
        cells = pd.read_csv(path)["source"]
        assert not cells.str.startswith(("=", "+", "-", "@", "\t", "\r")).any()


def test_a_label_that_is_a_formula_reads_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"=cmd": [0.5], "source": ["a"]})
    path = tmp_path / "t.csv"
    write_rows(path, ".csv", table, {})
    assert (tmp_path / "t.csv").read_text().startswith("'=cmd,")
    assert list(read_rows(tmp_path / "t.csv", {"source": "str"})[0]) == ["=cmd", "source"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [ESCAPES, BELL, "line\nmien: all is well"])
def test_a_terminal_gets_no_control_characters(tmp_path: Path, photo: Path, name: str) -> None:
    folder = tmp_path / f"folder {name}"
    folder.mkdir()
    shutil.copy(photo, folder / f"{name}.jpg")
    (folder / f"{name} broken.jpg").write_bytes(b"no image")
    for arguments in (
        ["analyze", folder],
        ["analyze", folder, "--json"],
        ["analyze", folder, "-o", tmp_path / f"{name}.csv"],
        ["view", tmp_path / f"{name}.csv"],
        ["report", folder / name],
        ["analyze", folder, f"--{name}"],
        ["models", "info", name],
    ):
        done = run_mien(*arguments)
        shown = (done.stdout + done.stderr).decode()
        assert CONTROL.findall(shown) == []
        assert "\nmien: all is well" not in shown


def test_pages_and_subtitles_hold_no_control_characters(tmp_path: Path) -> None:
    source = f"{ESCAPES}{BELL}.mp4"
    shown = [
        frame_result(i / 10, {1: mostly("happiness")}, index=i, source=source) for i in range(20)
    ]
    timeline = Timeline.from_results(shown)
    write_report(timeline, tmp_path / "page.html")
    for suffix in ("vtt", "eaf"):
        timeline.export(tmp_path / f"t.{suffix}")
    for path in tmp_path.iterdir():
        assert CONTROL.findall(path.read_text()) == [], path
    ElementTree.parse(tmp_path / "t.eaf")
