"""Elements of an SVG plot: texts, numbers, times, lines, colors, images.

A plot takes its ink from the page around it (``currentColor``), so that it fits light and dark
pages; alone, on white, it is black.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.escaping import printable_lines
from mien.labels import color_of, hex_color
from mien.media.images import encode
from mien.plots.values import Plot
from mien.types import Floats, Image

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_EM = 0.58  # mean width of a letter
_ABSENT_S = 0.25  # a longer step in time is an absence, if it is also long for this person


def xml_text(text: str) -> str:
    """A text as it may stand in XML, between tags and in attributes."""
    return escape(printable_lines(text))


def label_width(text: str, size: float = 11) -> float:
    """Approximate width of a text; the font is the reader's own."""
    return _EM * size * len(text)


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    size: float | None = None,
    more: str = "",
    quiet: bool = False,
) -> str:
    """A line of text on its baseline.

    The anchor is ``start``, ``middle`` or ``end``; `more` are further attributes, and `quiet` text
    is fainter.
    """
    attributes = f' text-anchor="{anchor}"' if anchor != "start" else ""
    attributes += f' font-size="{number(size)}"' if size else ""
    attributes += ' fill-opacity=".72"' if quiet else ""
    attributes += f" {more}" if more else ""
    return f'<text x="{number(x)}" y="{number(y)}"{attributes}>{xml_text(words)}</text>'


def document(
    parts: Iterable[str], width: float, height: float, description: str, more: str = ""
) -> Plot:
    """A complete ``<svg>`` element; `description` is for those who cannot see it."""
    return Plot(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}" role="img" '
        f'aria-label="{xml_text(description)}" fill="currentColor" font-family="{_FONT}" '
        f'font-size="11" {more} style="max-width:100%;height:auto">{"".join(parts)}</svg>'
    )


def wrapped(words: str, width: float) -> list[str]:
    """Lines of a text that fit into a width, by the mean width of a letter."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if label_width(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def time_span(
    times: Iterable[Floats], span: tuple[float, float] | None = None
) -> tuple[float, float]:
    """First and last second of an axis: `span`, or of all times, at least a tenth apart.

    Raises:
        UsageError: the span ends before it begins.
    """
    if span is None:
        every = np.concatenate([np.zeros(0), *times])
        span = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    start, end = span
    if not (math.isfinite(start) and math.isfinite(end) and start <= end):
        raise UsageError(f"the span must be two times in order, got {span}.")
    return start, max(end, start + 0.1)


def time_bins(
    times: Floats, span: tuple[float, float], bins: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Divide sorted times into equal bins of a span, for means of each.

    Returns:
        three arrays of m bins that are not empty: the first row of each, how many rows it has,
        and whether the person was absent between it and the one before (never of the first).
    """
    place = ((times - span[0]) / (span[1] - span[0]) * bins).astype(int)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    count = np.diff(first, append=len(times))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    absent = np.zeros(len(first), bool)
    absent[1:] = times[first[1:]] - times[first[1:] - 1] > max(2.5 * usual, _ABSENT_S)
    return first, count, absent


def round_times(start: float, end: float, most: int) -> list[float]:
    """Round times from start to end, evenly spaced, about `most` of them at the most."""
    step = next((step for step in _STEPS if (end - start) / step <= most), 0.0)
    step = step or math.ceil((end - start) / most / _STEPS[-1]) * _STEPS[-1]
    first, last = math.ceil(start / step - 1e-6), math.floor(end / step + 1e-6)
    return [place * step for place in range(first, last + 1)]


def time_ticks(start: float, end: float, most: int) -> list[tuple[float, str]]:
    """Round times of an axis with their texts; in short videos the last one names the unit."""
    times = round_times(start, end, most)
    step = times[1] - times[0] if len(times) > 1 else 0.1
    unit = " s" if end <= 60 else ""
    return [(at, time_text(at, step, end) + (unit if at == times[-1] else "")) for at in times]


def time_text(seconds: float, step: float, end: float) -> str:
    """A time: ``7``, ``7.5`` in short videos; ``1:05`` or ``1:02:05`` in long ones.

    Args:
        seconds: the time.
        step: resolution: below 1, tenths of a second are written.
        end: the last time of the same video; above 60 s all are written with minutes.
    """
    tenths = round(10 * seconds) if step < 1 else 10 * round(seconds)
    whole, tenth = divmod(tenths, 10)
    fine = f".{tenth}" if step < 1 else ""
    if end <= 60:
        return f"{whole}{fine}"
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}" if hours or end > 3600 else f"{minutes}"
    return f"{clock}:{whole:02}{fine}"


def image_uri(image: Image, side: int) -> str:
    """An image ``(h, w, 3)`` uint8 RGB as a square JPEG of `side` pixels, a ``data:`` URI."""
    from PIL import Image as Pil

    square = Pil.fromarray(np.ascontiguousarray(image)).resize((side, side), Pil.Resampling.LANCZOS)
    data = encode(np.asarray(square), "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def paint(label: str, labels: Sequence[str], what: str = "fill") -> str:
    """SVG attributes that paint in a label's color, moved a little towards the ink around it.

    On white it becomes darker, on black lighter: enough for a contrast of 3 to 1 (WCAG 2.1,
    1.4.11). Programs that do not know ``color-mix`` take the plain color.
    """
    color = hex_color(color_of(label, labels))
    mixed = f"color-mix(in srgb,{color} 78%,currentColor)"
    return f'data-label="{xml_text(label)}" {what}="{color}" style="{what}:{mixed}"'


def path(x: Floats, y: Floats) -> str:
    """A line through points, in tenths of a unit; each step is relative to the one before."""
    points = np.rint(10 * np.stack([x, y], axis=1)).astype(int)
    steps = np.diff(points, axis=0)
    moves = steps[(steps != 0).any(axis=1)]
    line = " ".join(f"{number(dx / 10)} {number(dy / 10)}" for dx, dy in moves.tolist()) or "0 0"
    return f"M{number(points[0, 0] / 10)} {number(points[0, 1] / 10)}l{line}"


def number(value: float) -> str:
    """A number with at most one decimal, as short as it can be."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text.replace("0.", ".") if abs(value) < 1 else text


def apart(wanted: Floats, slot: float, low: float, high: float) -> Floats:
    """Places in order, at least `slot` apart, with the least squared distance to those wanted.

    Isotonic regression by pooling neighbors (Ayer et al. 1955), then clipped to low..high.
    """
    steps = slot * np.arange(len(wanted))
    pools: list[tuple[float, int]] = []
    for value in (wanted - steps).tolist():
        pool = (value, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, number = pools.pop()
            both = number + pool[1]
            pool = ((mean * number + pool[0] * pool[1]) / both, both)
        pools.append(pool)
    means = np.repeat([mean for mean, _ in pools], [number for _, number in pools])
    return np.asarray(np.clip(means, low, max(low, high - slot * (len(wanted) - 1))) + steps)
