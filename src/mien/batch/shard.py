"""One shard: its inputs are analyzed, and its tables and its completion record are written.

A shard's record is written last, so a shard with a record is done. Two processes that do the same
shard write the same rows, and neither disturbs the other.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.batch.folder import BatchFolder
from mien.batch.manifest import Item, overlap_s
from mien.batch.options import BatchOptions
from mien.batch.reading import read_item
from mien.errors import InputError, PluginError
from mien.media.inputs import Input, Inputs, failure
from mien.results.result import Result
from mien.sinks.tables import TableSink
from mien.stores import is_stored
from mien.types import Frame

if TYPE_CHECKING:
    import pandas as pd

    from mien.analyzer import EmotionAnalyzer

FACES, IMAGES, OVERLAPS, DONE = "faces", "images", "overlaps", "done"
#: Columns of the faces in an overlap.
PLACES = ("source", "frame", "time_s", "track_id", "x1", "y1", "x2", "y2")
_NAMED = 100  # failures whose sentences a record keeps
_SAME_S = 1e-6

#: Gets the number of the item that is being read, and how many results there are so far.
Report = Callable[[int, int], None]


@dataclass
class Record:
    """What a shard's completion record says.

    Attributes:
        inputs, images, frames, faces: how many there are; a stretch of a video counts as an input.
        failed: inputs with an error.
        errors: the first of these by name, with their sentences.
        seconds: how long it took.
        mien_version: of the process.
    """

    inputs: int = 0
    images: int = 0
    frames: int = 0
    faces: int = 0
    failed: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    mien_version: str = ""

    def count(self, result: Result) -> None:
        """Count one result."""
        if result.status == "error":
            self._failed.add(result.source)
            self.failed = len(self._failed)
            if len(self.errors) < _NAMED:
                self.errors.setdefault(result.source, result.error or "")
            return
        self.images += result.time_s is None
        self.frames += result.time_s is not None
        self.faces += len(result)

    def __post_init__(self) -> None:
        self._failed: set[str] = set()

    def to_json(self) -> bytes:
        """The record as its file has it."""
        table = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return (json.dumps(table, indent=1) + "\n").encode()

    @classmethod
    def read(cls, folder: BatchFolder, shard: int) -> Record | None:
        """The record of a shard; None where it is not done, or its record is damaged."""
        data = folder.read(f"{DONE}/{file_name(shard, '.json')}")
        try:
            return None if data is None else cls(**json.loads(data))
        except (ValueError, TypeError):
            return None


def file_name(shard: int, suffix: str = ".parquet") -> str:
    """The name of a shard's file in each of the folders."""
    return f"{shard:06}{suffix}"


