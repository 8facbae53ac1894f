"""The two tables, written while the run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from mien.results.collection import images_path
from mien.results.embeddings import EmbeddingsWriter
from mien.results.peaks import Peaks, write_peaks
from mien.results.result import Result
from mien.results.tables import IMAGE_DTYPES, TableWriter, face_dtypes


class TableSink:
    """Writes the ``faces`` table to `path` and the ``images`` table beside it.

    A run that is killed leaves ``.partial`` files, which `Results.load` and `Timeline.load` read.

    Args:
        path: ``.parquet``, ``.csv`` or ``.jsonl``; files that are there are replaced at the end.
        labels: the score columns.
        settings: kept in the metadata of Parquet files.
        measures: the columns of `mien.labels.MEASURES` that the model gives.
        keep_faces: also write ``NAME.peaks.parquet`` at the end: each person's face at the
            strongest moment of each label.

    Embeddings, where the results carry some, go to ``NAME.embeddings.parquet``.

    Raises:
        UsageError: another suffix, a folder that cannot be written, or another run writes there.
    """

    def __init__(
        self,
        path: str | Path,
        labels: Sequence[str],
        settings: Mapping[str, str],
        keep_faces: bool = False,
        measures: Sequence[str] = (),
    ) -> None:
        self._path = Path(path)
        known = {**settings, "labels": json.dumps(list(labels))}
        self._faces = TableWriter(self._path, face_dtypes(labels, measures), known)
        self._images = TableWriter(images_path(self._path), IMAGE_DTYPES, known)
        self._embeddings = EmbeddingsWriter(self._path, known)
        self._peaks = Peaks() if keep_faces else None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # when the second cannot be opened, the first is closed
            stack.enter_context(self._faces)
            stack.enter_context(self._images)
            stack.enter_context(self._embeddings)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        write_peaks(self._peaks.found() if self._peaks else (), self._path)

    def write(self, result: Result) -> None:
        """Append one result's rows."""
        self._faces.write(result.face_columns())
        self._images.write(result.image_columns())
        self._embeddings.write(result)
        if self._peaks is not None:
            self._peaks.add(result)
