"""FER+ as its authors lay it out: votes in one place, the FER2013 images in another.

Barsoum et al. 2016 (arXiv 1608.01041), https://github.com/microsoft/FERPlus: ``fer2013new.csv``
has the votes, row by row those of Kaggle's ``fer2013.csv``, which holds the pixels. The authors'
script makes of both the folders ``FER2013Train``, ``FER2013Valid`` and ``FER2013Test``, with
images and a ``label.csv`` without a header: name, box (in newer files), ten counts.

`load_ferplus` reads the layout that mien itself trains on straight into arrays:
``train.parquet``, ``validation.parquet`` and ``test.parquet`` with the columns ``image.bytes``
(48x48 gray PNG), ``votes_<label>`` of ten people, ``votes_unknown``, ``votes_not_a_face``,
``fer2013_label`` and ``duplicate_group``; ``lists/*.csv`` name the images on which papers report.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from mien.datasets.csv import read_csv, read_sheet
from mien.datasets.faces import VotedFaces
from mien.datasets.records import NUMBERINGS, Records, split_word
from mien.errors import InputError, InputNotFoundError
from mien.labels import EMOTIONS

VOTES, PIXELS, LABELS = "fer2013new.csv", "fer2013.csv", "label.csv"
_FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
_COUNTS = NUMBERINGS["ferplus"]


def read_fer(folder: Path) -> Records | None:
    """FER+ or FER2013 in a folder, or None where it holds neither."""
    if (folder / VOTES).is_file():
        return read_votes(folder / VOTES)
    if (folder / PIXELS).is_file():
        return read_sheet(folder / PIXELS)
    places = [folder, *(root / name for root in _roots(folder) for name in _FOLDERS.values())]
    tables = [place / LABELS for place in places if (place / LABELS).is_file()]
    tables = [table for table in tables if _rows(table)]
    return _read_labels(folder, tables) if tables else None


def read_votes(path: Path) -> Records:
    """``fer2013new.csv`` with the pixels of ``fer2013.csv`` beside it, or the folders of images.

    Raises:
        InputError: no images beside it, or the two tables differ in length.
    """
    records = read_sheet(path)
    pixels = path.parent / PIXELS
    if pixels.is_file():
        images = read_sheet(pixels)
        if len(images.names) != len(records.names):
            raise InputError(
                f"{path} has {len(records.names)} rows and {pixels} {len(images.names)}, but"
                " they must go row by row: use the two files as published."
            )
        numbers = NUMBERINGS["fer2013"]
        known = dict(zip(map(str, range(len(numbers))), numbers, strict=True))
        records.columns["fer2013_label"] = [known.get(label, "") for label in images.labels or []]
        records.sources = images.sources
        pairs = zip(records.names, images.names, strict=True)
        records.names = [name or other for name, other in pairs]
        return records
    for root in _roots(path.parent):
        if any((root / name).is_dir() for name in _FOLDERS.values()):
            folders = [root / _FOLDERS.get(split_word(split), "") for split in records.splits]
            both = zip(folders, records.names, strict=True)
            records.sources = [str(folder / name) for folder, name in both]
            return records
    raise InputError(
        f"{path} has votes but no images: put Kaggle's {PIXELS} or the folders"
        f" {', '.join(_FOLDERS.values())} beside it."
    )


def _roots(folder: Path) -> tuple[Path, ...]:
    return folder, folder / "images", folder / "data"


def _read_labels(folder: Path, tables: list[Path]) -> Records:
    votes: dict[str, list[float]] = {label: [] for label in _COUNTS}
    records = Records(str(folder), votes=votes)
    for table in tables:
        for name, *counts in _rows(table):
            records.names.append(name)
            records.sources.append(str(table.parent / name))
            records.splits.append(table.parent.name if table.parent != folder else "")
            for label, count in zip(_COUNTS, counts, strict=True):
                votes[label].append(float(count))
    for label in _COUNTS[-2:]:
        records.columns[f"votes_{label.replace(' ', '_')}"] = list(votes[label])
    return records


def _rows(table: Path) -> list[list[str]]:
    """Name and ten counts a row; [] where the file is a table of another kind."""
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        try:
            rows = [row for row in csv.reader(file) if row]
        except csv.Error:
            return []
    for row in rows:
        if len(row) == len(_COUNTS) + 2:
            del row[1]  # the box, which is always the whole image
        if len(row) != len(_COUNTS) + 1 or not all(c.strip().isdecimal() for c in row[1:]):
            return []
    return rows


SPLITS = ("train", "validation", "test")


def load_ferplus(folder: str | Path, split: str) -> VotedFaces:
    """Read one split of FER+ from ``folder/split.parquet``.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: it is no Parquet file, or one of another layout.
    """
    import pyarrow.parquet as pq

    path = Path(folder, f"{split}.parquet")
    if not path.is_file():
        raise InputNotFoundError(f"there is no {path}; expected the FER+ data in that layout.")
    columns = [f"votes_{name}" for name in EMOTIONS]
    try:
        table = pq.read_table(path).to_pydict()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable Parquet file: {error}") from error
    missing = {"image", "duplicate_group", "fer2013_label", *columns} - set(table)
    if missing:
        raise InputError(
            f"{path} has another layout than FER+: the column {min(missing)} is not there."
        )
    files = (PILImage.open(io.BytesIO(image["bytes"])) for image in table["image"])
    images = np.stack([np.asarray(file.convert("L")) for file in files])
    votes = np.array([table[name] for name in columns], np.float32).T
    groups = [-1 if group is None else group for group in table["duplicate_group"]]
    return VotedFaces(
        names=np.array([image["path"] for image in table["image"]]),
        images=images,
        votes=votes,
        fer2013=np.array([label or "" for label in table["fer2013_label"]]),
        groups=np.array(groups, np.int64),
    )


def read_list(path: str | Path) -> dict[str, str]:
    """Read a published list, ``image,label`` a row, as a mapping from file name to label."""
    table = read_csv(Path(path))
    if not {"image", "label"} <= set(table.columns):
        raise InputError(f"{path} is no list: its first line must name image and label.")
    return dict(zip(table["image"], table["label"], strict=True))
