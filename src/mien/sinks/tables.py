"""The two tables, written while the run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from mien.result import Result
from mien.results import images_path
from mien.tables import IMAGE_DTYPES, TableWriter, face_dtypes


class TableSink:
    """Writes the ``faces`` table to `path` and the ``images`` table beside it.

    Args:
        path: ``.parquet``, ``.csv`` or ``.jsonl``; files that are there are replaced at the end.
        labels: the score columns.
        settings: kept in the metadata of Parquet files.

    Raises:
        UsageError: another suffix, or a folder that cannot be written.
    """

    def __init__(
        self, path: str | Path, labels: Sequence[str], settings: Mapping[str, str]
    ) -> None:
        target = Path(path)
        known = {**settings, "labels": json.dumps(list(labels))}
        self._faces = TableWriter(target, face_dtypes(labels), known)
        self._images = TableWriter(images_path(target), IMAGE_DTYPES, known)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._faces)
        self._stack.enter_context(self._images)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, result: Result) -> None:
        """Append one result's rows."""
        self._faces.write(result.face_columns())
        self._images.write(result.image_columns())
