"""Frames coded by people, as Aff-Wild2, BP4D and DISFA lay them out.

All three count frames from 1, so that label n is about the image called n, or frame n - 1 of a
video. What each file looks like is in docs/heads.md.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from mien.datasets.frames.labels import (
    LARGEST,
    LEFT,
    RIGHT,
    FrameLabels,
    checked,
    make_labels,
    unit_name,
)
from mien.datasets.records import is_split, split_word
from mien.errors import InputError
from mien.labels import canonical_labels
from mien.types import FloatArray

LAYOUTS = (
    "a CSV table with the column source; Aff-Wild2 (VIDEO.txt with a first line such as "
    "valence,arousal); BP4D (F001_T1.csv); or DISFA (SN001_au1.txt)"
)
#: DISFA's intensities from which on a unit counts as there (Shao et al. 2018, arXiv 1803.05588,
#: and most others since).
DISFA_PRESENT = 2
_DISFA = re.compile(r"(SN\d{3})_au(\d+)\.txt", re.IGNORECASE)
_BP4D = re.compile(r"([FM]\d{3})_(T\d+)\.csv", re.IGNORECASE)
_NUMBERED = re.compile(r"[_-]?(\d+)$")
_SUBJECT = re.compile(r"SN\d{3}", re.IGNORECASE)
_UNKNOWN_UNIT, _UNRELIABLE = 9, 99  # BP4D: a code, and the "unit" that flags a whole frame
_SIDES = {"_left": LEFT, "_right": RIGHT}


def read_coded(folder: Path, task: str) -> FrameLabels:
    """The labels for `task` in a folder of one of the three data sets.

    Raises:
        InputError: another layout, nothing for this task, or a file that is broken.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".txt", ".csv"))
    for pattern, read in ((_DISFA, _disfa), (_BP4D, _bp4d)):
        own = [path for path in files if pattern.fullmatch(path.name)]
        if own:
            return read(folder, own, task)
    own = [path for path in files if path.suffix.lower() == ".txt"]
    kinds = {path: kind for path in own if (kind := _kind(path))}
    if not kinds:
        raise InputError(f"{folder} holds no labels of frames: expected {LAYOUTS}.")
    return _affwild(folder, kinds, task)


def video_names(source: str, image: bool) -> tuple[str, ...]:
    """The names under which a data set may know the video of a row of the ``faces`` table.

    An image belongs to the "video" that its folder is, as in ``VIDEO/00001.jpg`` or
    ``F001/T1/2440.jpg``, which is F001_T1; or that its name begins with. A video is known by its
    name, with that of its folder in front or not; both by a SN001 in them.
    """
    path = PurePath(source.replace("\\", "/"))
    above = list(path.parent.parts[-2:])
    begins = _NUMBERED.sub("", path.stem) if image else path.stem
    parts = [*above, begins] if begins else above
    names = [*parts[-1:], "_".join(parts[-2:])]
    names += [match[0] for part in reversed(parts) if (match := _SUBJECT.search(part))]
    if begins and image:  # frames that are called after their video and lie in its folder
        names += above[-1:]
    return tuple(dict.fromkeys(name.casefold() for name in names))


def number_of(source: str, frame: int, image: bool) -> int:
    """The frame as the data sets count it: an image's own number, or a video's frame plus 1.

    -1 for an image without a number.
    """
    if not image:
        return frame + 1
    match = _NUMBERED.search(PurePath(source.replace("\\", "/")).stem)
    return int(match[1]) if match else -1


