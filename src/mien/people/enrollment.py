"""Enrollment: identity vectors of people whose images are given with their names."""

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
    images: Mapping[str, Sequence[str | Path]],
    analyze: Callable[[Sequence[str]], Iterable[Result]],
) -> dict[str, FloatArray]:
    """The identity vectors of known people.

    Args:
        images: photos by name, each of one person alone.
        analyze: `EmotionAnalyzer.analyze` of an analyzer made with ``also=("identity",)``.

    Returns:
        ``(k, d)`` float32 by name: of the images where the face is fit, or of all
        where none is.

    Raises:
        InputError: an image cannot be read, or shows no face.
        UsageError: an image shows several faces, a name has no image, or the results have
            no identity.
    """
    vectors_of: dict[str, FloatArray] = {}
    for name, paths in images.items():
        if not paths:
            raise UsageError(f"there is no image of {name!r}.")
        vectors, fit = [], []
        for result in analyze([str(path) for path in paths]):
            if result.error is not None:
                raise InputError(result.error)
            if not len(result):
                raise InputError(f"{result.source} shows no face: give another image of {name}.")
            if len(result) > 1:
                raise UsageError(
                    f"{result.source} shows {len(result)} faces: give an image of {name} alone."
                )
            if IDENTITY not in result.scores.embeddings:
                raise UsageError(f'known faces need an analyzer with also=("{IDENTITY}",).')
            vectors.append(result.scores.embeddings[IDENTITY])
            fit.append(result.quality.fit)
        good = np.concatenate(fit)
        vectors_of[name] = np.concatenate(vectors)[good if good.any() else slice(None)]
    return vectors_of


def known_images(places: Sequence[str]) -> dict[str, list[Path]]:
    """Photos by name, as people write them.

    Args:
        places: each ``NAME=IMAGE``, ``NAME=FOLDER`` with images of one person, or ``FOLDER``
            with a folder of images for each name.

    Raises:
        UsageError: it is none of these.
        InputNotFoundError: no such image or folder, or it holds no image.
    """
    found: dict[str, list[Path]] = {}
    for place in places:
        name, is_named, path = place.rpartition("=")
        if is_named and not Path(place).exists():
            if not name.strip():
                raise UsageError(f"a known face needs a name: NAME=IMAGE, got {place!r}.")
            found.setdefault(name.strip(), []).extend(_pictures(Path(path)))
            continue
        folders = sorted(
            p for p in _folder(Path(place)).iterdir() if p.is_dir() and p.name[0] != "."
        )
        if not folders:
            raise InputNotFoundError(f"{place} has no folder NAME with images of a person.")
        for folder in folders:
            found.setdefault(folder.name, []).extend(_pictures(folder))
    return found


def _folder(place: Path) -> Path:
    if place.is_file():
        raise UsageError(f"say whose face {place} is: NAME={place}.")
    if not place.is_dir():
        raise InputNotFoundError(f"no such image or folder: {place}.")
    return place


def _pictures(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(p for p in _folder(place).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputNotFoundError(f"{place} holds no image.")
    return found
