"""The section of facial actions in the report of a video."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from helpers.actions import acted, smile
from helpers.command import mien as run
from helpers.results import frame_result, mostly

import mien
from mien.reports import report_page


def words(timeline: mien.Timeline) -> str:
    text = re.sub(
        r"<style>.*?</style>|<script>.*?</script>", " ", report_page(timeline), flags=re.S
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text).replace("\u00a0", " "))


def test_a_table_with_actions_has_a_section_of_them() -> None:
    eyes = [0.3] * 200
    eyes[100:105] = [0.02] * 5
    signals = dict(smile(left=0.9, right=0.3))
    signals |= {"eye_openness_left": eyes, "eye_openness_right": eyes}
    text = words(acted({1: signals}).smooth(0.5))
    assert "Facial actions and head pose" in text
    assert "AU12 lip corner puller" in text
    assert "Person 1 8.0 s 1 8 0.20 s 3 %" in text  # observed, blinks, per minute, length, closed
    assert "At 25 frames per second lengths are multiples of 0.04 s" in text
    assert re.search(r"Person 1 AU12 lip corner puller 2\.\d s 2\.\d s 4\.\d s 2\.\d s 0\.60", text)
    assert "+0.50" in text
    assert "thick at its apex, unsmoothed." in text


def test_units_are_chosen(tmp_path: Path) -> None:
    timeline = acted({1: dict(smile()) | {"AU04": [0.0] * 60 + [0.8] * 140}})
    assert "AU04 brow lowerer" not in words(timeline)  # measurements do not support it
    table = timeline.save(tmp_path / "t.parquet")
    done = run("report", table, "--units", "AU04,jawOpen")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "t.html").read_text("utf-8")
    assert "AU04 brow lowerer" in page
    assert "jawOpen" in page
    assert "AU12 lip" not in page
    assert "measurements support" not in page
    done = run("report", table, "-o", tmp_path / "u.html", "--units", "AU99")
    assert (done.exit_code, "there is no action 'AU99'" in done.output) == (2, True)


def test_events_that_are_cut_are_marked() -> None:
    text = words(acted({1: {"AU26": [0.0] * 60 + [0.8] * 40}}))
    assert re.search(r"AU26 jaw drop 2\.4 s 2\.4 s 4\.0 s\* 1\.6 s 0\.80", text)
    assert "asymmetry" not in text.lower()


def test_slow_videos_do_not_count_blinks() -> None:
    text = words(acted({1: {"AU12": [0.0] * 40}}, fps=5))
    assert "fewer than 10 analyzed per second: they are not counted" in text
    assert "Person 1 8.0 s – – – 0 %" in text


def test_without_a_trusted_mesh_nothing_is_said() -> None:
    text = words(acted({1: dict.fromkeys(("AU12", "AU26"), [np.nan] * 40)}))
    assert "In no frame was the face mesh trusted" in text
    assert "Blinks" not in text


def test_a_table_without_actions_has_no_such_section() -> None:
    results = [frame_result(i / 25, {1: mostly("neutral")}, index=i) for i in range(20)]
    assert "Facial actions" not in words(mien.Timeline.from_results(results))
