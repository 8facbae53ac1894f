"""Files that hold a table: opened to add rows to, replaced whole, read by suffix.

Knows Parquet, CSV and JSON lines, and nothing of the columns inside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mien.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv", ".jsonl")
_PREFIX = "mien."


class TableFile(Protocol):
    """An open table file that rows are added to."""

    def append(self, table: pd.DataFrame) -> None:
        """Add rows with the columns that the file was opened for."""

    def close(self) -> None:
        """Finish the file."""


class _ParquetFile:
    def __init__(self, path: Path, like: pd.DataFrame, metadata: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.Schema.from_pandas(like, preserve_index=False)
        own = {f"{_PREFIX}{key}": value for key, value in metadata.items()}
        self._schema = schema.with_metadata({**(schema.metadata or {}), **own})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def append(self, table: pd.DataFrame) -> None:
        import pyarrow as pa

        if len(table):
            rows = pa.Table.from_pandas(table, schema=self._schema, preserve_index=False)
            self._writer.write_table(rows)

    def close(self) -> None:
        self._writer.close()


class _TextFile:
    def __init__(self, path: Path, like: pd.DataFrame, csv: bool) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv
        if csv:
            like.head(0).to_csv(self._file, index=False)

    def append(self, table: pd.DataFrame) -> None:
        if self._csv:
            table.to_csv(self._file, index=False, header=False, lineterminator="\n")
        elif len(table):
            table.to_json(
                self._file, orient="records", lines=True, force_ascii=False, double_precision=15
            )
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def open_table(
    temporary: Path, target: Path, like: pd.DataFrame, metadata: Mapping[str, str]
) -> TableFile:
    """Begin a file at `temporary`, in the format of `target`, for rows with columns as in `like`.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        if target.suffix.lower() == ".parquet":
            return _ParquetFile(temporary, like, metadata)
        return _TextFile(temporary, like, csv=target.suffix.lower() == ".csv")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from error


def known_suffix(path: Path) -> str:
    """The suffix in lower case, if it is one of the three."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a table is a {', '.join(SUFFIXES)} file, not {path.name!r}.")
    return path.suffix.lower()


def writable_target(path: str | Path) -> Path:
    """The path, if a table can be put there."""
    target = Path(path)
    known_suffix(target)
    if not target.parent.is_dir():
        raise UsageError(f"{target} cannot be written: there is no folder {target.parent}.")
    if os.path.isdir(target):  # unlike Path.is_dir, False for a name that is too long
        raise UsageError(f"{target} cannot be written: it is a folder.")
    return target


def beside(path: Path) -> Path:
    """A hidden name in the same folder, so that taking the final name is one atomic step."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` that takes its name at the end, unless an exception comes."""
    temporary = beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # it has the other name by now, or was never made
            temporary.unlink()


def _read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    texts = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    own = {k.removeprefix(_PREFIX): v for k, v in texts.items() if k.startswith(_PREFIX)}
    return table.to_pandas(), own


def _read_csv(path: Path, types: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    names = pd.read_csv(path, nrows=0).columns
    known: Any = {name: types[name] for name in names if name in types}
    # A file may be called "NA": only an empty field is a missing one.
    table = pd.read_csv(path, dtype=known, keep_default_na=False, na_values=[""])
    return table, {}


def _read_jsonl(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Line by line, because pandas' own reader takes some texts for dates."""
    import pandas as pd

    with path.open(encoding="utf-8") as lines:
        return pd.DataFrame([json.loads(line) for line in lines if line.strip()]), {}


def read_rows(path: Path, types: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """A file's table and metadata; columns named in `types` must not be guessed at from text."""
    suffix = known_suffix(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    return _read_csv(path, types) if suffix == ".csv" else _read_jsonl(path)
