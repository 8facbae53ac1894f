"""Paths through the plane of valence and arousal: one plane per person, colored by time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.expressions.affect import COORDINATES
from mien.labels import EMOTIONS, hex_color
from mien.plots.svg import (
    document,
    number,
    text,
    time_bins,
    time_span,
    time_ticks,
    wrapped,
    xml_text,
)
from mien.plots.values import PersonPath, Plot
from mien.types import Floats

_STEPS = 36  # colors from the first second to the last
_POINTS = 360  # of one path at the most; each is a mean over its part of the time
_SIDE, _LEAST, _GAP = 440, 260, 24  # side of a plane, its minimum, and the gap between planes
_HEAD, _FOOT = 22, 30  # above a plane for its name, below it as space
_REACH = 1.09  # of the plane, so that marks on its rim are not clipped
_APART = 30.0  # distance between two times that are written beside a path
_LEFT = 6  # of the time scale, so that half of its first tick label has room
#: Blue, violet, red, amber, each with a contrast of 3 to 1 on white and on black.
_RAMP = ((0, 100, 205), (125, 80, 205), (195, 60, 130), (215, 80, 45), (176, 118, 0))
#: Where each label stands beside its point, so that none hides another: dx, dy, text-anchor.
_OFFSETS = {
    "neutral": (6, 14, "start"),
    "happiness": (0, -8, "middle"),
    "surprise": (0, -8, "middle"),
    "sadness": (0, 16, "middle"),
    "anger": (5, -7, "start"),
    "disgust": (0, 16, "middle"),
    "fear": (-5, -7, "end"),
    "contempt": (6, -5, "start"),
}


@dataclass(frozen=True)
class _Plane:
    """Where a plane lies in the drawing."""

    left: float
    top: float
    side: float

    def x(self, valence: Floats | float) -> Floats:
        return np.asarray(self.left + self.side / 2 * (1 + np.asarray(valence) / _REACH))

    def y(self, arousal: Floats | float) -> Floats:
        return np.asarray(self.top + self.side / 2 * (1 - np.asarray(arousal) / _REACH))


def plane_plot(
    people: Sequence[PersonPath],
    *,
    source: str = "",
    span: tuple[float, float] | None = None,
    width: int = 960,
    title: str = "",
) -> Plot:
    """Draw everyone's path, each in their own plane, all with the same colors of time.

    A point is the mean over a short time, a line leads to the next; where points pile up, the
    person stayed. A ring is the start, a disc the end, and some times are written beside.

    Args:
        people: in the order to be drawn.
        source: what the values were derived from, as written below; "" if the model measured them.
        span: first and last second of the colors; None takes the paths' own.
        width: of the plot in CSS pixels; the height follows.
        title: heading, such as the name of the video; "" for none.

    Raises:
        UsageError: the span ends before it begins, or the plot is too narrow.
    """
    if width < _LEAST:
        raise UsageError(f"a plot of planes is at least {_LEAST} wide, got {width}.")
    start, end = time_span((person.times for person in people), span)
    across = max(1, min(len(people), (width + _GAP) // (_LEAST + _GAP)))
    side = min(_SIDE, (width - _GAP * (across - 1)) / across)
    width = max(_LEAST, math.ceil(across * (side + _GAP) - _GAP))
    parts = [text(_LEFT, 14, title, size=15, more='font-weight="600"')] if title else []
    top = 26.0 if title else 0.0
    parts.append(_scale(start, end, min(width, 420), top))
    top += 52
    for place, person in enumerate(people):
        row, column = divmod(place, across)
        corner = column * (side + _GAP), top + row * (_HEAD + side + _FOOT) + _HEAD
        parts.append(_panel(person, _Plane(*corner, side), (start, end)))
    if not people:
        parts.append(text(_LEFT, top + 12, "no face was found"))
    y = top + math.ceil(len(people) / across) * (_HEAD + side + _FOOT) + (0 if people else 24)
    note = f"Derived: {source}." if source else "As measured by the model."
    axes = "x: valence, y: arousal, −1 to 1; ring: start, disc: end."
    for line in wrapped(f"{axes} {note}", width):
        parts.append(text(_LEFT, y, line, quiet=True))
        y += 16
    names = ", ".join(person.name for person in people)
    return document(parts, width, y, f"Valence and arousal over time: {names}")


def time_color(share: float) -> str:
    """The color of a moment, ``#rrggbb``: 0 is the first of the video, 1 the last."""
    at = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    low = min(int(at), len(_RAMP) - 2)
    red, green, blue = (
        round(a + (at - low) * (b - a)) for a, b in zip(*_RAMP[low : low + 2], strict=True)
    )
    return hex_color((red, green, blue))


