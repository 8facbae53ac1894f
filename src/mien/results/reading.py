"""Table files read back, whole or up to where a run broke off; sizes are looked at before memory.

A file of a megabyte can hold gigabytes of equal rows, and parsers raise whatever they like at
damaged ones: what leaves here is a table, or one sentence.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputError, MienError
from mien.escaping import csv_text
from mien.files import PARTIAL
from mien.results.files import (
    known_suffix,
    native_file,
    settings_path,
    texts_mapped,
    whole_batches,
)

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = "mien."
_BEGIN = b"\xff\xff\xff\xff"  # of an Arrow stream
_MAX_COLUMNS = 10_000
_VALUE_BYTES = 8  # that a number takes in memory
#: As many times its own size a file may take in memory; real tables take about five times.
_MAX_RATIO = 100
_ALWAYS_BYTES = 128 << 20  # that any file may take


def read_rows(path: Path, types: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """A file's table and metadata; columns named in `types` must not be guessed at from text.

    Of a partial file, every whole row is read.

    Raises:
        InputError: it holds no table, or one that would take all memory.
    """
    suffix = known_suffix(path)
    with readable(path):
        if suffix == ".parquet" or (path.suffix == PARTIAL and is_stream(path)):
            return _read_parquet(path)
        return _READERS[suffix](path, types)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever a parser raises becomes an error that names the file.

    Raises:
        InputError: an exception came.
    """
    try:
        yield
    except MienError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        text = text if len(text) <= 200 else f"{text[:197]}..."
        raise InputError(f"{path} does not hold a readable table: {text}") from error


def _read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix == PARTIAL:
        with native_file(path) as file, pa.ipc.open_stream(file) as reader:
            table = pa.Table.from_batches(_up_to_limit(path, whole_batches(reader)), reader.schema)
    else:
        with native_file(path) as data:
            file = pq.ParquetFile(data)
            texts = [f.name for f in file.schema_arrow if _is_text(f.type)]
            _check_size(path, _values(path, file.metadata) * _VALUE_BYTES)
            # As a dictionary, a text is held once, however often it is there.
            table = _plain(path, pq.ParquetFile(data, read_dictionary=texts).read())
    table.validate(full=True)  # else damaged text would be noticed by whoever shows it
    prefix, metadata = _PREFIX.encode(), table.schema.metadata or {}
    known = {k.removeprefix(prefix): v for k, v in metadata.items() if k.startswith(prefix)}
    own = {key.decode(): value.decode() for key, value in known.items()}
    return table.to_pandas(ignore_metadata=True), own


def _values(path: Path, metadata: Any) -> int:
    """How many values a Parquet file says to hold, in all columns."""
    groups, columns = metadata.num_row_groups, metadata.num_columns
    if columns > _MAX_COLUMNS or groups * columns > 100 * _MAX_COLUMNS:
        raise InputError(f"{path} has {columns:,} columns in {groups:,} parts: no table has that.")
    chunks = (metadata.row_group(g).column(c) for g in range(groups) for c in range(columns))
    return max(int(metadata.num_rows), sum(int(chunk.num_values) for chunk in chunks))


def _check_size(path: Path, needed: int) -> None:
    most = max(_ALWAYS_BYTES, _MAX_RATIO * path.stat().st_size)
    if needed > most:
        raise InputError(
            f"{path} would take {needed / 1e9:.1f} GB of memory, more than {_MAX_RATIO} times its "
            "own size: no table of mien's is so; it is not read."
        )


def _up_to_limit(path: Path, batches: Iterator[Any]) -> Iterator[Any]:
    taken = 0
    for batch in batches:
        taken += batch.nbytes
        _check_size(path, taken)
        yield batch


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(f(kind) for f in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _plain(path: Path, table: Any) -> Any:
    """The table with each text in its row, if there is room for that."""
    import pyarrow as pa
    import pyarrow.compute as pc

    needed = 0
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            for chunk in table.column(place).chunks:
                lengths = pc.take(pc.binary_length(chunk.dictionary), chunk.indices)
                needed += pc.sum(lengths).as_py() or 0
    _check_size(path, needed)
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field.name, column)
    return table


def is_stream(path: Path) -> bool:
    """Whether a file is an Arrow stream, as partial files are; older ones were text."""
    with path.open("rb") as file:
        return file.read(len(_BEGIN)) == _BEGIN


def read_settings(table: Path) -> dict[str, str]:
    """What `settings_beside` wrote; empty where there is no such file.

    Raises:
        InputError: it holds something else.
    """
    path = settings_path(table)
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} does not hold the settings of {table.name}: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise InputError(f"{path} does not hold the settings of {table.name}.")
    return found


def _whole_lines(path: Path, quoted: bool) -> bytes:
    """A text file up to its last whole row; in CSV, a line may end inside quotes and go on."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    while quoted and end and data.count(b'"', 0, end) % 2:
        end = data.rfind(b"\n", 0, end - 1) + 1
    return data[:end]


def _read_csv(path: Path, types: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    data = _whole_lines(path, quoted=True) if path.suffix == PARTIAL else path.read_bytes()
    if data[:1_000_000].split(b"\n", 1)[0].count(b",") > _MAX_COLUMNS:
        raise InputError(f"{path} has more than {_MAX_COLUMNS:,} columns: no table has that.")
    names = pd.read_csv(io.BytesIO(data), nrows=0).columns
    known: Any = {name: types[csv_text(name)] for name in names if csv_text(name) in types}
    # A file may be called "NA": only an empty field is a missing one.
    table = pd.read_csv(io.BytesIO(data), dtype=known, keep_default_na=False, na_values=[""])
    return texts_mapped(table, csv_text).rename(columns=csv_text), read_settings(path)


def _read_jsonl(path: Path, _types: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Line by line, because pandas' own reader takes some texts for dates."""
    import pandas as pd

    data = _whole_lines(path, quoted=False) if path.suffix == PARTIAL else path.read_bytes()
    lines = data.decode("utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path} does not hold a table: each line is one JSON object.")
    return pd.DataFrame(rows), read_settings(path)


#: How text becomes rows, by suffix.
_READERS: dict[str, Callable[[Path, Mapping[str, str]], tuple[pd.DataFrame, dict[str, str]]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
}
