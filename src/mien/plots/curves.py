"""Curves of probability over time: one panel per person, one line per label."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from mien.plots.svg import (
    apart,
    document,
    image_uri,
    label_width,
    number,
    paint,
    path,
    text,
    time_bins,
    xml_text,
)
from mien.plots.values import PersonCurve, Plot
from mien.types import Floats, Image

#: A label whose curve never reaches this probability is not drawn.
DRAWN = 0.10
#: A moment of a lower probability gets no caption.
CAPTIONED = 0.40
_STEPS, _STEPS_GAP = 22, 16  # the number of faces, and the space above
_SIDE, _LEADER = 46, 14  # a face, and below it the line to its moment
_SLOT = 66  # a face or a caption, and the space beside it


class _Moment(NamedTuple):
    """A captioned moment of a curve, with a face where there is one."""

    label: str
    x: float
    value: float
    image: Image | None


@dataclass(frozen=True, eq=False)
class _Curve:
    """A person's curve: ``(m,)`` positions, about one per unit, and ``(m, k)`` means there.

    `starts` are the first points of runs: point 0, and each one after an absence. `spread` is
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
    title: str = "",
) -> Plot:
    """Draw a panel for each person over one shared time axis.

    A point of a curve is the mean over about one unit of the plot, so that half an hour takes no
    more room than a minute. The area under the most probable label is shaded, and the strongest
    moment of each label that was ever the most probable gets a caption, with a face where there
    is one.

    Args:
        people: in the order to be drawn.
        span: first and last second of the axis; None takes the curves' own.
        width: of the plot in CSS pixels; the height follows.
        title: heading, such as the name of the video; "" for none.

    Raises:
        UsageError: the span ends before it begins, or the plot is too narrow.
    """
    axis = TimeAxis.of(people, span, width)
    curves = [_curve(person, axis) for person in people]
    head = text(GUTTER, 14, title, size=15, more='font-weight="600"') if title else ""
    key, y = _legend(people, curves, width, TITLE if title else 0)
    parts, tops = [], []
    for person, curve in zip(people, curves, strict=True):
        top = y + _lead(curve)
        parts.append(_panel(person, curve, axis, y, top))
        tops.append(top)
        y = top + PANEL + SPACE
        if curve.counts is not None:
            parts.append(_faces(curve, axis, top + PANEL + _STEPS_GAP))
            y += _STEPS_GAP + _STEPS
    height = max(y - SPACE, 0) + FOOT
    parts = [
        head,
        key,
        time_axis(axis, [(top, PANEL) for top in tops], height - FOOT, y),
        *parts,
    ]
    names = ", ".join(person.name for person in people)
    return document(
        parts, width, height, f"Apparent expressions over time: {names}", axis.attributes
    )


def _curve(person: PersonCurve, axis: TimeAxis) -> _Curve:
    """Means over about a unit of the plot, cut where the person was absent."""
    inside = (person.times >= axis.start) & (person.times <= axis.end)
    times, values = person.times[inside], person.values[inside]
    if not len(times):
        return _Curve(times, values, [], [])
    first, count, absent = time_bins(times, (axis.start, axis.end), max(1, round(axis.length)))
    before, after = times[first[1:] - 1], times[first[1:]]
    for start, end in person.unfit:
        absent[1:] |= (before <= start) & (end <= after)

    def means(rows: Floats) -> Floats:
        return np.asarray((np.add.reduceat(rows, first, axis=0).T / count).T)

    x, shares = axis.x(means(times)), means(values)
    return _Curve(
        x,
        shares,
        [0, *np.flatnonzero(absent).tolist()],
        _moments(person, x, shares, axis),
        None if person.spread is None else means(person.spread[inside]),
        None if person.counts is None else means(person.counts[inside]),
    )