def _scale(start: float, end: float, width: float, top: float) -> str:
    """The colors of time, and round times below them."""
    left, right = _LEFT, width - 24.0
    step = (right - left) / _STEPS
    out = [
        f'<rect x="{number(left + i * step)}" y="{number(top + 4)}" '
        f'width="{number(step + 0.6)}" height="10" fill="{time_color((i + 0.5) / _STEPS)}"/>'
        for i in range(_STEPS)
    ]
    for time_s, words in time_ticks(start, end, max(2, int((right - left) / 76))):
        x = left + (time_s - start) / (end - start) * (right - left)
        anchor = "start" if x < 16 else "middle"
        out.append(
            f'<path d="M{number(x)} {number(top + 14)}v4" stroke="currentColor" '
            'stroke-opacity=".5"/>'
            + text(max(x - 3, 0) if x < 16 else x, top + 30, words, anchor=anchor, quiet=True)
        )
    return f'<g class="mien-scale">{"".join(out)}</g>'


def _panel(person: PersonPath, plane: _Plane, span: tuple[float, float]) -> str:
    name = text(plane.left + _LEFT, plane.top - 8, person.name, size=13, more='font-weight="600"')
    points = _points(person, span)
    parts = [
        _ground(plane),
        _way(points, plane, span),
        _moments(points, plane, span),
        _labels(plane),
    ]
    attribute = f'class="mien-plane" data-name="{xml_text(person.name)}"'
    return f"<g {attribute}>{name}{''.join(parts)}</g>"


def _ground(plane: _Plane) -> str:
    """The circle, the axes through its center, and the meaning of their ends."""
    x, y = float(plane.x(0.0)), float(plane.y(0.0))
    radius = plane.side / 2 / _REACH
    left, right = float(plane.x(-1.0)), float(plane.x(1.0))
    high, low = float(plane.y(1.0)), float(plane.y(-1.0))
    rings = "".join(
        f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(share * radius)}" fill="none" '
        f'stroke="currentColor" stroke-opacity="{strength}"/>'
        for share, strength in ((1, 0.4), (0.5, 0.14))
    )
    axes = (
        f'<path d="M{number(left)} {number(y)}H{number(right)}M{number(x)} {number(high)}'
        f'V{number(low)}" stroke="currentColor" stroke-opacity=".3"/>'
    )
    ends = (
        ("unpleasant", left + 7, y - 5, "start"),
        ("pleasant", right - 7, y - 5, "end"),
        ("excited", x + 5, high + 14, "start"),
        ("calm", x + 5, low - 7, "start"),
    )
    words = "".join(
        text(at, down, word, anchor=anchor, more='font-style="italic"', quiet=True)
        for word, at, down, anchor in ends
    )
    return rings + axes + words


def _labels(plane: _Plane) -> str:
    """The expressions at their coordinates, legible also over a path."""
    out = []
    halo = 'style="paint-order:stroke;stroke:var(--paper,#fff);stroke-width:3px"'
    for label in EMOTIONS:
        x, y = float(plane.x(COORDINATES[label][0])), float(plane.y(COORDINATES[label][1]))
        right, down, anchor = _OFFSETS[label]
        out.append(
            f'<circle cx="{number(x)}" cy="{number(y)}" r="2.5" fill-opacity=".8"/>'
            + text(x + right, y + down, label, anchor=anchor, more=halo)
        )
    return "".join(out)