class ShardRun:
    """Analyzes shards, one after the other, with networks that are loaded once.

    Args:
        folder: of the batch.
        options: of the batch.
        threads: of each network; None for all processors.
    """

    def __init__(
        self, folder: BatchFolder, options: BatchOptions, threads: int | None = None
    ) -> None:
        self._folder, self._options = folder, options
        self.analyzer: EmotionAnalyzer = options.analyzer(threads)

    def __call__(
        self,
        shard: int,
        items: list[Item],
        report: Report = lambda item, results: None,
        *,
        poisonous: Mapping[int, str] = {},
        one_by_one: bool = False,
    ) -> Record:
        """Do one shard.

        Args:
            shard: its number.
            items: its inputs.
            report: called before each item, and with each result.
            poisonous: what is wrong with items, by number, that end the process: they are not
                opened again, and get a row with this error.
            one_by_one: begin an item only when the one before is done, to know which ends it.

        Raises:
            UsageError: the folder cannot be written.
        """
        started = time.monotonic()
        record = Record(len(items), mien_version=self.analyzer.settings.mien_version)
        overlap = _Overlap(self.analyzer)
        with tempfile.TemporaryDirectory(prefix="mien-shard-") as temporary:
            table = Path(temporary) / "faces.parquet"
            with TableSink(table, self.analyzer, frames=self._options.frames_setting) as sink:
                at, last = 0, -1
                for count, result in enumerate(
                    self._results(items, report, poisonous, one_by_one=one_by_one)
                ):
                    report(-1, count + 1)
                    at, last = _position(items, result, at, last), result.index
                    if items[at].start_s >= 0 and at not in poisonous:
                        if result.time_s is None and result.index:  # the video is shorter than said
                            continue
                        early = items[at].start_s - _SAME_S
                        if result.time_s is not None and result.time_s < early:
                            overlap.add(result)
                            continue
                    sink.write(result)
                    record.count(result)
            name = file_name(shard)
            overlap.write(self._folder, name)
            self._folder.write(f"{FACES}/{name}", table)
            self._folder.write(f"{IMAGES}/{name}", table.with_name("faces.images.parquet"))
        record.seconds = round(time.monotonic() - started, 3)
        self._folder.write(f"{DONE}/{file_name(shard, '.json')}", record.to_json())
        return record

    def _results(
        self, items: list[Item], report: Report, poisonous: Mapping[int, str], *, one_by_one: bool
    ) -> Iterator[Result]:
        def sources(numbers: Iterable[int]) -> Iterator[Any]:
            for number in numbers:
                report(number, -1)
                if number in poisonous:
                    error = InputError(poisonous[number])
                    yield failure(items[number].name, error)
                else:
                    yield self._source(items[number])

        groups = [[n] for n in range(len(items))] if one_by_one else [range(len(items))]
        for numbers in groups:
            try:
                yield from self.analyzer.results(sources(numbers))
            except PluginError as error:
                if not one_by_one:
                    raise
                # Of this item alone: its row says so, and the next ones follow.
                yield from self.analyzer.results(
                    [failure(items[numbers[0]].name, InputError(str(error)))]
                )

    def _source(self, item: Item) -> Any:
        """What the analyzer reads: a frame for an image, frames for a video."""
        if item.kind in ("tar", "parquet"):
            return Frame(item.name, partial(read_item, item))
        if is_stored(item.place):  # a key may look like a pattern, and was listed already
            found = Input(item.name, "video" if item.kind == "video" else "image", item.place)
        else:
            (found,) = Inputs([item.place], once=False)
        if found.kind == "image" and not item.is_stretch:
            return found
        start = item.start_s - overlap_s(self._options.fps) if item.start_s >= 0 else None
        end = item.end_s if item.end_s >= 0 else None
        return found.frames(self._options.frames(None if start is None else max(start, 0.0), end))


def _position(items: list[Item], result: Result, at: int, last: int) -> int:
    """The number of the item that a result is of: that of the one before, or a later one.

    `last` is the frame of the result before; the next stretch of a video begins with earlier ones.
    """
    again = result.source == items[at].name and not (items[at].end_s >= 0 and result.index <= last)
    if again:
        return at
    later = (n for n in range(at + 1, len(items)) if items[n].name == result.source)
    return next(later, at)


class _Overlap:
    """The faces of the seconds before a stretch, by which its people are those of the last one."""

    def __init__(self, analyzer: EmotionAnalyzer) -> None:
        self._labels = analyzer.labels
        self._parts: list[Mapping[str, Any]] = []

    def add(self, result: Result) -> None:
        """Keep the faces of a result."""
        if result.error is None and len(result):
            self._parts.append(result.face_columns())

    def write(self, folder: BatchFolder, name: str) -> None:
        """Write the table, if there is anything in it."""
        if not self._parts:
            return
        import io

        from mien.results.tables import to_dataframe

        table: pd.DataFrame = to_dataframe(self._parts, self._labels)
        out = io.BytesIO()
        table[list(PLACES)].to_parquet(out, index=False)
        folder.write(f"{OVERLAPS}/{name}", out.getvalue())
