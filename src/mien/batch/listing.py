"""Lists the inputs of a batch: folders, patterns, stores, lists of paths, tables, and tar files.

The extension of a name decides the kind, so that a million files need not be opened.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.batch.manifest import Item, in_stretches
from mien.errors import InputError, InputNotFoundError, UsageError
from mien.media.formats import kind_by_name
from mien.media.images import name_of
from mien.media.inputs import Inputs, is_live
from mien.stores import is_stored

if TYPE_CHECKING:
    import pyarrow as pa

#: Extensions of files with a path in each line.
LISTS = (".txt", ".lst", ".list")
#: Names of columns with paths, and with images, that are found without being named.
PATHS = ("path", "file", "file_path", "filepath", "image_path", "filename", "file_name", "url")
IMAGES = ("image", "img", "jpg", "jpeg", "png", "bytes", "picture", "photo")
_MANY = 10_000  # rows of a table that are read at once


class Listing:
    """The items behind the arguments of a batch, lazily and in order.

    Args:
        inputs: folders, patterns, files and addresses, as `mien.media.inputs.Inputs` takes them;
            ``.txt`` files with a path in each line; ``.parquet`` files with a column of paths or of
            images; ``.tar`` files with images (WebDataset).
        column: name of that column; None to find it by the usual names.
        fps: frames of videos that are sampled per second, for where stretches begin.

    Attributes:
        left_out: what folders left out so far, in a sentence.
    """

    def __init__(
        self, inputs: Iterable[str], column: str | None = None, fps: float | None = None
    ) -> None:
        self._inputs, self._column, self._fps = list(inputs), column, fps
        self.left_out: str = ""

    def __iter__(self) -> Iterator[Item]:
        for argument in self._inputs:
            suffix = Path(argument).suffix.lower()
            if is_stored(argument) or "://" in argument:
                yield from self._files([argument])
            elif suffix in LISTS and os.path.isfile(argument):
                yield from self._files(_lines(argument))
            elif suffix == ".parquet" and os.path.isfile(argument):
                yield from self._table(argument)
            elif suffix == ".tar" and os.path.isfile(argument):
                yield from _members(argument)
            else:
                yield from self._files([argument])

    def _files(self, paths: Iterable[str]) -> Iterator[Item]:
        inputs = Inputs(paths, once=False, by_name=True)
        for item in inputs:
            if is_stored(item.place) and not isinstance(item.problem, InputNotFoundError | None):
                raise item.problem  # of a part of a store nobody knows what is missing
            if item.kind == "stream" or (item.kind == "video" and is_live(item.place)):
                raise UsageError(f"{item.name} is a live stream, which has no end: mien watch.")
            if item.kind == "image":
                yield Item(item.name, item.place, "image")
            else:
                length = _seconds(item.place)
                video = Item(item.name, item.place, "video", seconds=length)
                yield from in_stretches(video, self._fps)
        self.left_out = inputs.summary() or self.left_out

    def _table(self, path: str) -> Iterator[Item]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                name, images = _column_of(file.schema_arrow, self._column, path)
                if images:
                    rows = file.metadata.num_rows
                    for n in range(rows):
                        yield Item(f"{path}#{n}", path, "parquet", n, column=name)
                    return
                for batch in file.iter_batches(_MANY, columns=[name]):
                    places = [_beside(path, value) for value in batch.column(0).to_pylist()]
                    yield from self._files(places)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} cannot be read: {error}.") from error


def names_of_rows(inputs: Iterable[str], column: str) -> Iterator[tuple[str, str]]:
    """Names of the inputs in Parquet tables, with the text in another column of their rows.

    Raises:
        UsageError: no table among the inputs has it.
    """
    import pyarrow.parquet as pq

    found = False
    for path in map(os.path.abspath, inputs):
        if not path.lower().endswith(".parquet") or not os.path.isfile(path):
            continue
        with pq.ParquetFile(path) as file:
            if column not in file.schema_arrow.names:
                continue
            found = True
            name, images = _column_of(file.schema_arrow, None, path)
            count = 0
            for batch in file.iter_batches(_MANY, columns=[column, *([] if images else [name])]):
                for row in batch.to_pylist():
                    key = f"{path}#{count}" if images else name_of(_beside(path, row[name]))
                    yield key, str(row[column])
                    count += 1
    if not found:
        raise UsageError(f"no Parquet table among the inputs has a column {column!r}.")


def _column_of(columns: pa.Schema, wanted: str | None, path: str) -> tuple[str, bool]:
    """The column of paths or images of a table, and whether it is of images."""
    import pyarrow as pa

    def has_images(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(field.name == "bytes" for field in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    if wanted is not None and wanted not in columns.names:
        raise UsageError(
            f"{path} has no column {wanted!r}; it has {', '.join(columns.names[:12])}."
        )
    names = [wanted] if wanted else [n for n in (*PATHS, *IMAGES) if n in columns.names]
    for name in names:
        kind = columns.field(name).type
        if has_images(kind):
            return name, True
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return name, False
    raise UsageError(
        f"{path} has no column of paths or images that is called {PATHS[0]} or {IMAGES[0]}: name "
        f"it with --column; it has {', '.join(columns.names[:12])}."
    )


def _beside(table: str, value: str | None) -> str:
    """A path of a table, which may be relative to its folder."""
    place = value or ""
    if "://" in place or os.path.isabs(place):
        return place
    beside = os.path.join(os.path.dirname(table), place)
    return beside if os.path.lexists(beside) or not os.path.lexists(place) else place


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                if (text := line.strip()) and not text.startswith("#"):
                    yield _beside(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _members(path: str) -> Iterator[Item]:
    """The images of a tar file; what else is in it, such as labels, is left out."""
    try:
        with tarfile.open(path, "r:") as file:
            for member in file:
                if member.isreg() and kind_by_name(member.name) == "image":
                    name = name_of(f"{path}/{member.name}")
                    yield Item(name, path, "tar", member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _seconds(place: str) -> float:
    """The length of a video; 1 where it is unknown, or in a store."""
    if is_stored(place):
        return 1.0
    from mien.media.video import VideoSource

    try:
        return float(VideoSource(place).info.duration_s or 1.0)
    except InputError:  # it gets its row when its turn comes
        return 1.0
