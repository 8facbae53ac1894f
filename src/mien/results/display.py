"""The ``faces`` table as people read it: in color, as lines of text, the expression first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError
from mien.labels import MEASURES, color_of, ink

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

_FIRST = ["emotion", "probability"]
_LISTED = 0.005  # labels with a smaller probability are not listed
_CELL = "background-color: rgb({}, {}, {}); color: rgb({}, {}, {})"


def expression_first(table: pd.DataFrame) -> pd.DataFrame:
    """A ``faces`` table with the expression in front, so that printing it shows the answer."""
    return table[_FIRST + [name for name in table.columns if name not in _FIRST]]


def lines(table: pd.DataFrame, labels: Sequence[str], width: int = 80) -> list[str]:
    """A ``faces`` table as text: a line per face with its expression and the next ones.

    As many labels are listed as fit into `width` letters.
    """
    found = []
    for row in table.to_dict("records"):
        ranked = sorted(labels, key=lambda name: -row[name])
        line = f"face {row['face']}"
        if isinstance(row["unfit_reason"], str):
            line += f" ({row['unfit_reason'].replace('_', ' ')})"
        if row["emotion"] not in labels:
            line += f": {row['emotion']}"
        parts = [f"{name} {row[name]:.0%}" for name in ranked if row[name] >= _LISTED]
        while parts and len(f"{line}: {', '.join(parts)}") > width:
            parts.pop()
        found.append(f"{line}: {', '.join(parts)}" if parts else line)
    return found


def style(dataframe: pd.DataFrame, labels: Sequence[str]) -> Styler:
    """The table in color: the more probable a label, the fuller its cell.

    The columns of `labels` are colored, from 0 (white) to 1 (the label's color).

    Raises:
        MissingExtraError: jinja2, which pandas styles tables with, is not installed.
    """
    table = dataframe.reset_index(drop=True)  # pandas styles only tables with a unique index
    try:
        styler = table.style
    except (ImportError, AttributeError) as error:  # pandas 3 raises the second
        raise MissingExtraError(
            "colored tables need jinja2; install it with: pip install jinja2"
        ) from error
    shown = [label for label in labels if label in table.columns]
    for label in shown:
        color = color_of(label, labels)
        styler = styler.map(lambda share, color=color: _tint(color, share), subset=[label])
    if "emotion" in table.columns:
        styler = styler.map(
            lambda name: _tint(color_of(name, labels), 1.0) if isinstance(name, str) else "",
            subset=["emotion"],
        )
    formats = {"time_s": "{:.2f}", "detection_score": "{:.2f}", "sharpness": "{:.3f}"}
    formats |= dict.fromkeys(("x1", "y1", "x2", "y2", "size_px", "roll_deg", "yaw_deg"), "{:.0f}")
    formats |= dict.fromkeys((*shown, "probability"), "{:.0%}")
    formats |= dict.fromkeys(MEASURES, "{:+.2f}")
    known: dict[Any, Any] = {name: text for name, text in formats.items() if name in table.columns}
    rules: list[Any] = [
        {"selector": "th, td", "props": "padding: 0.25em 0.6em; white-space: nowrap"},
        {"selector": "td", "props": "text-align: right; font-variant-numeric: tabular-nums"},
        {"selector": "th.col_heading", "props": "text-align: right; font-weight: 600"},
    ]
    styler = styler.format(known, na_rep="–", escape="html").format_index(escape="html", axis=1)
    for name in {"source", "emotion"} & set(table.columns):
        place = table.columns.get_loc(name)
        selector = f"td.col{place}, th.col_heading.col{place}"
        rules.append({"selector": selector, "props": "text-align: left"})
    return styler.hide(axis="index").set_table_styles(rules)


def _tint(color: tuple[int, int, int], share: float) -> str:
    """CSS of a cell between white at 0 and the label's color at 1; nothing for NaN."""
    if not np.isfinite(share):
        return ""
    part = min(max(float(share), 0.0), 1.0)
    red, green, blue = (round(255 + part * (channel - 255)) for channel in color)
    return _CELL.format(red, green, blue, *ink((red, green, blue)))
