"""Annotated pictures into a folder."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from mien.errors import UsageError
from mien.images import write_image
from mien.results import Result


class PictureSink:
    """Writes every readable picture with its boxes and labels to ``folder/NAME.jpg``.

    Pictures of the same name get a number, so that none replaces another of this run.

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.written: list[Path] = []
        self._taken: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {self.folder}: {error.strerror}.") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def write(self, result: Result) -> None:
        """Draw and save one result; inputs that could not be read leave no picture."""
        if result.error is not None:
            return
        stem = Path(result.source).stem or "picture"
        count = self._taken[stem] = self._taken.get(stem, 0) + 1
        name = stem if count == 1 else f"{stem}-{count}"
        path = self.folder / f"{name}.jpg"
        write_image(path, result.draw())
        self.written.append(path)
