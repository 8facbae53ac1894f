"""One JSON object a result, one line each, to a text stream."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from mien.results.result import Result


class JsonSink:
    """Writes each result as it comes; the stream stays open."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def write(self, result: Result) -> None:
        """Write one line."""
        self._stream.write(result.to_json() + "\n")
        self._stream.flush()
