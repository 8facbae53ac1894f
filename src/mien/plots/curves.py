"""The drawing: where everything lies, from the legend to the axis of time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mien.errors import UsageError
from mien.plots.svg import (
    FONT,
    apart,
    number,
    paint,
    path,
    picture_uri,
    round_times,
    time_text,
    told,
)
from mien.plots.values import PersonCurve, Plot
from mien.types import Floats, Image

#: A label whose curve never reaches this probability is not drawn.
SEEN = 0.10
#: A moment of a lower probability is not pointed out.
TELLING = 0.40
_GUTTER, _RIGHT = 44, 22  # beside the panels: figures of probability, half a figure of time
_PANEL, _SPACE, _FOOT = 92, 24, 26
_STEPS, _STEPS_GAP = 22, 16  # how many faces there are, and the air above
_SIDE, _LEADER = 46, 14  # a face, and below it the line to its moment
_SLOT = 66  # a face or a caption, and the air beside it
_EM = 0.58  # a letter's mean width
_UNFIT = "unfit to be judged"


@dataclass(frozen=True)
class _Axis:
    """From seconds to the drawing's units, the same for every panel."""

    start: float
    end: float
    left: float
    right: float

    def x(self, time_s: Floats | float) -> Floats:
        share = (np.asarray(time_s) - self.start) / (self.end - self.start)
        return np.asarray(self.left + share * self.length)

    @property
    def length(self) -> float:
        return self.right - self.left


class _Moment(NamedTuple):
    """What is pointed out on a curve, by a face where there is one."""

    label: str
    x: float
    value: float
    image: Image | None


@dataclass(frozen=True, eq=False)
class _Curve:
    """A person's curve: ``(m,)`` places on the axis, about one a unit, ``(m, k)`` means there.

    `starts` are the first points of runs: point 0, and each one after a time away. `spread` is
    like `values`, `counts` are ``(m,)`` faces, where there are any.
    """

    x: Floats
    values: Floats
    starts: list[int]
    moments: list[_Moment]
    spread: Floats | None = None
    counts: Floats | None = None

    def runs(self) -> Iterator[slice]:
        return (slice(a, b) for a, b in pairwise([*self.starts, len(self.x)]))


def timeline_plot(
    people: Sequence[PersonCurve],
    *,
    span: tuple[float, float] | None = None,
    width: int = 960,
) -> Plot:
    """Draw a panel for each person over one shared axis of time.

    A point of a curve is the mean of what falls into about one unit of the drawing, so that half
    an hour takes no more room than a minute. The ground below the strongest label is tinted, and
    each label's strongest moment is pointed out, by a face where there is one, where that label
    was ahead of the others.

    Args:
        people: in the order to be drawn.
        span: first and last second of the axis; None takes the curves' own.
        width: of the drawing in CSS pixels; the height follows.

    Raises:
        UsageError: the span ends before it begins, or the drawing is too narrow.
    """
    if width < 240:
        raise UsageError(f"a drawing of curves is at least 240 wide, got {width}.")
    axis = _Axis(*_span(people, span), _GUTTER, width - _RIGHT)
    curves = [_curve(person, axis) for person in people]
    legend, y = _legend(people, curves, width)
    parts, tops = [], []
    for person, curve in zip(people, curves, strict=True):
        top = y + _lead(curve)
        parts.append(_panel(person, curve, axis, y, top))
        tops.append(top)
        y = top + _PANEL + _SPACE
        if curve.counts is not None:
            parts.append(_faces(curve, axis, top + _PANEL + _STEPS_GAP))
            y += _STEPS_GAP + _STEPS
    height = max(y - _SPACE, 0) + _FOOT
    times = _time_axis(axis, tops, height - _FOOT)
    title = "Apparent expressions over time: " + ", ".join(person.name for person in people)
    return Plot(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {number(height)}" '
        f'width="{width}" height="{number(height)}" role="img" aria-label="{told(title)}" '
        f'fill="currentColor" font-family="{FONT}" font-size="11" data-start="{axis.start:.3f}" '
        f'data-end="{axis.end:.3f}" data-left="{axis.left}" data-right="{axis.right}" '
        f'style="max-width:100%;height:auto">{legend}{times}{"".join(parts)}</svg>'
    )


