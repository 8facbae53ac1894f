"""The two tables of an analysis, written while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from mien.errors import MienError
from mien.files import partial_path
from mien.results.collection import images_path
from mien.results.embeddings import KINDS, EmbeddingsWriter
from mien.results.peaks import PeaksWriter
from mien.results.result import Result
from mien.results.tables import IMAGE_DTYPES, TableWriter, face_dtypes
from mien.results.writer import GrowingTable, finish_together
from mien.sinks.base import Described
from mien.sinks.checkpoint import Checkpoint, Rows


class TableSink:
    """Writes the ``faces`` table to `path` and the ``images`` table beside it.

    The tables grow at ``NAME.partial``, which `Results.load` and `Timeline.load` read, and take
    their names together at the end. With an exception the partial files stay, for a run with
    `Checkpoint` to go on with. Where no input can be read, an older table stays as it is.

    Args:
        path: in a format of `mien.results.files.SUFFIXES`.
        analyzer: the `mien.EmotionAnalyzer` that makes the results: its labels and measures are
            columns, its settings are stored in Parquet files, or in
            ``NAME.SUFFIX.settings.json``.
        keep_faces: also write ``NAME.peaks.parquet``: each person's face at the strongest moment
            of each label.
        overwrite: replace a table that exists.
        frames: which frames of videos are analyzed, stored in the settings; "" for all.
        checkpoint: what an earlier run has finished; by default nothing.
        endless: the input has no end of its own, so the run is complete when it is stopped by
            Ctrl-C.

    Embeddings and landmarks, where they were requested, go to ``NAME.embeddings.parquet`` and
    ``NAME.landmarks.parquet``.

    Attributes:
        wrote: the path once the tables are whole, None where there are none or an older one stays.
        unfinished: the partial file that an exception has left behind, or None.

    Raises:
        UsageError: another suffix, a folder that cannot be written, a file is there that would be
            lost, or another run writes there.
    """

    def __init__(
        self,
        path: str | Path,
        analyzer: Described,
        *,
        keep_faces: bool = False,
        overwrite: bool = False,
        frames: str = "",
        checkpoint: Checkpoint | None = None,
        endless: bool = False,
    ) -> None:
        self._checkpoint = checkpoint or Checkpoint(path, overwrite=overwrite)
        self._path = self._checkpoint.path
        settings = replace(analyzer.settings, frames=frames)
        self._settings = settings.to_metadata(analyzer.labels)
        self._columns = face_dtypes(analyzer.labels, analyzer.measures)
        self._keep_faces, self._endless = keep_faces, endless
        self._waiting: list[Result] = []
        self._tables: _Tables | None = None
        self._failed = False
        self.wrote: Path | None = None
        self.unfinished: Path | None = None

    def __enter__(self) -> Self:
        return self

    def write(self, result: Result) -> None:
        """Append one result's rows; nothing is written before a result without an error."""
        self._waiting.append(result)
        if self._tables is not None or result.error is None:
            with self._failing():
                self._write()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        stopped = kind is not None and not (self._endless and issubclass(kind, KeyboardInterrupt))
        if self._tables is None and (
            stopped or self._failed or (self._path.exists() and not self._checkpoint.unfinished)
        ):
            return
        try:
            if not self._failed:
                self._end(stopped)
        finally:
            if self.wrote is None:
                self.unfinished = partial_path(self._path)
            if self._tables is not None:
                self._tables.leave()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What was interrupted in here must not be finished."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def _write(self) -> None:
        if self._tables is None:
            self._tables = _Tables(self._path, self._columns, self._settings, self._keep_faces)
            self._tables.open(self._checkpoint.take())
        waiting, self._waiting = self._waiting, []
        for result in waiting:
            self._tables.write(result)

    def _end(self, stopped: bool) -> None:
        self._write()
        assert self._tables is not None
        if stopped:
            with suppress(MienError):  # another one is on its way
                self._tables.flush()
            return
        self._checkpoint.clear(self._tables.finish())
        self.wrote = self._path


class _Tables:
    """The files of an analysis while they grow together."""

    def __init__(
        self, path: Path, columns: Mapping[str, str], settings: Mapping[str, str], keep_faces: bool
    ) -> None:
        self._path, self._columns, self._settings = path, columns, settings
        self._files: list[GrowingTable] = []
        self._peaks = PeaksWriter(path) if keep_faces else None
        self._vectors = [EmbeddingsWriter(path, settings, kind) for kind in KINDS]

    def open(self, first: Rows) -> None:
        """Begin with these rows; the table that counts the inputs is cut first."""
        images = images_path(self._path)
        self._images = TableWriter(images, IMAGE_DTYPES, self._settings, first.images).__enter__()
        self._files.append(self._images.file)
        self._faces = TableWriter(
            self._path, self._columns, self._settings, first.faces
        ).__enter__()
        self._files.append(self._faces.file)
        if self._peaks is not None and first.peaks is not None:
            self._peaks.begin(first.peaks)
        for writer, vectors in zip(self._vectors, first.vectors, strict=False):
            if vectors is not None:
                writer.begin(vectors)

    def write(self, result: Result) -> None:
        """Add the rows of one result."""
        if self._peaks is not None:
            self._peaks.add(result)
        for writer in self._vectors:
            writer.add(result)
        self._faces.add(result.face_columns())
        self._images.add(result.image_columns())
        if self._faces.due or self._images.due:
            self.flush()

    def flush(self) -> None:
        """Move what waits to the files; the table that counts the inputs last."""
        for writer in self._vectors:
            writer.flush()
        self._faces.flush()
        self._images.flush()

    def finish(self) -> list[Path]:
        """Give every file its name; a run that is stopped within is whole when it is read.

        Returns:
            what was written.
        """
        self.flush()
        if self._peaks is not None:
            self._peaks.flush()
        files = self._all()
        finish_together(files)
        return [file.target for file in files]

    def leave(self) -> None:
        """Close the files; they stay partial, unless they were finished."""
        for file in self._all():
            file.leave()

    def _all(self) -> list[GrowingTable]:
        owners = (self._peaks, *self._vectors)
        optional = (owner.file for owner in owners if owner is not None)
        return [*self._files, *(file for file in optional if file is not None)]
