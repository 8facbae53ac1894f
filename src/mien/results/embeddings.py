"""Embeddings: identity and feature vectors of faces, stored beside their table on request.

The points of face meshes are stored in the same way, in a file of their own.

A vector of the kind "identity" identifies a person as a fingerprint does: protect such a file as
you would protect the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mien.errors import InputError, InputNotFoundError, UsageError
from mien.files import PARTIAL, partial_path
from mien.labels import IDENTITY, LANDMARKS
from mien.results.files import AnalysisFiles, is_sealed
from mien.results.reading import read_rows, readable
from mien.results.settings import RunSettings
from mien.results.validation import check_columns
from mien.results.writer import GrowingTable
from mien.types import Comparable, FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.result import Result

_KEY = ("source", "frame", "face")
_MODEL, _IDENTITY_MODEL = "classifier_sha256", "identity_sha256"
_ROWS_AT_ONCE = 4096
#: Of each kind of file: the precision of its vectors. Three digits are more than embeddings are
#: worth, and less than places in a large image need.
Kind = Literal["embeddings", "landmarks"]
KINDS: tuple[Kind, ...] = ("embeddings", "landmarks")
_PRECISION: Mapping[Kind, type[np.floating[Any]]] = {
    "embeddings": np.float16,
    "landmarks": np.float32,
}


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings(Comparable):
    """The vectors of n faces.

    Attributes:
        keys: source, frame and face of each row, as in the ``faces`` table.
        vectors: by name (see `mien.labels.EMBEDDINGS`), each ``(n, d)`` float32. Of landmarks, x, y
            and z of each point in turn: ``vectors["landmarks"].reshape(-1, 478, 3)``.
        model: SHA-256 of the file of the expression model, which gives the features; "" where it is
            unknown.
        identity_model: the same of the identity model. Vectors of different models cannot be
            compared.
    """

    keys: pd.DataFrame
    vectors: Mapping[str, FloatArray]
    model: str = ""
    identity_model: str = ""

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"Embeddings({len(self)} faces, {', '.join(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of vectors."""
        return tuple(self.vectors)

    @property
    def models(self) -> dict[str, str]:
        """SHA-256 of the model of each kind of vectors."""
        return {
            name: self.identity_model if name == IDENTITY else self.model for name in self.names
        }

    def of(self, faces: pd.DataFrame, name: str) -> FloatArray:
        """The vectors of the rows of a ``faces`` table, ``(len(faces), d)``, in its order.

        Raises:
            UsageError: there are none of this name, or none for some of the rows.
        """
        if name not in self.vectors:
            known = ", ".join(self.names) or "none"
            raise UsageError(
                f"the embeddings {name!r} were not kept, but {known}: "
                f"analyze again with --embeddings {name}."
            )
        places = self._places(faces)
        if (places < 0).any():
            count = int((places < 0).sum())
            raise UsageError(f"{count} of {len(faces)} faces have no embedding: analyze again.")
        return np.asarray(self.vectors[name][places])

    def only(self, faces: pd.DataFrame) -> Embeddings | None:
        """Those of the rows of a ``faces`` table; None where there is none."""
        places = self._places(faces)
        rows = np.unique(places[places >= 0])
        if not len(rows):
            return None
        vectors = {name: values[rows] for name, values in self.vectors.items()}
        return replace(self, keys=self.keys.iloc[rows].reset_index(drop=True), vectors=vectors)

    def known(self, faces: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """``(len(faces),)``: which rows of a ``faces`` table have vectors."""
        return np.asarray(self._places(faces) >= 0)

    def _places(self, faces: pd.DataFrame) -> Any:
        import pandas as pd

        known = pd.MultiIndex.from_frame(self.keys)
        if not known.is_unique:
            twice = self.keys[self.keys.duplicated(list(_KEY))]["source"].iloc[0]
            raise UsageError(f"{twice} is in the table twice: analyze each video once.")
        return known.get_indexer(pd.MultiIndex.from_frame(faces[list(_KEY)].astype(_types())))

    @classmethod
    def concat(cls, parts: Sequence[Embeddings]) -> Embeddings:
        """The vectors of several tables together.

        Raises:
            UsageError: they come from different models, or are of different kinds.
        """
        import pandas as pd

        if len({tuple(part.models.items()) for part in parts}) > 1:
            raise UsageError(
                "these tables keep embeddings of different models or kinds: "
                "analyze their videos again, with one version and model."
            )
        vectors = {
            name: np.concatenate([part.vectors[name] for part in parts]) for name in parts[0].names
        }
        keys = pd.concat([part.keys for part in parts], ignore_index=True)
        return replace(parts[0], keys=keys, vectors=vectors)


class Gathering:
    """Takes results as they come and keeps the vectors of their faces in memory."""

    def __init__(self, kind: Kind = "embeddings") -> None:
        self._kind = kind
        self._keys: list[tuple[str, int, int]] = []
        self._vectors: dict[str, list[FloatArray]] = {}
        self._settings = RunSettings()

    def add(self, result: Result) -> None:
        """Look at one frame; where it has no vectors, nothing is kept of it."""
        vectors = result.scores.embeddings
        if self._kind == "landmarks":
            mesh = result.mesh if LANDMARKS in result.settings.also else None
            vectors = {} if mesh is None else {LANDMARKS: mesh.points.reshape(len(mesh), -1)}
        if not vectors or not len(result):
            return
        self._settings = result.settings
        self._keys += [(result.source, result.index, face) for face in range(len(result))]
        for name, values in vectors.items():
            self._vectors.setdefault(name, []).append(values)

    def found(self) -> Embeddings | None:
        """What was kept, or None where there was nothing."""
        if not self._keys:
            return None
        vectors = {name: np.concatenate(parts) for name, parts in self._vectors.items()}
        models = self._settings.classifier_sha256, self._settings.identity_sha256
        return Embeddings(_keys(self._keys), vectors, *models)

    def take(self) -> Embeddings | None:
        """What was kept since the last time."""
        found = self.found()
        self._keys, self._vectors = [], {}
        return found

    def __len__(self) -> int:
        return len(self._keys)


class EmbeddingsWriter:
    """Writes vectors beside a table while the run goes on.

    Like the tables, they grow at ``NAME.KIND.parquet.partial``. No file is made where no
    face has vectors.
    """

    def __init__(
        self, table: str | Path, settings: Mapping[str, str], kind: Kind = "embeddings"
    ) -> None:
        self._path, self._settings = getattr(AnalysisFiles(table), kind), dict(settings)
        self._kind, self._waiting = kind, Gathering(kind)
        self.file: GrowingTable | None = None

    def begin(self, first: Embeddings) -> None:
        """Begin with those of an earlier run."""
        self._append(first, begin=True)

    def add(self, result: Result) -> None:
        """Add the faces of one frame; they wait for `flush` while they are few."""
        self._waiting.add(result)
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Move the vectors that wait into the partial file."""
        part = self._waiting.take()
        if part is not None:
            self._append(part)

    def _append(self, part: Embeddings, *, begin: bool = False) -> None:
        table = _to_arrow(part, _PRECISION[self._kind])
        first = (table,) if begin else ()
        if self.file is None:
            self.file = GrowingTable(self._path, table.slice(0, 0), self._settings, first)
        if not begin:
            self.file.append(table)


def write_embeddings(found: Embeddings | None, path: Path, settings: Mapping[str, str]) -> None:
    """Write the vectors beside the table at `path`, in place of older ones.

    Without any, older ones go, but for those of a table of the same name in another format.
    """
    files = AnalysisFiles(path)
    if found is not None:
        known = {**settings, _MODEL: found.model, _IDENTITY_MODEL: found.identity_model}
        file = GrowingTable(files.embeddings, _to_arrow(found).slice(0, 0), known)
        file.append(_to_arrow(found))
        file.finish()
    elif files.embeddings in files.beside():
        files.embeddings.unlink()


def load_landmarks(path: str | Path) -> Embeddings:
    """The mesh points that ``mien analyze --landmarks`` stored beside the table at `path`.

    Their rows are those of the ``faces`` table; NaN where a mesh was not trusted.

        points = mien.load_landmarks("faces.parquet").vectors["landmarks"].reshape(-1, 478, 3)

    Raises:
        InputNotFoundError: no landmarks were stored.
        InputError: the file does not hold them.
    """
    found = read_embeddings(path, "landmarks")
    if found is None:
        raise InputNotFoundError(
            f"no landmarks are stored beside {path}: analyze again with --landmarks."
        )
    return found


def read_embeddings(path: str | Path, kind: Kind = "embeddings") -> Embeddings | None:
    """The vectors beside the table at `path`, or None where there is no such file.

    Beside a table that is not finished, those that grow with it: finished ones are of an older run.

    Raises:
        InputError: the file does not hold them.
    """
    files, of = AnalysisFiles(path), Path(path)
    source = getattr(files, kind)
    unfinished = of.suffix == PARTIAL or (not of.is_file() and partial_path(of).is_file())
    if unfinished or is_sealed(partial_path(source)):
        source = partial_path(source)
    if not source.is_file():
        return None
    table, settings = read_rows(source, {})
    check_columns(source, table, _KEY)
    with readable(source):
        keys = table[list(_KEY)].astype(_types())
        vectors = {
            str(name): np.stack(table[name].tolist()).astype(np.float32)
            for name in table.columns
            if name not in _KEY and len(table)
        }
    finite = kind == "landmarks" or all(np.isfinite(v).all() for v in vectors.values())
    if not finite or any(v.ndim != 2 for v in vectors.values()):
        raise InputError(f"{source} holds {kind} that are not finite numbers of one length.")
    model = settings.get(_MODEL, "")
    # Before there was an identity model, the expression model gave these vectors, too.
    return Embeddings(keys, vectors, model, settings.get(_IDENTITY_MODEL, model))


def _types() -> dict[str, Any]:
    return {"source": "string", "frame": "int64", "face": "int64"}


def _keys(rows: Sequence[tuple[str, int, int]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(_KEY)).astype(_types())


def _to_arrow(part: Embeddings, precision: type[np.floating[Any]] = np.float16) -> Any:
    """As an Arrow table."""
    import pyarrow as pa

    columns = pa.Table.from_pandas(part.keys, preserve_index=False)
    for name, values in part.vectors.items():
        flat = pa.array(values.astype(precision).reshape(-1))
        columns = columns.append_column(
            name, pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        )
    return columns
