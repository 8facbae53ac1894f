"""The section of facial actions in the report of a video: curves, blinks, events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.expressions.actions import UNIT_NAMES
from mien.labels import color_of, hex_color
from mien.plots import actions_plot
from mien.plots.actions import ANGLES
from mien.reports.html import NBSP, both_widths, whole_percent
from mien.timeline.blinks import LONGEST_BLINK_S, MAX_STEP_S

if TYPE_CHECKING:
    from mien.timeline.timeline import Timeline

Clock = Callable[[float], str]

#: Number of events listed: those that rise most.
EVENTS = 200


def actions_section(
    video: Timeline,
    people: Sequence[int],
    span: tuple[float, float],
    clock: Clock,
    chosen: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The values of the section for the template; None for a table without actions or people.

    Args:
        video: a timeline of one video.
        people: track ids of those who are shown.
        span: first and last second of the axis.
        clock: writes a time.
        chosen: units or blendshapes; by default those that move.
    """
    if not people or not video.has_actions:
        return None
    if not np.isfinite(video.counted_faces["AU12"].to_numpy(np.float64)).any():
        return {"plots": []}
    actions = tuple(dict.fromkeys(chosen)) or video.moving_actions()
    curves = video.action_curves(actions, people)
    events = video.actions(*actions)
    strongest = events.assign(rise=events["peak"] - events["rest"]).nlargest(EVENTS, "rise")
    rates = video.blink_rates()
    shown = rates[rates["track_id"].isin(list(people))].to_dict("records")
    return {
        "plots": both_widths(actions_plot, curves, names=UNIT_NAMES, span=span),
        "blinks": [_blinks(video, row, clock) for row in shown],
        "frames": _frame_note(video),
        "events": [
            _event(video, row, (*actions, *ANGLES), clock)
            for row in strongest.sort_values(["onset_s", "track_id"]).to_dict("records")
        ],
        "events_total": len(events),
        "chosen": bool(chosen),
        "sides": bool(strongest["asymmetry"].notna().any()),
    }


def _blinks(video: Timeline, row: Mapping[Any, Any], clock: Clock) -> dict[str, str]:
    counted = row["blinks"]
    rate, length = float(row["blinks_per_min"]), float(row["median_blink_s"])
    return {
        "person": video.name_of(row["track_id"]),
        "observed": clock(float(row["observed_s"])),
        "blinks": "–" if counted is None or counted != counted else f"{int(counted)}",
        "rate": "–" if math.isnan(rate) else f"{rate:.0f}",
        "length": "–" if math.isnan(length) else f"{length:.2f}{NBSP}s",
        "closed": whole_percent(float(row["closed_share"])),
    }


def _frame_note(video: Timeline) -> str:
    """What the frame rate says about blinks, a sentence."""
    times = video.images["time_s"].dropna().to_numpy(np.float64)
    step = float(np.median(np.diff(np.sort(times)))) if len(times) > 1 else math.inf
    if not 0 < step <= MAX_STEP_S:
        return (
            "Blinks take 0.1 to 0.4 s and fall between the frames of this video, which has fewer "
            f"than {1 / MAX_STEP_S:.0f} analyzed per second: they are not counted."
        )
    return (
        f"A blink is a closure of at most {LONGEST_BLINK_S:g} s. At {1 / step:.0f} frames per "
        f"second lengths are multiples of {step:.2f} s, and shorter closures are missed."
    )


def _event(
    video: Timeline, row: Mapping[Any, Any], every: Sequence[str], clock: Clock
) -> dict[str, Any]:
    side = float(row["asymmetry"])
    return {
        "person": video.name_of(row["track_id"]),
        "action": f"{row['action']} {UNIT_NAMES.get(row['action'], '')}".strip(),
        "color": hex_color(color_of(row["action"], every)),
        "onset": clock(row["onset_s"]),
        "apex": clock(row["apex_s"]),
        "offset": clock(row["offset_s"]),
        "complete": bool(row["complete"]),
        "seconds": f"{row['duration_s']:.1f}{NBSP}s",
        "peak": f"{row['peak']:.2f}",
        "side": _signed(side),
    }


def _signed(value: float) -> str:
    """Two decimals with a sign, which 0 does not have; NaN is a dash."""
    if math.isnan(value):
        return "–"
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text.endswith("0.00") else text
