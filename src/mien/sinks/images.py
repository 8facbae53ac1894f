"""Annotated images, written into a folder."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from mien.errors import UsageError
from mien.media.images import write_image
from mien.results.result import Result


class ImageSink:
    """Writes every readable image with its boxes and labels to ``folder/NAME.annotated.jpg``.

    Images of the same name get a number, so that none replaces another of this run.

    Raises:
        UsageError: the folder cannot be made, or an image cannot be written into it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._taken: set[str] = set()

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
        """Draw and save one result; inputs that could not be read are skipped."""
        if result.error is not None:
            return
        stem = Path(result.source).stem or "image"
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name)
        write_image(self.folder / f"{name}.annotated.jpg", result.draw())
