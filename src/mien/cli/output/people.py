"""People as `mien people` tells of them in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mien.people.identities import People

_ROWS = 100  # persons told in the terminal
_WIDTHS = {"person": 24, "nearest": 24, "films": 60}  # letters


def show_who(who: People) -> None:
    """Print one row a person: how much was seen of them, and how alike their faces are."""
    from rich.table import Table

    from mien.cli.console import clock, console
    from mien.reports.people import short_names

    if not len(who):
        print("nobody was seen", file=sys.stderr)  # noqa: T201
        return
    names = short_names(list(dict.fromkeys(who.tracks["source"])))
    films = who.tracks.groupby("person")["source"].unique()
    columns = {"person": "left", "seen": "right", "faces": "right", "tracks": "right"}
    columns |= {"alike": "right", "nearest": "right", "known": "right", "films": "left"}
    unused = {"known"} if who.table["known_similarity"].isna().all() else set()
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [name for name in columns if name not in unused]
    for name in shown:
        look = {"no_wrap": True, "overflow": "ellipsis", "max_width": _WIDTHS.get(name)}
        table.add_column(name, justify=columns[name], **look)  # type: ignore[arg-type]
    for row in who.table.head(_ROWS).to_dict("records"):
        near = "-" if np.isnan(row["nearest_similarity"]) else f"{row['nearest_similarity']:.2f}"
        cells = {
            "person": row["name"],
            "seen": clock(row["visible_s"]) if row["visible_s"] else "-",
            "faces": str(row["n_faces"]),
            "tracks": str(row["tracks"]),
            "alike": "-" if np.isnan(row["similarity"]) else f"{row['similarity']:.2f}",
            "nearest": near if near == "-" else f"{row['nearest']} {near}",
            "known": "-" if np.isnan(row["known_similarity"]) else f"{row['known_similarity']:.2f}",
            "films": ", ".join(names[source] for source in films[row["person"]]),
        }
        table.add_row(*(cells[name] for name in shown))
    console().print(table)
    left = len(who) - _ROWS
    told = f"{left} more people: -o FILE.csv has all. " if left > 0 else ""
    if who.absent:
        told += f"not found: {', '.join(who.absent)}. "
    told += f"figures: mean cosine; one person from {who.threshold:g}"
    print(told, file=sys.stderr)  # noqa: T201
