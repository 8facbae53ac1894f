"""The manifest: every input of a batch, in order, with the number of its shard.

It is written once, when a batch begins, and read by every process that works on it, so that all
agree what shard 17 is. Photos are counted, videos measured; a long video is cut into stretches.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.batch.folder import BatchFolder
from mien.batch.options import BatchOptions
from mien.errors import InputError, UsageError
from mien.files import replacing, writing

if TYPE_CHECKING:
    import pyarrow as pa

PLAN, MANIFEST = "batch.json", "manifest.parquet"
#: Photos of a shard, and seconds of video that count as much: a quarter of a minute to two of work.
IMAGES, SECONDS = 500, 300.0
#: Seconds of a stretch of a long video.
STRETCH_S = 600.0
#: A stretch of a video begins so much earlier, so that people are recognized: as long as a track
#: can be continued by appearance, see `mien.tracking.association`.
OVERLAP_S = 32.0
_FORMAT = 1
_ROWS = 65_536  # of the manifest that are in memory
_PLACE = 1  # column of the paths


@dataclass(frozen=True)
class Item:
    """One input, or one stretch of a video.

    Attributes:
        name: its name in the tables.
        place: path or address of the file that it is, or is in.
        kind: ``image`` or ``video``; ``tar`` or ``parquet`` for an image inside such a file.
        offset, length: of a member of a tar file, bytes; of a Parquet file, ``offset`` is the row;
            -1 for others.
        start_s, end_s: the stretch of a video, seconds; -1 for its beginning and its end.
        seconds: length of a video or stretch, as far as it is known; 0 for an image.
        column: of the images of a Parquet file.
    """

    name: str
    place: str
    kind: str
    offset: int = -1
    length: int = -1
    start_s: float = -1.0
    end_s: float = -1.0
    seconds: float = 0.0
    column: str = ""

    @property
    def is_stretch(self) -> bool:
        """Whether it is a part of a video."""
        return self.start_s >= 0 or self.end_s >= 0


def schema() -> pa.Schema:
    """Columns of the manifest file."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}
    columns = [pa.field(f.name, kinds[str(f.type)]) for f in fields(Item)]
    columns[_PLACE] = pa.field("place", pa.binary())  # not every path is UTF-8
    return pa.schema([*columns, pa.field("shard", pa.int32())])


def numbered(items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
    """Each input with the number of its shard, from 0, in order."""
    shard, weight = 0, 0.0
    for item in items:
        own = item.seconds / SECONDS if item.kind == "video" else 1 / IMAGES
        if weight and weight + own > 1 + 1e-9:
            shard, weight = shard + 1, 0.0
        weight += own
        yield shard, item


def in_stretches(item: Item, fps: float | None) -> list[Item]:
    """A video as one item, or as stretches, which begin where frames are sampled."""
    if item.seconds < 1.5 * STRETCH_S:
        return [item]
    step = round(STRETCH_S * fps) / fps if fps and STRETCH_S * fps >= 1 else STRETCH_S
    cuts = [step * n for n in range(1, int(item.seconds // step) + 1)]
    if item.seconds - cuts[-1] < step / 2:
        cuts.pop()
    stretches = []
    for start, end in pairwise([-1.0, *cuts, -1.0]):
        seconds = (end if end > 0 else item.seconds) - max(start, 0.0)
        stretches.append(replace(item, start_s=start, end_s=end, seconds=seconds))
    return stretches


def overlap_s(fps: float | None) -> float:
    """How much earlier a stretch begins, a whole number of sampling steps."""
    if not fps:
        return OVERLAP_S
    return max(1, round(OVERLAP_S * fps)) / fps


@dataclass(frozen=True)
class Plan:
    """What a batch consists of.

    Attributes:
        inputs: the arguments that it was begun with, paths absolute.
        options: how they are analyzed.
        settings: the same with the hashes of the models, as the tables have it.
        count: number of inputs and stretches.
        shards: number of shards.
        digest: SHA-256 of the manifest's rows.
    """

    inputs: tuple[str, ...]
    options: BatchOptions
    settings: dict[str, str]
    count: int
    shards: int
    digest: str

    def to_json(self) -> bytes:
        """The plan as its file has it."""
        table = {"format": _FORMAT, **vars(self), "options": self.options.to_table()}
        return (json.dumps(table, indent=1) + "\n").encode()

    @classmethod
    def read(cls, folder: BatchFolder) -> Plan | None:
        """The plan of a folder; None where there is none.

        Raises:
            UsageError: it is of another version, or damaged.
        """
        data = folder.read(PLAN)
        if data is None:
            return None
        try:
            table = json.loads(data)
            if table.pop("format") != _FORMAT:
                raise ValueError
            table["options"] = BatchOptions.from_table(table["options"])
            return cls(**{**table, "inputs": tuple(table["inputs"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{folder.path(PLAN)} is damaged or of another version of mien: choose a new "
                "folder."
            ) from error


def write_manifest(path: Path, items: Iterable[Item]) -> tuple[int, int, str]:
    """Write the rows; returns how many inputs and shards there are, and the digest."""
    import pyarrow.parquet as pq

    digest, count, shard = hashlib.sha256(), 0, -1
    with (
        writing(path),
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema(), compression="zstd") as writer,
    ):
        waiting: list[tuple[Any, ...]] = []
        for shard, item in numbered(items):
            row = (*astuple(item), shard)
            digest.update(repr(row).encode("utf-8", "surrogateescape"))
            waiting.append((*row[:_PLACE], os.fsencode(item.place), *row[_PLACE + 1 :]))
            count += 1
            if len(waiting) == _ROWS:
                writer.write_table(_table(waiting))
                waiting.clear()
        writer.write_table(_table(waiting))
    return count, shard + 1, digest.hexdigest()


def digest_of(items: Iterable[Item]) -> tuple[int, str]:
    """How many inputs there are, and the digest that `write_manifest` would give."""
    digest, count = hashlib.sha256(), 0
    for shard, item in numbered(items):
        digest.update(repr((*astuple(item), shard)).encode("utf-8", "surrogateescape"))
        count += 1
    return count, digest.hexdigest()


def _table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(schema())
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema(), strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema())


class Manifest:
    """The rows of a manifest, by shard.

    Args:
        path: the file, on this machine.

    Raises:
        InputError: it is missing or damaged.
    """

    def __init__(self, path: Path | None) -> None:
        import pyarrow.parquet as pq

        try:
            if path is None:
                raise FileNotFoundError
            self._file = pq.ParquetFile(path)
            groups = [self._file.metadata.row_group(i) for i in range(self._file.num_row_groups)]
            last = len(schema()) - 1
            self._ends = [
                group.column(last).statistics.max if group.num_rows else -1 for group in groups
            ]
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"the manifest cannot be read: {error}.") from error
        self._group = -1
        self._rows: Any = None

    def names(self) -> Iterator[str]:
        """The names of all inputs."""
        for batch in self._file.iter_batches(_ROWS, columns=["name"]):
            yield from batch.column(0).to_pylist()

    def items(self, shard: int) -> list[Item]:
        """The inputs of one shard."""
        import pyarrow.compute as pc

        found: list[Item] = []
        for group, end in enumerate(self._ends):
            start = self._ends[group - 1] if group else 0
            if not start <= shard <= end:
                continue
            if group != self._group:
                self._group, self._rows = group, self._file.read_row_group(group)
            rows = self._rows.filter(pc.equal(self._rows["shard"], shard)).drop_columns(["shard"])
            found += [
                Item(**{**row, "place": os.fsdecode(row["place"])}) for row in rows.to_pylist()
            ]
        return found
