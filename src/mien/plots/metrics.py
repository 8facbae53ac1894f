"""Measured figures as SVG: confusion table, calibration, accuracy against coverage.

The drawings take their ink from the page around them (``currentColor``), so that they fit light
and dark pages; alone, on white, they are black.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from mien.plots import Plot

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_BLUE = "#2274b5"
_SIDE, _EDGE = 300, 46  # of a square plot: the field, and the room for figures beside it
_CELL, _NAMES = 62, 96  # of the table: a cell, and the names beside and above it


def confusion_picture(table: npt.NDArray[np.int64], labels: Sequence[str]) -> Plot:
    """Rows are the true labels, columns what was told; each row is shaded by its own share."""
    nothing = bool(table[:, -1].any())
    columns = [*labels, *(["none"] if nothing else [])]
    counts = table if nothing else table[:, :-1]
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    width = _NAMES + _CELL * len(columns) + 66
    height = 44 + _CELL * len(labels)
    parts = [
        f'<text x="{_NAMES + _CELL * len(columns) / 2}" y="12" text-anchor="middle" '
        'opacity=".7">told as</text>'
    ]
    for j, name in enumerate(columns):
        x = _NAMES + _CELL * (j + 0.5)
        parts.append(f'<text x="{x}" y="34" text-anchor="middle">{escape(name[:9])}</text>')
    for i, name in enumerate(labels):
        y = 44 + _CELL * i
        middle = y + _CELL / 2 + 4
        parts.append(
            f'<text x="{_NAMES - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        )
        for j in range(len(columns)):
            share = float(counts[i, j] / totals[i, 0])
            parts.append(_cell(_NAMES + _CELL * j, y, int(counts[i, j]), share, i == j))
        x = _NAMES + _CELL * len(columns) + 10
        parts.append(f'<text x="{x}" y="{middle}" opacity=".7">{int(counts[i].sum()):,}</text>')
    return _drawing(parts, width, height, "Confusion table: rows are true, columns are told")


def _cell(x: float, y: float, count: int, share: float, right: bool) -> str:
    ink = "#fff" if share > 0.55 else "currentColor"
    frame = ' stroke="currentColor" stroke-width="1.5"' if right else ""
    text = f"{100 * share:.0f} %" if count else "·"
    return (
        f"<g><title>{count:,} faces, {100 * share:.1f} %</title>"
        f'<rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_CELL - 2}" rx="4" '
        f'fill="{_BLUE}" fill-opacity="{max(share, 0.03):.3f}"{frame}/>'
        f'<text x="{x + _CELL / 2}" y="{y + _CELL / 2 + 5}" text-anchor="middle" '
        f'fill="{ink}">{text}</text></g>'
    )


def calibration_picture(bins: Sequence[tuple[float, float, int]]) -> Plot:
    """Share that is right against confidence; on the diagonal, confidence means what it says."""
    most = max((count for _, _, count in bins), default=1)
    parts = _field("confidence", "share that is right", (0, 1), (0, 1))
    parts.append(_line([(0, 0), (1, 1)], (0, 1), (0, 1), "currentColor", dashed=True))
    parts.append(_line([(told, true) for told, true, _ in bins], (0, 1), (0, 1), _BLUE))
    for told, true, count in bins:
        x, y = _place(told, true, (0, 1), (0, 1))
        radius = 2.5 + 6 * (count / most) ** 0.5
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_BLUE}" '
            f'fill-opacity=".75"><title>{count:,} faces: told {100 * told:.0f} %, '
            f"right {100 * true:.0f} %</title></circle>"
        )
    return _drawing(parts, _SIDE + 2 * _EDGE, _SIDE + 2 * _EDGE, "Calibration")


def coverage_picture(
    thresholds: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    accuracies: npt.NDArray[np.float64],
    sure: tuple[float, float],
) -> Plot:
    """Accuracy where only the surest faces are answered; a dot where `uncertain` begins."""
    low = float(np.floor(10 * min(accuracies.min(initial=1.0), 0.9)) / 10)
    kept = np.unique(np.linspace(0, max(len(shares) - 1, 0), 200).astype(int))
    kept = kept[shares[kept] >= 0.02] if len(shares) else kept  # of a few faces it only jumps
    parts = _field("share of faces answered", "right", (0, 1), (low, 1))
    points = [(float(shares[i]), float(max(accuracies[i], low))) for i in kept]
    parts.append(_line(points, (0, 1), (low, 1), _BLUE))
    if sure[1] == sure[1]:
        x, y = _place(sure[0], sure[1], (0, 1), (low, 1))
        told = f"{100 * sure[0]:.0f} % answered, {100 * sure[1]:.1f} % right"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_BLUE}"><title>{told}</title></circle>'
            f'<text x="{x - 10:.1f}" y="{y + 20:.1f}" text-anchor="end">{told}</text>'
        )
    return _drawing(parts, _SIDE + 2 * _EDGE, _SIDE + 2 * _EDGE, "Accuracy against coverage")


def _place(
    x: float, y: float, wide: tuple[float, float], high: tuple[float, float]
) -> tuple[float, float]:
    across = (x - wide[0]) / (wide[1] - wide[0])
    up = (y - high[0]) / (high[1] - high[0])
    return _EDGE + _SIDE * across, 12 + _SIDE * (1 - up)


def _field(
    below: str, beside: str, wide: tuple[float, float], high: tuple[float, float]
) -> list[str]:
    """Grid, figures and names of the axes."""
    parts = []
    for share in np.linspace(0, 1, 6):
        x, y = _EDGE + _SIDE * share, 12 + _SIDE * (1 - share)
        across = wide[0] + (wide[1] - wide[0]) * share
        up = high[0] + (high[1] - high[0]) * share
        parts += [
            f'<path d="M{x} 12v{_SIDE}M{_EDGE} {y}h{_SIDE}" stroke="currentColor" opacity=".13"/>',
            f'<text x="{x}" y="{_SIDE + 30}" text-anchor="middle" opacity=".8">'
            f"{100 * across:.0f}</text>",
            f'<text x="{_EDGE - 8}" y="{y + 4}" text-anchor="end" opacity=".8">'
            f"{100 * up:.0f}</text>",
        ]
    parts.append(
        f'<text x="{_EDGE + _SIDE / 2}" y="{_SIDE + 52}" text-anchor="middle">{below}, %</text>'
        f'<text transform="translate(12 {12 + _SIDE / 2}) rotate(-90)" text-anchor="middle">'
        f"{beside}, %</text>"
    )
    return parts


def _line(
    points: Sequence[tuple[float, float]],
    wide: tuple[float, float],
    high: tuple[float, float],
    color: str,
    *,
    dashed: bool = False,
) -> str:
    if not points:
        return ""
    places = [_place(x, y, wide, high) for x, y in points]
    told = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dash = ' stroke-dasharray="4 5" opacity=".5"' if dashed else ""
    return f'<path d="M{told}" fill="none" stroke="{color}" stroke-width="2"{dash}/>'


def _drawing(parts: Sequence[str], width: float, height: float, told: str) -> Plot:
    return Plot(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escape(told)}" '
        f'fill="currentColor" font-family="{_FONT}" font-size="13">{"".join(parts)}</svg>'
    )
