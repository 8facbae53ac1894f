"""The FER+ pictures and votes, as arrays.

Layout read: ``train.parquet``, ``validation.parquet`` and ``test.parquet`` with the columns
``image.bytes`` (48x48 grey PNG), ``votes_<label>`` of ten people, ``votes_unknown``,
``votes_not_a_face``, ``fer2013_label`` and ``duplicate_group``; ``lists/*.csv`` name the pictures
on which papers report. Labels: Barsoum et al. 2016 (arXiv 1608.01041), MIT.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from mien.errors import InputError, InputNotFoundError
from mien.labels import EMOTIONS

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class VotedFaces:
    """Face pictures and what viewers called them.

    Attributes:
        names: ``(n,)`` file names, the key of the published lists.
        pictures: ``(n, h, w)`` uint8 grey, 48 pixels in FER+; or ``(n, 3, h, w)`` in colour.
        votes: ``(n, 8)`` float32, people a label, in the order of `mien.labels.EMOTIONS`.
        fer2013: ``(n,)`` the older single label, "" where unknown.
        groups: ``(n,)`` int64, rows that are near-identical pictures share a number; -1 for none.
    """

    names: npt.NDArray[np.str_]
    pictures: npt.NDArray[np.uint8]
    votes: npt.NDArray[np.float32]
    fer2013: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def distribution(self) -> npt.NDArray[np.float32]:
        """``(n, 8)``: share of the emotion votes a label; rows sum to 1."""
        total = self.votes.sum(axis=1, keepdims=True)
        return np.asarray(self.votes / np.maximum(total, 1), np.float32)

    @property
    def majority(self) -> npt.NDArray[np.int64]:
        """``(n,)``: the label of more than half of the emotion votes; -1 where there is none.

        The official rule of FER+: single votes are dropped first.
        """
        kept = np.where(self.votes > 1, self.votes, 0)
        clear = kept.max(axis=1) > kept.sum(axis=1) / 2
        return np.where(clear, kept.argmax(axis=1), -1)


def load_ferplus(folder: Path, split: str) -> VotedFaces:
    """Read one split of FER+ from ``folder/split.parquet``.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: it is no Parquet file, or one of another layout.
    """
    import pyarrow.parquet as pq

    path = folder / f"{split}.parquet"
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
    pictures = np.stack([_gray(image["bytes"]) for image in table["image"]])
    votes = np.array([table[name] for name in columns], np.float32).T
    groups = [-1 if group is None else group for group in table["duplicate_group"]]
    return VotedFaces(
        names=np.array([image["path"] for image in table["image"]]),
        pictures=pictures,
        votes=votes,
        fer2013=np.array([label or "" for label in table["fer2013_label"]]),
        groups=np.array(groups, np.int64),
    )


def _gray(encoded: bytes) -> npt.NDArray[Any]:
    return np.asarray(PILImage.open(io.BytesIO(encoded)).convert("L"))


def read_list(path: Path) -> dict[str, str]:
    """Read a published list, ``image,label`` a row, as a mapping from file name to label."""
    if not path.is_file():
        raise InputNotFoundError(f"there is no list {path}.")
    with path.open(newline="") as lines:
        rows = csv.DictReader(lines)
        if not {"image", "label"} <= set(rows.fieldnames or ()):
            raise InputError(f"{path} is no list: its first line must name image and label.")
        return {row["image"]: row["label"] for row in rows}
