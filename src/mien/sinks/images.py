"""Annotated images, written into a folder."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from mien.errors import UsageError
from mien.files import numbered, signed
from mien.media.images import write_image
from mien.results.result import Result


class AnnotatedNames:
    """Names of annotated copies in a folder, so that none takes the place of another file.

    Copies lie in the same subfolders as their originals. The second of one name gets a number.

    Args:
        folder: where the copies go.
        inputs: folders and patterns that the originals come from.
    """

    def __init__(self, folder: Path, inputs: Sequence[str] = ()) -> None:
        self._folder = folder
        roots = [_root(item) for item in inputs if not os.path.isfile(item)]
        self._roots = sorted(filter(None, roots), key=len, reverse=True)
        self._taken: set[str] = set()
        self._last = "", folder

    def name(self, source: str, suffix: str) -> Path:
        """The path of an original's copy; ask once, or twice in a row, for each."""
        if self._last[0] == source:
            return self._last[1]
        stem = Path(source).stem or "image"
        wanted = self._folder / self._below(source) / f"{stem}.annotated{suffix}"
        path = numbered(wanted, f".annotated{suffix}", self._is_taken)
        self._taken.add(str(path))
        self._last = source, path
        return path

    def _below(self, source: str) -> str:
        """The subfolder of a source, relative to the input that it comes from."""
        for root in self._roots:
            if source.startswith(os.path.join(root, "")):
                return os.path.relpath(os.path.dirname(source), root)
        return ""

    def _is_taken(self, path: Path) -> bool:
        return str(path) in self._taken or (os.path.lexists(path) and not signed(path))


def _root(item: str) -> str:
    """A folder, or the folder before the first wildcard of a pattern."""
    if os.path.isdir(item) or glob.escape(item) == item:
        return item
    if "://" in item:
        return re.split(r"[*?[]", item)[0].rpartition("/")[0]
    parts = Path(item).parts
    fixed = next(i for i, part in enumerate(parts) if glob.escape(part) != part)
    return str(Path(*parts[:fixed])) if fixed else ""


def make_folder(folder: Path) -> Path:
    """Make a folder unless it exists.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}.") from error
    return folder


class ImageSink:
    """Writes every readable image with its boxes and labels to ``folder/NAME.annotated.jpg``.

    Args:
        folder: made unless it exists.
        names: chooses the names; by default all copies lie in the folder itself.

    Raises:
        UsageError: the folder cannot be made, or an image cannot be written into it.
    """

    needs_images = True

    def __init__(self, folder: str | Path, names: AnnotatedNames | None = None) -> None:
        self.folder: Path = Path(folder)
        self._names = names or AnnotatedNames(self.folder)

    def __enter__(self) -> Self:
        make_folder(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, result: Result) -> None:
        """Draw and save one result; inputs that could not be read are skipped."""
        if result.error is not None:
            return
        path = self._names.name(result.source, ".jpg")
        write_image(make_folder(path.parent) / path.name, result.draw())
