"""A `Timeline` in a few columns of text that fit a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mien.expressions.actions import ACTION_COLUMNS
from mien.labels import ATTRIBUTES, UNCERTAIN
from mien.timeline.baseline import RAW

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.timeline.timeline import Timeline

_FIXED = 16 + 2 + 7 + 2 + 17  # columns of person, visible and peak, and what lies between
_OTHER = "other"
_LABELS = 20  # letters that labels need at least, so that measures fit beside them


class Block(NamedTuple):
    """A table about one video: its name, the names of the columns, and a row for each person."""

    name: str
    head: list[str]
    rows: list[list[str]]


def blocks(timeline: Timeline, width: int = 80) -> Iterator[Block]:
    """The people of each video: visible time, shares of it by expression, means, strongest moment.

    Labels that nobody shows are left out; where the rest is too wide, the rarest are summed up.
    Measures, such as apparent age, are means over the faces that count; of several people together
    none is given. The width is in letters.
    """
    from mien.results.tables import measure_columns

    labels = (*timeline.labels, UNCERTAIN)
    faces = timeline.counted_faces
    measures = shown_measures(measure_columns(faces))
    measures = [name for name in measures if faces[name].notna().any()]
    heads = measure_heads(measures)
    means = faces.groupby(["source", "track_id"], observed=True)[measures].mean()
    for source, summary in timeline.summary().groupby("source", sort=False):
        unfit = bool((summary["fit_share"] < 1).any())
        shares = summary[[f"share_{name}" for name in labels]].set_axis([*labels], axis=1)
        room = width - _FIXED - 5 * unfit
        beside = room - sum(len(head) + 2 for head in heads)
        inside = heads if beside >= _LABELS else []  # else a table of their own
        shown, rest = fitting_labels(
            shares.columns, shares.to_numpy(np.float64), beside if inside else room
        )
        others = [_OTHER] * bool(rest)
        head = ["person", "visible", *["fit"] * unfit, *shown, *others, *inside, "peak"]
        rows, further = [], []
        for place, row in enumerate(summary.to_dict("records")):
            last = place == len(summary) - 1
            if last and row["people"] == 1:
                continue  # the only person says it all
            everyone = f"everyone ({row['people']})" if row["people"] else "all faces"
            name = everyone if last else timeline.name_of(row["track_id"])
            if not row["visible_s"]:
                rows.append(["no face"])
                continue
            cells = [_percent(row["fit_share"])] * unfit
            cells += [_percent(row[f"share_{label}"]) for label in shown]
            cells += [_percent(sum(row[f"share_{label}"] for label in rest)) for _ in others]
            key = source, row["track_id"]
            values = [measure_text(m, float(means[m].get(key, math.nan))) for m in measures]
            cells += values[: len(inside)]
            further.append([name, *values])
            rows.append([name, clock(row["visible_s"]), *cells, _peak(row)])
        yield Block(Path(str(source)).name, head, rows)
        if len(inside) < len(heads):
            yield Block(f"{Path(str(source)).name}: means", ["person", *heads], further)


def clock(seconds: float) -> str:
    """Seconds as a player shows them, ``m:ss.s``."""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def plain(timeline: Timeline, width: int = 80) -> str:
    """The same as text."""
    lines = []
    for block in blocks(timeline, width):
        full = [row + [""] * (len(block.head) - len(row)) for row in [block.head, *block.rows]]
        widths = [max(map(len, column)) for column in zip(*full, strict=True)]
        lines.append(block.name)
        for first, *cells, last in full:
            middle = (f"{c:>{w}}" for c, w in zip(cells, widths[1:-1], strict=True))
            lines.append("  ".join([f"{first:<{widths[0]}}", *middle, last]).rstrip())
    return "\n".join([*lines, base(timeline)])


def base(timeline: Timeline) -> str:
    """What the percentages refer to, and how much they are smoothed."""
    counted = timeline.unfit_note and not timeline.all_faces
    smooth_s = timeline.settings.smooth_s
    text = "expressions: percent of the visible time" + (" fit to be judged" if counted else "")
    return text + (f", smoothed over {smooth_s:g} s" if smooth_s else "")


def _peak(row: dict[Any, Any]) -> str:
    known = isinstance(row["peak_emotion"], str)
    return f"{row['peak_emotion']} {clock(row['peak_s'])}" if known else "-"


def shown_measures(names: Iterable[str]) -> list[str]:
    """The measures that a table in the terminal has room for: no facial actions, no raw values."""
    return [name for name in names if name not in ACTION_COLUMNS and not name.startswith(RAW)]


def measure_heads(names: Sequence[str]) -> list[str]:
    """Measures as headers of columns: ``age`` for ``apparent_age``."""
    return [name.removeprefix("apparent_").replace("_", " ") for name in names]


def measure_text(name: str, value: float) -> str:
    """A measure in a table: years without a fraction, all else with two digits of it."""
    return "-" if math.isnan(value) else f"{value:{'.0f' if name == ATTRIBUTES['age'] else '.2f'}}"


def fitting_labels(
    labels: Iterable[str], shares: npt.NDArray[Any], room: int
) -> tuple[list[str], list[str]]:
    """The labels to give a column each, and those to sum up.

    `shares` is ``(n, k)``, 0 to 1; of what does not fit into `room` letters, the smallest are
    summed up. Of arrays, so that a photo is shown without loading pandas.
    """
    most = np.nan_to_num(shares).max(axis=0, initial=0.0)
    top = dict(zip(labels, most.tolist(), strict=True))
    there = [name for name, share in top.items() if share >= 0.005]
    wanted = sorted(there, key=lambda name: -top[name])
    spare = len(_OTHER) + 2
    while wanted and sum(len(n) + 2 for n in wanted) > room - spare * (len(wanted) < len(there)):
        wanted.pop()
    return [n for n in there if n in wanted], [n for n in there if n not in wanted]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.0f}"
