"""What a sink is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from mien.results.result import Result


@runtime_checkable
class Sink(Protocol):
    """The plug for outputs: a context manager with ``write(result)``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def write(self, result: Result) -> None:
        """Take one result; called once a picture, in order."""
        ...
