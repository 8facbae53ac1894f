"""Facial actions over time: for each person their curves, events, closed eyes and head pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mien.plots.panels import (
    FOOT,
    GUTTER,
    PANEL,
    SPACE,
    TITLE,
    UNFIT,
    TimeAxis,
    legend,
    shades,
    time_axis,
)
from mien.plots.svg import document, number, paint, path, text, time_bins, xml_text
from mien.plots.values import ActionCurve, Plot
from mien.types import Floats

#: The names of the columns of `ActionCurve.pose`.
ANGLES = ("pitch", "yaw", "roll")
_POSE, _ROW, _GAP = 70, 9, 12  # heights of the panel of angles, of a row of events, of a gap
_LIMITS = (15.0, 30.0, 45.0, 60.0, 90.0)  # degrees at the upper end of a panel of angles
_CLOSED = "closed eyes"


class _Scale(NamedTuple):
    """What the lower and upper end of a panel stand for."""

    low: float
    high: float
    unit: str
    ticks: tuple[tuple[float, str], ...]


_INTENSITY = _Scale(0, 1, "", ((0, "0"), (0.5, "0.5"), (1, "1")))


def actions_plot(
    people: Sequence[ActionCurve],
    *,
    names: Mapping[str, str] | None = None,
    span: tuple[float, float] | None = None,
    width: int = 960,
    title: str = "",
) -> Plot:
    """Draw two panels for each person over one shared time axis: actions, and the head's pose.

    Below the actions is a row for each action with events: thin from onset to offset, thick for
    the apex; and one for closed eyes, where there are any. A point of a curve is the mean over
    about one unit of the plot.

    Args:
        people: in the order to be drawn.
        names: further words for actions, for the legend, such as "lip corner puller".
        span: first and last second of the axis; None takes the curves' own.
        width: of the plot in CSS pixels; the height follows.
        title: heading, such as the name of the video; "" for none.

    Raises:
        UsageError: the span ends before it begins, or the plot is too narrow.
    """
    axis = TimeAxis.of(people, span, width)
    actions = tuple(dict.fromkeys(name for person in people for name in person.actions))
    every = (*actions, *ANGLES)
    key, y = _legend(people, actions, names or {}, width, TITLE if title else 0)
    parts = [text(GUTTER, 14, title, size=15, more='font-weight="600"') if title else "", key]
    panels: list[tuple[float, float]] = []
    for person in people:
        parts.append(text(GUTTER, y + 10, person.name, size=13, more='font-weight="600"'))
        top = y + 18
        curves = dict(zip(person.actions, person.values.T, strict=True))
        parts.append(_panel(person, curves, axis, (top, PANEL), _INTENSITY, every))
        rows, y = _rows(person, axis, top + PANEL + 5, every)
        parts.append(rows)
        turns = dict(zip(ANGLES, person.pose.T, strict=True))
        scale = _degrees(person.pose)
        parts.append(_panel(person, turns, axis, (y + _GAP, _POSE), scale, every))
        panels += [(top, PANEL), (y + _GAP, _POSE)]
        y += _GAP + _POSE + SPACE
    foot = max(y - SPACE, 0)
    parts.append(time_axis(axis, panels, foot, y))
    about = f"Facial actions over time: {', '.join(person.name for person in people)}"
    return document(parts, width, foot + FOOT, about, axis.attributes)


def _legend(
    people: Sequence[ActionCurve],
    actions: tuple[str, ...],
    names: Mapping[str, str],
    width: int,
    top: float,
) -> tuple[str, float]:
    every = (*actions, *ANGLES)
    words = {name: f"{name} {names.get(name, '')}".strip() for name in actions}
    words |= {name: f"{name} of the head" for name in ANGLES if people}
    entries = [
        (text, f' data-key="{xml_text(name)}"', paint(name, every)) for name, text in words.items()
    ]
    if any(person.closed for person in people):
        entries.append((_CLOSED, "", 'fill-opacity=".75"'))
    if any(person.unfit for person in people):
        entries.append((UNFIT, "", 'fill-opacity=".2"'))
    return legend(entries, width, top)


def _degrees(pose: Floats) -> _Scale:
    """A scale that is as large as the angles need."""
    most = float(np.abs(pose).max(initial=0.0))
    limit = next((limit for limit in _LIMITS if most <= limit), 180.0)
    ticks = ((-limit, f"−{limit:.0f}°"), (0.0, "0°"), (limit, f"{limit:.0f}°"))
    return _Scale(-limit, limit, "°", ticks)


def _panel(
    person: ActionCurve,
    columns: Mapping[str, Floats],
    axis: TimeAxis,
    place: tuple[float, float],
    scale: _Scale,
    every: tuple[str, ...],
) -> str:
    """One panel, from `place` (top, height): its levels, shades and lines."""
    top, height = place
    base, unit = top + height, height / (scale.high - scale.low)
    out = []
    for value, words in scale.ticks:
        y = base - (value - scale.low) * unit
        strong = 0.4 if value == 0 else 0.14
        out.append(
            f'<path d="M{GUTTER} {number(y)}H{number(axis.right)}" fill="none" '
            f'stroke="currentColor" stroke-opacity="{strong}"/>'
            + text(GUTTER - 7, y + 4, words, anchor="end", quiet=True)
        )
    out.append(shades(person.unfit, axis, top, height))
    x, means, starts = _points(
        person, np.array([*columns.values()]).reshape(len(columns), -1).T, axis
    )
    for label, values in zip(columns, means.T, strict=True):
        line = "".join(
            path(x[a:b], base - (values[a:b] - scale.low) * unit)
            for a, b in pairwise([*starts, len(x)])
        )
        if line:
            out.append(
                f'<path class="mien-line" d="{line}" fill="none" stroke-width="1.5" '
                f'stroke-linejoin="round" stroke-linecap="round" {paint(label, every, "stroke")}/>'
            )
    about = f'data-name="{xml_text(person.name)}" data-top="{number(top)}" '
    about += f'data-base="{number(base)}" data-low="{scale.low:g}" data-high="{scale.high:g}" '
    about += f'data-unit="{scale.unit}"'
    return f'<g class="mien-panel" {about}>{"".join(out)}</g>'


def _points(
    person: ActionCurve, values: Floats, axis: TimeAxis
) -> tuple[Floats, Floats, list[int]]:
    """Means over about a unit of the plot, and the first point of each run without an absence."""
    inside = (person.times >= axis.start) & (person.times <= axis.end)
    times, values = person.times[inside], values[inside]
    if not len(times):
        return times, values, []
    first, count, absent = time_bins(times, (axis.start, axis.end), max(1, round(axis.length)))
    x = axis.x(np.add.reduceat(times, first) / count)
    means = np.add.reduceat(values, first, axis=0) / count[:, None]
    return x, means, [0, *np.flatnonzero(absent).tolist()]


def _rows(
    person: ActionCurve, axis: TimeAxis, top: float, every: tuple[str, ...]
) -> tuple[str, float]:
    """A row of bars for each action with events, and one for closed eyes; and where they end."""

    def bar(start: float, end: float, y: float, height: float, paints: str) -> str:
        left, right = axis.x(np.clip([start, end], axis.start, axis.end)).tolist()
        size = f'width="{number(max(right - left, 1))}" height="{number(height)}"'
        return f'<rect x="{number(left)}" y="{number(y - height / 2)}" {size} {paints}/>'

    out, y = [], top
    for action in person.actions:
        own = [event for event in person.events if event.action == action]
        for event in own:
            paints = paint(action, every)
            bars = bar(event.onset_s, event.offset_s, y + _ROW / 2, 2, paints)
            bars += bar(event.apex_s, event.apex_end_s, y + _ROW / 2, 6, paints)
            out.append(bars)
        y += _ROW * bool(own)
    if person.closed:
        out += [bar(a, b, y + _ROW / 2, 5, 'fill-opacity=".75"') for a, b in person.closed]
        y += _ROW
    return f'<g class="mien-events">{"".join(out)}</g>', y
