"""`load_faces`: recognize the layout of the data, read it, and find out what is broken."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.datasets.csv import SUFFIXES, read_sheet, read_sheets
from mien.datasets.faces import THUMBNAIL, Broken, LabelledFaces
from mien.datasets.fer import VOTES, read_fer, read_list, read_votes
from mien.datasets.folders import read_folder
from mien.datasets.parquet import read_parquet, read_parquets
from mien.datasets.records import Records, in_split, split_word, to_votes, typed
from mien.errors import InputError, InputNotFoundError, MienError, PluginError
from mien.media.images import read_image
from mien.types import Faces, Image

Find = Callable[[Image], Faces]
Progress = Callable[[Iterable[int], int], Iterable[int]]
LAYOUTS = (
    "a folder a label, a CSV file of path and label, Kaggle's fer2013.csv, FER+"
    " (fer2013new.csv, or FER2013Train with label.csv), or Parquet with an image column"
)
_BATCH = 64


def load_faces(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    labels: Mapping[str, str] | str | None = None,
    find: Find | None = None,
    progress: Progress | None = None,
) -> LabelledFaces:
    """Read labeled images of faces, whatever layout they lie in.

    Args:
        path: a folder with a folder a label, also below ``train``, ``validation``, ``test``; a CSV
            file of path and label, or a folder with one; Kaggle's ``fer2013.csv``; FER+ as its
            authors lay it out; a Parquet file with an image column, or a folder of them.
        split: read only this split: "train", "validation", "test", or as the data calls it; or
            the rows that ``lists/SPLIT.csv`` in the folder names in its column ``image``.
        labels: what the data's labels mean, where mien's vocabulary and its aliases do not know
            them: a mapping to mien's words ("" leaves a label out), or for numbers the data set
            that counts like this: "fer2013", "ferplus", "rafdb" or "affectnet".
        find: for whole photos: the ``detect`` of a face detector. The largest face counts; where
            none is found the row stays and is marked as missed.
        progress: wraps the loop over batches of images; gets it and the number of batches.

    Returns:
        The faces in the order of the data; broken images and those without a label are listed.

    Raises:
        InputNotFoundError: there is nothing at `path`.
        InputError: another layout, labels that are not known, or not one usable image.
        UsageError: no such split, or an unknown numbering.
    """
    table = Path(path) / "lists" / f"{split}.csv"
    listed = read_list(table).keys() if split and table.is_file() else ()
    records = _records(Path(path), None if listed else split)
    votes, kind = to_votes(records, labels)
    splits = np.array([split_word(name) for name in records.splits], np.str_)
    named = votes.sum(axis=1) > 0
    wanted = _wanted(records, splits, split, listed)
    rows = np.flatnonzero(wanted & named)
    loaded = _load(records, rows, find, progress)
    kept = rows[[not isinstance(found, Broken) for found, _ in loaded]]
    good = [(found, small) for found, small in loaded if not isinstance(found, Broken)]
    broken = tuple(
        replace(found, split=str(splits[row]))
        for row, (found, _) in zip(rows, loaded, strict=True)
        if isinstance(found, Broken)
    )
    if not len(kept):
        first = f"; the first: {broken[0].reason.rstrip('.')}" if broken else ""
        raise InputError(f"{records.origin} has no labeled image that can be read{first}.")
    return LabelledFaces(
        names=np.array(records.names, np.str_)[kept],
        sources=tuple(records.sources[i] for i in kept),
        votes=votes[kept],
        kind=kind,
        splits=splits[kept],
        columns={name: typed(values)[kept] for name, values in records.columns.items()},
        thumbnails=np.stack([small for _, small in good]),
        found=None if find is None else tuple(found for found, _ in good),  # type: ignore[misc]
        broken=broken,
        unlabeled=tuple(records.names[i] for i in np.flatnonzero(wanted & ~named)),
    )


def _records(path: Path, split: str | None) -> Records:
    try:
        return _read(path, split)
    except OSError as error:  # a folder that may not be opened
        if isinstance(error, MienError):
            raise
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read(path: Path, split: str | None) -> Records:
    if not path.exists():
        raise InputNotFoundError(f"there is nothing at {path}; expected {LAYOUTS}.")
    if path.is_file():
        if path.name == VOTES:
            return read_votes(path)
        if path.suffix.lower() in SUFFIXES:
            return read_sheet(path)
        if path.suffix.lower() == ".parquet":
            return read_parquet(path)
        raise InputError(f"{path} is no data that mien reads: {LAYOUTS}.")
    records = read_fer(path)
    if records is not None:
        return records
    for files, read in (
        (read_parquets(path, split), read_parquet),
        (read_sheets(path), read_sheet),
    ):
        if files:
            return _joined(path, [(read(file), name) for file, name in files])
    records = read_folder(path)
    if records is None:
        raise InputError(f"{path} holds no labeled images: expected {LAYOUTS}.")
    return records


def _wanted(
    records: Records,
    splits: npt.NDArray[np.str_],
    split: str | None,
    listed: Collection[str],
) -> npt.NDArray[np.bool_]:
    """``(n,)``: the rows of a list, of a split, or all."""
    if not listed:
        every = np.ones(len(records.names), np.bool_)
        return every if split is None else in_split(splits, split, records.origin)
    missing = set(listed) - set(records.names)
    if missing:
        raise InputError(
            f"{records.origin} lacks {len(missing):,} of the {len(listed):,} images of the list"
            f" {split}, such as {min(missing)}."
        )
    return np.isin(records.names, list(listed))


def _joined(path: Path, parts: Sequence[tuple[Records, str]]) -> Records:
    """Several files of one layout as one; a file named by its split says the split of its rows."""
    for records, split in parts:
        if split:
            records.splits = [split] * len(records.names)
    whole, *others = [records for records, _ in parts]
    if others:
        whole.origin = str(path)
    for more in others:
        if (whole.labels is None) != (more.labels is None):
            raise InputError(f"{path}: {more.origin} and the others differ in their columns.")
        for name in {*whole.columns, *more.columns}:
            column = whole.columns.setdefault(name, [None] * len(whole.names))
            column += more.columns.get(name, [None] * len(more.names))
        if whole.labels is not None:
            whole.labels += more.labels or []
        if whole.votes is not None and more.votes is not None:
            whole.votes = _joined_votes(whole, more)
        whole.names += more.names
        whole.sources += more.sources
        whole.splits += more.splits
    return whole


def _joined_votes(whole: Records, more: Records) -> dict[str, list[float]]:
    first, second = whole.votes or {}, more.votes or {}
    empty = [0.0] * len(whole.names), [0.0] * len(more.names)
    return {
        name: [*first.get(name, empty[0]), *second.get(name, empty[1])]
        for name in dict.fromkeys([*first, *second])
    }


def _load(
    records: Records, rows: npt.NDArray[np.int64], find: Find | None, progress: Progress | None
) -> list[tuple[Faces | Broken | None, npt.NDArray[np.uint8]]]:
    """Decode every image once: is it whole, where is its face, what does it look like small."""

    def one(row: int) -> tuple[Faces | Broken | None, npt.NDArray[np.uint8]]:
        name, source = records.names[row], records.sources[row]
        try:
            if isinstance(source, Exception):
                raise source
            image = read_image(source, name=name)
        except InputError as error:
            return Broken(name, str(error)), np.empty((0, 0), np.uint8)
        return (None if find is None else _largest(find, image)), thumbnail(image)

    starts: Iterable[int] = range(0, len(rows), _BATCH)
    starts = progress(starts, len(range(0, len(rows), _BATCH))) if progress else starts
    # More threads gain nothing: images wait for each other in Python.
    # A user's detector may not be safe in threads, and most use several of their own.
    workers = 1 if find else min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        return [
            item
            for start in starts
            for item in pool.map(one, rows[start : start + _BATCH].tolist())
        ]


def thumbnail(image: Image) -> npt.NDArray[np.uint8]:
    """``(32, 32)`` gray of an image ``(H, W, 3)``, the whole of it."""
    import cv2

    height, width = image.shape[:2]
    if min(height, width) > 4 * THUMBNAIL:  # gray is cheaper to make once the image is small
        side = 2 * THUMBNAIL
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _largest(find: Find, image: Image) -> Faces:
    faces = find(image)
    if not isinstance(faces, Faces):
        raise PluginError(f"the detector returned {type(faces).__name__}, not Faces.")
    if not len(faces):
        return faces
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    return faces[int(sides.prod(axis=1).argmax())]
