"""Timelines in files: saved, loaded, cut short, edited, and of two runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.results import Run
from helpers.story import LABELS, story

from mien.errors import InputError, InputNotFoundError, UsageError
from mien.results.collection import Results, images_path
from mien.results.files import SUFFIXES, AnalysisFiles
from mien.results.settings import RunSettings
from mien.sinks.checkpoint import Checkpoint
from mien.sinks.tables import TableSink
from mien.timeline.timeline import Timeline


@pytest.fixture(scope="module")
def film() -> Timeline:
    return Timeline.from_results(story())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_saved_comes_back(tmp_path: Path, film: Timeline, suffix: str) -> None:
    path = film.smooth(1.5).save(tmp_path / f"t{suffix}")
    names = {f"t{suffix}", f"t.images{suffix}", "t.peaks.parquet"}
    names |= set() if suffix == ".parquet" else {f"t{suffix}.settings.json"}
    assert {p.name for p in tmp_path.iterdir()} == names
    loaded = Timeline.load(path)
    pd.testing.assert_frame_equal(loaded.raw.faces, film.faces)
    pd.testing.assert_frame_equal(loaded.images, film.images)
    assert loaded.settings == film.smooth(1.5).settings
    pd.testing.assert_frame_equal(loaded.faces, film.smooth(1.5).faces)
    assert [(p.track_id, p.label, p.frame, p.time_s) for p in loaded.peaks] == [
        (p.track_id, p.label, p.frame, p.time_s) for p in film.peaks
    ]
    for found, kept in zip(loaded.peaks, film.peaks, strict=True):
        assert np.abs(found.picture.astype(int) - kept.picture).max() <= 4
    assert [len(result) for result in Results.load(path)] == film.images["n_faces"].tolist()
    with pytest.raises(UsageError, match="more rows, to be lost"):
        film.track(2).save(path)
    film.track(2).save(path, overwrite=True)
    assert len(Timeline.load(path).images) == 250
    without = Timeline.from_results(story(), keep_faces=False)
    with pytest.raises(UsageError, match=r"t\.peaks\.parquet belongs to"):
        without.save(path)
    assert AnalysisFiles(path).peaks.is_file()
    without.save(path, overwrite=True)
    assert not AnalysisFiles(path).peaks.exists()  # those of the older run


def test_what_the_command_writes_is_a_timeline(tmp_path: Path, film: Timeline) -> None:
    path, run = tmp_path / "t.parquet", Run(LABELS, RunSettings(detector="none"))
    for keep in (True, False):
        anew = Checkpoint(path, overwrite=True)
        with TableSink(path, run, keep_faces=keep, checkpoint=anew) as sink:
            for result in story():
                sink.write(result)
        loaded = Timeline.load(path)
        pd.testing.assert_frame_equal(loaded.faces, film.faces)
        assert len(loaded.peaks) == (3 if keep else 0)
        assert loaded.settings == RunSettings(detector="none")


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from mien.results import tables
from mien.sinks.checkpoint import Checkpoint
from mien.results.settings import RunSettings
from mien.sinks.tables import TableSink
from helpers.results import Run
from helpers.story import GLAD, LABELS, story_frame
tables._SECONDS_AT_ONCE = 0.0
with TableSink(sys.argv[1], Run(LABELS, RunSettings(detector="none"))) as sink:
    for index in range(10**6):
        sink.write(story_frame(index, [(1, GLAD)] * (index % 3)))
        print(index, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_killed_analysis_is_a_timeline_up_to_its_last_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    command = [sys.executable, "-c", KILLED, str(path), str(Path(__file__).parent)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout:
        while int(run.stdout.readline()) < 500:
            pass
        run.kill()
        last = max([500, *(int(line) for line in run.stdout)])
    assert run.wait() == -signal.SIGKILL
    assert {p.name for p in tmp_path.iterdir()} == {
        f"t{suffix}.partial", f"t.images{suffix}.partial"
    }  # fmt: skip
    loaded = Timeline.load(path)
    assert 0 < len(loaded.images) <= last + 2
    assert loaded.images["frame"].tolist() == list(range(len(loaded.images)))
    assert loaded.images["n_faces"].tolist() == [i % 3 for i in range(len(loaded.images))]
    assert len(loaded.faces) == loaded.images["n_faces"].sum()
    assert len(Results.load(path)) == len(loaded.images)
    assert len(Timeline.load(f"{path}.partial").images) == len(loaded.images)


@pytest.mark.parametrize(("faces", "images", "kept"), [(30, 50, 25), (200, 20, 20), (0, 9, 0)])
def test_tables_cut_at_different_frames(
    tmp_path: Path, film: Timeline, faces: int, images: int, kept: int
) -> None:
    path = tmp_path / "t.csv"
    some = Timeline.from_results(story(), keep_faces=False)
    some.save(path)
    for file, rows in ((path, faces), (images_path(path), images)):
        lines = file.read_bytes().splitlines(keepends=True)[: rows + 1]
        file.with_name(file.name + ".partial").write_bytes(b"".join(lines) + b"film.mp4,9")
        file.unlink()
    if kept == 25:
        kept = 30  # one face a frame in the first two seconds
    loaded = Timeline.load(path)
    assert len(loaded.images) == kept
    pd.testing.assert_frame_equal(loaded.faces, film.faces[film.faces["frame"] < kept])
    assert len(Results.load(path)) == kept


def test_rows_taken_out_of_a_table_since(tmp_path: Path, film: Timeline) -> None:
    path = film.save(tmp_path / "t.csv")
    kept = film.faces[film.faces["track_id"] == 2]
    kept.to_csv(path, index=False)
    with pytest.raises(InputError, match=r"t\.csv has 150 faces where .* counts 400: it was cut"):
        Timeline.load(path)
    loaded = Timeline.load(path, incomplete=True)
    assert len(loaded.images) == 250
    assert loaded.images["n_faces"].sum() == 150
    results = Results.load(path, incomplete=True)
    assert [len(result) for result in results] == loaded.images["n_faces"].tolist()
    kept.assign(source="other.mp4").to_csv(path, index=False)
    with pytest.raises(InputError, match="are not tables of one run"):
        Timeline.load(path)


def test_tables_of_two_runs_are_refused(tmp_path: Path, film: Timeline) -> None:
    path = film.save(tmp_path / "t.parquet")
    before = images_path(path).read_bytes()
    film.smooth(1).save(path)
    images_path(path).write_bytes(before)
    with pytest.raises(InputError, match="are not tables of one run"):
        Timeline.load(path)
    images_path(path).unlink()
    with pytest.raises(InputNotFoundError, match=r"t\.images\.parquet"):
        Timeline.load(path)


def test_settings_are_texts_that_json_can_say(tmp_path: Path, film: Timeline) -> None:
    assert film.smooth(0.25).settings.to_metadata()["smooth_s"] == "0.25"
