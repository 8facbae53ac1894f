"""Resuming: which inputs an interrupted run of the same command has finished."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mien.errors import InputError, UsageError
from mien.files import is_locked, partial_path
from mien.results.collection import load_tables
from mien.results.embeddings import KINDS, Embeddings, read_embeddings
from mien.results.files import AnalysisFiles, is_sealed, writable_target
from mien.results.peaks import read_peak_rows
from mien.results.settings import RunSettings
from mien.stores import is_stored

if TYPE_CHECKING:
    import pandas as pd

_ADVICE = "choose another name, or replace it with --overwrite"


@dataclass(frozen=True)
class Plan:
    """What a run will write.

    Attributes:
        settings: of its tables.
        columns: of its ``faces`` table.
        inputs: the arguments of the command: files, folders and patterns.
        beside: the suffixes of `AnalysisFiles` that it writes too: ``peaks``, ``embeddings``,
            ``landmarks``.
        remote: inputs that are on a web server, so that there is no file to look at.
    """

    settings: RunSettings
    columns: Sequence[str]
    inputs: Sequence[str]
    beside: Collection[str] = ()
    remote: Collection[str] = ()


class Rows(NamedTuple):
    """Rows of an earlier run; None where there are none."""

    images: pd.DataFrame | None = None
    faces: pd.DataFrame | None = None
    peaks: pd.DataFrame | None = None
    vectors: Sequence[Embeddings | None] = ()  # one of each of `KINDS`


@dataclass(frozen=True)
class _Input:
    """One input of an earlier run."""

    source: str
    images: int  # rows of the images table up to its end
    empty: bool  # no frame of it could be read
    failed: bool  # some frame of it could not


class Checkpoint:
    """Decides which inputs of a run need no analysis, and whether an older table may be replaced.

    Inputs are finished as long as both runs have the same ones in the same order and their files
    did not change, so that the table equals that of an uninterrupted run. No frame of an
    interrupted video is reused, because its track ids depend on all earlier frames.

    Args:
        path: of the ``faces`` table.
        plan: what the run will write; without it, nothing is reused or replaced.
        resume: reuse the rows of finished inputs.
        overwrite: replace an older table, whatever it is.

    Attributes:
        path: of the ``faces`` table.
        unfinished: whether rows of an interrupted run are reused.

    Raises:
        UsageError: an existing file would be lost, or another run is writing it.
    """

    def __init__(
        self,
        path: str | Path,
        plan: Plan | None = None,
        *,
        resume: bool = True,
        overwrite: bool = False,
    ) -> None:
        self._files = AnalysisFiles(writable_target(path))
        self.path: Path = self._files.faces
        self._overwrite, self._open = overwrite, True
        self._remote = plan.remote if plan is not None else ()
        self._inputs: list[_Input] = []
        self._next, self._rows = 0, Rows()
        self._from: Path | None = None
        self._check_others(plan)
        self._files.clear_sealed()
        older = [table for table in (partial_path(self.path), self.path) if table.exists()]
        if plan is None:
            if older and not overwrite:
                raise UsageError(f"{older[0]} exists: {_ADVICE} (in Python: overwrite=True).")
            return
        for table in older:
            self._take_over(table, plan, resume and self._from is None)

    @property
    def unfinished(self) -> bool:
        """Whether rows of an interrupted run are reused."""
        return self._from is not None and self._from != self.path and bool(self._inputs)

    @property
    def failed(self) -> int:
        """Number of finished inputs that could not be read completely."""
        return sum(known.failed for known in self._inputs[: self._next])

    @property
    def finished(self) -> int:
        """Number of inputs skipped so far."""
        return self._next

    def skips(
        self, source: str, done: Callable[[], bool] = lambda: True, place: str | None = None
    ) -> bool:
        """Whether an input is finished; call it once for each input, in order.

        `done` returns whether its other outputs exist, and is called for inputs that could be
        read; `place` is its path, where that is not its name.
        """
        if not self._open or self._next >= len(self._inputs):
            self._open = False
            return False
        known = self._inputs[self._next]
        self._open = known.source == source and not self._is_stale(known, place or source)
        self._open = self._open and (known.empty or done())
        self._next += self._open
        return self._open

    def take(self) -> Rows:
        """The rows of the skipped inputs, once."""
        rows, self._rows, self._open = self._rows, Rows(), False
        if not self._next or rows.images is None or rows.faces is None:
            return Rows()
        images = rows.images.iloc[: self._inputs[self._next - 1].images]
        faces = rows.faces.iloc[: int(images["n_faces"].sum())]
        peaks = rows.peaks
        if peaks is not None:
            peaks = peaks[peaks["source"].isin(images["source"].unique())]
        vectors = [None if one is None else one.only(faces) for one in rows.vectors]
        return Rows(images, faces, peaks, vectors)

    def clear(self, written: Collection[Path]) -> None:
        """Remove the files beside a table that was replaced with `overwrite`."""
        if self._overwrite:
            for path in self._files.beside():
                if path not in written:
                    path.unlink(missing_ok=True)

    def _check_others(self, plan: Plan | None) -> None:
        """Refuse to replace files of other runs, and of other tables with the same name."""
        for path in (self.path, self._files.images):
            if is_locked(partial_path(path)):
                raise UsageError(
                    f"{path} is being written by another run: wait for its end, or choose "
                    "another name."
                )
        beside = plan.beside if plan is not None else ()
        if self._files.siblings and beside and not self._overwrite:
            sibling = self._files.siblings[0].name
            raise UsageError(
                f"the files beside {self.path} would replace those of {sibling}: {_ADVICE}."
            )

    def _take_over(self, table: Path, plan: Plan, resume: bool) -> None:
        """Check one older table, and keep its rows for `take`."""
        partial = table != self.path
        try:
            faces, images, _, settings = load_tables(table)
        except (InputError, UsageError) as error:
            if partial or self._overwrite:  # stopped before its first row
                return
            raise UsageError(f"{table} exists and is no analysis by mien: {_ADVICE}.") from error
        if partial and not len(images):  # stopped before its first row
            return
        problem = self._problem(table, faces, images, settings, plan)
        if problem and not self._overwrite:
            raise UsageError(problem)
        if problem or not resume or (self._overwrite and not partial):
            return
        inputs = _inputs(images, whole=not partial or is_sealed(partial_path(self._files.images)))
        peaks = read_peak_rows(table)
        vectors = [read_embeddings(table, kind) for kind in KINDS]
        kept = faces.iloc[: int(images["n_faces"].iloc[: inputs[-1].images].sum()) if inputs else 0]
        absent = {kind for kind, found in zip(KINDS, vectors, strict=True) if found is None}
        if absent & set(plan.beside) and len(kept):
            return
        if "peaks" in plan.beside and peaks is None and kept["track_id"].notna().any():
            return
        self._inputs, self._from, self._time = inputs, table, table.stat().st_mtime
        self._rows = Rows(images, faces, peaks, vectors)

    def _problem(
        self,
        table: Path,
        faces: pd.DataFrame,
        images: pd.DataFrame,
        settings: RunSettings,
        plan: Plan,
    ) -> str:
        """Why a table is of another command, or what of it would be lost; "" if nothing."""
        if not settings:
            return f"{table} does not say how it was made: {_ADVICE}."
        stored, wanted = settings.to_metadata(), plan.settings.to_metadata()
        for name in {**stored, **wanted}:
            old, new = stored.get(name, "none"), wanted.get(name, "none")
            if old != new:
                what = name.replace("_", " ")
                return f"{table} was made with another {what} ({old}, now {new}): {_ADVICE}."
        if list(faces.columns) != list(plan.columns):
            return f"{table} has other columns than this run: {_ADVICE}."
        known = set(plan.inputs)
        folders = [item for item in plan.inputs if not os.path.isfile(item)]
        for source in images.loc[images["status"] == "ok", "source"].unique():
            if source not in known and not _is_among(source, folders):
                return f"{table} also holds {source}, which is not among the inputs: {_ADVICE}."
            elsewhere = source in plan.remote or is_stored(source)
            if not elsewhere and not os.path.lexists(source):
                return f"{table} holds {source}, which no longer exists: {_ADVICE}."
        for path in self._files.beside():
            if table == self.path and path not in [getattr(self._files, n) for n in plan.beside]:
                return f"{path} belongs to {table}, and this run does not write it: {_ADVICE}."
        return ""

    def _is_stale(self, known: _Input, place: str) -> bool:
        """Whether a file was changed or created after the earlier run.

        What is on a web server or in a store is read again only if it could not be read completely.
        """
        if known.source in self._remote or is_stored(known.source):
            return known.failed
        try:
            status = os.stat(place)
        except (OSError, ValueError):
            return not known.empty
        return max(status.st_mtime, status.st_ctime) > self._time


def _inputs(images: pd.DataFrame, whole: bool) -> list[_Input]:
    """The inputs that the rows of an ``images`` table are of; the last only if it is whole."""
    sources, frames = images["source"].astype(str).to_numpy(), images["frame"].to_numpy()
    if not len(sources):
        return []
    new = np.r_[True, (sources[1:] != sources[:-1]) | (frames[1:] <= frames[:-1])]
    starts = np.flatnonzero(new)
    ends = np.r_[starts[1:], len(sources)]
    moving = bool(images["time_s"].iloc[starts[-1] :].notna().any())
    status = images["status"].to_numpy()
    bad, wrong = status != "ok", status == "error"
    inputs = [
        _Input(sources[start], int(end), bool(bad[start:end].all()), bool(wrong[start:end].any()))
        for start, end in zip(starts, ends, strict=True)
    ]
    return inputs if whole or not moving else inputs[:-1]


def _is_among(source: str, inputs: Sequence[str]) -> bool:
    """Whether a source can come from one of some folders and patterns."""
    for item in inputs:
        pattern = glob.escape(item) != item and fnmatch.fnmatch(source, item.replace("**/", "*"))
        if pattern or source.startswith(os.path.join(item, "")):
            return True
    return False
