"""Labeled rows to train a head on, from tables with features or from images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mien.datasets import load_faces
from mien.datasets.frames.labels import labels_of
from mien.datasets.frames.reading import read_frame_labels
from mien.errors import InputNotFoundError, UsageError
from mien.evaluation import Progress
from mien.expressions.heads import INPUTS, TASKS, Task
from mien.expressions.onnx import OnnxClassifier
from mien.files import PARTIAL
from mien.labels import FEATURES
from mien.plugins import find_model
from mien.results.files import SUFFIXES
from mien.training.heads.alignment import LabeledFeatures, match
from mien.training.heads.features import features_of, read_features, tables_in

#: The person to adapt to where every labeled face is that person's.
EVERYBODY = "all"


@dataclass(frozen=True)
class Selection:
    """Which rows and columns to take.

    Attributes:
        task: the task of the head.
        columns: only these; () for all.
        model: name or file of the model that computes features of images.
        shift: added to the labels' frames.
        person: the ``track_id`` of the one person, `EVERYBODY`, or None for a head for all.
        inputs: what to learn from, see `mien.expressions.heads.INPUTS`.

    Raises:
        UsageError: no such task or input, or a person with another task than expressions, or with
            other inputs than features.
    """

    task: Task
    columns: Sequence[str] = ()
    model: str = "mien-mobilenet"
    shift: int = 0
    person: str | None = None
    inputs: tuple[str, ...] = (FEATURES,)

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UsageError(f"the task is one of {', '.join(TASKS)}, got {self.task!r}.")
        unknown = [name for name in self.inputs if name not in INPUTS]
        if unknown or not self.inputs:
            raise UsageError(
                f"a head learns from {', '.join(INPUTS)} or several of them, got "
                f"{', '.join(unknown) or 'nothing'}."
            )
        if self.person is not None and set(self.inputs) != {FEATURES}:
            raise UsageError("--person adapts the model's last layer: leave out --features.")
        if self.person is not None and self.task != "expression":
            raise UsageError("--person adapts the model's expressions: leave out --task.")


def load_rows(
    features: Path, labels: Path | None, selection: Selection, progress: Progress | None = None
) -> LabeledFeatures:
    """The labeled faces.

    Args:
        features: a table with features beside it, a folder of such tables, or labeled images
            in any layout of `mien.datasets.load_faces`, whose features are then computed.
        labels: see `mien.datasets.frames.reading.read_frame_labels`; None for labeled images,
            which have their own.
        selection: which of them.
        progress: wraps the loops over images.

    Raises:
        InputError: one of the two cannot be read, or they do not fit together.
        UsageError: the labels of a table are missing, or no such person.
    """
    if not features.exists() and not _is_table(features):
        raise InputNotFoundError(f"there is no table or folder {features}.")
    without = FEATURES not in selection.inputs and labels is not None
    if _is_table(features) or (without and features.suffix.lower() in SUFFIXES):
        if labels is None:
            raise UsageError("a table needs labels: name a CSV table or a folder after it.")
        frame_labels = read_frame_labels(labels, selection.task, selection.columns)
        rows = read_features(features, selection.inputs)
        if selection.person not in (None, EVERYBODY):
            rows = rows.person(_number(str(selection.person)))
        return match(rows, frame_labels, selection.shift)
    if labels is not None:
        raise UsageError(
            f"{features} has no features beside it: analyze its images or videos first, with "
            "-o TABLE.parquet --embeddings features."
        )
    if set(selection.inputs) != {FEATURES}:
        raise UsageError(
            "images bring no facial actions: analyze them first, with -o TABLE.parquet --actions "
            "--embeddings features, and give that table."
        )
    if selection.person not in (None, EVERYBODY):
        raise UsageError("images have no track_id: use --person all.")
    faces = load_faces(features, progress=progress)
    model = OnnxClassifier(find_model(selection.model))
    own = labels_of(faces, selection.task, selection.columns)
    labeled = match(features_of(model, faces, progress), own)
    return replace(labeled, notes=(*faces.describe(), *labeled.notes))


def _is_table(path: Path) -> bool:
    """Whether features lie beside it, or in it if it is a folder."""
    from mien.files import partial_path
    from mien.results.files import AnalysisFiles

    if path.is_dir():
        return bool(tables_in(path))
    beside = AnalysisFiles(path).embeddings
    return path.name.endswith(PARTIAL) or beside.is_file() or partial_path(beside).is_file()


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"--person is a track_id, or {EVERYBODY}; got {text!r}.")
    return int(text)
