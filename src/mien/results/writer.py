"""Writing tables: row by row while a run goes on, or whole.

A table that grows lies at ``NAME.partial`` as an Arrow stream, whatever its suffix, so that a
killed process leaves what it wrote
(https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format); it is converted when it
is whole. CSV and JSON lines have no place for metadata: those lie beside the table.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from csv import QUOTE_NONNUMERIC
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mien.errors import MienError, UsageError
from mien.escaping import csv_cell
from mien.files import claim, hidden, is_at, partial_path, publish, replacing, writing
from mien.results.files import native_file, settings_path, texts_mapped, whole_batches
from mien.results.reading import read_rows

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = "mien."
_ROW_GROUP = 65_536  # rows of a Parquet file that are read together
_TEXT_ROWS = 4096  # rows that become text at once


def _schema(like: Any, metadata: Mapping[str, str]) -> Any:
    import pyarrow as pa

    arrow = isinstance(like, pa.Table)
    schema = like.schema if arrow else pa.Schema.from_pandas(like, preserve_index=False)
    own = {f"{_PREFIX}{key}": value for key, value in metadata.items()}
    return schema.with_metadata({**(schema.metadata or {}), **own})


class GrowingTable:
    """A table that grows at ``NAME.partial`` and takes its name when it is whole.

    Args:
        target: the name that it takes; its suffix chooses the format.
        like: a table with the columns and their types; one of pyarrow's for columns that pandas
            does not know, and then the rows are such tables, too.
        metadata: kept in the file, or beside it.
        first: rows of an earlier run to begin with, tables of pyarrow's; until they are copied,
            that run's partial file stays.

    Raises:
        UsageError: it cannot be written, or another run is writing it.
    """

    def __init__(
        self, target: Path, like: Any, metadata: Mapping[str, str], first: Sequence[Any] = ()
    ) -> None:
        import pyarrow as pa

        self.target: Path = target
        self._partial = partial_path(target)
        self._schema, self._metadata = _schema(like, metadata), dict(metadata)
        self._waiting = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(self._waiting, self._schema, options=options)
        self._size, self._at = 0, self._partial
        with writing(target):
            self._guard = self._file = claim(self._partial, target.name, empty=not first)
            try:
                self._begin(like, first)
            except BaseException:
                self.leave()
                raise

    def _begin(self, like: Any, first: Sequence[Any]) -> None:
        if first:
            if sys.platform == "win32":  # cannot replace an open file
                self._guard.close()
            self._at = hidden(self._partial)
            self._file = claim(self._at, self.target.name)
        self.append(like[:0])  # the schema is written with the first batch, not before
        for table in first:
            self.append(table)
        if first:
            publish(self._at, self._partial)
            self._at = self._partial

    def append(self, table: Any) -> None:
        """Add rows; when this returns, whoever opens the partial file finds them."""
        import pyarrow as pa

        if not isinstance(table, pa.Table):
            table = pa.Table.from_pandas(table, schema=self._schema, preserve_index=False)
        rows = table.cast(self._schema).replace_schema_metadata(self._schema.metadata)
        if not len(rows) and self._size:
            return
        nothing = pa.RecordBatch.from_pylist([], schema=self._schema)
        for batch in rows.combine_chunks().to_batches() or [nothing]:
            self._writer.write_batch(batch)
        self._write()

    def _write(self) -> None:
        """Move what was encoded to the file: all of it, or nothing."""
        data = memoryview(self._waiting.getvalue())
        try:
            if not is_at(self._file, self._at):
                raise UsageError(
                    f"{self.target} cannot be written: {self._partial.name} was removed meanwhile."
                )
            with writing(self.target):
                while data:
                    data = data[self._file.write(data) or 0 :]
            self._size = self._file.tell()
        except BaseException:  # Ctrl-C, a full disk: half a batch would hide those after it
            with suppress(OSError):
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        finally:
            self._waiting.seek(0)
            self._waiting.truncate()

    def leave(self) -> None:
        """Close the partial file and leave it, for a later run to go on with."""
        self._file.close()
        self._guard.close()

    def seal(self) -> None:
        """Mark the partial file as whole; from now on it counts, not an older table."""
        self._writer.close()
        self._write()
        with writing(self.target):
            os.fsync(self._file.fileno())

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Write the table from the partial file; it takes its name when the block ends well.

        So files that belong together are all written before the first takes its name: a disk that
        fills up leaves the older ones as they are.
        """
        with (
            writing(self.target),
            settings_beside(self.target, self._metadata),
            replacing(self.target) as temporary,
        ):
            _convert(self._partial, temporary, self.target.suffix.lower())
            yield

    def discard(self) -> None:
        """Remove the partial file."""
        if sys.platform == "win32":
            self.leave()
        with suppress(OSError):
            self._partial.unlink()
        self.leave()

    def finish(self) -> None:
        """All of `seal`, `publish` and `discard`."""
        try:
            self.seal()
            with self.publishing():
                pass
            self.discard()
        finally:
            self.leave()


def finish_together(files: Sequence[GrowingTable]) -> None:
    """Give tables that belong together their names: all of them, or none.

    The last one is marked as whole first, the first one takes its name last.
    """
    for file in reversed(files):
        file.seal()
    with ExitStack() as names:
        for file in files:
            names.enter_context(file.publishing())
    for file in files:
        file.discard()


