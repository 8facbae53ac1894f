"""People as `mien people` tells of them in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import UsageError
from mien.files import check_output, writable_place
from mien.people.identities import PEOPLE_COLUMNS
from mien.results.files import SUFFIXES, apart
from mien.results.writer import check_table

if TYPE_CHECKING:
    from mien.cli.people_inputs import Gathered
    from mien.people.identities import People

if TYPE_CHECKING:
    from mien.people.identities import People

_ROWS = 100  # persons told in the terminal
_WIDTHS = {"person": 24, "nearest": 24, "films": 60}  # letters


def show_who(who: People) -> None:
    """Print one row a person: how much was seen of them, and how alike their faces are."""
    from rich.table import Table

    from mien.cli.console import console
    from mien.reports.people import short_names
    from mien.timeline.text import clock

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


_PAGES = (".html", ".htm")
_PAGE = "index.html"
_TABLES = ("people.csv", "tracks.csv", "merged.parquet")


def check_people_output(output: Path | None, files: Sequence[str], overwrite: bool) -> None:
    """Make sure that `write` can write there, and over nothing that would be lost.

    Raises:
        UsageError: it cannot, or would.
    """
    if output is None:
        return
    is_file = output.suffix.lower() in (*_PAGES, *SUFFIXES) and not output.is_dir()
    for file in files:
        for target in [output] if is_file else [output / name for name in _TABLES]:
            apart(target, Path(file))
    if output.is_dir():
        check_output(output / _PAGE, inputs=files, overwrite=overwrite)
        if not overwrite:
            check_table(output / _TABLES[0], PEOPLE_COLUMNS, ())
    elif is_file:
        if output.suffix.lower() in _PAGES:
            check_output(output, inputs=files, overwrite=overwrite)
        elif not overwrite:
            check_table(writable_place(output), PEOPLE_COLUMNS, ())
    elif output.exists():
        raise UsageError(f"{output} is a file: give a folder, a page or a table to write.")
    else:
        output.mkdir(parents=True)


def write(gathered: Gathered, who: People, output: Path, overwrite: bool) -> list[Path]:
    """Write what the name asks for: a page, the table of people, or everything into a folder."""
    from mien.cli.people_faces import read_again
    from mien.reports.people import missing_faces, write_people_page
    from mien.results.tables import write_table

    timeline = gathered.timeline
    suffix = output.suffix.lower()
    if suffix in SUFFIXES and not output.is_dir():
        return [write_table(who.table, output, overwrite=overwrite)]
    pictures = dict(read_again(gathered, who, missing_faces(timeline, who)))
    if suffix in _PAGES and not output.is_dir():
        return [write_people_page(timeline, who, output, pictures, overwrite=overwrite)]
    merged = replace(timeline.merged(who), embeddings=None)  # nobody asked to keep them
    return [
        write_people_page(timeline, who, output / _PAGE, pictures, overwrite=overwrite),
        write_table(who.table, output / _TABLES[0], overwrite=overwrite),
        write_table(who.tracks, output / _TABLES[1], overwrite=overwrite),
        merged.save(output / _TABLES[2], overwrite=overwrite),
    ]
