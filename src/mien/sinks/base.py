"""The contract of a sink."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from mien.results.result import Result
from mien.results.settings import RunSettings


@runtime_checkable
class Sink(Protocol):
    """The plug for outputs: a context manager with ``write(result)``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None: ...

    def write(self, result: Result) -> None:
        """Take one result; called once per image or frame, in order."""
        ...


@runtime_checkable
class DrawingSink(Sink, Protocol):
    """A sink that may also draw on the images of results; optional."""

    @property
    def needs_images(self) -> bool:
        """Whether results of video frames must keep their images."""
        ...


class Described(Protocol):
    """What a table needs to know of the analyzer whose results it takes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the probabilities."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """Further columns per face."""
        ...

    @property
    def settings(self) -> RunSettings:
        """What the results are made with."""
        ...