def _span(people: Sequence[PersonCurve], span: tuple[float, float] | None) -> tuple[float, float]:
    if span is None:
        unfit = [np.reshape(person.unfit, -1) for person in people]
        times = np.concatenate([np.zeros(0), *(person.times for person in people), *unfit])
        span = (float(times.min()), float(times.max())) if len(times) else (0.0, 1.0)
    start, end = span
    if not (math.isfinite(start) and math.isfinite(end) and start <= end):
        raise UsageError(f"the span must be two times in order, got {span}.")
    return start, max(end, start + 0.1)


def _curve(person: PersonCurve, axis: _Axis) -> _Curve:
    """Means of about a unit of the drawing, cut where the person was away."""
    inside = (person.times >= axis.start) & (person.times <= axis.end)
    times, values = person.times[inside], person.values[inside]
    if not len(times):
        return _Curve(times, values, [], [])
    bins = max(1, round(axis.length))
    place = ((times - axis.start) / (axis.end - axis.start) * bins).astype(int)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    count = np.diff(first, append=len(times))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    before, after = times[first[1:] - 1], times[first[1:]]
    away = after - before > max(2.5 * usual, 0.25)
    for start, end in person.unfit:
        away |= (before <= start) & (end <= after)
    x = axis.x(np.add.reduceat(times, first) / count)
    means = np.add.reduceat(values, first, axis=0) / count[:, None]
    moments = _moments(person, x, means, axis)
    spread = None
    if person.spread is not None:
        spread = np.add.reduceat(person.spread[inside], first, axis=0) / count[:, None]
    counts = None
    if person.counts is not None:
        counts = np.add.reduceat(person.counts[inside], first) / count
    starts = [0, *(np.flatnonzero(away) + 1).tolist()]
    return _Curve(x, means, starts, moments, spread, counts)


