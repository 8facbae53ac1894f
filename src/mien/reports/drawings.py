"""The drawings of the page: curves of people and of the group, ways through valence and arousal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.expressions.affect import DERIVED
from mien.labels import MEASURES
from mien.plots import PersonCurve, PersonPath, plane_plot, timeline_plot

if TYPE_CHECKING:
    import pandas as pd

    from mien.results.peaks import Peak
    from mien.timeline.timeline import Timeline

WIDE, NARROW = 960, 358  # for screens, and for telephones held upright
_WIDTHS = (("wide", WIDE), ("narrow", NARROW))


def sure(film: Timeline) -> list[Peak]:
    """The kept faces of which viewers would agree on the label."""
    least = threshold(film)
    return [p for p in film.peaks if p.probability >= least and math.isfinite(p.time_s)]


def threshold(timeline: Timeline) -> float:
    """The probability below which a face is told as uncertain."""
    return float(timeline.settings.get("uncertain_below") or 0.5)


def curves(film: Timeline, people: Sequence[int]) -> list[PersonCurve]:
    """Everyone's curve, with the faces that were kept."""
    found = []
    for i in people:
        rows = film.faces[(film.faces["track_id"] == i).fillna(False).astype(bool)]
        faces = [(p.time_s, p.label, p.picture) for p in sure(film) if p.track_id == i]
        found.append(_curve(film.name_of(i), rows, film.labels, faces))
    return found


def _curve(
    name: str, rows: pd.DataFrame, labels: tuple[str, ...], faces: Sequence[Any] = ()
) -> PersonCurve:
    times = rows["time_s"].to_numpy(np.float64)
    return PersonCurve(name, times, rows[list(labels)].to_numpy(np.float64), labels, faces)


def group_curve(film: Timeline) -> list[PersonCurve]:
    """The mean of all faces of each frame, their spread and number; nothing without faces."""
    if not len(film.faces):
        return []
    frames = film.group(0)
    seen = frames[frames["n_faces"] > 0]
    means, spread = (
        seen[[f"{kind}_{label}" for label in film.labels]].to_numpy(np.float64)
        for kind in ("mean", "spread")
    )
    counts = seen["n_faces"].to_numpy(np.float64)
    low, high = int(counts.min()), int(counts.max())
    faces = f"{low} to {high} faces" if low < high else "1 face" if high == 1 else f"{high} faces"
    name = f"{'Everyone' if film.track_ids else 'All faces'}: mean of {faces} at a time"
    curve = PersonCurve(name, seen["start_s"].to_numpy(np.float64), means, film.labels)
    spread = np.nan_to_num(spread)
    return [replace(curve, spread=spread, counts=counts) if high > 1 else curve]


def drawn(people: Sequence[PersonCurve], span: tuple[float, float]) -> list[tuple[str, str]]:
    """The curves for wide and for narrow screens; none without people."""
    if not people:
        return []
    return [(kind, timeline_plot(people, span=span, width=width).svg) for kind, width in _WIDTHS]


def planes(
    film: Timeline, people: Sequence[int], span: tuple[float, float]
) -> list[tuple[str, str]]:
    """Everyone's way through valence and arousal, where the table has them."""
    if not people or not set(MEASURES) <= set(film.faces.columns):
        return []
    paths = []
    for i in people:
        rows = film.faces[(film.faces["track_id"] == i).fillna(False).astype(bool)]
        places = rows[list(MEASURES)].to_numpy(np.float64)
        times = rows["time_s"].to_numpy(np.float64)
        paths.append(PersonPath(film.name_of(i), times, places))
    source = film.settings.get(DERIVED, "")
    return [
        (kind, plane_plot(paths, source=source, span=span, width=width).svg)
        for kind, width in _WIDTHS
    ]
