"""Images listed in CSV tables: a path and a label a row, and whatever else is known of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.datasets.records import NO_LABEL, NUMBERINGS, Records, is_split
from mien.errors import ImageError, InputError, InputNotFoundError
from mien.labels import known_as

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv")
IMAGE = (
    *("path", "file", "image", "filename", "file_name", "file_path", "filepath", "image_path"),
    *("image_name", "image_file", "img", "img_path", "picture", "photo", "pth"),
    *("subdirectory_filepath", "name"),
)
LABEL = ("emotion", "expression", "label", "labels", "class", "target", "category")
SPLIT = ("split", "usage", "subset", "partition")
VIDEO = ("path", "video", "film", "clip", "file", "filename", "file_path")
GROUP = ("group", "subject", "person", "movie", "session")
PIXELS = "pixels"
_CHUNK = 2048  # rows of text that lie in memory together: those of fer2013.csv are 9 kB each


def read_sheet(path: Path) -> Records:
    """A CSV file of ``path, label`` or of pixels (Kaggle's ``fer2013.csv``), further columns kept.

    Paths are relative to the file's folder. Instead of one label there may be a column a label,
    with votes or shares: ``votes_happiness`` or ``happiness``.

    Raises:
        InputError: no table, or the column of images or labels is not there.
    """
    header = sheet_header(path)
    columns = Columns(header)
    if not columns.complete:
        raise InputError(
            f"{path} has the columns {', '.join(header) or '(none)'}: one with the image"
            f" ({', '.join(IMAGE[:4])} or {PIXELS}) and one with the label"
            f" ({', '.join(LABEL[:4])}) or a column of votes a label are needed."
        )
    records = Records(str(path))
    records.numbering = NUMBERINGS["fer2013"] if columns.pixels else ()
    if columns.votes:
        records.votes = {}
    else:
        records.labels = []
    line = 2
    for chunk in _chunks(path):
        _add_images(records, chunk, columns, path, line)
        columns.add_to(records, chunk)
        line += len(chunk)
    return records


class Columns:
    """Which column holds what, by its name.

    Attributes:
        pixels, image, label, split: names of columns, or None.
        votes: name of a column to the label that its votes are for; empty if not two or more.
        others: the rest, and the votes for no expression.
    """

    def __init__(self, header: Sequence[str], image: Sequence[str] = IMAGE) -> None:
        self.pixels: str | None = first_column(header, (PIXELS,))
        self.image: str | None = None if self.pixels else first_column(header, image)
        label = first_column(header, LABEL)
        self.votes: dict[str, str] = vote_columns(header, bare=label is None)
        self.label: str | None = None if self.votes else label
        self.split: str | None = first_column(header, SPLIT)
        used = {self.pixels, self.image, self.label, self.split}
        used |= {name for name, label in self.votes.items() if known_as(label)}
        self.others: list[str] = [
            n for n in header if n not in used and not n.startswith("Unnamed: ")
        ]

    @property
    def complete(self) -> bool:
        """Whether there are images and labels."""
        return bool((self.pixels or self.image) and (self.label or self.votes))

    def add_to(self, records: Records, table: Mapping[str, Any] | pd.DataFrame) -> None:
        """Add labels, votes, splits and further columns of a table to `records`.

        Raises:
            InputError: a vote that is no number.
        """
        count = len(records.names) - len(records.splits)
        votes = {} if records.votes is None else records.votes
        for column, label in self.votes.items():
            try:
                values = [float(value or 0) for value in table[column]]
            except (TypeError, ValueError) as error:
                raise InputError(f"{records.origin}, column {column}: {error}.") from error
            votes.setdefault(label, []).extend(values)
        if self.label and records.labels is not None:
            records.labels += [_text(value) for value in table[self.label]]
        splits = table[self.split] if self.split else [""] * count
        records.splits += [_text(value) for value in splits]
        for name in self.others:
            records.columns.setdefault(name, []).extend(table[name])


def sheet_header(path: Path) -> list[str]:
    """The names of the columns; [] where the file holds no table."""
    first = next(_chunks(path, 1), None)
    return [] if first is None else list(first.columns)


def vote_columns(header: Sequence[str], bare: bool) -> dict[str, str]:
    """Columns that hold votes, and the label of each; {} where the data has none.

    Either ``votes_<label>``, or, if `bare`, three and more columns named as expressions. Beside a
    column of labels such columns are further columns: they may be what some model answered.
    """
    prefixed = {name: name[6:] for name in header if name.lower().startswith("votes_")}
    if prefixed:
        return prefixed
    named = {name: name for name in header if known_as(name)}
    if not bare or len(named) < 3:
        return {}
    return named | {name: name for name in header if name.lower() in NO_LABEL - {""}}


def read_sheets(folder: Path) -> list[tuple[Path, str]]:
    """The CSV files in a folder that list labeled images, each with the split it is named by.

    Raises:
        InputError: there are several, and their names do not say which split each is.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    useful = [path for path in files if Columns(sheet_header(path)).complete]
    named = [path for path in useful if is_split(path.stem)]
    if len(useful) > 1 and len(named) != len(useful):
        names = ", ".join(path.name for path in useful)
        raise InputError(f"{folder} holds several tables of images ({names}): give one of them.")
    return [(path, path.stem if path in named else "") for path in useful]


def pixel_rows(texts: Sequence[Any]) -> Iterator[np.ndarray[Any, Any] | Exception]:
    """Square gray images from text: ``"70 80 82 ..."``, as in ``fer2013.csv``."""
    for text in texts:
        try:
            values = np.frombuffer(bytes(map(int, str(text).split())), np.uint8)
        except ValueError:
            yield ImageError("its pixels are not whole numbers from 0 to 255.")
            continue
        side = int(len(values) ** 0.5)
        if not side or side * side != len(values):
            yield ImageError(f"{len(values)} pixels are no square image.")
        else:
            yield values.reshape(side, side)


def _add_images(
    records: Records, chunk: pd.DataFrame, columns: Columns, path: Path, line: int
) -> None:
    if columns.pixels:
        records.sources.extend(pixel_rows(chunk[columns.pixels].tolist()))
        records.names += [f"{path.name}:{line + row}" for row in range(len(chunk))]
        return
    for name in chunk[columns.image].astype(str):
        records.names.append(name)
        missing = ImageError("the row names no image.")
        records.sources.append(_at(path.parent, name) if name else missing)


def _at(folder: Path, name: str) -> str:
    whole = os.path.join(folder, name)
    if "\\" in name and not os.path.exists(whole):  # a table that was written on Windows
        return os.path.join(folder, name.replace("\\", "/"))
    return whole


def read_csv(path: Path, *, text: bool = True) -> pd.DataFrame:
    """A whole table: separated by commas, semicolons or tabs, in UTF-8, names stripped.

    With `text` every field is text, "" where it is empty; else numbers are numbers and empty fields
    NaN.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: it is no such table.
    """
    import pandas as pd

    if not path.is_file():
        raise InputNotFoundError(f"no such file: {path}.")
    return next(_chunks(path, None, text=text), pd.DataFrame())


def first_column(header: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The column of `header` that has the earliest of the `wanted` names, whatever its case."""
    plain = {re.sub(r"[ .-]", "_", name.strip().lower()): name for name in header[::-1]}
    return next((plain[name] for name in wanted if name in plain), None)


def _chunks(path: Path, rows: int | None = _CHUNK, *, text: bool = True) -> Iterator[pd.DataFrame]:
    """The table in parts of so many rows, or as a whole; see `read_csv`."""
    import pandas as pd

    with _readable(path):
        options: dict[str, Any] = {"dtype": str, "keep_default_na": False} if text else {}
        try:
            with pd.read_csv(path, **_layout(path), **options, iterator=True) as parts:
                while True:
                    yield _plain(path, parts.read(rows))
                    if rows is None:
                        return
        except (pd.errors.EmptyDataError, StopIteration):
            return


def _layout(path: Path) -> dict[str, Any]:
    """How a file is written: its separator is the one that occurs most in the first line."""
    with path.open(encoding="utf-8-sig") as file:
        head = file.readline()
    separator = max(",;\t", key=head.count)
    return {"sep": separator, "encoding": "utf-8-sig", "skipinitialspace": True}


def _plain(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path}: rows have more fields than the header has names.")
    table.columns = table.columns.astype(str).str.strip()
    return table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (ValueError, OSError) as error:  # pandas' own errors and wrong encodings are ValueErrors
        reason = str(error).strip().rstrip(".")
        raise InputError(f"{path} is not a readable CSV file in UTF-8: {reason}.") from error


def _text(value: Any) -> str:
    return "" if value is None else str(value)
