"""Batches for the tests: inputs, runs, and tables to compare."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from mien.batch import BatchFolder, BatchOptions, Workers, begin, merge
from mien.batch.run import Status

#: Columns that differ from run to run.
TIMES = ["milliseconds"]


def photos(folder: Path, photo: Path, count: int) -> Path:
    """A folder with so many copies of a photo."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shutil.copy(photo, folder / f"{number}.jpg")
    return folder


def run(
    out: Path | str,
    *inputs: Path | str,
    options: BatchOptions | None = None,
    workers: int = 1,
    shards: list[int] | None = None,
) -> Status:
    """Begin or continue a batch, and do what is missing, or some shards."""
    folder = BatchFolder(out)
    plan, _ = begin(folder, [str(item) for item in inputs], options or BatchOptions())
    todo = Status.of(folder, plan).missing if shards is None else shards
    with Workers(folder, plan.options, workers) as running:
        for _ in running.run(todo):
            pass
    return Status.of(folder, plan)


def merged(out: Path | str, target: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables of a batch."""
    from mien.batch import read_batch

    merge(*read_batch(str(out)), target, overwrite=True)
    return tables(target)


def tables(target: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables, without the columns that differ from run to run."""
    images = pd.read_parquet(target.with_name(f"{target.stem}.images.parquet"))
    return pd.read_parquet(target), images.drop(columns=TIMES)


def equal(
    left: tuple[pd.DataFrame, pd.DataFrame], right: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """Make sure that two analyses have the same rows."""
    for one, other in zip(left, right, strict=True):
        pd.testing.assert_frame_equal(one, other)