def _moments(person: PersonCurve, x: Floats, values: Floats, axis: TimeAxis) -> list[_Moment]:
    """Each label's strongest moment where it is the most probable, as many as have room."""
    faces = {label: (time_s, image) for time_s, label, image in person.thumbnails}
    moments: list[_Moment] = []
    for column, label in enumerate(person.labels):
        shares = values[:, column]
        ahead = shares >= np.maximum(values.max(axis=1), CAPTIONED)
        time_s, image = faces.get(label, (0.0, None))
        row = int(np.abs(x - axis.x(time_s)).argmin())
        if image is None or not ahead[row]:  # no face, or smoothing leveled its moment
            row, image = int(np.where(ahead, shares, 0.0).argmax()), None
        if ahead[row]:
            moments.append(_Moment(label, float(x[row]), float(shares[row]), image))
    moments.sort(key=lambda moment: -moment.value)
    return sorted(moments[: int(axis.length // _SLOT)], key=lambda moment: moment.x)


def _legend(
    people: Sequence[PersonCurve], curves: Sequence[_Curve], width: int, top: float
) -> tuple[str, float]:
    """The labels that are drawn, in rows as wide as the plot, and where these end."""
    tallest: dict[str, tuple[float, Sequence[str]]] = {}
    for person, curve in zip(people, curves, strict=True):
        values = curve.values.max(axis=0, initial=0.0).tolist()
        for label, value in zip(person.labels, values, strict=True):
            tallest[label] = (max(value, tallest.get(label, (0.0,))[0]), person.labels)
    entries = [
        (label, f' data-key="{xml_text(label)}"', paint(label, labels))
        for label, (value, labels) in tallest.items()
        if value >= DRAWN
    ]
    if any(person.unfit for person in people):
        entries.append((UNFIT, "", 'fill-opacity=".2"'))
    return legend(entries, width, top)


def _lead(curve: _Curve) -> float:
    """Height above a panel for its name, captions, faces and leaders."""
    if not curve.moments:
        return 18
    faces = any(moment.image is not None for moment in curve.moments)
    return 36 + _LEADER + (_SIDE if faces else 0)


def _panel(person: PersonCurve, curve: _Curve, axis: TimeAxis, y: float, top: float) -> str:
    base = top + PANEL
    out = [text(GUTTER, y + 10, person.name, size=13, more='font-weight="600"')]
    for share, percent in ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %")):
        level = number(base - share * PANEL)
        out.append(
            f'<path d="M{GUTTER} {level}H{number(axis.right)}" fill="none" stroke="currentColor" '
            f'stroke-opacity="{0.14 if share else 0.4}"/>'
            + text(GUTTER - 7, base - share * PANEL + 4, percent, anchor="end", quiet=True)
        )
    out.append(shades(person.unfit, axis, top, PANEL))
    if curve.spread is not None:
        out += [_band(person, curve, column, base) for column in range(len(person.labels))]
    out += [_line(person, curve, column, base) for column in range(len(person.labels))]
    out.append(_captions(curve, person.labels, axis, top))
    place = (
        f'data-name="{xml_text(person.name)}" data-top="{number(top)}" data-base="{number(base)}"'
    )
    return f'<g class="mien-panel" {place}>{"".join(out)}</g>'


def _band(person: PersonCurve, curve: _Curve, column: int, base: float) -> str:
    """The spread around a label's line, as a tint."""
    values = curve.values[:, column]
    if values.max(initial=0.0) < DRAWN or curve.spread is None:
        return ""
    spread, area = curve.spread[:, column], []
    for run in curve.runs():
        above, below = (
            base - np.clip(values[run] + way * spread[run], 0, 1) * PANEL for way in (1, -1)
        )
        both = np.concatenate([above, below[::-1]])
        area.append(path(np.concatenate([curve.x[run], curve.x[run][::-1]]), both) + "Z")
    paints = paint(person.labels[column], person.labels)
    return f'<path class="mien-band" d="{"".join(area)}" fill-opacity=".25" {paints}/>'


def _faces(curve: _Curve, axis: TimeAxis, top: float) -> str:
    """The number of faces over time, as steps."""
    assert curve.counts is not None
    most = max(1.0, math.ceil(float(curve.counts.max(initial=0))))
    base, steps = top + _STEPS, []
    for run in curve.runs():
        x, y = curve.x[run], base - curve.counts[run] / most * _STEPS
        if len(x):
            # a step lasts until the next; the last one for a unit, so that it is visible
            corners = np.repeat(np.append(x, x[-1] + 1), 2)[1:-1]
            steps.append(path(corners, np.repeat(y, 2)) + f"V{number(base)}H{number(x[0])}Z")
    return (
        f'<g class="mien-faces"><path d="{"".join(steps)}" fill-opacity=".3"/>'
        f'<path d="M{GUTTER} {number(base)}H{number(axis.right)}" stroke="currentColor" '
        f'stroke-opacity=".4"/>'
        + text(GUTTER - 7, top + 4, f"{most:.0f}", anchor="end", quiet=True)
        + text(GUTTER - 7, base + 2, "faces", anchor="end", quiet=True)
        + "</g>"
    )


def _line(person: PersonCurve, curve: _Curve, column: int, base: float) -> str:
    """One label's line, and a tint below it where it is the most probable."""
    values = curve.values[:, column]
    if values.max(initial=0.0) < DRAWN:
        return ""
    label, y = person.labels[column], base - values * PANEL
    ahead = curve.values.argmax(axis=1) == column
    line, tint = [], []
    for run in curve.runs():
        x = curve.x[run]
        line.append(path(x, y[run]))
        edges = np.flatnonzero(np.diff(ahead[run], prepend=False, append=False)).tolist()
        for a, b in zip(edges[::2], edges[1::2], strict=True):  # to halfway to the neighbors
            left, right = (x[max(a - 1, 0)] + x[a]) / 2, (x[b - 1] + x[min(b, len(x) - 1)]) / 2
            places = np.array([left, *x[a:b], right])
            under = f"V{number(base)}H{number(left)}Z"
            tint.append(path(places, np.interp(places, x, y[run])) + under)
    out = f'<path d="{"".join(tint)}" fill-opacity=".22" {paint(label, person.labels)}/>'
    thick = 1.75 if tint else 1
    bare = not tint or curve.spread is not None  # tints over bands are illegible
    return ("" if bare else out) + (
        f'<path class="mien-line" d="{"".join(line)}" fill="none" stroke-width="{thick}" '
        f'stroke-linejoin="round" stroke-linecap="round" {paint(label, person.labels, "stroke")}/>'
    )


def _captions(curve: _Curve, labels: Sequence[str], axis: TimeAxis, top: float) -> str:
    """Captions and faces above a panel, each with a thin line down to its moment."""
    half, edge = _SLOT / 2, 8  # a face may reach a little over the panel's ends
    wanted = np.array([moment.x for moment in curve.moments])
    places = apart(wanted, _SLOT, axis.left + half - edge, axis.right - half + edge)
    foot, face, most = top - _LEADER, top - _LEADER - _SIDE, int(_SLOT / label_width("x"))
    out = []
    for (label, x, value, image), place in zip(curve.moments, places.tolist(), strict=True):
        y, middle = number(top + PANEL * (1 - value)), number(place)
        above = (foot if image is None else face) - 5
        short = label if len(label) <= most else label[: most - 1] + "…"
        out.append(
            f'<g data-label="{xml_text(label)}">'
            f'<path d="M{middle} {number(foot)}L{number(x)} {number(top - 1)}V{y}" fill="none" '
            f'stroke="currentColor" stroke-opacity=".45"/>'
            f'<circle cx="{number(x)}" cy="{y}" r="3" {paint(label, labels)}/>'
            + text(place, above, short, anchor="middle")
        )
        if image is not None:
            square = f'x="{number(place - _SIDE / 2)}" y="{number(face)}" '
            square += f'width="{_SIDE}" height="{_SIDE}"'
            out.append(
                f'<image {square} href="{image_uri(image, 2 * _SIDE)}"/><rect {square} rx="1" '
                f'fill="none" stroke-width="2" {paint(label, labels, "stroke")}/>'
            )
        out.append("</g>")
    return "".join(out)
