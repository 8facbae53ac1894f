"""The drawings of the page: curves of people and of the group, ways through valence and arousal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mien.labels import MEASURES
from mien.plots import PersonCurve, PersonPath, plane_plot, timeline_plot
from mien.timeline.plots import counted_faces, spans

if TYPE_CHECKING:
    from mien.results.peaks import Peak
    from mien.timeline.timeline import Timeline

WIDE, NARROW = 960, 358  # for screens, and for telephones held upright
_WIDTHS = (("wide", WIDE), ("narrow", NARROW))


def sure(film: Timeline) -> list[Peak]:
    """The kept faces of which viewers would agree on the label."""
    least = threshold(film)
    return [p for p in film.counted_peaks if p.probability >= least and math.isfinite(p.time_s)]


def threshold(timeline: Timeline) -> float:
    """The probability below which a face is told as uncertain."""
    return timeline.settings.uncertain_below


def curves(film: Timeline, people: Sequence[int]) -> list[PersonCurve]:
    """Everyone's curve, with the faces that were kept."""
    if not people:
        return []
    counted, unfit, found = film.counted_faces, spans(film.unfit()), []
    for i in people:
        rows = counted[(counted["track_id"] == i).fillna(False).astype(bool)]
        faces = [(p.time_s, p.label, p.picture) for p in sure(film) if p.track_id == i]
        times, values = rows["time_s"], rows[list(film.labels)]
        known = times.to_numpy(np.float64), values.to_numpy(np.float64), film.labels, faces
        away = unfit.get((film.sources[0], i), [])
        found.append(PersonCurve(film.name_of(i), *known, unfit=away))
    return found


def group_curve(film: Timeline) -> list[PersonCurve]:
    """The mean of all faces of each frame, their spread and number; nothing without faces."""
    if not len(film.faces):
        return []
    frames = film.group(0)
    seen = frames[frames["probability"].notna()]
    if not len(seen):
        return []
    means, spread = (
        seen[[f"{kind}_{label}" for label in film.labels]].to_numpy(np.float64)
        for kind in ("mean", "spread")
    )
    counts = counted_faces(seen, film.all_faces)
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
    counted, paths = film.counted_faces, []
    for i in people:
        rows = counted[(counted["track_id"] == i).fillna(False).astype(bool)]
        places = rows[list(MEASURES)].to_numpy(np.float64)
        times = rows["time_s"].to_numpy(np.float64)
        paths.append(PersonPath(film.name_of(i), times, places))
    source = film.settings.derived
    return [
        (kind, plane_plot(paths, source=source, span=span, width=width).svg)
        for kind, width in _WIDTHS
    ]