@dataclass(frozen=True, eq=False)
class _Points:
    """``(m,)`` times and ``(m, 2)`` places, means over short times; `absent` follow a gap."""

    times: Floats
    places: Floats
    absent: npt.NDArray[np.bool_]


def _points(person: PersonPath, span: tuple[float, float]) -> _Points:
    inside = (person.times >= span[0]) & (person.times <= span[1])
    times, places = person.times[inside], person.places[inside]
    if not len(times):
        return _Points(times, places, np.zeros(0, bool))
    first, count, absent = time_bins(times, span, _POINTS - 1)
    absent[0] = True
    return _Points(
        np.add.reduceat(times, first) / count,
        np.add.reduceat(places, first, axis=0) / count[:, None],
        absent,
    )


def _way(points: _Points, plane: _Plane, span: tuple[float, float]) -> str:
    """Dots and the lines between them, color by color."""
    x, y = plane.x(points.places[:, 0]), plane.y(points.places[:, 1])
    out = []
    for color, rows in _colored(points.times, span):
        dots = "".join(f"M{number(x[i])} {number(y[i])}h0" for i in rows)
        lines = "".join(
            f"M{number(x[i - 1])} {number(y[i - 1])}L{number(x[i])} {number(y[i])}"
            for i in rows
            if not points.absent[i]
        )
        out.append(f'<g stroke="{color}" stroke-linecap="round" fill="none">')
        out.append(f'<path d="{lines}" stroke-opacity=".6"/>' if lines else "")
        out.append(f'<path d="{dots}" stroke-width="5" stroke-opacity=".55"/></g>')
    return "".join(out)


def _colored(times: Floats, span: tuple[float, float]) -> Iterator[tuple[str, range]]:
    """Rows of one color, in order."""
    share = (times - span[0]) / (span[1] - span[0])
    step = np.minimum((share * _STEPS).astype(int), _STEPS - 1)
    edges = [0, *(np.flatnonzero(np.diff(step)) + 1).tolist(), len(times)]
    for a, b in pairwise(edges if len(times) else []):
        yield time_color((int(step[a]) + 0.5) / _STEPS), range(a, b)


def _moments(points: _Points, plane: _Plane, span: tuple[float, float]) -> str:
    """A ring at the start, a disc at the end, and round times beside the path between."""
    if not len(points.times):
        return ""
    x, y = plane.x(points.places[:, 0]).tolist(), plane.y(points.places[:, 1]).tolist()
    first, last, out = 0, len(points.times) - 1, []
    colors = [time_color((t - span[0]) / (span[1] - span[0])) for t in points.times]
    words = [(float(plane.x(v)), float(plane.y(a))) for v, a in COORDINATES.values()]
    taken = [*words, *((x[row], y[row]) for row in (first, last))]
    for time_s, label in time_ticks(*span, 9):
        row = int(np.abs(points.times - time_s).argmin())
        here = x[row], y[row]
        far = abs(points.times[row] - time_s) > (span[1] - span[0]) / 40
        if far or any(math.dist(here, other) < _APART for other in taken):
            continue
        taken.append(here)
        out.append(
            f'<circle cx="{number(x[row])}" cy="{number(y[row])}" r="3.5" fill="{colors[row]}"/>'
            + text(x[row], y[row] + 15, label.removesuffix(" s"), anchor="middle", size=10)
        )
    for row, fill in ((first, "none"), (last, colors[last])):
        out.append(
            f'<circle cx="{number(x[row])}" cy="{number(y[row])}" r="5" fill="{fill}" '
            f'stroke="{colors[row]}" stroke-width="2"/>'
        )
    return "".join(out)
