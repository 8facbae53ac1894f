"""A stopped run goes on where it was, and ends like one that was not stopped."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.results import Run, failed_frame, frame_result, mostly

from mien.errors import UsageError
from mien.labels import EMOTIONS
from mien.results import tables
from mien.results.collection import load_tables
from mien.results.embeddings import read_embeddings
from mien.results.files import SUFFIXES
from mien.results.peaks import read_peak_rows
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.results.writer import GrowingTable
from mien.sinks.checkpoint import Checkpoint, Plan
from mien.sinks.tables import TableSink

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

SETTINGS = RunSettings(detector="x", classifier_sha256="a")
COLUMNS = tuple(tables.face_dtypes(EMOTIONS))
BESIDE = ("peaks", "embeddings")
INPUTS = ("a.jpg", "broken.jpg", "one.mp4", "b.jpg", "two.mp4", "c.jpg", "gone.mp4")


class StopError(Exception):
    """What stops a run in these tests."""


def results_of(source: str) -> list[Result]:
    """What an analysis of one input gives, always the same."""
    if source.endswith(".jpg"):
        results = [frame_result(None, {0: mostly("happiness")}, source=source)]
        results = [replace(results[0], faces=replace(results[0].faces, track_ids=None))]
    else:
        people = ({1: mostly("anger", 0.5 + i / 20), 2: mostly("fear")} for i in range(6))
        results = [frame_result(i / 10, p, index=i, source=source) for i, p in enumerate(people)]
        results.insert(3, replace(failed_frame(0.25, index=99), source=source, index=3))
        results[4:] = [replace(result, index=i) for i, result in enumerate(results[4:], 4)]
    if source in ("broken.jpg", "gone.mp4"):
        return [replace(failed_frame(0.0), source=source, time_s=None)]
    return [with_vectors(result) for result in results]


def with_vectors(result: Result) -> Result:
    vectors = np.arange(4 * len(result), dtype=np.float32).reshape(-1, 4) + np.float32(result.index)
    scores = replace(result.scores, embeddings={"identity": vectors / np.float32(8)})
    return replace(result, scores=scores, settings=SETTINGS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs are files of a folder, older than any table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 2)
    for name in INPUTS[:-1]:
        Path(name).touch()


def run(
    table: Path, stop_after: int | None = None, inputs: Sequence[str] = INPUTS, **options: bool
) -> list[str]:
    """One run over the inputs, perhaps stopped after some results; what it analyzed."""
    checkpoint = Checkpoint(table, Plan(SETTINGS, COLUMNS, inputs, BESIDE), **options)

    def results() -> Iterator[Result]:
        for source in inputs:
            if not checkpoint.skips(source):
                analyzed.append(source)
                yield from results_of(source)

    analyzed: list[str] = []
    with TableSink(table, Run(EMOTIONS, SETTINGS), keep_faces=True, checkpoint=checkpoint) as sink:
        for count, result in enumerate(results()):
            if count == stop_after:
                raise StopError
            sink.write(result)
    return analyzed


def everything(table: Path) -> list[pd.DataFrame]:
    faces, images, _, settings = load_tables(table)
    assert settings == SETTINGS
    vectors, peaks = read_embeddings(table), read_peak_rows(table)
    assert vectors is not None
    assert peaks is not None
    images = images.drop(columns="milliseconds")
    return [faces, images, vectors.keys, pd.DataFrame(vectors.vectors["identity"]), peaks]


def assert_same(table: Path, whole: Path) -> None:
    for one, other in zip(everything(table), everything(whole), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    left = [path.name for path in table.parent.iterdir() if ".partial" in path.name]
    assert not left


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_stopped_anywhere_the_table_is_the_same(suffix: str) -> None:
    whole, table = Path(f"whole{suffix}"), Path(f"t{suffix}")
    assert run(whole) == list(INPUTS)
    count = sum(len(results_of(source)) for source in INPUTS)
    taken_over = set()
    for stop in range(0, count, 1 if suffix == ".parquet" else 5):
        with pytest.raises(StopError):
            run(table, stop)
        assert not table.exists()
        if stop % 2:  # and again, soon after
            with pytest.raises(StopError):
                run(table, 1)
        taken_over.add(len(INPUTS) - len(run(table)))
        assert_same(table, whole)
        for path in Path().glob("t.*"):
            path.unlink()
    assert max(taken_over) >= len(INPUTS) - 3


def stopping(original: Callable[[GrowingTable], Any], count: int) -> Callable[..., Any]:
    """The same method, which stops the run when it is called for so many-th time."""
    calls = iter(range(100))

    def call(self: GrowingTable) -> Any:
        if next(calls) == count:
            raise StopError
        return original(self)

    return call


def test_a_run_stopped_while_files_take_their_names_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, table = Path("whole.csv"), Path("t.csv")
    run(whole)
    for step in ("seal", "publishing", "discard"):
        for count in range(4):
            with monkeypatch.context() as patch:
                patch.setattr(GrowingTable, step, stopping(getattr(GrowingTable, step), count))
                with pytest.raises(StopError):
                    run(table)
            sealed = step != "seal"
            if sealed:
                for one, other in zip(everything(table), everything(whole), strict=True):
                    pd.testing.assert_frame_equal(one, other, check_exact=True)
            assert len(run(table)) <= (0 if sealed else 2)
            assert_same(table, whole)
            for path in Path().glob("t.*"):
                path.unlink()


def test_an_older_table_stays_until_the_new_one_is_whole() -> None:
    table = Path("t.parquet")
    run(table, inputs=INPUTS[:3])
    before = everything(table)
    with pytest.raises(StopError):
        run(table, 4)
    for one, other in zip(everything(table), before, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert run(table)[0] in ("b.jpg", "two.mp4")
    run(Path("whole.parquet"))
    assert_same(table, Path("whole.parquet"))


def test_what_changed_is_analyzed_again() -> None:
    table = Path("t.parquet")
    with pytest.raises(StopError):
        run(table, 12)
    later = Path("t.parquet.partial").stat().st_mtime + 5
    os.utime("one.mp4", (later, later))
    assert run(table) == ["one.mp4", "b.jpg", "two.mp4", "c.jpg", "gone.mp4"]
    assert run(table, inputs=INPUTS) == ["one.mp4", "b.jpg", "two.mp4", "c.jpg", "gone.mp4"]


def test_other_options_start_again() -> None:
    table = Path("t.parquet")
    with pytest.raises(StopError):
        run(table, 12)
    other = Plan(replace(SETTINGS, detector="y"), COLUMNS, INPUTS, BESIDE)
    with pytest.raises(UsageError, match=r"t\.parquet\.partial was made with another detector"):
        Checkpoint(table, other)
    assert run(table, resume=False) == list(INPUTS)
    assert run(table) == []
    assert run(table, overwrite=True) == list(INPUTS)
    with pytest.raises(StopError):
        run(table, 12, overwrite=True)
    assert len(run(table, overwrite=True)) < len(INPUTS)


def test_nothing_that_can_be_read_leaves_what_is_there() -> None:
    table = Path("t.parquet")
    with pytest.raises(StopError):
        run(table, 12)
    sizes = {path.name: path.stat().st_size for path in Path().glob("t.*")}
    with pytest.raises(StopError):
        run(table, 0)
    assert {path.name: path.stat().st_size for path in Path().glob("t.*")} == sizes


@pytest.mark.slow
def test_signals_at_random_moments(tmp_path: Path) -> None:
    from kills import Counts, interrupted_round, make_inputs

    home, counts, rng = tmp_path / "home", Counts(), random.Random(5)
    inputs = make_inputs(home, 4, 6, 1)
    for _ in range(2):
        assert interrupted_round(home, inputs, {}, counts, rng) == []
