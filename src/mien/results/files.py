"""Files that hold a table: grown row by row, replaced whole, read by suffix.

Knows Parquet, CSV and JSON lines, and nothing of the columns inside. A table that grows lies at
``NAME.partial`` until it is whole, so that a process that is killed leaves what it wrote: CSV and
JSON lines as they are, Parquet, which nothing can read before its end is written, as an Arrow
stream (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from csv import QUOTE_NONNUMERIC
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from mien.errors import UsageError
from mien.escaping import csv_cell
from mien.files import replacing, writable_place

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv", ".jsonl")
PARTIAL = ".partial"
_PREFIX = "mien."
_ROW_GROUP = 65_536  # rows that lie in memory together while a stream becomes Parquet


class TableFile(Protocol):
    """An open table file that rows are added to."""

    def append(self, table: pd.DataFrame) -> None:
        """Add rows with the columns that the file was opened for."""

    def close(self) -> None:
        """Finish the file."""


def _schema(like: Any, metadata: Mapping[str, str]) -> Any:
    import pyarrow as pa

    arrow = isinstance(like, pa.Table)
    schema = like.schema if arrow else pa.Schema.from_pandas(like, preserve_index=False)
    own = {f"{_PREFIX}{key}": value for key, value in metadata.items()}
    return schema.with_metadata({**(schema.metadata or {}), **own})


class _ParquetFile:
    def __init__(self, file: BinaryIO, like: pd.DataFrame, metadata: Mapping[str, str]) -> None:
        import pyarrow.parquet as pq

        self._file, self._schema = file, _schema(like, metadata)
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def append(self, table: pd.DataFrame) -> None:
        import pyarrow as pa

        if len(table):
            rows = pa.Table.from_pandas(table, schema=self._schema, preserve_index=False)
            self._writer.write_table(rows)

    def close(self) -> None:
        self._writer.close()
        self._file.close()


class _StreamFile:
    """An Arrow stream: readable up to the last whole batch at any time."""

    def __init__(self, file: BinaryIO, like: pd.DataFrame, metadata: Mapping[str, str]) -> None:
        import pyarrow as pa

        self._file, self._schema = file, _schema(like, metadata)
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(file, self._schema, options=options)
        self._write(like[:0])  # the schema is written with the first batch, not before

    def append(self, table: pd.DataFrame) -> None:
        if len(table):
            self._write(table)

    def _write(self, table: Any) -> None:
        import pyarrow as pa

        if not isinstance(table, pa.Table):
            table = pa.Table.from_pandas(table, schema=self._schema, preserve_index=False)
        rows = table.replace_schema_metadata(self._schema.metadata)
        nothing = pa.RecordBatch.from_pylist([], schema=self._schema)
        for batch in rows.combine_chunks().to_batches() or [nothing]:
            self._writer.write_batch(batch)
        self._file.flush()

    def close(self) -> None:
        self._writer.close()
        self._file.close()


class _TextFile:
    def __init__(self, file: BinaryIO, like: pd.DataFrame, csv: bool) -> None:
        self._file, self._csv = file, csv
        if csv:
            self._write(_csv_text(like.head(0), header=True))

    def append(self, table: pd.DataFrame) -> None:
        if self._csv:
            self._write(_csv_text(table, header=False))
        elif len(table):
            self._write(
                table.to_json(orient="records", lines=True, force_ascii=False, double_precision=15)
            )

    def _write(self, text: str) -> None:
        self._file.write(text.encode())
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _csv_text(table: pd.DataFrame, *, header: bool) -> str:
    """Rows as CSV in which a spreadsheet finds no formula, see `mien.escaping.csv_cell`."""
    safe = texts_mapped(table, csv_cell).rename(columns=csv_cell)
    text = safe.to_csv(index=False, header=header, lineterminator="\n")
    if "\r" in text:  # Python's csv writes it without quotes, and readers take it for a line's end
        text = safe.to_csv(
            index=False, header=header, lineterminator="\n", quoting=QUOTE_NONNUMERIC
        )
    return text


def texts_mapped(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The table with every text in it changed; missing values and numbers stay."""

    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, str) else value

    texts = [name for name, dtype in table.dtypes.items() if dtype.kind == "O"]
    return table.assign(**{str(name): table[name].map(changed) for name in texts})


