"""Reading of frame labels: a table, or one of the layouts of published data sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mien.datasets.frames.labels import FrameLabels, read_table
from mien.datasets.frames.layouts import read_coded
from mien.errors import InputNotFoundError


def read_frame_labels(
    path: str | os.PathLike[str], task: str, columns: Sequence[str] = ()
) -> FrameLabels:
    """Read labels of frames: a CSV table, or a folder of Aff-Wild2, BP4D or DISFA.

    See `read_table` and `mien.datasets.frames.layouts`. The task is one of
    `mien.expressions.heads.TASKS`; where `columns` are given, only these are learned.

    Raises:
        InputNotFoundError: there is nothing at `path`.
        InputError: it is no such table or layout, holds nothing for the task, or is broken.
        UsageError: a column that is not there.
    """

    place = Path(path)
    if not place.exists():
        raise InputNotFoundError(f"there are no labels at {place}.")
    if place.is_dir():
        labels = read_coded(place, task)
        if not columns:
            return labels
        labels = labels.only(columns)
        # Faces of the labels that are left out show none of the others.
        return labels.rows(labels.values.sum(axis=1) != 0) if task == "expression" else labels
    labels = read_table(place, task, columns)
    return labels.only(columns) if columns and task != "expression" else labels
