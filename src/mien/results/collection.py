"""`Results`: many results and their two tables, in memory and in files."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from mien.errors import InputError, UsageError
from mien.faces.quality import UNKNOWN_REASON, Quality, unfit_reasons
from mien.files import PARTIAL, partial_path
from mien.labels import EMOTIONS
from mien.media.images import read_image
from mien.results import display, tables
from mien.results.files import AnalysisFiles, writable_target
from mien.results.result import Result
from mien.results.settings import RunSettings, labels_of
from mien.results.validation import (
    REQUIRED_QUALITY,
    check_columns,
    check_doubled,
    check_faces,
    check_images,
)
from mien.results.writer import check_table
from mien.types import Faces, Scores

if TYPE_CHECKING:
    import pandas as pd


_LISTED = 20  # results that are printed one by one
_FRAMES_AT_ONCE = 1024  # results whose columns wait to become rows of a table


class Results(Sequence[Result]):
    """Many results, in order, and their two tables.

    Args:
        results: as from `EmotionAnalyzer.analyze`.

    Raises:
        UsageError: an item is not a `Result`.
    """

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._results = tuple(results)
        for item in self._results:
            if not isinstance(item, Result):
                raise UsageError(f"Results holds mien.Result, got {type(item).__name__}.")

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: int | slice) -> Result | Results:
        """A result by its position, or a slice as `Results`."""
        if isinstance(index, slice):
            return Results(self._results[index])
        return self._results[index]

    def __bool__(self) -> bool:
        """True even when empty: use ``len`` to count."""
        return True

    def equals(self, other: object) -> bool:
        """Whether `other` holds equal results in the same order, see `Result.equals`."""
        return (
            isinstance(other, Results)
            and len(self) == len(other)
            and all(one.equals(two) for one, two in zip(self, other, strict=True))
        )

    def __repr__(self) -> str:
        faces, failed = sum(map(len, self)), sum(result.error is not None for result in self)
        errors = f", {failed} error{'s' * (failed > 1)}" if failed else ""
        return f"Results({len(self)} images, {faces} faces{errors})"

    def __str__(self) -> str:
        """The counts, and each result in a line; of very many the first."""
        more = [f"... and {len(self) - _LISTED} more"] if len(self) > _LISTED else []
        return "\n".join([repr(self), *map(repr, self._results[:_LISTED]), *more])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the score columns."""
        return self._results[0].labels if self._results else ()

    @property
    def settings(self) -> RunSettings:
        """What the results were made with."""
        return self._results[0].settings if self._results else RunSettings()

    @property
    def faces(self) -> pd.DataFrame:
        """The ``faces`` table as it is saved: one row per face of all images."""
        table = tables.to_dataframe([result.face_columns() for result in self], self.labels)
        return tables.describe(table, self.labels, self.settings)

    @property
    def images(self) -> pd.DataFrame:
        """The ``images`` table: one row per input, with or without a face or an error."""
        return tables.images_dataframe([result.image_columns() for result in self])

    def to_dataframe(self) -> pd.DataFrame:
        """The ``faces`` table with the expression first, see `Result.to_dataframe`."""
        return display.expression_first(self.faces)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the ``faces`` table to `path` and the ``images`` table beside it.

        The suffix chooses the format, see `mien.results.files.SUFFIXES`. ``photos.parquet`` gets
        ``photos.images.parquet`` beside it; the settings of ``photos.csv`` are in
        ``photos.csv.settings.json``.

        Args:
            path: of the ``faces`` table.
            overwrite: replace what is there, whatever it is; otherwise only an analysis that has
                no other sources, columns and files beside it.

        Raises:
            UsageError: another suffix, nothing can be written there, or something would be lost.
        """
        return write_analysis(path, self.faces, self.images, self.settings, self.labels, overwrite)

    @classmethod
    def load(cls, path: str | Path, *, incomplete: bool = False) -> Results:
        """Read what `save` or ``mien analyze -o`` wrote.

        Boxes, scores and quality are stored; crops and landmarks are not. `Result.draw` reads the
        image again from its source. Of an interrupted run, every image is loaded whose rows are
        in both tables.

        Args:
            path: of the ``faces`` table.
            incomplete: accept a table that lacks faces which the ``images`` table counts.

        Raises:
            InputNotFoundError, InputError: a table is missing, damaged, or of another run.
        """
        return cls(restored(*load_tables(path, incomplete=incomplete)))

    def _repr_html_(self) -> str:
        return str(display.style(self.faces, self.labels).to_html())


def check_analysis(
    path: Path, faces: pd.DataFrame, images: pd.DataFrame, beside: Collection[Path] = ()
) -> None:
    """As `mien.results.writer.check_table`, for all the files of an analysis.

    `beside` are those of its `AnalysisFiles` that are written anew.

    Raises:
        UsageError: something would be lost.
    """
    files, sources = AnalysisFiles(path), images["source"].unique()
    check_table(files.faces, faces.columns, sources, len(faces))
    check_table(files.images, images.columns, sources, len(images))
    for kept in files.beside():
        if kept not in beside:
            raise UsageError(
                f"{kept} belongs to {path}, which would be replaced: choose another name, or "
                "replace both with --overwrite (in Python: overwrite=True)."
            )


def write_analysis(
    path: str | Path,
    faces: pd.DataFrame,
    images: pd.DataFrame,
    settings: RunSettings,
    labels: Sequence[str],
    overwrite: bool,
    beside: Collection[Path] = (),
) -> Path:
    """Write the two tables of an analysis; see `check_analysis` for `beside`.

    Raises:
        UsageError: nothing can be written there, or, without `overwrite`, something would be lost.
    """
    target = writable_target(path)
    if not overwrite:
        check_analysis(target, faces, images, beside)
    metadata = settings.to_metadata(labels)
    tables.write_table(faces, target, metadata, overwrite=True)
    tables.write_table(images, images_path(target), metadata, overwrite=True)
    AnalysisFiles(target).clear_sealed(superseded=True)
    return target


def restored(
    faces: pd.DataFrame,
    images: pd.DataFrame,
    labels: tuple[str, ...],
    settings: RunSettings,
) -> Iterator[Result]:
    """A result for each row of `images`; `faces` holds their rows in the same order."""
    first = 0
    for row in images.to_dict("records"):
        rows = faces.iloc[first : first + int(row["n_faces"])]
        first += len(rows)
        yield _restore(row, rows, labels, settings)


def as_tables(
    results: Iterable[Result],
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...], RunSettings]:
    """Collect results as they come, keeping their numbers only: as `load_tables` returns them."""
    import pandas as pd

    faces: list[pd.DataFrame] = []
    images: list[pd.DataFrame] = []
    waiting: list[tuple[dict[str, Any], dict[str, Any]]] = []
    labels: tuple[str, ...] = ()
    settings = RunSettings()

    def flush() -> None:
        faces.append(tables.to_dataframe([part[0] for part in waiting], labels))
        images.append(tables.images_dataframe([part[1] for part in waiting]))
        waiting.clear()

    for result in results:
        if not labels:
            settings = result.settings or RunSettings(uncertain_below=result.uncertain_below)
            labels = result.labels
        waiting.append((result.face_columns(), result.image_columns()))
        if len(waiting) >= _FRAMES_AT_ONCE:
            flush()
    flush()
    joined = pd.concat(faces, ignore_index=True), pd.concat(images, ignore_index=True)
    return *joined, labels, settings


def load_tables(
    path: str | Path, *, incomplete: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...], RunSettings]:
    """The ``faces`` table at `path` and the ``images`` table beside it, in the same order.

    Each image has as many rows of faces as its ``n_faces`` says, in the same order. Tables of an
    interrupted run may end at different images; those that are whole in both are loaded.

    Args:
        path: of the ``faces`` table.
        incomplete: where rows were taken out of the ``faces`` table since, or it was cut off, let
            ``n_faces`` count what is left instead of refusing it.

    Returns:
        faces, images, labels, settings.

    Raises:
        InputNotFoundError, InputError: a table is missing, broken, not of this run, or holds what
            cannot be, see `mien.results.validation`.
    """
    target, beside = Path(path), images_path(Path(path))
    faces, metadata = tables.read_table(target)
    if Path(target.stem).suffix == ".images":
        faces_path = target.with_name(Path(target.stem).stem + target.suffix)
        raise UsageError(f"{target} is the table of inputs: give that of faces, {faces_path}.")
    settings, named = RunSettings.from_metadata(metadata, target), labels_of(metadata, target)
    if len(faces.columns):
        wanted = (*tables.FACE_COLUMNS, *named, *REQUIRED_QUALITY)
        check_columns(target, faces, wanted)
        faces = with_reasons(faces)
    else:  # JSON lines without a line know no columns
        faces = tables.to_dataframe([], named or EMOTIONS)
    labels = tables.label_columns(faces)
    images, known = tables.read_table(beside)
    if metadata and known and metadata != known:
        raise InputError(f"{target} and {beside} are not tables of one run.")
    if len(images.columns):
        if "duration_s" not in images:  # a table of an earlier version
            images = images.assign(duration_s=math.nan)
        check_columns(beside, images, tables.IMAGE_COLUMNS)
    else:
        images = tables.images_dataframe([])
    check_faces(target, faces, labels, bool(settings.classifier_sha256))
    check_images(beside, images)
    check_doubled(target, faces, images)
    faces, images = _in_step(target, faces, images, incomplete)
    return faces, images, labels, settings


def _in_step(
    target: Path, faces: pd.DataFrame, images: pd.DataFrame, incomplete: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables so that each image has as many rows of faces as it says."""
    strangers = f"{target} and {images_path(target)} are not tables of one run."
    finished = target.is_file() and target.suffix != PARTIAL and images_path(target).is_file()
    if not finished:
        images = images[images["n_faces"].cumsum() <= len(faces)]
        faces = faces.iloc[: images["n_faces"].sum()]
    places, wanted = _places(images), _places(faces)
    promised = images["n_faces"].sum()
    if promised == len(faces) and places.repeat(images["n_faces"]).equals(wanted):
        return faces, images
    if not finished or places.has_duplicates or not wanted.isin(places).all():
        raise InputError(strangers)
    owner = places.get_indexer(wanted)
    counted = np.bincount(owner, minlength=len(images))
    if not incomplete and (counted != images["n_faces"]).any():
        raise InputError(
            f"{target} has {len(faces):,} faces where {images_path(target)} counts {promised:,}: "
            "it was cut off, or rows were taken out; to go on with what is there, use "
            "mien export --incomplete (in Python: load(..., incomplete=True))."
        )
    return faces.iloc[np.argsort(owner, kind="stable")], images.assign(n_faces=counted)


