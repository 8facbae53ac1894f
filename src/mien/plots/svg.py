"""Single marks of a drawing: numbers, times, lines, colours, pictures, places side by side."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from math import ceil, floor

import numpy as np

from mien.escaping import printable_lines
from mien.labels import color_of
from mien.types import Floats, Image

#: What a drawing is written in: the reader's own font.
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


def told(text: str) -> str:
    """A text as it may stand in XML, between tags and in attributes."""
    return escape(printable_lines(text))


def round_times(start: float, end: float, most: int) -> list[float]:
    """Round times from start to end, evenly apart, about `most` of them at the most."""
    step = next((step for step in _STEPS if (end - start) / step <= most), 0.0)
    step = step or ceil((end - start) / most / _STEPS[-1]) * _STEPS[-1]
    first, last = ceil(start / step - 1e-6), floor(end / step + 1e-6)
    return [place * step for place in range(first, last + 1)]


def time_text(seconds: float, step: float, end: float) -> str:
    """A time as people write it: ``7``, ``7.5`` in short films; ``1:05`` or ``1:02:05`` in long.

    Args:
        seconds: the time.
        step: how fine: below 1, tenths of a second are written.
        end: the last time of the same film; above 60 s all are written with minutes.
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


def picture_uri(image: Image, side: int) -> str:
    """The picture ``(h, w, 3)`` uint8 RGB as a square JPEG of `side` pixels, a ``data:`` URI."""
    from io import BytesIO

    from PIL import Image as Pil

    buffer = BytesIO()
    picture = Pil.fromarray(np.ascontiguousarray(image))
    square = picture.resize((side, side), Pil.Resampling.LANCZOS)
    square.save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def paint(label: str, labels: Sequence[str], what: str = "fill") -> str:
    """SVG attributes that paint in a label's colour, moved a little towards the ink around it.

    On white it becomes darker, on black lighter: enough for a contrast of 3 to 1 (WCAG 2.1,
    1.4.11). Programs that do not know ``color-mix`` take the plain colour.
    """
    color = "#{:02x}{:02x}{:02x}".format(*color_of(label, labels))
    mixed = f"color-mix(in srgb,{color} 78%,currentColor)"
    return f'data-label="{told(label)}" {what}="{color}" style="{what}:{mixed}"'


def path(x: Floats, y: Floats) -> str:
    """A line through the points, in tenths of a unit; each step is told from the one before."""
    points = np.rint(10 * np.stack([x, y], axis=1)).astype(int)
    steps = np.diff(points, axis=0)
    kept = steps[(steps != 0).any(axis=1)]
    told = " ".join(f"{number(dx / 10)} {number(dy / 10)}" for dx, dy in kept.tolist()) or "0 0"
    return f"M{number(points[0, 0] / 10)} {number(points[0, 1] / 10)}l{told}"


def number(value: float) -> str:
    """A number with at most one decimal, as short as it can be."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text.replace("0.", ".") if abs(value) < 1 else text


def apart(wanted: Floats, slot: float, low: float, high: float) -> Floats:
    """Places in order and at least `slot` apart, as near to those wanted as squares can tell.

    Isotonic regression by pooling neighbours (Ayer et al. 1955), then cut to low..high.
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
