"""Inputs and outputs of plots: curves, paths, the finished SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.files import write_text
from mien.types import Floats, Image


@dataclass(frozen=True, eq=False)
class PersonCurve:
    """One person's probabilities over time.

    Attributes:
        name: title of the panel.
        times: ``(n,)`` seconds; a long step from one to the next is an absence.
        values: ``(n, k)`` probabilities; rows with NaN are left out.
        labels: the k names of the columns.
        thumbnails: moments to show: time in seconds, label, image ``(h, w, 3)`` uint8 RGB.
        spread: ``(n, k)``, half the width of a band drawn around `values`; None for none.
        counts: ``(n,)`` faces at each time, drawn as steps below the panel; None for none.
        unfit: start and end, seconds, of stretches in which the face was unfit to be judged;
            shaded.

    Raises:
        UsageError: the shapes do not fit, or a value is not from 0 to 1.
    """

    name: str
    times: Floats
    values: Floats
    labels: tuple[str, ...]
    thumbnails: Sequence[tuple[float, str, Image]] = ()
    spread: Floats | None = None
    counts: Floats | None = None
    unfit: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64).reshape(-1)
        labels = tuple(self.labels)
        values = np.asarray(self.values, np.float64)
        if values.shape != (len(times), len(labels)):
            raise UsageError(
                f"values must have shape ({len(times)}, {len(labels)}), got {values.shape}."
            )
        order = _complete(times, values)
        for name, shape in (("spread", values.shape), ("counts", times.shape)):
            given = getattr(self, name)
            if given is not None:
                array = np.asarray(given, np.float64)
                if array.shape != shape:
                    raise UsageError(f"{name} must have a row for each time, got {array.shape}.")
                object.__setattr__(self, name, array[order])
        times, values = times[order], values[order]
        if values.size and (values.min() < -0.01 or values.max() > 1.01):
            raise UsageError("curves show probabilities, but these values are not from 0 to 1.")
        values = np.clip(values, 0, 1)
        for name, value in (("times", times), ("values", values), ("labels", labels)):
            object.__setattr__(self, name, value)


class ActionSpan(NamedTuple):
    """One event of an action, seconds: onset, beginning and end of the apex, offset."""

    action: str
    onset_s: float
    apex_s: float
    apex_end_s: float
    offset_s: float


@dataclass(frozen=True, eq=False)
class ActionCurve:
    """One person's facial actions and head pose over time.

    Attributes:
        name: title of the panels.
        times: ``(n,)`` seconds; a long step from one to the next is an absence.
        values: ``(n, k)`` intensities, 0 to 1 (beyond, they are drawn at the edge); rows with NaN
            are left out.
        actions: the k names of the columns.
        pose: ``(n, 3)`` pitch, yaw and roll, degrees; NaN where unknown.
        events: of these actions.
        closed: start and end, seconds, of the times with closed eyes, blinks included.
        unfit: as of `PersonCurve`.

    Raises:
        UsageError: the shapes do not fit.
    """

    name: str
    times: Floats
    values: Floats
    actions: tuple[str, ...]
    pose: Floats
    events: Sequence[ActionSpan] = ()
    closed: Sequence[tuple[float, float]] = ()
    unfit: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64).reshape(-1)
        values, pose = np.asarray(self.values, np.float64), np.asarray(self.pose, np.float64)
        for name, array, width in (("values", values, len(self.actions)), ("pose", pose, 3)):
            if array.shape != (len(times), width):
                raise UsageError(
                    f"{name} must have shape ({len(times)}, {width}), got {array.shape}."
                )
        order = _complete(times, np.concatenate([values, pose], axis=1))
        for name, array in (("times", times), ("values", np.clip(values, 0, 1)), ("pose", pose)):
            object.__setattr__(self, name, array[order])


@dataclass(frozen=True, eq=False)
class PersonPath:
    """One person's path through the plane of valence and arousal.

    Attributes:
        name: title of the plane.
        times: ``(n,)`` seconds; a long step from one to the next is an absence.
        places: ``(n, 2)`` valence and arousal, -1 to 1; rows with NaN are left out, and values
            beyond are drawn at the edge.

    Raises:
        UsageError: the shapes do not fit.
    """

    name: str
    times: Floats
    places: Floats

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64).reshape(-1)
        places = np.asarray(self.places, np.float64)
        if places.shape != (len(times), 2):
            raise UsageError(f"places must have shape ({len(times)}, 2), got {places.shape}.")
        order = _complete(times, places)
        object.__setattr__(self, "times", times[order])
        object.__setattr__(self, "places", np.clip(places[order], -1.05, 1.05))


def _complete(times: Floats, values: Floats) -> npt.NDArray[np.int64]:
    """Rows without NaN, in order of time."""
    rows = np.flatnonzero(np.isfinite(times) & np.isfinite(values).all(axis=1))
    order: npt.NDArray[np.int64] = rows[np.argsort(times[rows], kind="stable")]
    return order


@dataclass(frozen=True)
class Plot:
    """A finished plot.

    Attributes:
        svg: the text of one ``<svg>`` element, complete in itself.
    """

    svg: str

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the plot to an ``.svg`` file.

        A file that mien wrote is replaced, any other only with `overwrite`.

        Raises:
            UsageError: another suffix, nothing can be written there, or the file there is not
                mien's.
        """
        return write_page(self.svg, path, (".svg",), overwrite=overwrite)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return self.svg


def write_page(
    text: str, path: str | Path, suffixes: Sequence[str], *, overwrite: bool = False
) -> Path:
    """Write a text file whole or not at all, see `mien.files.write_text`.

    Raises:
        UsageError: the name has none of the suffixes, or nothing can be written there.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise UsageError(f"{target.name} must end in {' or '.join(suffixes)}.")
    return write_text(target, text, overwrite=overwrite)
