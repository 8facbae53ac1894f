"""One JSON object a result, one line each, to a text stream."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Self, TextIO

from mien.escaping import json_text
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
        """Write one line, in escapes where the stream cannot take its characters as they are."""
        line = result.to_json()
        try:
            line.encode(self._stream.encoding or "utf-8")
        except UnicodeEncodeError:
            line = json.dumps(json.loads(line))
        self._stream.write(json_text(line) + "\n")
        self._stream.flush()
