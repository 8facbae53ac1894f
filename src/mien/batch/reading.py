"""Images inside other files: members of tar files, and rows of Parquet files."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mien.batch.manifest import Item
from mien.errors import ImageError, InputError
from mien.media.images import read_image
from mien.types import Image


def read_item(item: Item) -> Image:
    """The image, ``(H, W, 3)`` uint8 RGB, of an item of the kind ``tar`` or ``parquet``.

    Raises:
        InputError: it cannot be read.
    """
    data = _member(item) if item.kind == "tar" else _cell(item)
    return read_image(data, name=item.name)


def _member(item: Item) -> bytes:
    try:
        with open(item.place, "rb") as file:
            file.seek(item.offset)
            return file.read(item.length)
    except OSError as error:
        raise InputError(f"{item.place} cannot be read: {error.strerror}.") from error


def _cell(item: Item) -> bytes:
    try:
        start, cells = _group(item.place, item.column, _group_of(item.place, item.offset))
        value = cells[item.offset - start].as_py()
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{item.name} cannot be read: {error}.") from error
    data = value.get("bytes") if isinstance(value, dict) else value
    if not data:
        raise ImageError(f"{item.name} holds no image.")
    return bytes(data)


@lru_cache(maxsize=4)
def _starts(path: str) -> tuple[int, ...]:
    """The number of the first row of each row group."""
    import pyarrow.parquet as pq

    starts = [0]
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    return tuple(starts)


def _group_of(path: str, row: int) -> int:
    from bisect import bisect_right

    return bisect_right(_starts(path), row) - 1


@lru_cache(maxsize=2)
def _group(path: str, column: str, group: int) -> tuple[int, Any]:
    """The first row of a row group, and the images in it."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        cells = file.read_row_group(group, columns=[column])
    return _starts(path)[group], cells.column(0)
