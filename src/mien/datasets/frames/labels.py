"""`FrameLabels`: what people said of single frames, read from a CSV table or a known data set.

The layouts of Aff-Wild2, BP4D and DISFA are in `mien.datasets.frames.layouts`; here is the common
form and the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mien.datasets.csv import first_column, read_csv
from mien.datasets.records import NO_LABEL, split_word
from mien.errors import InputError, UsageError
from mien.labels import MEASURES, canonical_labels, known_as
from mien.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.datasets.faces import LabelledFaces

#: Whose face a label is about where the frame has several: the largest, or the one on a side.
LARGEST, LEFT, RIGHT = "largest", "left", "right"
#: How frames are counted: as in the ``faces`` table, from 0; or as the data sets do, from 1.
Counting = Literal["table", "names"]

_SOURCE = ("source", "film", "video", "file", "path", "image", "filename", "name")
_EXPRESSION = ("expression", "emotion", "label", "class")
_WHERE = ("frame", "time_s", "track_id", "person", "subject", "face", "split", "usage")
_UNIT = re.compile(r"(?:au|action_?unit)_?0*(\d{1,2})(?:_c|_r)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """m labels of frames.

    Attributes:
        origin: what they were read from, for messages.
        columns: the k names; for expressions the labels.
        values: ``(m, k)`` float32, NaN where it is not known; for expressions a distribution.
        videos: ``(m,)`` the video's name as the data writes it.
        frames: ``(m,)`` int64, number of the frame; -1 where the time is given instead.
        times: ``(m,)`` seconds; NaN where the frame is given.
        tracks: ``(m,)`` int64, the person's ``track_id``; -1 where it is not given.
        faces: ``(m,)`` int64, number of the face in the frame; -1 where it is not given.
        places: ``(m,)`` `LARGEST`, `LEFT` or `RIGHT`: which face, where none is given.
        people: ``(m,)`` whoever has the same name must stay in one split.
        splits: ``(m,)`` "train", "validation", "test", or "".
        counting: how frames are counted.
    """

    origin: str
    columns: tuple[str, ...]
    values: FloatArray
    videos: npt.NDArray[Any]
    frames: IntArray
    times: npt.NDArray[np.float64]
    tracks: IntArray
    faces: IntArray
    places: npt.NDArray[Any]
    people: npt.NDArray[Any]
    splits: npt.NDArray[Any]
    counting: Counting = "table"

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, kept: npt.NDArray[Any]) -> FrameLabels:
        """Fewer rows: positions or a mask."""
        names = ("values", "videos", "frames", "times", "tracks", "faces", "places", "people")
        return replace(self, **{n: getattr(self, n)[kept] for n in (*names, "splits")})

    def only(self, columns: Sequence[str]) -> FrameLabels:
        """Fewer columns.

        Raises:
            UsageError: there is no such column.
        """
        wanted = [unit_name(name) or name for name in columns]
        strange = [name for name in wanted if name not in self.columns]
        if strange:
            known = ", ".join(self.columns)
            raise UsageError(f"{self.origin} has no column {strange[0]!r}; it has {known}.")
        places = [self.columns.index(name) for name in wanted]
        return replace(self, columns=tuple(wanted), values=self.values[:, places])


def make_labels(
    origin: str,
    columns: Sequence[str],
    values: FloatArray,
    videos: Any,
    frames: Any,
    **others: Any,
) -> FrameLabels:
    """Labels with defaults for everything that is not given; `people` are the videos by default."""
    m = len(values)
    nowhere = np.full(m, -1, np.int64)
    videos = np.asarray(videos, dtype=object)
    given: dict[str, Any] = {
        "times": np.full(m, np.nan),
        "tracks": nowhere,
        "faces": nowhere,
        "places": np.full(m, LARGEST, dtype=object),
        "people": videos,
        "splits": np.full(m, "", dtype=object),
    } | others
    return FrameLabels(
        origin, tuple(columns), values, videos, np.asarray(frames, np.int64), **given
    )


def read_table(path: Path, task: str, columns: Sequence[str] = ()) -> FrameLabels:
    """A CSV table, a row a frame or a face.

    ``source`` names the video or image, as the ``faces`` table does or by its file name;
    ``frame`` counts from 0 as there, or ``time_s`` says when; ``track_id`` or ``face`` say whose
    face, else the largest counts; ``person`` keeps rows in one split, ``split`` says which. The
    other columns are labels:

    - expression: ``expression`` (or ``emotion``, ``label``) with a word, or a column an expression
      with votes or shares;
    - valence-arousal: ``valence`` and ``arousal``, -1 to 1;
    - action-units: every column called AU1, AU01, au_1, ...: 0, 1, or empty where not known;
    - regression and multilabel: `columns`, or every column of numbers.

    Raises:
        InputError: no such table, a column is missing, or a value makes no sense.
    """
    table = read_csv(path, text=False)
    if not len(table):
        raise InputError(f"{path} has no rows.")
    header = [str(name) for name in table.columns]
    source = first_column(header, _SOURCE)
    if source is None:
        raise InputError(f"{path} needs a column source with the video or image of each row.")
    where = {name: found for name in _WHERE if (found := first_column(header, [name]))}
    labeled = [n for n in table.columns if n not in (source, *where.values())]
    label_names, values = _labels(path, table[labeled], task, columns)
    nothing = np.full(len(table), np.nan)
    numbers = {
        name: _column(path, table, where[name]) if name in where else nothing
        for name in ("frame", "time_s", "track_id", "face")
    }
    frames, times = numbers["frame"], numbers["time_s"]
    if "frame" not in where:
        frames = np.full(len(table), np.nan if "time_s" in where else 0.0)
    if (np.isnan(frames) & np.isnan(times)).any():
        row = int(np.flatnonzero(np.isnan(frames) & np.isnan(times))[0])
        raise InputError(f"{path}, line {row + 2}: neither a frame nor a time_s.")
    videos = table[source].to_numpy(object)
    person = where.get("person", where.get("subject"))
    split = where.get("split", where.get("usage"))
    words = [""] * len(table) if split is None else [split_word(str(w)) for w in table[split]]
    return make_labels(
        str(path),
        label_names,
        values,
        videos,
        _whole(frames),
        times=np.where(np.isnan(frames), times, np.nan),
        tracks=_whole(numbers["track_id"]),
        faces=_whole(numbers["face"]),
        people=videos if person is None else table[person].astype(str).to_numpy(object),
        splits=np.array(words, dtype=object),
    )


def labels_of(faces: LabelledFaces, task: str, columns: Sequence[str] = ()) -> FrameLabels:
    """What a set of labeled images says itself: its expressions, or its further columns.

    For regression without `columns`: ``votes_LABEL``, the share of the votes of each. Twins (see
    `mien.datasets.duplicates`) stay in one split where the data knows them.

    Raises:
        InputError: the data has no such columns.
    """
    import pandas as pd

    shares = task == "expression" or (task == "regression" and not columns)
    if shares:
        begin = "" if task == "expression" else "votes_"
        names = tuple(begin + label for label in faces.labels)
        used = np.flatnonzero((faces.votes > 0).any(axis=0))
        values: FloatArray = faces.distribution[:, used]
    else:
        table = pd.DataFrame(dict(faces.columns))
        names, values = _labels(Path("the data"), table, task, columns)
    groups = np.asarray(faces.columns.get("duplicate_group", np.full(len(faces), np.nan)))
    people = [
        f"twins {group}" if str(group) not in ("", "nan", "-1", "-1.0") else name
        for group, name in zip(groups.tolist(), faces.names.tolist(), strict=True)
    ]
    return make_labels(
        "the data",
        names,
        values,
        faces.names.astype(object),
        np.zeros(len(faces), np.int64),
        people=np.array(people, dtype=object),
        splits=faces.splits.astype(object),
    )


def unit_name(text: str) -> str | None:
    """The action unit's usual name, "AU01", for "AU1", "au_1", "AU01_c"; None for others."""
    found = _UNIT.fullmatch(text.strip())
    return f"AU{int(found[1]):02}" if found else None