class GrowingTable:
    """A table that grows at ``NAME.partial`` and takes its name when it is finished.

    A partial file that a killed run left behind is replaced. One that another run is writing at
    this moment is not.

    Args:
        target: the name that it takes; its suffix chooses the format.
        like: a table with the columns and their types; one of pyarrow's for columns that pandas
            does not know, and then the rows are such tables, too.
        metadata: kept by Parquet.

    Raises:
        UsageError: it cannot be written, or another run is writing it.
    """

    def __init__(self, target: Path, like: pd.DataFrame, metadata: Mapping[str, str]) -> None:
        self._target, self._partial = target, partial_path(target)
        self._streams = target.suffix.lower() == ".parquet"
        with _told(target):
            self._bytes = _claim(self._partial)
            self._file = _text_or(_StreamFile, self._bytes, target, like, metadata)

    def append(self, table: pd.DataFrame) -> None:
        """Add rows; when this returns, whoever opens the partial file finds them."""
        end = self._bytes.tell()
        try:
            self._file.append(table)
        except BaseException:  # Ctrl-C, a full disk: half a row would hide those after it
            self._bytes.seek(end)
            self._bytes.truncate()
            raise

    def finish(self) -> None:
        """Close the partial file and let it take the final name, as Parquet where that is asked."""
        self._file.close()
        if not self._streams:
            os.replace(self._partial, self._target)
            return
        with replacing(self._target) as temporary:
            _to_parquet(self._partial, temporary)
        self._partial.unlink()


def open_table(
    temporary: Path, target: Path, like: pd.DataFrame, metadata: Mapping[str, str]
) -> TableFile:
    """Begin a file at `temporary`, in the format of `target`, for rows with columns as in `like`.

    Raises:
        UsageError: it cannot be written.
    """
    with _told(target):
        return _text_or(_ParquetFile, temporary.open("wb"), target, like, metadata)


def _text_or(
    parquet: type[_ParquetFile] | type[_StreamFile],
    file: BinaryIO,
    target: Path,
    like: pd.DataFrame,
    metadata: Mapping[str, str],
) -> TableFile:
    try:
        if target.suffix.lower() == ".parquet":
            return parquet(file, like, metadata)
        return _TextFile(file, like, csv=target.suffix.lower() == ".csv")
    except BaseException:
        file.close()
        raise


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from error


def _claim(path: Path) -> BinaryIO:
    """Open a file empty, under a lock that ends with the process that holds it."""
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), "wb")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            name = path.name.removesuffix(PARTIAL)
            raise UsageError(f"{name} is being written by another run: choose another.") from error
        except OSError:  # a file system without locks
            pass
    file.truncate(0)
    return file


def partial_path(path: Path) -> Path:
    """Where a table lies while it grows, or where a killed run has left it."""
    return path.with_name(path.name + PARTIAL)


def has_sibling(table: Path) -> bool:
    """Whether a table of the same name lies there in another format, to which files belong, too."""
    names = (table.with_suffix(suffix) for suffix in SUFFIXES if suffix != table.suffix.lower())
    return any(name.is_file() for name in names)


def known_suffix(path: Path) -> str:
    """The suffix in lower case, without that of a partial file, if it is one of the three."""
    suffix = Path(path.name.removesuffix(PARTIAL)).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"a table is a {', '.join(SUFFIXES)} file, not {path.name!r}; of an image or video, "
            "make one with: mien analyze INPUT -o TABLE.parquet."
        )
    return suffix


def writable_target(path: str | Path) -> Path:
    """The path, if a table can be put there."""
    target = Path(path)
    if known_suffix(target) != target.suffix.lower():
        raise UsageError(f"{target.name} is the name of an unfinished table: choose another.")
    return writable_place(target)


def apart(output: Path, table: Path) -> None:
    """Make sure that a file to be written is none of those that a table consists of.

    Raises:
        UsageError: it is the table, or one that lies beside it, such as ``NAME.images.parquet``.
    """
    stem = Path(table.name.removesuffix(PARTIAL)).stem
    own = {stem, *(f"{stem}.{part}" for part in ("images", "peaks", "embeddings"))}
    beside = output.resolve().parent == table.resolve().parent
    if beside and output.stem in own and output.suffix.lower() in SUFFIXES and table.suffix:
        if output.stem == stem and output.suffix != table.suffix:
            return
        what = "is the table itself" if output.stem == stem else f"belongs to the table {table}"
        raise UsageError(f"{output} {what}: choose another name.")


def _to_parquet(stream: Path, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[Any] = []
    with (
        stream.open("rb") as file,
        pa.ipc.open_stream(file) as reader,
        target.open("wb") as out,
        pq.ParquetWriter(out, reader.schema, compression="zstd") as writer,
    ):
        for batch in whole_batches(reader):
            waiting.append(batch)
            if sum(map(len, waiting)) >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting, reader.schema))
                waiting = []
        writer.write_table(pa.Table.from_batches(waiting, reader.schema))


def whole_batches(reader: Any) -> Iterator[Any]:
    """The batches of an Arrow stream up to where it ends or breaks off."""
    with suppress(StopIteration, ValueError, OSError):  # pyarrow's own errors are among these
        while True:
            yield reader.read_next_batch()
