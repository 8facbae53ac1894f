"""`Analyze`: a callable for pipelines that exist already, a batch of images in, a table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.batch.options import BatchOptions
from mien.errors import UsageError
from mien.results.tables import face_dtypes

if TYPE_CHECKING:
    import pandas as pd

    from mien.analyzer import EmotionAnalyzer

_STATUS = ("status", "error")


class Analyze:
    """Analyzes the images of a batch; the networks are loaded once in each process.

    For ``ray.data.Dataset.map_batches``, Dask's ``map_partitions``, Spark's ``mapInPandas`` and
    ``datasets.Dataset.map(batched=True)``, see docs/batch.md. It can be pickled.

    Args:
        column: of the images: paths or addresses, encoded images (bytes, or the dictionaries of
            Hugging Face), PIL images, or RGB arrays ``(H, W, 3)``.
        keep: further columns of the batch that the rows of its faces repeat, such as an id.
        threads: of each network.
        options: as of `mien.batch.BatchOptions`, such as ``also=("affect",)``.

    Raises:
        UsageError: an option is unknown.
    """

    def __init__(
        self,
        column: str = "path",
        *,
        keep: Sequence[str] = (),
        threads: int | None = 1,
        **options: Any,
    ) -> None:
        self.column: str = column
        self.keep: tuple[str, ...] = tuple(keep)
        self._threads = threads
        try:
            self._options = BatchOptions(**options)
        except TypeError as error:
            raise UsageError(f"there is no such option: {error}.") from error
        self._analyzer: EmotionAnalyzer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_analyzer": None}

    def __call__(self, batch: Any) -> Any:
        """The faces in the images of a batch.

        Args:
            batch: a dictionary of columns, or a pandas DataFrame.

        Returns:
            the same kind of thing: a row for each face with the columns of the ``faces`` table, and
            ``status`` and ``error``; an image without a face, or that cannot be read, has one row
            without values.

        Raises:
            UsageError: the batch lacks a column.
        """
        for name in (self.column, *self.keep):
            if name not in batch:
                raise UsageError(f"the batch has no column {name!r}; it has {', '.join(batch)}.")
        rows = self._rows(batch)
        if not isinstance(batch, Mapping):
            return rows
        return {str(name): _plain(rows[name]) for name in rows.columns}

    @property
    def columns(self) -> dict[str, str]:
        """Names and pandas types of the columns that it gives, without `keep`."""
        analyzer = self._loaded()
        return {
            **face_dtypes(analyzer.labels, analyzer.measures), **dict.fromkeys(_STATUS, "string")
        }  # fmt: skip

    def _loaded(self) -> EmotionAnalyzer:
        if self._analyzer is None:
            self._analyzer = self._options.analyzer(self._threads)
        return self._analyzer

    def _rows(self, batch: Any) -> pd.DataFrame:
        import pandas as pd

        from mien.results.tables import to_dataframe

        analyzer = self._loaded()
        values = [_image(value) for value in batch[self.column]]
        kept = {name: list(batch[name]) for name in self.keep}
        tables = []
        for number, result in enumerate(analyzer.analyze(_named(values))):
            faces = to_dataframe([result.face_columns()], analyzer.labels)
            if not len(faces):
                faces = faces.reindex([0])
                faces["source"] = result.source
            faces["status"], faces["error"] = result.status, result.error
            for name in self.keep:
                faces[name] = [kept[name][number]] * len(faces)
            tables.append(faces)
        kinds = self.columns
        empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
        for name in self.keep:  # so that a batch of nothing has the same columns
            empty[name] = pd.Series(batch[name])
        joined = pd.concat(tables, ignore_index=True) if tables else empty
        loose = {"int64": "Int64"}  # a row without a face has no number of one
        kinds = {name: loose.get(kind, kind) for name, kind in kinds.items()}
        return joined.astype({name: kind for name, kind in kinds.items() if name in joined})


def _image(value: Any) -> Any:
    if isinstance(value, Mapping):  # of Hugging Face
        return value["bytes"] if value.get("bytes") is not None else value.get("path")
    return value


def _named(values: Sequence[Any]) -> Any:
    """The images; a text is a path, never a pattern of several."""
    from functools import partial

    from mien.media.images import name_of, read_image
    from mien.media.inputs import Inputs
    from mien.types import Frame

    for number, value in enumerate(values):
        if isinstance(value, str) and "://" not in value:
            yield Frame(name_of(value), partial(read_image, value))
        elif isinstance(value, str):
            yield from Inputs([value], once=False)
        else:
            name = name_of(value, number)
            yield Frame(name, partial(read_image, value, name=name))


def _plain(column: pd.Series) -> Any:
    """A column as an array for pipelines that know nothing of pandas.

    Missing texts are empty, since some pipelines take the type of a column from its first values.
    """
    import pandas as pd

    kind = str(column.dtype)
    if kind == "string":
        return column.fillna("").to_numpy(object)
    if kind == "boolean":
        return np.array([None if pd.isna(value) else bool(value) for value in column], object)
    return column.to_numpy(np.float64 if kind == "Int64" else None)
