"""The two tables, ``faces`` and ``images``: their columns and their files.

Every run gives the same columns in the same order with the same types, also without a single
row. pandas and pyarrow are imported on first use.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mien.errors import InputNotFoundError, UsageError
from mien.files import PARTIAL, is_locked, partial_path, replacing, writing
from mien.labels import MEASURES
from mien.results.files import SUFFIXES, is_sealed, known_suffix, writable_target
from mien.results.reading import read_rows, readable
from mien.results.settings import RunSettings
from mien.results.validation import check_columns
from mien.results.writer import GrowingTable, check_table, settings_beside, write_rows
from mien.types import Faces, FloatArray, Scores

if TYPE_CHECKING:
    import pandas as pd

_FACE_HEAD = {
    "source": "string",
    "frame": "int64",
    "time_s": "float64",
    "face": "int64",
    "x1": "float32",
    "y1": "float32",
    "x2": "float32",
    "y2": "float32",
    "detection_score": "float32",
    "track_id": "Int64",
    "emotion": "string",
    "probability": "float32",
}
_MEASURES = dict.fromkeys(MEASURES, "float32")
_QUALITY = {
    "size_px": "float32",
    "sharpness": "float32",
    "roll_deg": "float32",
    "yaw_deg": "float32",
    "fit": "boolean",
    "unfit_reason": "string",
}
#: The ``images`` table: name and pandas type of every column, in order.
IMAGE_DTYPES: dict[str, str] = {
    "source": "string",
    "frame": "int64",
    "time_s": "float64",
    "width": "Int64",
    "height": "Int64",
    "n_faces": "int64",
    "status": "string",
    "error": "string",
    "milliseconds": "float64",
    "duration_s": "float64",
}
#: Columns of the ``faces`` table before the labels, and after them.
FACE_COLUMNS = tuple(_FACE_HEAD)
QUALITY_COLUMNS = tuple(_QUALITY)
IMAGE_COLUMNS = tuple(IMAGE_DTYPES)

_log = logging.getLogger(__name__)
_KNOWN = {**IMAGE_DTYPES, **_FACE_HEAD, **_MEASURES, **_QUALITY}
_ROWS_AT_ONCE = 8192  # rows of a growing file that are kept in memory
_SECONDS_AT_ONCE = 2.0  # as much work as a run that is killed may lose


def face_dtypes(labels: Sequence[str], measures: Sequence[str] = ()) -> dict[str, str]:
    """Name and pandas type of every column of the ``faces`` table, in order.

    Args:
        labels: the model's labels.
        measures: what it measures besides: those of `mien.labels.MEASURES` stand behind the
            labels, others at the end.

    Raises:
        UsageError: a label has the name of one of the other columns.
    """
    taken = [label for label in labels if label in {**_FACE_HEAD, **_MEASURES, **_QUALITY}]
    if taken:
        raise UsageError(f"the label {taken[0]!r} is the name of another column of the table.")
    inner = [name for name in measures if name in _MEASURES]
    outer = [name for name in measures if name not in _MEASURES]
    taken = [name for name in outer if name in {*_FACE_HEAD, *labels, *_QUALITY}]
    if taken:
        raise UsageError(f"the measure {taken[0]!r} is the name of another column of the table.")
    numbers = dict.fromkeys((*labels, *inner), "float32")
    return {**_FACE_HEAD, **numbers, **_QUALITY, **dict.fromkeys(outer, "float32")}


def face_columns(
    source: str,
    frame: int,
    time_s: float | None,
    faces: Faces,
    scores: Scores,
    emotions: Sequence[str],
    probabilities: FloatArray,
    quality: Mapping[str, Any],
) -> dict[str, Any]:
    """The rows of the n faces of one image, as columns of length n.

    Args:
        source: name of the input.
        frame: number of the image in its input, 0 for a photo.
        time_s: presentation time in seconds, or None for a photo.
        faces: boxes in pixels, detection scores, track numbers or None.
        scores: ``(n, k)``: a column for each label, and one for each measure.
        emotions: n names, as shown to the user.
        probabilities: ``(n,)`` of these names.
        quality: ``(n,)`` arrays by name; a missing one becomes a column without values.

    Raises:
        UsageError: the lengths differ, or a label has the name of another column.
    """
    n = len(faces)
    columns: dict[str, Any] = {
        "source": [source] * n,
        "frame": np.full(n, frame, np.int64),
        "time_s": np.full(n, np.nan if time_s is None else time_s),
        "face": np.arange(n),
        **{name: faces.boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        "detection_score": faces.scores,
        "track_id": [None] * n if faces.track_ids is None else faces.track_ids,
        "emotion": list(emotions),
        "probability": np.asarray(probabilities, np.float32),
        **{label: scores.values[:, i] for i, label in enumerate(scores.labels)},
        **scores.measures,
        **{name: quality.get(name, [None] * n) for name in _QUALITY},
    }
    _check(columns, face_dtypes(scores.labels, tuple(scores.measures)))
    return columns


def to_dataframe(parts: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> pd.DataFrame:
    """Join the `face_columns` of many images into the ``faces`` table.

    Raises:
        UsageError: a part lacks a column, or its columns differ in length.
    """
    plain = {*_FACE_HEAD, *labels, *_QUALITY}
    measures = dict.fromkeys(name for part in parts for name in part if name not in plain)
    return _frame(parts, face_dtypes(labels, tuple(measures)))


def describe(table: pd.DataFrame, labels: Sequence[str], settings: RunSettings) -> pd.DataFrame:
    """Name a ``faces`` table's labels, measures and settings in its ``attrs``; returns it."""
    table.attrs = {
        "labels": list(labels),
        "measures": list(measure_columns(table)),
        "settings": settings.to_metadata(),
    }
    return table