def check_table(
    target: Path, columns: Iterable[str], sources: Iterable[str], rows: int | None = None
) -> None:
    """Make sure that no rows or columns are lost where a table takes the place of another.

    Args:
        target: the file to write.
        columns, sources: what the new table has.
        rows: how many it has, where the older one must not have more.

    Raises:
        UsageError: there is another file, or a table with further columns, sources or rows.
    """
    if not os.path.lexists(target) or (target.is_file() and not target.stat().st_size):
        return
    advice = "choose another name, or replace it with --overwrite (in Python: overwrite=True)"
    try:
        old_columns, old_sources, old_rows = _contents(target)
    except (OSError, ValueError, TypeError, KeyError, MienError) as error:
        raise UsageError(f"{target} exists and is no table of mien's: {advice}.") from error
    kept, known = set(columns), set(sources)
    further = [name for name in old_columns if name not in kept]
    if further:
        names = ", ".join(further[:5])
        raise UsageError(f"{target} has columns that would be lost ({names}): {advice}.")
    lost = [name for name in old_sources if name not in known]
    if lost:
        raise UsageError(f"{target} has rows of {lost[0]} that would be lost: {advice}.")
    if rows is not None and rows < old_rows:
        raise UsageError(f"{target} has {old_rows - rows} more rows, to be lost: {advice}.")


def _contents(path: Path) -> tuple[list[str], list[str], int]:
    """The columns of a table, its sources, and how many rows it has."""
    import pyarrow.parquet as pq

    if path.suffix.lower() != ".parquet":
        table, _ = read_rows(path, {"source": "string"})
        sources = table["source"].unique() if "source" in table.columns else ()
        return [str(n) for n in table.columns], [str(name) for name in sources], len(table)
    with native_file(path) as opened, pq.ParquetFile(opened) as file:
        columns, rows = file.schema_arrow.names, file.metadata.num_rows
        if "source" not in columns:
            return columns, [], rows
        return columns, file.read(["source"])["source"].unique().to_pylist(), rows


def write_rows(
    path: Path, suffix: str, dataframe: pd.DataFrame, metadata: Mapping[str, str]
) -> None:
    """Write a whole table to `path` in the format of `suffix`."""
    with path.open("wb") as out:
        encode_rows(out, suffix, dataframe, metadata)


def encode_rows(
    out: BinaryIO, suffix: str, dataframe: pd.DataFrame, metadata: Mapping[str, str]
) -> None:
    """Write a whole table to an open file in the format of `suffix`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if suffix != ".parquet":
        out.write(_TEXTS[suffix](dataframe, True))
        return
    schema = _schema(dataframe, metadata)
    rows = pa.Table.from_pandas(dataframe, schema=schema, preserve_index=False)
    pq.write_table(rows, out, compression="zstd")


@contextmanager
def settings_beside(table: Path, metadata: Mapping[str, str]) -> Iterator[None]:
    """Keep the metadata of a CSV or JSON lines table beside it, once the block ends well.

    Without any, older ones are removed.
    """
    path = settings_path(table)
    if Path(table.stem).suffix == ".images":  # those of its faces table are its own
        yield
        return
    if table.suffix.lower() == ".parquet" or not metadata:
        yield
        with suppress(OSError):
            path.unlink()
        return
    text = json.dumps(dict(metadata), ensure_ascii=False, indent=1)
    with replacing(path) as temporary:
        temporary.write_bytes(f"{text}\n".encode(errors="surrogateescape"))
        yield


def _json_lines(table: pd.DataFrame, _header: bool) -> bytes:
    if not len(table):
        return b""
    lines = table.to_json(orient="records", lines=True, force_ascii=False, double_precision=15)
    return str(lines).encode()


def _csv(table: pd.DataFrame, header: bool) -> bytes:
    """Rows as CSV in which a spreadsheet finds no formula, see `mien.escaping.csv_cell`."""
    logical = table.select_dtypes(["bool", "boolean"]).columns  # R takes True for a text
    words = {name: table[name].map({True: "TRUE", False: "FALSE"}) for name in logical}
    safe = texts_mapped(table.assign(**words), csv_cell).rename(columns=csv_cell)
    options: dict[str, Any] = {"index": False, "header": header, "lineterminator": "\n"}
    text = str(safe.to_csv(**options))
    if "\r" in text:  # Python's csv writes it without quotes, and readers take it for a line's end
        text = str(safe.to_csv(**options, quoting=QUOTE_NONNUMERIC))
    return text.encode()


def _convert(stream: Path, target: Path, suffix: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with native_file(stream) as file, pa.ipc.open_stream(file) as reader:
        most = _ROW_GROUP if suffix == ".parquet" else _TEXT_ROWS
        groups = _groups(whole_batches(reader), reader.schema, most)
        if suffix == ".parquet":
            with (
                target.open("wb") as out,  # pyarrow itself takes only names that are UTF-8
                pq.ParquetWriter(out, reader.schema, compression="zstd") as writer,
            ):
                for rows in groups:
                    writer.write_table(rows)
            return
        with target.open("wb") as text:
            for number, rows in enumerate(groups):
                text.write(_TEXTS[suffix](rows.to_pandas(), not number))


def _groups(batches: Iterable[Any], schema: Any, most: int) -> Iterator[Any]:
    """Batches joined to tables of many rows; one without rows where there are none."""
    import pyarrow as pa

    waiting: list[Any] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        if rows >= most:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


#: How rows become text, by suffix.
_TEXTS: dict[str, Callable[[pd.DataFrame, bool], bytes]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
}