def _column(path: Path, table: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """A column of numbers, NaN where it is empty."""
    import pandas as pd

    column = table[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
    if len(bad):
        at = f"{path}, line {bad[0] + 2}" if path.suffix else str(path)
        raise InputError(f"{at}: {name} is {column.iloc[bad[0]]!r}, which is no number.")
    return values


def _whole(values: npt.NDArray[np.float64]) -> IntArray:
    return np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(np.int64)


def _labels(
    path: Path, table: pd.DataFrame, task: str, columns: Sequence[str]
) -> tuple[tuple[str, ...], FloatArray]:
    """The names and values of what a task learns."""
    if task == "expression":
        return _expressions(path, table, columns)
    if task == "valence-arousal":
        found = {str(name).lower(): str(name) for name in table.columns}
        missing = [name for name in MEASURES if name not in found]
        if missing:
            raise InputError(f"{path} needs the columns valence and arousal, each -1 to 1.")
        named = {name: _column(path, table, found[name]) for name in MEASURES}
        return MEASURES, checked(path, named, -1, 1)
    if task == "action-units":
        units = {unit: str(n) for n in table.columns if (unit := unit_name(str(n)))}
        if not units:
            raise InputError(f"{path} has no column of an action unit, such as AU12.")
        named = {unit: _column(path, table, name) for unit, name in sorted(units.items())}
        return tuple(named), checked(path, named, 0, 1)
    import pandas as pd

    names = list(columns) or [
        str(n) for n in table.columns if pd.api.types.is_numeric_dtype(table[n])
    ]
    strange = [name for name in names if name not in table.columns]
    if strange or not names:
        wrong = f"no column {strange[0]!r}" if strange else "no column of numbers to learn"
        known = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"{path} has {wrong}; its columns are {known}.")
    named = {name: _column(path, table, name) for name in names}
    limits = (0, 1) if task == "multilabel" else (-np.inf, np.inf)
    return tuple(named), checked(path, named, *limits)


def checked(
    path: Path | str, named: Mapping[str, npt.NDArray[Any]], low: float, high: float
) -> FloatArray:
    """The columns side by side, ``(m, k)``, if all values lie where they must.

    Raises:
        InputError: one does not.
    """
    for name, column in named.items():
        known = column[~np.isnan(column)]
        endless = known[np.abs(known) > np.finfo(np.float32).max]
        if len(endless):
            raise InputError(f"{path}: {name} is {endless[0]:g}, which is no number to learn.")
        off = known[(known < low) | (known > high)]
        if len(off):
            hint = "; intensities are for --task regression" if (low, high) == (0, 1) else ""
            raise InputError(f"{path}: {name} is {off[0]:g}, not {low:g} to {high:g}{hint}.")
    return np.stack([np.asarray(column, np.float32) for column in named.values()], axis=1)


def _expressions(
    path: Path, table: pd.DataFrame, columns: Sequence[str]
) -> tuple[tuple[str, ...], FloatArray]:
    """A distribution a row, NaN where nobody named an expression."""
    plain = {str(name).lower(): str(name) for name in table.columns}
    words = next((plain[name] for name in _EXPRESSION if name in plain), None)
    if words is not None and not columns:
        texts = table[words].fillna("").astype(str).str.strip()
        known = texts[~texts.str.lower().isin(NO_LABEL)]
        if len(known) and known.str.fullmatch(r"-?\d+(\.0)?").all():
            raise InputError(f"{path} has numbers for expressions: write the words.")
        names = dict.fromkeys(canonical_labels(known))
        named = {name: i for i, name in enumerate(names)}
        values = np.full((len(table), len(named)), np.nan, np.float32)
        rows = np.flatnonzero(~texts.str.lower().isin(NO_LABEL).to_numpy())
        values[rows] = 0
        values[rows, [named[name] for name in canonical_labels(known)]] = 1
        return tuple(named), values
    voted = {str(n): re.sub(r"^votes_", "", str(n), flags=re.IGNORECASE) for n in table.columns}
    chosen = (
        [n for n in voted if n in columns] if columns else [n for n in voted if known_as(voted[n])]
    )
    if len(chosen) < 2:
        raise InputError(
            f"{path} needs a column expression with a word, or a column an expression with shares."
        )
    share_columns = {n: np.nan_to_num(_column(path, table, n)) for n in chosen}
    shares = checked(path, share_columns, 0, np.inf)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, shares / np.maximum(total, 1e-9), np.nan)
    return canonical_labels(voted[n] for n in chosen), np.asarray(shares, np.float32)
