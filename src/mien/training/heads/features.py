"""`Features`: what heads learn from, for many faces, read from tables or computed from images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.datasets import LabelledFaces
from mien.errors import InputError, InputNotFoundError, ModelError
from mien.evaluation import Progress
from mien.expressions.heads import input_columns, ordered_inputs
from mien.expressions.onnx import OnnxClassifier
from mien.files import PARTIAL
from mien.labels import FEATURES
from mien.models.session import file_sha256
from mien.results.collection import load_tables
from mien.results.embeddings import Embeddings, read_embeddings
from mien.results.files import SUFFIXES
from mien.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["source", "frame", "time_s", "face", "track_id", "x1", "y1", "x2", "y2"]
_BATCH = 256
_HOW = "analyze with -o TABLE.parquet --embeddings features."


@dataclass(frozen=True, eq=False)
class Features:
    """Features of n faces: the input of a model's last layer, facial actions, head pose.

    Attributes:
        values: ``(n, d)`` float32.
        faces: n rows with source, frame, time_s, face, track_id and the box of each.
        model, sha256: name and SHA-256 of the model file; "" where unknown.
        inputs: which of `mien.expressions.heads.INPUTS` they are.
        note: what was left out, a sentence; or "".
    """

    values: FloatArray
    faces: pd.DataFrame
    model: str
    sha256: str
    inputs: tuple[str, ...] = (FEATURES,)
    note: str = ""

    def person(self, track_id: int) -> Features:
        """The faces of one person.

        Raises:
            InputError: there is no such person.
        """
        rows = (self.faces["track_id"] == track_id).fillna(False).to_numpy(np.bool_)
        if not rows.any():
            ids = ", ".join(map(str, self.faces["track_id"].dropna().unique()[:12])) or "none"
            raise InputError(f"there is no person {track_id}; the track ids are: {ids}.")
        return replace(self, values=self.values[rows], faces=self.faces[rows])


def read_features(path: str | Path, inputs: Sequence[str] = (FEATURES,)) -> Features:
    """Read a table of ``mien analyze --embeddings features``, or a folder of such tables.

    Args:
        path: the table or folder.
        inputs: some of `mien.expressions.heads.INPUTS`; for actions and pose the table must have
            been made with ``--actions``, and faces without a trusted mesh are left out.

    Raises:
        InputNotFoundError, InputError: there is none, or it has no features or actions.
        UsageError: the tables of a folder are of different models.
    """
    import pandas as pd

    place = Path(path)
    if not place.exists():
        raise InputNotFoundError(f"there is no table or folder {place}.")
    tables = tables_in(place) if place.is_dir() else [place]
    if not tables:
        raise InputError(f"{place} has no table with features beside it: {_HOW}")
    inputs = ordered_inputs(inputs)
    columns = list(input_columns(inputs))
    parts, vectors, models = [], [], set()
    for table in tables:
        faces, _, _, settings = load_tables(table)
        if not set(columns) <= set(faces.columns):
            raise InputError(f"{table} has no facial actions: analyze again with --actions.")
        parts.append(faces[list(dict.fromkeys([*_COLUMNS, *columns]))])
        if FEATURES not in inputs:
            continue
        embeddings = read_embeddings(table)
        if embeddings is None or FEATURES not in embeddings.names:
            raise InputError(f"{table} has no features beside it: {_HOW}")
        vectors.append(embeddings)
        models.add(settings.classifier)
    rows = pd.concat(parts, ignore_index=True)
    values, sha256 = [rows[columns].to_numpy(np.float32)], ""
    if vectors:
        every = Embeddings.concat(vectors)
        values.insert(0, every.of(rows, FEATURES))
        sha256 = every.model
    both, there = np.concatenate(values, axis=1), np.isfinite(values[-1]).all(axis=1)
    lost = int((~there).sum())
    note = f"{lost:,} faces without a trusted mesh left out." if lost else ""
    known = rows[_COLUMNS][there].reset_index(drop=True)
    return Features(both[there], known, ", ".join(sorted(models)), sha256, inputs, note)


def tables_in(folder: Path) -> list[Path]:
    """The ``faces`` tables of a folder, by the files of features beside them."""
    end = ".embeddings.parquet"
    stems = [path.name.removesuffix(PARTIAL) for path in sorted(folder.glob(f"*{end}*"))]
    stems = list(dict.fromkeys(name.removesuffix(end) for name in stems if name.endswith(end)))
    files = [folder / (stem + suffix) for stem in stems for suffix in SUFFIXES]
    return [file for file in files if file.is_file()]


def features_of(
    model: OnnxClassifier, faces: LabelledFaces, progress: Progress | None = None
) -> Features:
    """Features of labeled images; those in which no face was detected are left out.

    Raises:
        ModelError: the model has no features output.
    """
    import pandas as pd

    if not model.card.embedding:
        raise ModelError(f"{model.card.name} has no features output to train a head on.")
    rows = np.flatnonzero(~faces.missed)
    starts = range(0, len(rows), _BATCH)
    parts = []
    for start in progress(starts, len(starts)) if progress else starts:
        crops = faces.crops(model.input_size, rows[start : start + _BATCH], model.crop)
        parts.append(model.activations(crops).embedding)
    n = len(rows)
    table = pd.DataFrame({"source": faces.names[rows], "frame": 0, "time_s": np.nan, "face": 0})
    table["track_id"] = pd.array([pd.NA] * n, dtype="Int64")
    table[["x1", "y1"]], table[["x2", "y2"]] = 0.0, 1.0
    values = np.concatenate([part for part in parts if part is not None])
    return Features(values, table, model.card.name, file_sha256(model.path))
