"""An older table is lost only to a newer one."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from mien.results.result import Result
    from mien.sinks.base import Sink


class OlderKept:
    """A sink that opens another with the first input that can be read.

    Where none can, as after a slip in a path, the table of an older run stays.

    Args:
        sink: what writes the table.
        target: the table's path.
    """

    def __init__(self, sink: Sink, target: Path) -> None:
        self._sink, self._target = sink, target
        self._stack = ExitStack()
        self._waiting: list[Result] | None = []

    @property
    def wrote(self) -> Path | None:
        """The table's path, None where it was left alone."""
        return self._target if self._waiting is None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._waiting is not None and kind is None:
            if self._target.exists():
                words = f"mien: nothing could be read; {self._target} stays as it was."
                print(words, file=sys.stderr)  # noqa: T201
            else:
                self._open(self._waiting)
        self._stack.__exit__(kind, error, trace)

    def write(self, result: Result) -> None:
        """Pass it on, or let it wait while nothing could be read."""
        if self._waiting is None:
            self._sink.write(result)
            return
        self._waiting.append(result)
        if result.error is None:
            self._open(self._waiting)

    def _open(self, waiting: list[Result]) -> None:
        self._stack.enter_context(self._sink)
        self._waiting = None
        for result in waiting:
            self._sink.write(result)
