"""Known faces: vectors of people whose pictures were given with their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mien.errors import InputError, InputNotFoundError, UsageError
from mien.labels import IDENTITY
from mien.media.images import IMAGE_SUFFIXES
from mien.results.result import Result
from mien.types import FloatArray


def known_faces(
    pictures: Mapping[str, Sequence[str | Path]],
    analyze: Callable[[Sequence[str]], Iterable[Result]],
) -> dict[str, FloatArray]:
    """What known people's faces look like to a model.

    Args:
        pictures: photos by name, each of one person alone.
        analyze: `EmotionAnalyzer.analyze` of an analyzer made with ``also=("identity",)``.

    Returns:
        ``(k, d)`` float32 by name: of the pictures where the face is fit to be judged, or of all
        where none is.

    Raises:
        InputError: a picture cannot be read, or shows no face.
        UsageError: a picture shows several faces, a name has no picture, or the results have
            no identity.
    """
    found: dict[str, FloatArray] = {}
    for name, paths in pictures.items():
        if not paths:
            raise UsageError(f"there is no picture of {name!r}.")
        vectors, fit = [], []
        for result in analyze([str(path) for path in paths]):
            if result.error is not None:
                raise InputError(result.error)
            if not len(result):
                raise InputError(f"{result.source} shows no face, so it cannot tell who {name} is.")
            if len(result) > 1:
                raise UsageError(
                    f"{result.source} shows {len(result)} faces: give a picture of {name} alone."
                )
            if IDENTITY not in result.scores.embeddings:
                raise UsageError(f'known faces need an analyzer with also=("{IDENTITY}",).')
            vectors.append(result.scores.embeddings[IDENTITY])
            fit.append(result.quality.fit)
        good = np.concatenate(fit)
        found[name] = np.concatenate(vectors)[good if good.any() else slice(None)]
    return found


def known_pictures(places: Sequence[str]) -> dict[str, list[Path]]:
    """Photos by name, as people write them.

    Args:
        places: each ``NAME=PICTURE``, ``NAME=FOLDER`` with pictures of one person, or ``FOLDER``
            with a folder of pictures for each name.

    Raises:
        UsageError: it is none of these.
        InputNotFoundError: a picture or folder is not there, or holds no picture.
    """
    found: dict[str, list[Path]] = {}
    for place in places:
        name, is_named, path = place.rpartition("=")
        if is_named and not Path(place).exists():
            if not name.strip():
                raise UsageError(f"a known face needs a name: NAME=PICTURE, got {place!r}.")
            found.setdefault(name.strip(), []).extend(_pictures(Path(path)))
            continue
        folders = sorted(
            p for p in _folder(Path(place)).iterdir() if p.is_dir() and p.name[0] != "."
        )
        if not folders:
            raise InputNotFoundError(f"{place} has no folder NAME with pictures of a person.")
        for folder in folders:
            found.setdefault(folder.name, []).extend(_pictures(folder))
    return found


def _folder(place: Path) -> Path:
    if place.is_file():
        raise UsageError(f"say whose face {place} is: NAME={place}.")
    if not place.is_dir():
        raise InputNotFoundError(f"there is no picture or folder {place}.")
    return place


def _pictures(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(p for p in _folder(place).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputNotFoundError(f"{place} holds no picture.")
    return found
