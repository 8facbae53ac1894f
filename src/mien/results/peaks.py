"""Peaks: each person's strongest moment of each label, with the crop of the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.files import PARTIAL, partial_path
from mien.media.images import encode, read_image
from mien.results.files import AnalysisFiles, is_sealed
from mien.results.reading import readable
from mien.results.tables import read_table, write_table
from mien.results.validation import check_columns
from mien.results.writer import GrowingTable
from mien.types import Comparable, Image

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.result import Result

_COLUMNS, _JPEG = ("source", "track_id", "label", "frame", "time_s", "probability"), "jpeg"
_SIDE = 112  # pixels: the largest crop that is stored


@dataclass(frozen=True, eq=False)
class Peak(Comparable):
    """The moment when a label was most probable in a person's face.

    Attributes:
        track_id: the person, within `source`.
        label: the most probable label of that moment.
        frame, time_s: number and seconds of the frame; NaN where it has no time.
        probability: of the label, in that frame alone.
        picture: ``(S, S, 3)`` uint8 RGB, S at most 112.
        source: the video.
    """

    track_id: int
    label: str
    frame: int
    time_s: float
    probability: float
    picture: Image = field(repr=False)
    source: str = ""


class Peaks:
    """Collects the strongest moment of each person and label from results as they come.

    A fit face precedes any that is not.
    """

    def __init__(self) -> None:
        self._best: dict[tuple[str, int, str], Peak] = {}
        self._rank: dict[tuple[str, int, str], tuple[bool, float]] = {}

    def add(self, result: Result) -> None:
        """Take one frame; faces without a track id or a crop are passed over."""
        ids = result.faces.track_ids
        if ids is None or len(result.crops) != len(result):
            return
        rows = zip(ids.tolist(), result.scores.top, result.probabilities.tolist(), strict=True)
        for row, (person, top, probability) in enumerate(rows):
            key = result.source, person, result.labels[top]
            rank = bool(result.quality.fit[row]), probability
            if key not in self._rank or rank > self._rank[key]:
                self._rank[key] = rank
                time_s = float("nan") if result.time_s is None else result.time_s
                moment = result.index, time_s, probability
                self._best[key] = Peak(person, key[2], *moment, _small(result.crops[row]), key[0])

    def found(self) -> tuple[Peak, ...]:
        """What was kept, by first appearance of person and label."""
        return tuple(self._best.values())

    def take(self) -> tuple[Peak, ...]:
        """What was kept since the last time."""
        found = self.found()
        self._best = {}
        return found


class PeaksWriter:
    """Writes the faces beside a table, those of each video at its end.

    Like the tables, they grow at ``NAME.peaks.parquet.partial``.
    """

    def __init__(self, table: str | Path) -> None:
        self._path = AnalysisFiles(table).peaks
        self._peaks, self._source = Peaks(), ""
        self.file: GrowingTable | None = None

    def begin(self, rows: pd.DataFrame) -> None:
        """Begin with what an earlier run wrote, as `read_peak_rows` gives it."""
        if len(rows):
            self._append(rows, begin=True)

    def add(self, result: Result) -> None:
        """Look at one frame; with the first of another video, those of the last are written."""
        if result.source != self._source:
            self.flush()
        self._source = result.source
        self._peaks.add(result)

    def flush(self) -> None:
        """Write the faces of the video that has ended."""
        peaks = self._peaks.take()
        if peaks:
            self._append(_rows(peaks))

    def _append(self, rows: pd.DataFrame, *, begin: bool = False) -> None:
        import pyarrow as pa

        table = pa.Table.from_pandas(rows, preserve_index=False)
        first = (table,) if begin else ()
        if self.file is None:
            self.file = GrowingTable(self._path, table.slice(0, 0), {}, first)
        if not begin:
            self.file.append(table)


def write_peaks(peaks: Sequence[Peak], path: Path) -> None:
    """Write the faces beside the table at `path`, as JPEG, in place of older ones.

    Without any, older ones go, but for those of a table of the same name in another format.
    """
    files = AnalysisFiles(path)
    if peaks:
        write_table(_rows(peaks), files.peaks, overwrite=True)
    elif files.peaks in files.beside():
        files.peaks.unlink()


def read_peak_rows(path: str | Path) -> pd.DataFrame | None:
    """The rows beside the table at `path`, or None where there is no such file.

    Beside a partial table, those that grow with it.

    Raises:
        InputError: the file does not hold a table.
    """
    files = AnalysisFiles(path)
    source = files.peaks
    if Path(path).suffix == PARTIAL or is_sealed(partial_path(source)):
        source = partial_path(source)
    return read_table(source)[0] if source.is_file() else None


def read_peaks(path: str | Path) -> tuple[Peak, ...]:
    """The faces beside the table at `path`; none where there is no such file.

    Raises:
        InputError: the file does not hold them.
    """
    table, source = read_peak_rows(path), AnalysisFiles(path).peaks
    if table is None:
        return ()
    check_columns(source, table, (*_COLUMNS, _JPEG))
    with readable(source):
        return tuple(
            Peak(
                int(row["track_id"]),
                str(row["label"]),
                int(row["frame"]),
                float(row["time_s"]),
                float(row["probability"]),
                read_image(row[_JPEG], name=str(source)),
                str(row["source"]),
            )
            for row in table.to_dict("records")
        )


def _rows(peaks: Sequence[Peak]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame({name: [getattr(peak, name) for peak in peaks] for name in _COLUMNS})
    return table.assign(jpeg=[encode(peak.picture, "JPEG", quality=90) for peak in peaks])


def _small(picture: Image) -> Image:
    """A copy, so that the frame's other crops are not kept with it; smaller where it is large."""
    if len(picture) <= _SIDE:
        return picture.copy()
    import cv2

    shrunk = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)
