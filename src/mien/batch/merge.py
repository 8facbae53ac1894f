"""The tables of a batch as one analysis: all shards in order, and the stretches of videos joined.

One shard is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.batch.folder import BatchFolder
from mien.batch.joining import TrackJoiner
from mien.batch.manifest import MANIFEST, OVERLAP_S, Item, Manifest, Plan
from mien.batch.run import Status
from mien.batch.shard import FACES, IMAGES, OVERLAPS, PLACES, file_name
from mien.errors import InputError, UsageError
from mien.files import check_output, partial_path
from mien.results.files import AnalysisFiles, writable_target
from mien.results.writer import GrowingTable, check_table, finish_together

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_PREFIX = b"mien."


def merge(
    folder: BatchFolder,
    plan: Plan,
    target: Path,
    *,
    overwrite: bool = False,
    partly: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Path]:
    """Write all shards of a batch as one table and its ``images`` table.

    Args:
        folder, plan: the batch.
        target: the table, in a format of `mien.results.files.SUFFIXES`.
        overwrite: replace a table that exists.
        partly: also where shards are missing.
        progress: called with the number of shards done, and of all.

    Raises:
        UsageError: shards are missing, or something is there that must not be replaced.
        InputError: a file of the batch is missing or damaged.
    """
    status = Status.of(folder, plan)
    if status.missing and not partly:
        raise UsageError(
            f"{len(status.missing):,} of {plan.shards:,} shards are not done: run mien batch "
            "again, or merge what there is with --partly."
        )
    if not status.done:
        raise UsageError(f"no shard of {folder} is done.")
    files = AnalysisFiles(writable_target(target))
    shards = sorted(status.done)
    first = dict(_tables(folder, shards[0]))
    with ExitStack() as stack:
        manifest = Manifest(stack.enter_context(folder.local(MANIFEST)))
        for path, name in ((files.faces, FACES), (files.images, IMAGES)):
            if overwrite:
                check_output(path, overwrite=True)
            else:  # an earlier table of this batch may be replaced, nothing else
                rows = status.total("faces") if name == FACES else None
                check_table(path, first[name].column_names, manifest.names(), rows)
                _check_partial(path)
        joiner = TrackJoiner()
        growing: dict[str, GrowingTable] = {}
        for name, out in ((IMAGES, files.images), (FACES, files.faces)):
            like = first[name]
            growing[name] = GrowingTable(out, like[:0], _metadata(like))
            stack.callback(growing[name].discard)
        for count, shard in enumerate(shards):
            progress(count, len(shards))
            for name, table in _tables(folder, shard):
                if name == FACES:
                    table = _joined(table, folder, shard, manifest, joiner)
                growing[name].append(table)
        progress(len(shards), len(shards))
        tables = [growing[FACES], growing[IMAGES]]
        finish_together(tables)
    return [files.faces, files.images]


def _check_partial(target: Path) -> None:
    partial = partial_path(target)
    if partial.exists() and partial.stat().st_size:
        raise UsageError(
            f"{partial} is of a run that was stopped: choose another name, or replace it with "
            "--overwrite (in Python: overwrite=True)."
        )


def _tables(folder: BatchFolder, shard: int) -> Iterator[tuple[str, pa.Table]]:
    for name in (IMAGES, FACES):
        yield name, read_table(folder, f"{name}/{file_name(shard)}")


def read_table(folder: BatchFolder, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file of a batch, or some of its columns.

    Raises:
        InputError: it is missing or damaged.
    """
    import pyarrow.parquet as pq

    with folder.local(name) as path:
        try:
            if path is None:
                raise FileNotFoundError("it is missing")
            return pq.ParquetFile(path).read(columns)
        except (OSError, ValueError) as error:
            number = int(Path(name).stem)
            raise InputError(
                f"{folder.path(name)} cannot be read: {error}; remove done/"
                f"{file_name(number, '.json')} and run mien batch again."
            ) from error


def _metadata(table: pa.Table) -> dict[str, str]:
    own: dict[bytes, bytes] = table.schema.metadata or {}
    return {
        key.removeprefix(_PREFIX).decode(): value.decode()
        for key, value in own.items()
        if key.startswith(_PREFIX)
    }


def _joined(
    table: pa.Table, folder: BatchFolder, shard: int, manifest: Manifest, joiner: TrackJoiner
) -> pa.Table:
    """The table with the ids of the whole videos, where the shard has stretches of some."""
    import pyarrow as pa

    stretches = [item for item in manifest.items(shard) if item.is_stretch]
    if not stretches:
        return table
    overlap = None
    if any(item.start_s > 0 for item in stretches):
        with folder.local(f"{OVERLAPS}/{file_name(shard)}") as path:
            overlap = None if path is None else read_table(folder, f"{OVERLAPS}/{file_name(shard)}")
    known: Any = table.select(list(PLACES)).to_pandas(types_mapper={pa.int64(): _nullable()}.get)
    before: Any = None if overlap is None else overlap.to_pandas()
    ids = known["track_id"].copy()
    for item in stretches:
        start = max(item.start_s, 0.0)
        end = item.end_s if item.end_s >= 0 else float("inf")
        here = (known["source"] == item.name) & (known["time_s"] >= start - 1e-6)
        here &= known["time_s"] < end - 1e-6
        earlier = None if before is None else _before(before, item)
        ids[here] = joiner.join(item.name, known[here], earlier)
    place = table.column_names.index("track_id")
    field = table.schema.field(place)
    return table.set_column(place, field, pa.Array.from_pandas(ids, type=field.type))


def _before(overlaps: pd.DataFrame, item: Item) -> pd.DataFrame:
    """The faces in the seconds before a stretch."""
    times = overlaps["time_s"]
    here = (overlaps["source"] == item.name) & (times < item.start_s)
    return overlaps[here & (times > item.start_s - 2 * OVERLAP_S)]


def _nullable() -> Any:
    import pandas as pd

    return pd.Int64Dtype()
