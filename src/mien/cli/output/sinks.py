"""Where the results of ``mien analyze`` go: the tables, and annotated copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mien.cli.console import warn
from mien.cli.signals import uninterrupted
from mien.media.addresses import is_recording
from mien.media.inputs import Input, is_address, is_live, is_web_image, public_name
from mien.media.paths import local_path
from mien.results.tables import face_dtypes
from mien.sinks.checkpoint import Checkpoint, Plan
from mien.sinks.tables import TableSink

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.results.result import Result
    from mien.sinks.annotated import AnnotatedSink


def _place(path: str) -> str:
    """An argument as its files are called in the tables."""
    if is_address(path):
        return public_name(path)
    return path if path == "-" else local_path(path)


@dataclass(frozen=True)
class Targets:
    """What the options of the command ask for.

    Attributes:
        table, annotate: where to write.
        beside: which `mien.results.files.AnalysisFiles` are written beside the table.
        resume, overwrite: as for `Checkpoint`.
    """

    table: Path | None = None
    annotate: Path | None = None
    beside: frozenset[str] = frozenset()
    resume: bool = True
    overwrite: bool = False


class Outputs:
    """The sinks of a run, and what an earlier run of the same command has finished of it.

    Raises:
        UsageError: something cannot be written there, or a file of the user's would be lost.
    """

    def __init__(
        self, analyzer: EmotionAnalyzer, paths: Sequence[str], frames: str, targets: Targets
    ) -> None:
        self._targets = targets
        self._checkpoint: Checkpoint | None = None
        self._table: TableSink | None = None
        self._annotations: AnnotatedSink | None = None
        self._stack = ExitStack()
        if targets.annotate is not None:
            from mien.sinks.annotated import AnnotatedSink

            self._annotations = AnnotatedSink(targets.annotate, paths, overwrite=targets.overwrite)
        if targets.table is not None:
            settings = replace(analyzer.settings, frames=frames)
            columns = tuple(face_dtypes(analyzer.labels, analyzer.measures))
            inputs = [_place(path) for path in paths]
            remote = [path for path in paths if is_web_image(path) or is_recording(path)]
            plan = Plan(
                settings, columns, inputs, targets.beside, frozenset(map(public_name, remote))
            )
            self._checkpoint = Checkpoint(
                targets.table,
                plan,
                resume=targets.resume,
                overwrite=targets.overwrite,
            )
            self._table = TableSink(
                targets.table,
                analyzer,
                keep_faces="peaks" in targets.beside,
                frames=frames,
                checkpoint=self._checkpoint,
                endless=any(map(is_live, paths)),
            )

    def __enter__(self) -> Self:
        """Open the table first, so that it is closed last: what it counts is there."""
        for sink in (self._table, self._annotations):
            if sink is not None:
                self._stack.enter_context(sink)
        return self

    def write(self, result: Result) -> None:
        """Write one result everywhere, into the table last."""
        for sink in (self._annotations, self._table):
            if sink is not None:
                sink.write(result)

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        try:
            with uninterrupted():  # every result has been handed over: files end whole
                self._stack.__exit__(kind, *rest)
        finally:
            if self._table is not None and self._table.unfinished:
                warn(
                    f"the finished part is in {self._table.unfinished}; the same command continues "
                    f"from there, and `mien export {self._table.unfinished} -o NAME.csv` writes it "
                    "as it is."
                )

    def skips(self, item: Input) -> bool:
        """Whether an input was finished by an earlier run, in every output."""
        if self._checkpoint is None or item.kind == "stream":
            return False

        def done() -> bool:
            if "videos" in self._targets.beside and item.kind == "video":
                return False  # a video is predicted from all its frames
            return self._annotations is None or self._annotations.is_done(item)

        return self._checkpoint.skips(item.name, done, item.place)

    @property
    def failed(self) -> int:
        """How many rows of the earlier run say that something could not be read."""
        return 0 if self._checkpoint is None else self._checkpoint.failed

    def wrote(self) -> Iterator[Path]:
        """What was written; of a table that was left as it is, why."""
        if self._table is not None and self._checkpoint is not None:
            path, finished = self._checkpoint.path, self._checkpoint.finished
            if finished:
                many = f"{finished} input{'s were' if finished > 1 else ' was'}"
                warn(f"{many} finished before; --no-resume analyzes everything again.")
            elif self._table.wrote is None:
                warn(f"nothing could be read; {path} stays as it was.")
            if self._table.wrote is not None:
                yield path
        if self._annotations is not None:
            yield self._annotations.wrote
