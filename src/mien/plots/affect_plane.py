"""Ways through the plane of valence and arousal: a plane a person, the colour tells the time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.expressions.affect import COORDINATES
from mien.labels import EMOTIONS
from mien.plots.svg import FONT, number, round_times, time_text, told
from mien.plots.values import PersonPath, Plot
from mien.types import Floats

_STEPS = 36  # colours from the first second to the last
_POINTS = 360  # of one way at the most: each is the mean of what falls into its part of the time
_SIDE, _LEAST, _GAP = 440, 260, 24  # of a plane: the largest, the smallest, and what lies between
_HEAD, _FOOT = 22, 30  # above a plane for its name, below it for air
_REACH = 1.09  # of the plane, so that what lies on its rim is seen whole
_APART = 30.0  # between two times that are written beside a way
_AWAY_S = 0.25  # so long a step is a time away, if it is also long for this person
#: Blue, violet, red, amber, each with a contrast of 3 to 1 on white and on black.
_RAMP = ((0, 100, 205), (125, 80, 205), (195, 60, 130), (215, 80, 45), (176, 118, 0))
#: Where each word stands beside its place, so that none hides another: dx, dy, text-anchor.
_BESIDE = {
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
) -> Plot:
    """Draw everyone's way, each in a plane of their own, all with the same colours for time.

    A point is the mean of a short time, a line leads to the next; where many points lie, the
    person stayed. A ring is the beginning, a disc the end, and some times are written beside.

    Args:
        people: in the order to be drawn.
        source: where the values come from, told below; "" where the model measured them.
        span: first and last second of the colours; None takes the ways' own.
        width: of the drawing in CSS pixels; the height follows.

    Raises:
        UsageError: the span ends before it begins, or the drawing is too narrow.
    """
    if width < _LEAST:
        raise UsageError(f"a drawing of planes is at least {_LEAST} wide, got {width}.")
    start, end = _span(people, span)
    across = max(1, min(len(people), (width + _GAP) // (_LEAST + _GAP)))
    side = min(_SIDE, (width - _GAP * (across - 1)) / across)
    width = max(_LEAST, math.ceil(across * (side + _GAP) - _GAP))
    parts = [_scale(start, end, min(width, 420))]
    top = 52.0
    for place, person in enumerate(people):
        row, column = divmod(place, across)
        corner = column * (side + _GAP), top + row * (_HEAD + side + _FOOT) + _HEAD
        parts.append(_panel(person, _Plane(*corner, side), (start, end)))
    if not people:
        parts.append(f'<text x="0" y="{top + 12}">no face was found</text>')
    y = top + math.ceil(len(people) / across) * (_HEAD + side + _FOOT) + (0 if people else 24)
    note = f"Derived: {source}." if source else "As the model measures them."
    axes = "Valence across, arousal up, −1 to 1; a ring where it begins, a disc where it ends."
    for line in _wrapped(f"{axes} {note}", width):
        parts.append(f'<text x="0" y="{number(y)}" fill-opacity=".72">{told(line)}</text>')
        y += 16
    title = "Valence and arousal over time: " + ", ".join(person.name for person in people)
    return Plot(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {number(y)}" '
        f'width="{width}" height="{number(y)}" role="img" aria-label="{told(title)}" '
        f'fill="currentColor" font-family="{FONT}" font-size="11" '
        f'style="max-width:100%;height:auto">{"".join(parts)}</svg>'
    )


def time_color(share: float) -> str:
    """The colour of a moment, ``#rrggbb``: 0 is the first of the film, 1 the last."""
    at = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    low = min(int(at), len(_RAMP) - 2)
    mixed = (round(a + (at - low) * (b - a)) for a, b in zip(*_RAMP[low : low + 2], strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _span(people: Sequence[PersonPath], span: tuple[float, float] | None) -> tuple[float, float]:
    if span is None:
        times = np.concatenate([np.zeros(0), *(person.times for person in people)])
        span = (float(times.min()), float(times.max())) if len(times) else (0.0, 1.0)
    start, end = span
    if not (math.isfinite(start) and math.isfinite(end) and start <= end):
        raise UsageError(f"the span must be two times in order, got {span}.")
    return start, max(end, start + 0.1)


def _scale(start: float, end: float, width: float) -> str:
    """The colours of time, and round times below them."""
    left, right = 0.0, width - 24.0
    step = (right - left) / _STEPS
    out = [
        f'<rect x="{number(left + i * step)}" y="4" width="{number(step + 0.6)}" height="10" '
        f'fill="{time_color((i + 0.5) / _STEPS)}"/>'
        for i in range(_STEPS)
    ]
    times = round_times(start, end, max(2, int((right - left) / 76)))
    fine = times[1] - times[0] if len(times) > 1 else 0.1
    for place, time_s in enumerate(times):
        x = left + (time_s - start) / (end - start) * (right - left)
        unit = " s" if end <= 60 and place == len(times) - 1 else ""
        anchor = "start" if x < 12 else "middle"
        out.append(
            f'<path d="M{number(x)} 14v4" stroke="currentColor" stroke-opacity=".5"/>'
            f'<text x="{number(x)}" y="30" text-anchor="{anchor}" fill-opacity=".72">'
            f"{time_text(time_s, fine, end)}{unit}</text>"
        )
    return f'<g class="mien-scale">{"".join(out)}</g>'


def _panel(person: PersonPath, plane: _Plane, span: tuple[float, float]) -> str:
    name = f'<text x="{number(plane.left)}" y="{number(plane.top - 8)}" font-size="13" '
    name += f'font-weight="600">{told(person.name)}</text>'
    points = _points(person, span)
    inside = [
        _ground(plane),
        _way(points, plane, span),
        _words(plane),
        _moments(points, plane, span),
    ]
    attribute = f'class="mien-plane" data-name="{told(person.name)}"'
    return f"<g {attribute}>{name}{''.join(inside)}</g>"


def _ground(plane: _Plane) -> str:
    """The circle, the axes through its middle, and what their ends mean."""
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
        f'<text x="{number(at)}" y="{number(down)}" text-anchor="{anchor}" fill-opacity=".72" '
        f'font-style="italic">{word}</text>'
        for word, at, down, anchor in ends
    )
    return rings + axes + words


def _words(plane: _Plane) -> str:
    """The expressions at their places."""
    out = []
    for label in EMOTIONS:
        x, y = float(plane.x(COORDINATES[label][0])), float(plane.y(COORDINATES[label][1]))
        right, down, anchor = _BESIDE[label]
        out.append(
            f'<circle cx="{number(x)}" cy="{number(y)}" r="2.5" fill-opacity=".8"/>'
            f'<text x="{number(x + right)}" y="{number(y + down)}" text-anchor="{anchor}">'
            f"{label}</text>"
        )
    return "".join(out)


@dataclass(frozen=True, eq=False)
class _Points:
    """``(m,)`` times and ``(m, 2)`` places, means of short times; `away` begin after a gap."""

    times: Floats
    places: Floats
    away: npt.NDArray[np.bool_]


def _points(person: PersonPath, span: tuple[float, float]) -> _Points:
    inside = (person.times >= span[0]) & (person.times <= span[1])
    times, places = person.times[inside], person.places[inside]
    if not len(times):
        return _Points(times, places, np.zeros(0, bool))
    slot = ((times - span[0]) / (span[1] - span[0]) * (_POINTS - 1)).astype(int)
    first = np.flatnonzero(np.diff(slot, prepend=-1))
    count = np.diff(first, append=len(times))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    gaps = times[first[1:]] - times[first[1:] - 1] > max(2.5 * usual, _AWAY_S)
    return _Points(
        np.add.reduceat(times, first) / count,
        np.add.reduceat(places, first, axis=0) / count[:, None],
        np.concatenate([[True], gaps]),
    )


def _way(points: _Points, plane: _Plane, span: tuple[float, float]) -> str:
    """Dots and the lines between them, colour by colour."""
    x, y = plane.x(points.places[:, 0]), plane.y(points.places[:, 1])
    out = []
    for color, rows in _colored(points.times, span):
        dots = "".join(f"M{number(x[i])} {number(y[i])}h0" for i in rows)
        lines = "".join(
            f"M{number(x[i - 1])} {number(y[i - 1])}L{number(x[i])} {number(y[i])}"
            for i in rows
            if not points.away[i]
        )
        out.append(f'<g stroke="{color}" stroke-linecap="round" fill="none">')
        out.append(f'<path d="{lines}" stroke-opacity=".6"/>' if lines else "")
        out.append(f'<path d="{dots}" stroke-width="5" stroke-opacity=".55"/></g>')
    return "".join(out)


def _colored(times: Floats, span: tuple[float, float]) -> Iterator[tuple[str, range]]:
    """Rows that have one colour, in order."""
    share = (times - span[0]) / (span[1] - span[0])
    step = np.minimum((share * _STEPS).astype(int), _STEPS - 1)
    edges = [0, *(np.flatnonzero(np.diff(step)) + 1).tolist(), len(times)]
    for a, b in pairwise(edges if len(times) else []):
        yield time_color((int(step[a]) + 0.5) / _STEPS), range(a, b)


def _moments(points: _Points, plane: _Plane, span: tuple[float, float]) -> str:
    """A ring where it begins, a disc where it ends, and round times beside the way between."""
    if not len(points.times):
        return ""
    x, y = plane.x(points.places[:, 0]).tolist(), plane.y(points.places[:, 1]).tolist()
    first, last, out = 0, len(points.times) - 1, []
    colors = [time_color((t - span[0]) / (span[1] - span[0])) for t in points.times]
    words = [(float(plane.x(v)), float(plane.y(a))) for v, a in COORDINATES.values()]
    taken = [*words, *((x[row], y[row]) for row in (first, last))]
    times = round_times(*span, 9)
    fine = times[1] - times[0] if len(times) > 1 else 0.1
    for time_s in times:
        row = int(np.abs(points.times - time_s).argmin())
        here = x[row], y[row]
        away = abs(points.times[row] - time_s) > (span[1] - span[0]) / 40
        if away or any(math.dist(here, other) < _APART for other in taken):
            continue
        taken.append(here)
        out.append(
            f'<circle cx="{number(x[row])}" cy="{number(y[row])}" r="3.5" fill="{colors[row]}"/>'
            f'<text x="{number(x[row])}" y="{number(y[row] + 15)}" text-anchor="middle" '
            f'fill-opacity=".8" font-size="10">{time_text(time_s, fine, span[1])}'
            f"{' s' if span[1] <= 60 else ''}</text>"
        )
    for row, fill in ((first, "none"), (last, colors[last])):
        out.append(
            f'<circle cx="{number(x[row])}" cy="{number(y[row])}" r="5" fill="{fill}" '
            f'stroke="{colors[row]}" stroke-width="2"/>'
        )
    return "".join(out)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines that fit, by the usual width of a letter."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) * 6 > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
