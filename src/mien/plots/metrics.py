"""Plots of an evaluation: confusion matrix, calibration, accuracy against coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.plots.svg import document, number, text, xml_text
from mien.plots.values import Plot

_BLUE = "#2274b5"
_SIDE, _EDGE, _TOP = 300, 46, 12  # of a square field, and the room beside, below and above it
_CELL, _NAMES, _HEAD = 62, 96, 44  # of the matrix: a cell, and the names beside and above it
_FEW = 10  # faces: fewer say little, so no line leads to them
_BEYOND = 1.96  # standard errors of a 95 % interval


def confusion_plot(table: npt.NDArray[np.int64], labels: Sequence[str]) -> Plot:
    """The confusion matrix: rows are true labels, columns predictions, shades shares of the row.

    Args:
        table: ``(k, k + 1)`` counts; the last column holds faces without a prediction.
        labels: k names.
    """
    missing = bool(table[:, -1].any())
    columns = [*labels, *(["none"] if missing else [])]
    counts = table if missing else table[:, :-1]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = _NAMES + _CELL * len(columns)
    parts = [text((_NAMES + right) / 2, 12, "predicted", anchor="middle", size=13, quiet=True)]
    parts.append(text(right + 10, 34, "faces", size=13, quiet=True))
    for j, name in enumerate(columns):
        parts.append(text(_NAMES + _CELL * (j + 0.5), 34, name[:9], anchor="middle", size=12))
    for i, name in enumerate(labels):
        middle = _HEAD + _CELL * (i + 0.5) + 4
        parts.append(text(_NAMES - 10, middle, name, anchor="end", size=13))
        parts += [
            _cell(_NAMES + _CELL * j, _HEAD + _CELL * i, int(counts[i, j]), shares[i, j], i == j)
            for j in range(len(columns))
        ]
        parts.append(text(right + 10, middle, f"{counts[i].sum():,}", size=13, quiet=True))
    height = _HEAD + _CELL * len(labels)
    return document(parts, right + 66, height, "Confusion matrix: rows true, columns predicted")


def _cell(x: float, y: float, count: int, share: float, correct: bool) -> str:
    ink = "#fff" if share > 0.55 else "currentColor"
    frame = ' stroke="currentColor" stroke-width="1.5"' if correct else ""
    words = f"{100 * share:.0f} %" if count else "·"
    return (
        f"<g><title>{count:,} faces, {100 * share:.1f} %</title>"
        f'<rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_CELL - 2}" rx="4" '
        f'fill="{_BLUE}" fill-opacity="{max(share, 0.03):.3f}"{frame}/>'
        + text(x + _CELL / 2, y + _CELL / 2 + 5, words, anchor="middle", size=13,
               more=f'fill="{ink}"')
        + "</g>"
    )  # fmt: skip


@dataclass(frozen=True)
class _Field:
    """A square plot of two shares; the vertical axis begins at `low`."""

    low: float = 0.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        up = (max(y, self.low) - self.low) / (1 - self.low)
        return _EDGE + _SIDE * x, _TOP + _SIDE * (1 - up)

    def axes(self, below: str, beside: str) -> list[str]:
        """Grid, tick labels and names of the axes."""
        parts = []
        for share in np.linspace(0, 1, 6).tolist():
            level = self.low + (1 - self.low) * share
            x, y = self.at(share, level)
            parts += [
                f'<path d="M{number(x)} {_TOP}v{_SIDE}M{_EDGE} {number(y)}h{_SIDE}" '
                'stroke="currentColor" opacity=".13"/>',
                text(x, _TOP + _SIDE + 18, f"{100 * share:.0f}", anchor="middle", quiet=True),
                text(_EDGE - 8, y + 4, f"{100 * level:.0f}", anchor="end", quiet=True),
            ]
        note = f" (axis begins at {100 * self.low:.0f})" if self.low else ""
        turned = f'transform="translate(12 {_TOP + _SIDE / 2}) rotate(-90)"'
        middle = _EDGE + _SIDE / 2
        parts.append(text(middle, _TOP + _SIDE + 40, f"{below}, %", anchor="middle", size=13))
        parts.append(text(0, 0, f"{beside}, %{note}", anchor="middle", size=13, more=turned))
        return parts

    def line(self, points: Sequence[tuple[float, float]], more: str = "") -> str:
        places = "L".join(" ".join(map(number, self.at(x, y))) for x, y in points)
        return f'<path d="M{places}" fill="none" stroke="{_BLUE}" stroke-width="2" {more}/>'

    def plot(self, parts: Sequence[str], description: str) -> Plot:
        return document(parts, _SIDE + 2 * _EDGE, _TOP + _SIDE + 50, description)


def calibration_plot(bins: Sequence[tuple[float, float, int]]) -> Plot:
    """Accuracy against confidence; on the diagonal, confidence equals accuracy.

    Each bin has the 95 % interval of its accuracy (Wilson 1927); bins of fewer than ten faces are
    hollow, and no line leads to them.

    Args:
        bins: mean confidence, accuracy and number of faces.
    """
    field = _Field()
    most = max((count for _, _, count in bins), default=1)
    parts = field.axes("confidence", "accuracy")
    parts.append(field.line([(0, 0), (1, 1)], 'stroke-dasharray="4 5" style="stroke:currentColor" '
                            'opacity=".5"'))  # fmt: skip
    solid = [(confidence, accuracy) for confidence, accuracy, count in bins if count >= _FEW]
    parts += [field.line(solid)] if solid else []
    for confidence, accuracy, count in bins:
        x, y = field.at(confidence, accuracy)
        low, high = (field.at(confidence, share)[1] for share in _wilson(accuracy, count))
        radius = 2.5 + 6 * (count / most) ** 0.5
        fill = f'fill="{_BLUE}" fill-opacity=".75"' if count >= _FEW else 'fill="none"'
        words = f"{count:,} faces: confidence {100 * confidence:.0f} %"
        parts.append(
            f'<path d="M{number(x)} {number(low)}V{number(high)}" stroke="{_BLUE}" '
            f'stroke-opacity=".7"/><circle cx="{number(x)}" cy="{number(y)}" '
            f'r="{number(radius)}" {fill} stroke="{_BLUE}"><title>'
            f"{xml_text(words)}, accuracy {100 * accuracy:.0f} %</title></circle>"
        )
    return field.plot(parts, "Calibration")


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` trials (Wilson 1927)."""
    z2 = _BEYOND**2 / max(count, 1)
    middle = share + z2 / 2
    half = _BEYOND * math.sqrt((share * (1 - share) + z2 / 4) / max(count, 1))
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


