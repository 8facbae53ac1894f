"""Images in folders: one folder a label, with or without folders of splits above."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mien.datasets.records import Records, is_split
from mien.labels import known_as
from mien.media.images import IMAGE_SUFFIXES, name_of


def read_folder(folder: Path) -> Records | None:
    """One folder a label: ``angry/*.jpg``, ``happy/*.jpg``; or the same below ``train``, ``test``.

    A single folder that wraps the rest (as archives often have) is looked into. Names of rows are
    paths relative to `folder`. None where there are no images in folders.
    """
    top = folder
    while len(below := _folders(top)) == 1 and not _named(below[0]):
        top = below[0]
    labels: list[str] = []
    records = Records(str(folder), labels=labels)
    splits = [path for path in below if is_split(path.name)]
    for split in splits or [top]:
        for label in _folders(split):
            for path in pictures_in(label):
                records.names.append(name_of(path.relative_to(folder).as_posix()))
                records.sources.append(str(path))
                records.splits.append(split.name if splits else "")
                labels.append(label.name)
    return records if records.names else None


def pictures_in(folder: Path) -> Iterator[Path]:
    """Every file below `folder` that is named as an image, in the order people count in."""
    for here, below, names in os.walk(folder):
        below[:] = sorted((name for name in below if not hidden(name)), key=natural)
        for name in sorted(names, key=natural):
            if not hidden(name) and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                yield Path(here, name)


def hidden(name: str) -> bool:
    """Whether a name is one that programs leave behind, such as ``.git`` and ``__MACOSX``."""
    return name.startswith((".", "__"))


def natural(name: str) -> list[tuple[int, str]]:
    """A sorting key by which 2 comes before 10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _folders(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.is_dir() and not hidden(path.name)]
    return sorted(found, key=lambda path: natural(path.name))


def _named(folder: Path) -> bool:
    return is_split(folder.name) or known_as(folder.name) is not None
