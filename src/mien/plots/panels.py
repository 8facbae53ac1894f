"""What plots over time share: the axis of seconds, panels above one another, a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.errors import UsageError
from mien.plots.svg import label_width, number, text, time_span, time_ticks
from mien.plots.values import ActionCurve, PersonCurve
from mien.types import Floats

#: Beside the panels: tick labels of values, half of a tick label of time.
GUTTER, RIGHT = 44, 22
#: Height of a panel, the space below it, and below the last one for the times.
PANEL, SPACE, FOOT = 92, 24, 26
#: Height of the heading, such as the name of the video.
TITLE = 26
#: In legends: what shades stand for.
UNFIT = "unfit to be judged"


@dataclass(frozen=True)
class TimeAxis:
    """From seconds to the plot's units, the same for every panel."""

    start: float
    end: float
    left: float
    right: float

    @classmethod
    def of(
        cls,
        people: Sequence[PersonCurve] | Sequence[ActionCurve],
        span: tuple[float, float] | None,
        width: int,
    ) -> TimeAxis:
        """The axis that all panels of a plot share.

        Raises:
            UsageError: the span ends before it begins, or the plot is too narrow.
        """
        if width < 240:
            raise UsageError(f"a plot of curves is at least 240 wide, got {width}.")
        unfit = [np.reshape(person.unfit, -1) for person in people]
        times = [*(person.times for person in people), *unfit]
        return cls(*time_span(times, span), GUTTER, width - RIGHT)

    def x(self, time_s: Floats | float) -> Floats:
        """Where these seconds are."""
        share = (np.asarray(time_s) - self.start) / (self.end - self.start)
        return np.asarray(self.left + share * self.length)

    @property
    def length(self) -> float:
        """From the first second to the last."""
        return self.right - self.left

    @property
    def attributes(self) -> str:
        """What the script of a page needs to read off times."""
        return (
            f'data-start="{self.start:.3f}" data-end="{self.end:.3f}" '
            f'data-left="{self.left}" data-right="{self.right}"'
        )


def time_axis(
    axis: TimeAxis, panels: Sequence[tuple[float, float]], foot: float, top: float
) -> str:
    """Round times below the last panel, which ends at `foot`; a thin line at each through all.

    Args:
        axis: of the plot.
        panels: top and height of each.
        foot: where the last panel ends.
        top: where the words stand that there is none.
    """
    if not panels:
        return text(GUTTER, top + 16, "no face was found")
    out = []
    for time_s, words in time_ticks(axis.start, axis.end, max(2, int(axis.length / 76))):
        x = float(axis.x(time_s))
        lines = "".join(f"M{number(x)} {number(top)}v{number(height)}" for top, height in panels)
        out.append(
            f'<path d="{lines}" fill="none" stroke="currentColor" stroke-opacity=".14"/>'
            + text(x, foot + 17, words, anchor="middle", quiet=True)
        )
    return f'<g class="mien-time">{"".join(out)}</g>'


def shades(spans: Sequence[tuple[float, float]], axis: TimeAxis, top: float, height: float) -> str:
    """Shades over the stretches in which the face was unfit to be judged."""
    ends = [axis.x(np.clip(span, axis.start, axis.end)).tolist() for span in spans]
    areas = [
        f"M{number(a)} {number(top)}H{number(b)}v{number(height)}H{number(a)}Z" for a, b in ends
    ]
    if not areas:
        return ""
    return f'<path class="mien-unfit" d="{"".join(areas)}" fill-opacity=".13"/>'


def legend(entries: Sequence[tuple[str, str, str]], width: float, top: float) -> tuple[str, float]:
    """Entries in rows as wide as the plot, and where these end.

    Args:
        entries: the words, further attributes of the entry, and attributes that paint its mark.
        width: of the plot.
        top: where it begins.
    """
    out, x, y = [], float(GUTTER), top + 14.0
    for name, key, paints in entries:
        room = 36 + label_width(name, 12)
        if x + room > width and x > GUTTER:
            x, y = float(GUTTER), y + 20
        out.append(
            f'<g{key}><rect x="{number(x)}" y="{number(y - 9.5)}" width="12" '
            f'height="10" rx="2" {paints}/>'
            f"{text(x + 18, y, name, size=12)}</g>"
        )
        x += room
    return f'<g class="mien-legend">{"".join(out)}</g>', y + 18 if out else top
