"""Lists of labeled videos: a CSV file with one row for each video, or table of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.datasets.csv import first_column, read_csv
from mien.datasets.records import split_word
from mien.errors import InputError


def read_listing(path: Path, columns: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Read the rows of a list.

    Args:
        path: the CSV file.
        columns: what is read, and the names that its column may have. The first two must be there;
            "split" is brought to train, validation or test where it is a usual word for one.

    Returns:
        A dict for each row with all keys of `columns`; "" where a column or field is empty.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: it is no such list.
    """
    table = read_csv(path)
    header = [str(name) for name in table.columns]
    found = {name: first_column(header, names) for name, names in columns.items()}
    needed = list(columns)[:2]
    if not len(table) or any(found[name] is None for name in needed):
        raise InputError(
            f"{path} needs a row for each video with the columns {' and '.join(needed)}; it has "
            f"{len(table)} rows with {', '.join(header) or 'no columns'}."
        )
    texts = {
        name: [""] * len(table) if column is None else table[column].str.strip().tolist()
        for name, column in found.items()
    }
    if "split" in texts:
        texts["split"] = [split_word(word).lower() for word in texts["split"]]
    return [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