def images_dataframe(parts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Join columns named as in `IMAGE_COLUMNS` into the ``images`` table.

    ``status`` is "ok", "error" or "dropped"; an image without a face is "ok" with ``n_faces`` 0.

    Raises:
        UsageError: a part lacks a column, or its columns differ in length.
    """
    return _frame(parts, IMAGE_DTYPES)


def label_columns(dataframe: pd.DataFrame) -> tuple[str, ...]:
    """The labels of a ``faces`` table: the columns between ``probability`` and the quality."""
    names = [str(name) for name in dataframe.columns]
    if "probability" not in names or "emotion" not in names:  # a table of another kind
        return ()
    start = names.index("probability") + 1
    ends = [i for i, name in enumerate(names) if i >= start and name in _QUALITY]
    inner = names[start : ends[0] if ends else len(names)]
    return tuple(name for name in inner if name not in _MEASURES and name not in _FACE_HEAD)


def measure_columns(dataframe: pd.DataFrame) -> tuple[str, ...]:
    """The measures of a ``faces`` table: `mien.labels.MEASURES`, and the floats after quality."""
    names = [str(name) for name in dataframe.columns]
    inner = [name for name in MEASURES if name in names]
    last = max((names.index(name) for name in _QUALITY if name in names), default=len(names))
    outer = names[last + 1 :]
    return (*inner, *(name for name in outer if dataframe[name].dtype.kind == "f"))


def write_table(
    dataframe: pd.DataFrame,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a table in the format of its suffix (`SUFFIXES`), whole or not at all.

    Args:
        dataframe: any table with plain columns; its index is not written.
        path: where to; a table with the same columns and sources, or fewer, is replaced.
        metadata: texts kept in a Parquet file's schema under keys that begin with "mien."; those
            of CSV and JSON lines lie beside them, in ``NAME.SUFFIX.settings.json``.
        overwrite: replace any other file.

    Raises:
        UsageError: another suffix, nothing can be written there, or a file is there that this
            table cannot stand for.
    """
    target = writable_target(path)
    if not overwrite:
        sources = dataframe["source"].unique() if "source" in dataframe.columns else ()
        check_table(target, dataframe.columns, sources)
    with (
        writing(target),
        settings_beside(target, metadata or {}),
        replacing(target) as temporary,
    ):
        write_rows(temporary, target.suffix.lower(), dataframe, metadata or {})
    return target


def read_table(path: str | Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read what `write_table` or `TableWriter` wrote: the table and its metadata.

    The columns of the ``faces`` and ``images`` tables come back with their own types from each
    of the three formats. CSV cannot tell an empty text from none, and JSON lines without a row
    have no columns either.

    Where there is only ``NAME.partial``, because the run was interrupted or still goes on, its
    whole rows are read and a warning is logged (logger ``mien.results.tables``).

    Raises:
        UsageError: the suffix is none of the three.
        InputNotFoundError: there is no such file.
        InputError: the file does not hold a table.
    """
    asked = Path(path)
    if asked.suffix.lower() not in (*SUFFIXES, PARTIAL):
        raise UsageError(
            f"{asked.name!r} is not a results table ({', '.join(SUFFIXES)}); create one first:"
            f" mien analyze {asked.name} -o {asked.stem}.parquet"
        )
    known_suffix(asked)
    partial = asked if asked.suffix == PARTIAL else partial_path(asked)
    source = asked if asked.is_file() and not is_sealed(partial) else partial
    if not source.is_file():
        raise InputNotFoundError(f"no such file: {asked}.")
    table, metadata = read_rows(source, _KNOWN)
    check_columns(source, table, ())
    with readable(source):
        types = {name: _KNOWN[name] for name in table.columns if name in _KNOWN}
        types |= dict.fromkeys(label_columns(table), "float32")
        table = table.astype(types).copy()  # in one piece: many columns are slow one by one
    if source == partial and not is_sealed(partial):
        what = "still being written" if is_locked(partial) else "of a run that did not end"
        _log.warning("%s is %s: it has %d rows.", partial, what, len(table))
    elif source == asked and partial.is_file() and partial.stat().st_mtime > source.stat().st_mtime:
        _log.warning("%s is older than %s, of a run that did not end.", source, partial)
    return table, metadata


class TableWriter:
    """Write a table part by part, so that a million images are never in memory together.

    Use it as a context manager. Rows go to ``NAME.partial`` beside the target, every two seconds
    or a few thousand at a time; at the end the file takes the target's name. An exception or a
    killed process leaves the partial file, and `read_table` reads it.

    Args:
        path: of the table, in a format of `SUFFIXES`; one that is there is replaced.
        dtypes: name and pandas type of every column, from `face_dtypes` or `IMAGE_DTYPES`.
        metadata: as for `write_table`.
        first: rows of an earlier run to begin with, see `mien.results.writer.GrowingTable`.

    Raises:
        UsageError: another suffix, nothing can be written there, or a part lacks a column.
    """

    def __init__(
        self,
        path: str | Path,
        dtypes: Mapping[str, str],
        metadata: Mapping[str, str] | None = None,
        first: pd.DataFrame | None = None,
    ) -> None:
        self._path = writable_target(path)
        self._dtypes = dict(dtypes)
        self._metadata = dict(metadata or {})
        self._first = first
        self._parts: list[Mapping[str, Any]] = []
        self._rows = 0

    def __enter__(self) -> Self:
        first = () if self._first is None else (self._first.astype(self._dtypes),)
        self.file: GrowingTable = GrowingTable(
            self._path, _frame([], self._dtypes), self._metadata, first
        )
        self._first = None
        self._flushed = time.monotonic()
        return self

    def write(self, columns: Mapping[str, Any]) -> None:
        """Add rows, given as columns of one length such as `face_columns` returns."""
        self.add(columns)
        if self.due:
            self.flush()

    def add(self, columns: Mapping[str, Any]) -> None:
        """As `write`, but the rows wait for `flush`."""
        rows = _check(columns, self._dtypes)
        if rows:  # images without a face must not pile up
            self._parts.append(columns)
            self._rows += rows

    @property
    def due(self) -> bool:
        """Whether the rows have waited long enough, or are many."""
        late = time.monotonic() - self._flushed >= _SECONDS_AT_ONCE
        return self._rows >= _ROWS_AT_ONCE or (late and self._rows > 0)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.flush()
            if kind is None:
                self.file.finish()
        finally:
            self.file.leave()

    def flush(self) -> None:
        """Move the rows that wait into the partial file."""
        self.file.append(_frame(self._parts, self._dtypes))
        self._parts, self._rows, self._flushed = [], 0, time.monotonic()


def _check(columns: Mapping[str, Any], dtypes: Mapping[str, str]) -> int:
    """Number of rows of columns that are all there and equally long."""
    missing = [name for name in dtypes if name not in columns]
    if missing and not set(missing) <= _measures_of(dtypes):
        raise UsageError(f"the table needs the columns {', '.join(missing)}.")
    lengths = {name: len(columns[name]) for name in dtypes if name in columns}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"the columns of a table must be equally long, got {lengths}.")
    return next(iter(lengths.values()), 0)


def _measures_of(dtypes: Mapping[str, str]) -> set[str]:
    """Columns that a part may lack: it could not be read, or has no known length."""
    names, last = list(dtypes), next(reversed(_QUALITY))
    return {*MEASURES, "duration_s", *(names[names.index(last) + 1 :] if last in dtypes else ())}


def _frame(parts: Sequence[Mapping[str, Any]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Join parts column by column: no Python loop over rows where the columns are arrays."""
    import pandas as pd

    filled = [part for part in parts if _check(part, dtypes)]
    columns: dict[str, Any] = {}
    for name, dtype in dtypes.items():
        values = [_column(part, name) for part in filled]
        arrays = bool(values) and all(isinstance(value, np.ndarray) for value in values)
        joined = np.concatenate(values) if arrays else list(chain.from_iterable(values))
        columns[name] = pd.Series(joined, dtype=dtype)
    return pd.DataFrame(columns)


def _column(part: Mapping[str, Any], name: str) -> Any:
    """A measure that an image lacks, because it could not be read, has no values."""
    return part[name] if name in part else np.full(len(part["source"]), np.nan, np.float32)
