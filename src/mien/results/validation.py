"""What must be true of the two tables, checked when they are read.

A table is often edited, joined or damaged before it comes back. What cannot be is said here, with
the file's name and the row; no reader further up asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.labels import UNCERTAIN

if TYPE_CHECKING:
    import pandas as pd

#: Quality that also tables of the first version have.
REQUIRED_QUALITY = ("size_px", "sharpness", "roll_deg", "yaw_deg", "fit")
STATUSES = ("ok", "error", "dropped")
#: Seconds: thirty years; more is no time of a video.
LONGEST_S = 1e9
_FURTHEST_PX = 1e7
_LARGEST = 1 << 40  # of a count: beyond, sums and places lose their meaning
_OFF = 1e-2  # by which probabilities of a row may miss 1, as in `mien.types.Scores`
_KEY = ["source", "frame"]

Mask = npt.NDArray[np.bool_]


def check_columns(path: Path, table: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Make sure that a table has its columns, each once.

    Raises:
        InputError: one is missing or there twice; the message names what else the file may be.
    """
    names = [str(name) for name in table.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} has the column {', '.join(twice)} twice: leave one of them.")
    missing = [name for name in wanted if name not in names]
    if not missing:
        return
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and names[0].count(sign) >= len(wanted) // 2:
            raise InputError(
                f"{path} is separated by {name}: save it separated by commas, "
                "with points in decimal numbers."
            )
    if len(missing) > len(wanted) // 2:
        raise InputError(
            f"{path} is not a table of mien's: it has the columns {_listed(names)}; "
            "make one with: mien analyze INPUT -o TABLE."
        )
    raise InputError(f"{path} has no column {', '.join(missing)}.")


def check_images(path: Path, images: pd.DataFrame) -> None:
    """Make sure that the ``images`` table holds what can be.

    Raises:
        InputError: a count, time, size or status is none; or a video's frame is there twice, or
            its times fall.
    """
    frame, n_faces = _integers(images, "frame"), _integers(images, "n_faces")
    _refuse(path, images, images["source"].isna(), "no source")
    _refuse(path, images, (frame < 0) | (frame > _LARGEST), "no frame number")
    _refuse(path, images, (n_faces < 0) | (n_faces > _LARGEST), "no number of faces")
    status = images["status"]
    _refuse(path, images, ~status.isin(STATUSES), f"a status other than {', '.join(STATUSES)}")
    read = (status == "ok").fillna(False).to_numpy(bool)
    for name in ("width", "height"):
        size = images[name].astype("Float64").fillna(0).to_numpy(np.float64)
        bad = ((size < 1) & read) | (size < 0) | (size > _FURTHEST_PX)
        _refuse(path, images, bad, f"no {name} of an image")
    _refuse(path, images, ~read & (n_faces > 0), "faces in an image that could not be read")
    lasting = images["duration_s"].to_numpy(np.float64)
    _refuse(path, images, (lasting < 0) | (lasting > LONGEST_S), "no duration of a frame")
    _check_times(path, images)


def check_faces(
    path: Path, faces: pd.DataFrame, labels: Sequence[str], probabilities: bool
) -> None:
    """Make sure that the ``faces`` table holds what can be.

    `probabilities` says whether the scores must be such; False where that is unknown.

    Raises:
        InputError: a box, score, probability, label or number is none.
    """
    if not len(faces):
        return
    if not labels:
        raise InputError(f"{path} has no column of a label behind the column probability.")
    for name, what in (("frame", "frame number"), ("face", "number of a face")):
        values = _integers(faces, name)
        _refuse(path, faces, (values < 0) | (values > _LARGEST), f"no {what}")
    _refuse(path, faces, faces["source"].isna(), "no source")
    _refuse(path, faces, _impossible_times(faces), "a time that no video has")
    boxes = faces[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    _refuse(path, faces, ~(np.abs(boxes) <= _FURTHEST_PX).all(axis=1), "a box that is not finite")
    turned = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    _refuse(path, faces, turned, "a box that ends before it begins")
    _check_scores(path, faces, labels, probabilities)


def _check_scores(
    path: Path, faces: pd.DataFrame, labels: Sequence[str], probabilities: bool
) -> None:
    values = faces[list(labels)].to_numpy(np.float64)
    _refuse(path, faces, ~np.isfinite(values).all(axis=1), "a label without a number")
    known = faces["emotion"].isin([*labels, UNCERTAIN])
    _refuse(path, faces, ~known, "an emotion that is neither uncertain nor one of its columns")
    sums = values.sum(axis=1)
    off = np.abs(sums - 1) > _OFF
    # Scores of a classifier that gives no probabilities sum to anything, in every row.
    uncertain = (faces["emotion"] == UNCERTAIN).any()
    if probabilities or uncertain or off.mean() < 0.5:
        _refuse(path, faces, off, "probabilities that do not sum to 1")
        outside = (values < -1e-4).any(axis=1) | (values > 1 + _OFF).any(axis=1)
        top = faces["probability"].to_numpy(np.float64)
        outside |= ~((top >= -1e-4) & (top <= 1 + _OFF))
        _refuse(path, faces, outside, "a probability outside 0 to 1")


def check_doubled(path: Path, faces: pd.DataFrame, images: pd.DataFrame) -> None:
    """Make sure that no face of an image and no frame of a video is there twice.

    Raises:
        InputError: one is; of photos, one that was analyzed twice is two rows of both tables.
    """
    timed = images["time_s"].notna() & images.duplicated(_KEY)
    _refuse(path, images, timed, "a frame that is there twice")
    if not images.duplicated(_KEY).any():
        doubled = faces.duplicated([*_KEY, "face"])
        _refuse(path, faces, doubled, "a face that is there twice")


def _check_times(path: Path, images: pd.DataFrame) -> None:
    import pandas as pd

    _refuse(path, images, _impossible_times(images), "a time that no video has")
    timed = images[images["time_s"].notna()]
    if not len(timed):
        return
    video = pd.factorize(timed["source"])[0]
    order = np.lexsort([_integers(timed, "frame"), video])
    seconds, video = timed["time_s"].to_numpy(np.float64)[order], video[order]
    falling = np.zeros(len(timed), bool)
    falling[order[1:]] = (np.diff(seconds) < -1e-6) & (np.diff(video) == 0)
    _refuse(path, timed, falling, "a time before that of the frame before")


def _impossible_times(table: pd.DataFrame) -> Mask:
    times = table["time_s"].to_numpy(np.float64)
    return np.asarray(~np.isnan(times) & ~(np.abs(times) <= LONGEST_S))


def _integers(table: pd.DataFrame, name: str) -> npt.NDArray[np.int64]:
    return table[name].to_numpy(np.int64)


def _refuse(path: Path, table: pd.DataFrame, bad: Any, what: str) -> None:
    """Say which row is wrong, if one is."""
    places = np.flatnonzero(np.asarray(bad, dtype=bool))
    if not len(places):
        return
    row = table.iloc[places[0]]
    others = f", and {len(places) - 1} more rows" if len(places) > 1 else ""
    raise InputError(f"{path} has {what}: frame {row['frame']} of {row['source']}{others}.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
