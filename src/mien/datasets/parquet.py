"""Images in Parquet files, as the datasets library stores them, and mien's own FER+ files.

The convention: a column ``image`` that is a struct of ``bytes`` and ``path``
(https://huggingface.co/docs/datasets/image_dataset), files named ``train-00000-of-00002.parquet``,
and class names of numbered labels in the file's metadata.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from mien.datasets.csv import Columns
from mien.datasets.records import Records, is_split, split_word
from mien.errors import ImageError, InputError

_BINARY = ("image", "image.bytes", "image_bytes", "img", "img.bytes", "bytes", "jpg", "png")
_BATCH = 1024


def read_parquet(path: Path) -> Records:
    """One Parquet file: an image column (or paths), and labels, votes or shares.

    Raises:
        InputError: no Parquet, or no column of images or labels.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return _read(path, file)
    except (OSError, ValueError) as error:  # pyarrow's own errors are among these
        raise InputError(f"{path} is not a readable Parquet file: {error}") from error


def read_parquets(folder: Path, split: str | None) -> list[tuple[Path, str]]:
    """The Parquet files of a folder, or of ``data`` in it, each with the split it is named by.

    Those of other splits than `split` are left out, if there is one of that name.
    """
    for place in (folder, folder / "data"):
        files = [(path, _split_of(path)) for path in sorted(place.glob("*.parquet"))]
        if files:
            wanted = [(path, name) for path, name in files if split and name == split_word(split)]
            return wanted or files
    return []


def _split_of(path: Path) -> str:
    stem = re.sub(r"-\d+(-of-\d+)?(-[0-9a-f]{16})?$", "", path.stem)
    return split_word(stem) if is_split(stem) else ""


def _read(path: Path, file: Any) -> Records:
    schema = file.schema_arrow
    image = next((name for name in _BINARY if name in schema.names and _holds(schema, name)), None)
    columns = Columns([name for name in schema.names if name != image])
    if not (image or columns.image) or not (columns.label or columns.votes):
        raise InputError(
            f"{path} has the columns {', '.join(schema.names)}: an image column with bytes (or a"
            " path), and a label (emotion, expression, label) or votes_<label> are needed."
        )
    records = Records(str(path), labels=None if columns.votes else [])
    records.votes = {} if columns.votes else None
    records.numbering = _class_names(schema, columns.label)
    for batch in file.iter_batches(_BATCH):
        table = {name: batch.column(name).to_pylist() for name in schema.names}
        paths = table[columns.image] if columns.image else [None] * len(batch)
        images = table.pop(image) if image else [None] * len(batch)
        for value, beside in zip(images, paths, strict=True):
            nested = value if isinstance(value, dict) else {"bytes": value}
            data, name = nested.get("bytes"), str(nested.get("path") or beside or "")
            records.names.append(name or f"{path.name}:{len(records.names)}")
            missing = ImageError("the row holds neither the bytes of an image nor a path.")
            file = os.path.join(path.parent, name) if name else missing
            records.sources.append(file if data is None else data)
        columns.add_to(records, table)
    return records


def _holds(schema: Any, name: str) -> bool:
    import pyarrow as pa

    kind = schema.field(name).type
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: Any, label: str | None) -> tuple[str, ...]:
    """Names of numbered classes, which the datasets library writes into the metadata."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(map(str, info["info"]["features"][label]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()