def with_reasons(faces: pd.DataFrame) -> pd.DataFrame:
    """A ``faces`` table of version 0.1, completed by ``unfit_reason``; newer ones as they are."""
    if "fit" not in faces or "unfit_reason" in faces:
        return faces
    measured = (faces[name].to_numpy(np.float32) for name in ("size_px", "sharpness", "yaw_deg"))
    found = unfit_reasons(*measured)
    unfit = ~faces["fit"].fillna(True).to_numpy(bool)
    rows = zip(unfit.tolist(), found.tolist(), strict=True)
    reasons = [(why or UNKNOWN_REASON) if bad else None for bad, why in rows]
    faces = faces.copy(deep=False)
    faces.insert(faces.columns.tolist().index("fit") + 1, "unfit_reason", reasons)
    return faces.astype({"unfit_reason": "string"})


def _places(table: pd.DataFrame) -> pd.MultiIndex:
    """The image that each row belongs to."""
    import pandas as pd

    return pd.MultiIndex.from_frame(table[["source", "frame"]])


def images_path(path: Path) -> Path:
    """The path of the ``images`` table, given that of the ``faces`` table."""
    images = AnalysisFiles(path).images
    return partial_path(images) if path.suffix == PARTIAL else images


def _restore(
    row: Mapping[Any, Any], rows: pd.DataFrame, labels: tuple[str, ...], settings: RunSettings
) -> Result:
    """One result from its row of the ``images`` table and its rows of the ``faces`` table."""
    import pandas as pd

    source = str(row["source"])
    time_s = None if pd.isna(row["time_s"]) else float(row["time_s"])
    known: dict[str, Any] = {"index": int(row["frame"]), "time_s": time_s, "settings": settings}
    known["milliseconds"] = float(row["milliseconds"])
    if not pd.isna(row["duration_s"]):
        known["duration_s"] = float(row["duration_s"])
    if row["status"] != "ok":
        dropped = row["status"] == "dropped"
        return Result.failed(source, str(row["error"]), labels, dropped=dropped, **known)
    tracks = rows["track_id"]
    faces = Faces(
        rows[["x1", "y1", "x2", "y2"]].to_numpy(np.float32),
        rows["detection_score"].to_numpy(np.float32),
        track_ids=None if tracks.isna().any() or not len(rows) else tracks.to_numpy(np.int64),
    )
    values = rows[list(labels)].to_numpy(np.float32)
    distribution = bool(np.allclose(values.sum(axis=1), 1, atol=1e-2)) if len(values) else True
    measures = {name: rows[name].to_numpy(np.float32) for name in tables.measure_columns(rows)}
    measured = ("size_px", "sharpness", "roll_deg", "yaw_deg")
    known_of = {name: rows[name].to_numpy(np.float32) for name in measured}
    quality = Quality(**known_of, reason=rows["unfit_reason"].fillna("").to_numpy(np.str_))
    return Result(
        source,
        faces,
        Scores(values, labels, "probability" if distribution else "score", measures),
        quality,
        np.zeros((0, 1, 1, 3), np.uint8),
        size=(int(row["width"]), int(row["height"])),
        uncertain_below=settings.uncertain_below,
        _stored_emotions=tuple(rows["emotion"].astype(str)),
        _read=partial(read_image, source),
        **known,
    )
