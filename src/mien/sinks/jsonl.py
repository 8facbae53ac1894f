"""One JSON object per result, one line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self, TextIO

from mien.escaping import json_text
from mien.files import check_output, writing
from mien.results.result import Result


class JsonlSink:
    """Writes each result as a line of JSON as soon as it comes.

    Args:
        target: a file, which grows line by line and keeps what was written when the run stops; or
            an open text stream, which stays open.
        overwrite: replace a file that exists.

    Raises:
        UsageError: the file exists, or cannot be written.
    """

    def __init__(self, target: str | Path | TextIO, *, overwrite: bool = False) -> None:
        self._path = Path(target) if isinstance(target, str | Path) else None
        if self._path is not None:
            check_output(self._path, overwrite=overwrite)
        else:
            self._stream: TextIO = target  # type: ignore[assignment]

    def __enter__(self) -> Self:
        if self._path is not None:
            with writing(self._path):
                self._stream = self._path.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is None:
            self._stream.flush()
        else:
            self._stream.close()

    def write(self, result: Result) -> None:
        """Write one line, in escapes where the stream cannot take its characters as they are."""
        line = result.to_json()
        try:
            line.encode(self._stream.encoding or "utf-8")
        except UnicodeEncodeError:
            line = json.dumps(json.loads(line))
        self._stream.write(json_text(line) + "\n")
        self._stream.flush()