def coverage_plot(
    shares: npt.NDArray[np.float64],
    accuracies: npt.NDArray[np.float64],
    confident: tuple[float, float],
) -> Plot:
    """Accuracy of the most confident share of faces; a dot where `uncertain` begins.

    Args:
        shares, accuracies: coverage and accuracy at each confidence threshold.
        confident: coverage and accuracy at the threshold of ``uncertain``.
    """
    low = float(np.floor(10 * min(accuracies.min(initial=1.0), 0.9)) / 10)
    field = _Field(low)
    rows = np.unique(np.linspace(0, max(len(shares) - 1, 0), 200).astype(int))
    rows = rows[shares[rows] >= 0.02] if len(shares) else rows[:0]  # few faces only add noise
    parts = field.axes("coverage: share of faces", "accuracy")
    points = [(float(shares[i]), float(accuracies[i])) for i in rows]
    parts += [field.line(points)] if points else []
    if not math.isnan(confident[1]):
        x, y = field.at(*confident)
        words = f"{100 * confident[0]:.0f} % of faces, accuracy {100 * confident[1]:.1f} %"
        parts.append(
            f'<circle cx="{number(x)}" cy="{number(y)}" r="5" fill="{_BLUE}"/>'
            + text(x - 10, y + 20, words, anchor="end", size=13)
        )
    return field.plot(parts, "Accuracy against coverage")