def _kind(path: Path) -> str:
    """Which task an annotation file of Aff-Wild2 is for, by its first line; "" for other files."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
    except (OSError, ValueError):
        return ""
    names = [name.strip().lower() for name in first.split(",")]
    if names == ["valence", "arousal"]:
        return "valence-arousal"
    if len(names) > 1 and all(unit_name(name) for name in names):
        return "action-units"
    return "expression" if {"neutral", "happiness", "anger"} <= set(names) else ""


def _affwild(folder: Path, kinds: dict[Path, str], task: str) -> FrameLabels:
    """Aff-Wild2: ``VIDEO.txt``, a line that names the columns, then a line a frame from 1 on.

    -5 is an unknown valence or arousal, -1 an unknown expression or action unit. The split is in
    the folder's name, ``Train_Set`` or ``Validation_Set``. Of a video with two people,
    ``VIDEO_left.txt`` and ``VIDEO_right.txt`` are about one each.
    """
    own = [path for path, kind in kinds.items() if kind == task]
    if not own:
        known = ", ".join(sorted(set(kinds.values())))
        raise InputError(f"{folder} has nothing for the task {task}, but for {known}.")
    names = {path.stem for path in own}
    parts: list[FrameLabels] = []
    for path in own:
        columns, values = _affwild_file(path, task)
        if parts and columns != parts[0].columns:
            raise InputError(f"{path} has other columns than {parts[0].origin}.")
        side = next((place for end, place in _SIDES.items() if path.stem.endswith(end)), LARGEST)
        if side == LARGEST:  # the other one of a pair has no suffix of its own
            pair = [end for end in _SIDES if path.stem + end in names]
            side = {"_left": RIGHT, "_right": LEFT}[pair[0]] if len(pair) == 1 else LARGEST
        m, video = len(values), path.stem
        words = [word for part in path.parts if is_split(word := re.split(r"[_ ]", part)[0])]
        parts.append(
            make_labels(
                str(path),
                columns,
                values,
                np.full(m, video, dtype=object),
                np.arange(1, m + 1),
                places=np.full(m, side, dtype=object),
                people=np.full(m, re.sub(r"_(left|right)$", "", video), dtype=object),
                splits=np.full(m, split_word(words[-1]) if words else "", dtype=object),
            )
        )
    return _joined(folder, parts)


def _affwild_file(path: Path, task: str) -> tuple[tuple[str, ...], FloatArray]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    header = [name.strip() for name in lines[0].split(",")]
    width = 1 if task == "expression" else len(header)
    table = _table(path, lines[1:], width, first=2)
    if task == "expression":
        columns = canonical_labels(name.lower() for name in header)
        numbers = table[:, 0]
        off = numbers[(numbers < -1) | (numbers >= len(columns)) | (numbers % 1 != 0)]
        if len(off):
            raise InputError(f"{path}: {off[0]:g} is none of the {len(columns)} expressions.")
        values = np.full((len(table), len(columns)), np.nan, np.float32)
        known = np.flatnonzero(numbers >= 0)
        values[known] = 0
        values[known, numbers[known].astype(int)] = 1
        return columns, values
    if task == "valence-arousal":
        table[(table == -5).any(axis=1)] = np.nan
        return ("valence", "arousal"), checked(path, dict(zip(header, table.T, strict=True)), -1, 1)
    table[table == -1] = np.nan
    units = tuple(str(unit_name(name)) for name in header)
    return units, checked(path, dict(zip(units, table.T, strict=True)), 0, 1)


def _bp4d(folder: Path, files: Sequence[Path], task: str) -> FrameLabels:
    """BP4D and BP4D+: ``AUCoding/F001_T1.csv``, subject and task in the name.

    The first line is a field and then the numbers of the units; each further line the frame and
    a code a unit: 1 there, 0 not, 9 not known. "Unit" 99 flags frames that could not be coded.
    """
    if task != "action-units":
        raise InputError(f"{folder} is coded for action units: --task action-units, not {task}.")
    parts: list[FrameLabels] = []
    for path in files:
        subject, part = (word.upper() for word in path.stem.split("_"))
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = [row for row in csv.reader(lines) if any(field.strip() for field in row)]
        if len(rows) < 2 or not all(field.strip().isdecimal() for field in rows[0][1:]):
            raise InputError(f"{path} is no coding of BP4D: its first line numbers the units.")
        units = [int(field) for field in rows[0][1:]]
        table = _table(path, [",".join(row) for row in rows[1:]], 1 + len(units), first=2)
        frames, codes = table[:, 0].astype(np.int64), table[:, 1:]
        flagged = codes[:, units.index(_UNRELIABLE)] == 1 if _UNRELIABLE in units else None
        codes[codes == _UNKNOWN_UNIT] = np.nan
        if flagged is not None:
            codes[flagged] = np.nan
        coded = {
            f"AU{unit:02}": column
            for unit, column in zip(units, codes.T, strict=True)
            if unit != _UNRELIABLE
        }
        m = len(frames)
        parts.append(
            make_labels(
                str(path),
                tuple(coded),
                checked(path, coded, 0, 1),
                np.full(m, f"{subject}_{part}", dtype=object),
                frames,
                people=np.full(m, subject, dtype=object),
            )
        )
    return _joined(folder, parts)


def _disfa(folder: Path, files: Sequence[Path], task: str) -> FrameLabels:
    """DISFA: ``ActionUnit_Labels/SN001/SN001_au1.txt``, a line a frame: frame, intensity 0 to 5.

    For action units an intensity of 2 and more is there; for regression the columns are called
    ``AU01_intensity``.
    """
    if task not in ("action-units", "regression"):
        raise InputError(
            f"{folder} is coded for action units: --task action-units or regression, not {task}."
        )
    of: dict[str, dict[int, Path]] = {}
    for path in files:
        match = _DISFA.fullmatch(path.name)
        assert match is not None
        of.setdefault(match[1].upper(), {})[int(match[2])] = path
    units = sorted({unit for own in of.values() for unit in own})
    parts: list[FrameLabels] = []
    for subject, own in of.items():
        tables = {u: _table(p, p.read_text().splitlines(), 2, first=1) for u, p in own.items()}
        last = int(max(table[:, 0].max() for table in tables.values()))
        values = np.full((last, len(units)), np.nan)
        for unit, table in tables.items():
            checked(own[unit], {"the frame": table[:, 0]}, 1, np.inf)
            checked(own[unit], {"the intensity": table[:, 1]}, 0, 5)
            values[table[:, 0].astype(int) - 1, units.index(unit)] = table[:, 1]
        if task == "action-units":
            values = np.where(np.isnan(values), np.nan, values >= DISFA_PRESENT)
        end = "" if task == "action-units" else "_intensity"
        parts.append(
            make_labels(
                str(own[min(own)].parent),
                [f"AU{unit:02}{end}" for unit in units],
                values.astype(np.float32),
                np.full(last, subject, dtype=object),
                np.arange(1, last + 1),
            )
        )
    return _joined(folder, parts)


def _table(path: Path, lines: Sequence[str], width: int, first: int) -> npt.NDArray[np.float64]:
    """``(m, width)`` numbers of comma-separated lines; trailing empty lines do not count."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if not lines:
        raise InputError(f"{path} has no rows.")
    out = np.empty((len(lines), width))
    for number, line in enumerate(lines):
        try:
            fields = [float(field) for field in line.split(",")]
            if len(fields) != width:
                raise ValueError
            out[number] = fields
        except ValueError as error:
            needed = f"{width} numbers" if width > 1 else "one number"
            raise InputError(
                f"{path}, line {number + first}: {line.strip()!r} is not {needed}."
            ) from error
    return out


def _joined(folder: Path, parts: Sequence[FrameLabels]) -> FrameLabels:
    """Those of several files together; a column that one lacks is not known there."""
    columns = sorted({name for part in parts for name in part.columns})
    if set(columns) == set(parts[0].columns):
        columns = list(parts[0].columns)
    values = []
    for part in parts:
        wide = np.full((len(part), len(columns)), np.nan, np.float32)
        wide[:, [columns.index(name) for name in part.columns]] = part.values
        values.append(wide)
    names = ("videos", "frames", "times", "tracks", "faces", "places", "people", "splits")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(
        parts[0],
        origin=str(folder),
        columns=tuple(columns),
        values=np.concatenate(values),
        counting="names",
        **joined,
    )
