"""Actions over time: when each one rises, peaks and returns, and how its two sides differ.

In the terms of FACS (Ekman and Friesen 1978), an action has an onset (it rises), an apex (it is
held at its strongest) and an offset (it returns). They are found by two thresholds above how the
person rests, so that small changes around one threshold do not begin and end an event each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import UsageError
from mien.expressions.actions import ACTION_UNITS, BLENDSHAPES, USABLE_UNITS
from mien.timeline.baseline import RAW
from mien.timeline.smoothing import Run, runs
from mien.timeline.tracks import Presence
from mien.types import Floats

if TYPE_CHECKING:
    import pandas as pd

#: Above the person's rest: an event begins and ends at the lower value, and must reach the other.
LOW, HIGH = 0.10, 0.25
#: Seconds: shorter events, and shorter gaps in one or between two, do not count.
SHORTEST_EVENT_S = 0.15
#: Apex: at least this share of the way from rest to peak.
APEX = 0.9
#: Rest: this quantile of a person's values in a video.
REST_QUANTILE = 0.1
#: Beyond this turn of the head, degrees, units change with the turn and events do not count.
MAX_TURN_DEG = 30.0
#: Beyond this turn one side begins to hide, and the sides are not compared.
MAX_YAW_DEG = 15.0
#: Mean of both sides below which they are not compared: their ratio would be noise.
LEAST_COMPARED = 0.25
#: The columns of head pose, degrees.
POSE = ("pitch_deg", "yaw_deg", "roll_deg")
_MOVED = ("jaw", "mouth")  # jawLeft is the whole jaw moved to the left, not its left side
_EVENTS = {
    "source": "string",
    "track_id": "int64",
    "action": "string",
    "onset_s": "float64",
    "apex_s": "float64",
    "apex_end_s": "float64",
    "offset_s": "float64",
    "duration_s": "float64",
    "peak": "float64",
    "rest": "float64",
    "complete": "bool",
    "asymmetry": "float64",
}
_SIDES = {
    "source": "string",
    "track_id": "int64",
    "time_s": "float64",
    "left": "float64",
    "right": "float64",
    "asymmetry": "float64",
}


def sides_of(action: str) -> tuple[str, str] | None:
    """The columns of the left and right side of an action; None for one that has no sides."""
    shapes = ACTION_UNITS.get(action, (action,))
    stems = {shape.removesuffix("Left").removesuffix("Right") for shape in shapes}
    if len(stems) != 1:
        return None
    stem = next(iter(stems))
    left, right = f"{stem}Left", f"{stem}Right"
    sided = stem not in _MOVED and {left, right} <= set(BLENDSHAPES)
    return (left, right) if sided else None


def check_actions(faces: pd.DataFrame, actions: Sequence[str]) -> tuple[str, ...]:
    """The actions, or `USABLE_UNITS` where none is named, once it is clear that they are there.

    Raises:
        UsageError: the table has no actions, or there is no action of that name.
    """
    if not set(ACTION_UNITS) <= set(faces.columns):
        raise UsageError("this table has no facial actions: analyze again with --actions.")
    known = (*ACTION_UNITS, *BLENDSHAPES)
    for name in actions:
        if name not in known:
            raise UsageError(
                f"there is no action {name!r}: name units ({', '.join(ACTION_UNITS)}) or "
                "blendshapes such as mouthSmileLeft."
            )
    return tuple(dict.fromkeys(actions)) or USABLE_UNITS


def events(presence: Presence, faces: pd.DataFrame, actions: Sequence[str]) -> pd.DataFrame:
    """Every event of some actions, as `mien.Timeline.actions` documents.

    Args:
        presence: of the table.
        faces: the same table, unsmoothed.
        actions: as from `check_actions`.

    Raises:
        UsageError: the table has no times or no people.
    """
    import pandas as pd

    presence.need_people()
    columns = {name: towards_camera(faces, name) for name in actions}
    starts, ends = presence.spans
    found: list[dict[str, Any]] = []
    for (source, person), everything in presence.judged.items():
        for action, values in columns.items():
            rows = everything[np.isfinite(values[everything])]
            balance = _asymmetries(faces.iloc[rows], action)
            for event, part in _events(starts[rows], ends[rows], values[rows]):
                own = {"source": source, "track_id": person, "action": action}
                found.append(own | event | {"asymmetry": _mean(balance[part])})
    table = pd.DataFrame(found, columns=list(_EVENTS)).astype(_EVENTS)
    order = table["source"].map({name: i for i, name in enumerate(dict.fromkeys(faces["source"]))})
    by = [table["track_id"], table["onset_s"], order]
    return table.iloc[np.lexsort([part.to_numpy() for part in by])].reset_index(drop=True)


def towards_camera(faces: pd.DataFrame, action: str) -> Floats:
    """``(n,)``: values of an action; NaN where the head is turned by more than `MAX_TURN_DEG`."""
    turned = faces["yaw_deg"].abs().to_numpy(np.float64) > MAX_TURN_DEG
    return np.where(turned, np.nan, faces[action].to_numpy(np.float64))


def _events(starts: Floats, ends: Floats, values: Floats) -> list[tuple[dict[str, Any], slice]]:
    """The events of one action of one person, each with the rows of its apex."""
    if not len(values):
        return []
    rest = float(np.quantile(values, REST_QUANTILE))
    found = runs(values >= rest + LOW, starts, ends, SHORTEST_EVENT_S)
    events = []
    for place, run in enumerate(found):
        top = run.first + int(values[run.first : run.stop].argmax())
        peak = float(values[top])
        if not run.state or peak < rest + HIGH:
            continue
        apex = _apex(values, run, top, rest + APEX * (peak - rest))
        near = found[max(place - 1, 0) : place + 2]
        event = {
            "onset_s": run.start_s,
            "apex_s": float(starts[apex.start]),
            "apex_end_s": min(float(ends[apex.stop - 1]), run.end_s),
            "offset_s": run.end_s,
            "duration_s": run.length,
            "peak": peak,
            "rest": rest,
            "complete": _follows(near, run.start_s) and _precedes(near, run.end_s),
        }
        events.append((event, apex))
    return events


def _apex(values: Floats, run: Run, top: int, least: float) -> slice:
    """The rows around the peak without a value below `least`."""
    first = stop = top
    while first > run.first and values[first - 1] >= least:
        first -= 1
    while stop < run.stop and values[stop] >= least:
        stop += 1
    return slice(first, stop)


def _follows(near: Sequence[Run], start_s: float) -> bool:
    """Whether the action was absent right before: the rise itself is in the video."""
    return any(not run.state and run.end_s == start_s for run in near)


def _precedes(near: Sequence[Run], end_s: float) -> bool:
    return any(not run.state and run.start_s == end_s for run in near)


def asymmetry(presence: Presence, faces: pd.DataFrame, action: str) -> pd.DataFrame:
    """The two sides of an action in each frame, as `mien.Timeline.asymmetry` documents.

    Raises:
        UsageError: the action has no sides, or the table has no actions, times or people.
    """
    import pandas as pd

    presence.need_people()
    check_actions(faces, (action,))
    sides = sides_of(action)
    if sides is None:
        raise UsageError(f"{action} has no left and right side: name one such as AU12.")
    parts = [pd.DataFrame(columns=list(_SIDES))]
    for (source, person), rows in presence.judged.items():
        own = faces.iloc[rows]
        left, right = (_as_it_is(own, side) for side in sides)
        columns = {"time_s": presence.spans[0][rows], "left": left, "right": right}
        columns["asymmetry"] = _asymmetries(own, action)
        parts.append(pd.DataFrame({"source": source, "track_id": person, **columns}))
    table = pd.concat(parts[1:] or parts, ignore_index=True)
    return table[list(_SIDES)].astype(_SIDES)


def _asymmetries(faces: pd.DataFrame, action: str) -> Floats:
    """``(n,)``: (left - right) / (left + right); NaN for weak actions and turned heads."""
    sides = sides_of(action)
    if sides is None:
        return np.full(len(faces), np.nan)
    left, right = (_as_it_is(faces, side) for side in sides)
    total, turn = left + right, np.abs(faces["yaw_deg"].to_numpy(np.float64))
    compared = (total >= 2 * LEAST_COMPARED) & (turn <= MAX_YAW_DEG)
    return np.where(compared, (left - right) / np.where(compared, total, 1.0), np.nan)


def _as_it_is(faces: pd.DataFrame, side: str) -> Floats:
    """``(n,)``, 0 to 1: a side's action, also where the table has differences from rest."""
    raw = RAW + side
    return faces[raw if raw in faces.columns else side].to_numpy(np.float64)


def _mean(values: Floats) -> float:
    """The mean of what is there; NaN where nothing is."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else np.nan