def _moments(person: PersonCurve, x: Floats, values: Floats, axis: _Axis) -> list[_Moment]:
    """Each label's strongest moment where it is ahead of the others, as many as have room."""
    given = {label: (time_s, image) for time_s, label, image in person.thumbnails}
    found: list[_Moment] = []
    for column, label in enumerate(person.labels):
        shares = values[:, column]
        ahead = shares >= np.maximum(values.max(axis=1), TELLING)
        time_s, image = given.get(label, (0.0, None))
        row = int(np.abs(x - axis.x(time_s)).argmin())
        if image is None or not ahead[row]:  # no face, or one from a moment that smoothing evened
            row, image = int(np.where(ahead, shares, 0.0).argmax()), None
        if ahead[row]:
            found.append(_Moment(label, float(x[row]), float(shares[row]), image))
    found.sort(key=lambda moment: -moment.value)
    return sorted(found[: int(axis.length // _SLOT)], key=lambda moment: moment.x)


def _legend(
    people: Sequence[PersonCurve], curves: Sequence[_Curve], width: int
) -> tuple[str, float]:
    """A row of the labels that are drawn, wrapped where the drawing ends, and where it ends."""
    seen: dict[str, tuple[float, Sequence[str]]] = {}
    for person, curve in zip(people, curves, strict=True):
        tops = curve.values.max(axis=0, initial=0.0).tolist()
        for label, top in zip(person.labels, tops, strict=True):
            seen[label] = (max(top, seen.get(label, (0.0,))[0]), person.labels)
    entries = [
        (label, f' data-key="{told(label)}"', paint(label, labels))
        for label, (top, labels) in seen.items()
        if top >= SEEN
    ]
    if any(person.unfit for person in people):
        entries.append((_UNFIT, "", 'fill-opacity=".2"'))
    out, x, y = [], float(_GUTTER), 14.0
    for text, key, paints in entries:
        room = 36 + _EM * 12 * len(text)
        if x + room > width and x > _GUTTER:
            x, y = float(_GUTTER), y + 20
        out.append(
            f'<g{key}><rect x="{number(x)}" y="{number(y - 9.5)}" width="12" '
            f'height="10" rx="2" {paints}/>'
            f'<text x="{number(x + 18)}" y="{number(y)}" font-size="12">{told(text)}</text></g>'
        )
        x += room
    return f'<g class="mien-legend">{"".join(out)}</g>', y + 18 if out else 0.0


def _lead(curve: _Curve) -> float:
    """Height above a panel for its name, captions, faces and leaders."""
    if not curve.moments:
        return 18
    faces = any(moment.image is not None for moment in curve.moments)
    return 36 + _LEADER + (_SIDE if faces else 0)


def _panel(person: PersonCurve, curve: _Curve, axis: _Axis, y: float, top: float) -> str:
    base = top + _PANEL
    out = [
        f'<text x="{_GUTTER}" y="{number(y + 10)}" font-size="13" font-weight="600">'
        f"{told(person.name)}</text>"
    ]
    for share, text in ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %")):
        level = number(base - share * _PANEL)
        out.append(
            f'<path d="M{_GUTTER} {level}H{number(axis.right)}" fill="none" stroke="currentColor" '
            f'stroke-opacity="{0.14 if share else 0.4}"/>'
            f'<text x="{_GUTTER - 7}" y="{level}" dy=".35em" text-anchor="end" '
            f'fill-opacity=".72">{text}</text>'
        )
    out.append(_unfit(person, axis, top))
    if curve.spread is not None:
        out += [_band(person, curve, column, base) for column in range(len(person.labels))]
    out += [_line(person, curve, column, base) for column in range(len(person.labels))]
    out.append(_pointed_out(curve, person.labels, axis, top))
    place = f'data-name="{told(person.name)}" data-top="{number(top)}" data-base="{number(base)}"'
    return f'<g class="mien-panel" {place}>{"".join(out)}</g>'


def _unfit(person: PersonCurve, axis: _Axis, top: float) -> str:
    """Shades over the stretches in which the face was unfit to be judged."""
    ends = [axis.x(np.clip(span, axis.start, axis.end)).tolist() for span in person.unfit]
    shades = [f"M{number(a)} {number(top)}H{number(b)}v{_PANEL}H{number(a)}Z" for a, b in ends]
    if not shades:
        return ""
    return f'<path class="mien-unfit" d="{"".join(shades)}" fill-opacity=".13"/>'


def _band(person: PersonCurve, curve: _Curve, column: int, base: float) -> str:
    """How far the values of a label's line spread, as a tint around it."""
    values = curve.values[:, column]
    if values.max(initial=0.0) < SEEN or curve.spread is None:
        return ""
    spread, area = curve.spread[:, column], []
    for run in curve.runs():
        above, below = (
            base - np.clip(values[run] + way * spread[run], 0, 1) * _PANEL for way in (1, -1)
        )
        both = np.concatenate([above, below[::-1]])
        area.append(path(np.concatenate([curve.x[run], curve.x[run][::-1]]), both) + "Z")
    paints = paint(person.labels[column], person.labels)
    return f'<path class="mien-band" d="{"".join(area)}" fill-opacity=".25" {paints}/>'


def _faces(curve: _Curve, axis: _Axis, top: float) -> str:
    """How many faces there are, as steps from nobody to the most."""
    assert curve.counts is not None
    most = max(1.0, math.ceil(float(curve.counts.max(initial=0))))
    base, steps = top + _STEPS, []
    for run in curve.runs():
        x, y = curve.x[run], base - curve.counts[run] / most * _STEPS
        if len(x):
            # a step lasts until the next; the last one for a unit, so that it can be seen
            corners = np.repeat(np.append(x, x[-1] + 1), 2)[1:-1]
            steps.append(path(corners, np.repeat(y, 2)) + f"V{number(base)}H{number(x[0])}Z")
    return (
        f'<g class="mien-faces"><path d="{"".join(steps)}" fill-opacity=".3"/>'
        f'<path d="M{_GUTTER} {number(base)}H{number(axis.right)}" stroke="currentColor" '
        f'stroke-opacity=".4"/><text x="{_GUTTER - 7}" y="{number(top + 4)}" text-anchor="end" '
        f'fill-opacity=".72">{most:.0f}</text><text x="{_GUTTER - 7}" y="{number(base + 2)}" '
        f'text-anchor="end" fill-opacity=".72">faces</text></g>'
    )


def _line(person: PersonCurve, curve: _Curve, column: int, base: float) -> str:
    """One label's line, and a tint below it where it is ahead of the others."""
    values = curve.values[:, column]
    if values.max(initial=0.0) < SEEN:
        return ""
    label, y = person.labels[column], base - values * _PANEL
    ahead = curve.values.argmax(axis=1) == column
    line, tint = [], []
    for run in curve.runs():
        x = curve.x[run]
        line.append(path(x, y[run]))
        edges = np.flatnonzero(np.diff(ahead[run], prepend=False, append=False)).tolist()
        for a, b in zip(edges[::2], edges[1::2], strict=True):  # to half-way to the neighbours
            left, right = (x[max(a - 1, 0)] + x[a]) / 2, (x[b - 1] + x[min(b, len(x) - 1)]) / 2
            places = np.array([left, *x[a:b], right])
            under = f"V{number(base)}H{number(left)}Z"
            tint.append(path(places, np.interp(places, x, y[run])) + under)
    out = f'<path d="{"".join(tint)}" fill-opacity=".22" {paint(label, person.labels)}/>'
    thick = 1.75 if tint else 1
    bare = not tint or curve.spread is not None  # tints and bands over each other are mud
    return ("" if bare else out) + (
        f'<path class="mien-line" d="{"".join(line)}" fill="none" stroke-width="{thick}" '
        f'stroke-linejoin="round" stroke-linecap="round" {paint(label, person.labels, "stroke")}/>'
    )


def _pointed_out(curve: _Curve, labels: Sequence[str], axis: _Axis, top: float) -> str:
    """Captions and faces above a panel, each with a thin line down to its moment."""
    half, edge = _SLOT / 2, 8  # a face may reach a little over the panel's ends
    wanted = np.array([moment.x for moment in curve.moments])
    places = apart(wanted, _SLOT, axis.left + half - edge, axis.right - half + edge)
    foot, face, most = top - _LEADER, top - _LEADER - _SIDE, int(_SLOT / 11 / _EM)
    out = []
    for (label, x, value, image), place in zip(curve.moments, places.tolist(), strict=True):
        y, middle = number(top + _PANEL * (1 - value)), number(place)
        short = label if len(label) <= most else label[: most - 1] + "…"
        out.append(
            f'<g data-label="{told(label)}">'
            f'<path d="M{middle} {number(foot)}L{number(x)} {number(top - 1)}V{y}" fill="none" '
            f'stroke="currentColor" stroke-opacity=".45"/>'
            f'<circle cx="{number(x)}" cy="{y}" r="3" {paint(label, labels)}/>'
            f'<text x="{middle}" y="{number((foot if image is None else face) - 5)}" '
            f'text-anchor="middle">{told(short)}</text>'
        )
        if image is not None:
            square = f'x="{number(place - _SIDE / 2)}" y="{number(face)}" '
            square += f'width="{_SIDE}" height="{_SIDE}"'
            out.append(
                f'<image {square} href="{picture_uri(image, 2 * _SIDE)}"/><rect {square} rx="1" '
                f'fill="none" stroke-width="2" {paint(label, labels, "stroke")}/>'
            )
        out.append("</g>")
    return "".join(out)


def _time_axis(axis: _Axis, tops: Sequence[float], foot: float) -> str:
    """Round times below the last panel, which ends at `foot`; a thin line at each through all."""
    if not tops:
        return f'<text x="{_GUTTER}" y="16">no face was found</text>'
    times = round_times(axis.start, axis.end, max(2, int(axis.length / 76)))
    step = times[1] - times[0] if len(times) > 1 else 0.1
    out = []
    for place, time_s in enumerate(times):
        x = number(float(axis.x(time_s)))
        lines = "".join(f"M{x} {number(top)}v{_PANEL}" for top in tops)
        unit = " s" if axis.end <= 60 and place == len(times) - 1 else ""
        out.append(
            f'<path d="{lines}" fill="none" stroke="currentColor" stroke-opacity=".14"/>'
            f'<text x="{x}" y="{number(foot + 17)}" text-anchor="middle" '
            f'fill-opacity=".72">{time_text(time_s, step, axis.end)}{unit}</text>'
        )
    return f'<g class="mien-time">{"".join(out)}</g>'
