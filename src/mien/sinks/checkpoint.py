"""What an earlier run of the same command has finished, so that a later one can go on with it."""

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
from mien.results.embeddings import Embeddings, read_embeddings
from mien.results.files import AnalysisFiles, is_sealed, writable_target
from mien.results.peaks import read_peak_rows
from mien.results.settings import RunSettings

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
        beside: the suffixes of `AnalysisFiles` that it writes too: ``peaks``, ``embeddings``.
    """

    settings: RunSettings
    columns: Sequence[str]
    inputs: Sequence[str]
    beside: Collection[str] = ()


class Rows(NamedTuple):
    """Rows of an earlier run; None where there are none."""

    images: pd.DataFrame | None = None
    faces: pd.DataFrame | None = None
    peaks: pd.DataFrame | None = None
    embeddings: Embeddings | None = None


@dataclass(frozen=True)
class _Input:
    """One input of an earlier run."""

    source: str
    images: int  # rows of the images table up to its end
    empty: bool  # no frame of it could be read
    failed: bool  # some frame of it could not


class Checkpoint:
    """Decides which inputs of a run need no analysis, and whether an older table may be replaced.

    Inputs count as finished from the first one on, as long as the run meets the same ones in the
    same order and their files have not changed since: so the table is the one that a run without
    a stop gives. Of a video that was interrupted, nothing is taken over, because the ids of its
    people depend on every frame before.

    Args:
        path: of the ``faces`` table.
        plan: what the run will write; without it, nothing is taken over or replaced.
        resume: take over what is finished.
        overwrite: replace an older table, whatever it is.

    Attributes:
        path: of the ``faces`` table.
        unfinished: whether rows of a run that did not end are taken over.

    Raises:
        UsageError: a file is there that would be lost, or another run is writing it.
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
        self.path = self._files.faces
        self._overwrite, self._open = overwrite, True
        self._inputs: list[_Input] = []
        self._next, self._found = 0, Rows()
        self._from: Path | None = None
        self._check_others(plan)
        self._files.clear_sealed()
        found = [table for table in (partial_path(self.path), self.path) if table.exists()]
        if plan is None:
            if found and not overwrite:
                raise UsageError(f"{found[0]} exists: {_ADVICE} (in Python: overwrite=True).")
            return
        for table in found:
            self._look(table, plan, resume and self._from is None)

    @property
    def unfinished(self) -> bool:
        """Whether rows of a run that did not end are taken over."""
        return self._from is not None and self._from != self.path and bool(self._inputs)

    @property
    def failed(self) -> int:
        """How many of the finished inputs could not be read to their end."""
        return sum(known.failed for known in self._inputs[: self._next])

    @property
    def finished(self) -> int:
        """How many inputs were found finished so far."""
        return self._next

    def skips(
        self, source: str, done: Callable[[], bool] = lambda: True, place: str | None = None
    ) -> bool:
        """Whether an input is finished; to be asked once for each, in order.

        `done` says whether its other outputs are there, and is asked of inputs that could be read;
        `place` is its path, where that is not its name.
        """
        if not self._open or self._next >= len(self._inputs):
            self._open = False
            return False
        known = self._inputs[self._next]
        self._open = known.source == source and not self._changed(known, place or source)
        self._open = self._open and (known.empty or done())
        self._next += self._open
        return self._open

    def take(self) -> Rows:
        """The rows of the finished inputs; they are not kept here any longer."""
        found, self._found, self._open = self._found, Rows(), False
        if not self._next or found.images is None or found.faces is None:
            return Rows()
        images = found.images.iloc[: self._inputs[self._next - 1].images]
        faces = found.faces.iloc[: int(images["n_faces"].sum())]
        peaks, embeddings = found.peaks, found.embeddings
        if peaks is not None:
            peaks = peaks[peaks["source"].isin(images["source"].unique())]
        vectors = None if embeddings is None else embeddings.only(faces)
        return Rows(images, faces, peaks, vectors)

    def clear(self, written: Collection[Path]) -> None:
        """Remove what belonged to a table that was replaced on demand."""
        if self._overwrite:
            for path in self._files.beside():
                if path not in written:
                    path.unlink(missing_ok=True)

    def _check_others(self, plan: Plan | None) -> None:
        """Other runs, and other tables with the same name, must not lose their files."""
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

    def _look(self, table: Path, plan: Plan, resume: bool) -> None:
        """Check one older table, and take its rows over."""
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
        peaks, embeddings = read_peak_rows(table), read_embeddings(table)
        kept = faces.iloc[: int(images["n_faces"].iloc[: inputs[-1].images].sum()) if inputs else 0]
        if "embeddings" in plan.beside and embeddings is None and len(kept):
            return
        if "peaks" in plan.beside and peaks is None and kept["track_id"].notna().any():
            return
        self._inputs, self._from, self._time = inputs, table, table.stat().st_mtime
        self._found = Rows(images, faces, peaks, embeddings)

    def _problem(
        self,
        table: Path,
        faces: pd.DataFrame,
        images: pd.DataFrame,
        settings: RunSettings,
        plan: Plan,
    ) -> str:
        """Why a table is not of the same command, or what of it would be lost; "" if nothing."""
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
            if not os.path.lexists(source):
                return f"{table} holds {source}, which is not there any more: {_ADVICE}."
        for path in self._files.beside():
            if table == self.path and path not in [getattr(self._files, n) for n in plan.beside]:
                return f"{path} belongs to {table}, and this run does not write it: {_ADVICE}."
        return ""

    def _changed(self, known: _Input, place: str) -> bool:
        """Whether a file was changed or put there after the earlier run."""
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
    found = [
        _Input(sources[start], int(end), bool(bad[start:end].all()), bool(wrong[start:end].any()))
        for start, end in zip(starts, ends, strict=True)
    ]
    return found if whole or not moving else found[:-1]


def _is_among(source: str, inputs: Sequence[str]) -> bool:
    """Whether a source can come from one of some folders and patterns."""
    for item in inputs:
        pattern = glob.escape(item) != item and fnmatch.fnmatch(source, item.replace("**/", "*"))
        if pattern or source.startswith(os.path.join(item, "")):
            return True
    return False
