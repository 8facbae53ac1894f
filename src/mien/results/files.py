"""The files of an analysis: their names, and reading those that hold a table by their suffix.

Knows Parquet, CSV and JSON lines, and nothing of the columns inside. Of a table that is not
finished, the rows lie in ``NAME.partial``, see `mien.results.writer`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import UsageError
from mien.files import PARTIAL, partial_path, writable_place

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv", ".jsonl")
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow stream that was closed


class AnalysisFiles:
    """The names of the files that belong to one ``faces`` table.

    Args:
        path: of the table, ``NAME.SUFFIX``, or of its growing form, ``NAME.SUFFIX.partial``.

    Attributes:
        faces: the table itself.
        images: ``NAME.images.SUFFIX``.
        videos: ``NAME.films.SUFFIX``, the predictions of a model of videos.
        embeddings, landmarks, peaks: ``NAME.embeddings.parquet``, ``NAME.landmarks.parquet`` and
            ``NAME.peaks.parquet``.
        settings: ``NAME.SUFFIX.settings.json`` of a CSV or JSON lines table.
    """

    def __init__(self, path: str | Path) -> None:
        asked = Path(path)
        self.faces: Path = asked.with_name(asked.name.removesuffix(PARTIAL))
        stem, suffix = self.faces.stem, self.faces.suffix
        self.images: Path = self.faces.with_name(f"{stem}.images{suffix}")
        self.videos: Path = self.faces.with_name(f"{stem}.films{suffix}")
        self.embeddings: Path = self.faces.with_name(f"{stem}.embeddings.parquet")
        self.landmarks: Path = self.faces.with_name(f"{stem}.landmarks.parquet")
        self.peaks: Path = self.faces.with_name(f"{stem}.peaks.parquet")
        self.settings: Path = settings_path(self.faces)

    @property
    def siblings(self) -> list[Path]:
        """Tables of the same name in other formats, which share the Parquet files beside them."""
        names = (self.faces.with_suffix(suffix) for suffix in SUFFIXES)
        return [
            name
            for name in names
            if name.suffix != self.faces.suffix.lower()
            and (name.is_file() or partial_path(name).is_file())
        ]

    def beside(self) -> list[Path]:
        """The optional files that lie there and belong to this table alone."""
        shared = [] if self.siblings else [self.embeddings, self.landmarks, self.peaks]
        return [path for path in (self.videos, *shared) if path.is_file()]

    def clear_sealed(self, *, superseded: bool = False) -> None:
        """Remove whole partial files whose tables have their own names already.

        A run that was stopped at its very end leaves them; read after a later table, they would
        seem to be newer.

        Args:
            superseded: the tables were written anew since, so that all can go.
        """
        beside = (self.peaks, self.embeddings, self.landmarks)
        partials = [partial_path(path) for path in (self.faces, self.images, *beside)]
        if superseded or not all(partial.is_file() for partial in partials[:2]):
            for partial in filter(is_sealed, partials):
                partial.unlink()

    def has(self, path: Path) -> bool:
        """Whether a path names one of these files."""
        return path.resolve() in [name.resolve() for name in vars(self).values()]


def texts_mapped(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The table with every text in it changed; missing values and numbers stay."""

    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, str) else value

    texts = [name for name, dtype in table.dtypes.items() if dtype.kind == "O"]
    return table.assign(**{str(name): table[name].map(changed) for name in texts})


def settings_path(table: Path) -> Path:
    """Where the metadata of a CSV or JSON lines table lie."""
    return table.with_name(f"{table.name}.settings.json")


def known_suffix(path: Path) -> str:
    """The suffix in lower case, without that of a partial file, if it is one of the three."""
    suffix = Path(path.name.removesuffix(PARTIAL)).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"a table is a {', '.join(SUFFIXES)} file, not {path.name!r}; of an image or video, "
            "make one with: mien analyze INPUT -o TABLE.parquet."
        )
    return suffix


def writable_target(path: str | Path) -> Path:
    """The path, if a table can be put there."""
    target = Path(path)
    if known_suffix(target) != target.suffix.lower():
        raise UsageError(f"{target.name} is the name of an unfinished table: choose another.")
    return writable_place(target)


def apart(output: Path, table: Path) -> None:
    """Make sure that a file to be written is none of those that an analysis consists of.

    Raises:
        UsageError: it is the table, or one that lies beside it, such as ``NAME.images.parquet``.
    """
    if AnalysisFiles(table).has(output):
        what = "is the table itself" if output.stem == table.stem else f"belongs to {table}"
        raise UsageError(f"{output} {what}: choose another name.")


def is_sealed(partial: Path) -> bool:
    """Whether a partial file is whole: its run was stopped while the table took its name."""
    try:
        with partial.open("rb") as file:
            file.seek(-len(_END), os.SEEK_END)
            return file.read() == _END
    except OSError:
        return False


def whole_batches(reader: Any) -> Iterator[Any]:
    """The batches of an Arrow stream up to where it ends or breaks off."""
    with suppress(StopIteration, ValueError, OSError):  # pyarrow's own errors are among these
        while True:
            yield reader.read_next_batch()


def native_file(path: Path) -> Any:
    """A file for pyarrow to read without Python, closed by `with`.

    The last to let go of a file may be a worker thread of pyarrow's. It would need the interpreter
    to close a file of Python's, and an interpreter that is ending at that moment aborts. The name
    is given as bytes, since pyarrow takes only texts that are UTF-8.
    """
    import pyarrow as pa

    return pa.OSFile(os.fsencode(path))
