"""People in the terminal and in files, as `mien people` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.cli.console import note, show, table
from mien.errors import UsageError
from mien.files import check_output, writable_place
from mien.people.identities import PEOPLE_COLUMNS
from mien.results.files import SUFFIXES, apart
from mien.results.writer import check_table

if TYPE_CHECKING:
    from mien.cli.people_inputs import Gathered
    from mien.people.identities import People

_ROWS = 100  # people in the terminal's table
_WIDTHS = {"person": 24, "most similar": 24, "videos": 60}  # letters
_PAGES = (".html", ".htm")
_PAGE = "index.html"
_TABLES = ("people.csv", "tracks.csv", "merged.parquet")


def show_identities(identities: People) -> None:
    """Print one row per person: how long they are visible, and how similar their faces are."""
    from mien.reports.people import short_names
    from mien.timeline.text import clock

    if not len(identities):
        note("no face was found")
        return
    names = short_names(list(dict.fromkeys(identities.tracks["source"])))
    videos = identities.tracks.groupby("person")["source"].unique()
    matched = not identities.table["known_similarity"].isna().all()
    columns = ["person", "visible", "faces", "tracks", "alike", "most similar"]
    columns += [*["match"] * matched, "videos"]
    made = table(*columns, left=(0, len(columns) - 1))
    for column in made.columns:
        column.max_width = _WIDTHS.get(str(column.header))
    for row in identities.table.head(_ROWS).to_dict("records"):
        nearest = _cosine(row["nearest_similarity"])
        made.add_row(
            row["name"],
            clock(row["visible_s"]) if row["visible_s"] else "-",
            str(row["n_faces"]),
            str(row["tracks"]),
            _cosine(row["similarity"]),
            nearest if nearest == "-" else f"{row['nearest']} {nearest}",
            *[_cosine(row["known_similarity"])] * matched,
            ", ".join(names[source] for source in videos[row["person"]]),
        )
    show(made)
    if (more := len(identities) - _ROWS) > 0:
        note(f"{more} more people: -o FILE.csv has all.")
    if identities.absent:
        note(f"not found: {', '.join(identities.absent)}.")
    threshold = f"{identities.threshold:g}"
    note(f"similarity: mean cosine; tracks are one person at {threshold} or above")


def _cosine(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


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


def write(gathered: Gathered, identities: People, output: Path, overwrite: bool) -> list[Path]:
    """Write what the name asks for: a page, the table of people, or everything into a folder."""
    from mien.cli.people_faces import read_again
    from mien.reports.people import missing_faces, write_people_page
    from mien.results.tables import write_table

    timeline = gathered.timeline
    suffix = output.suffix.lower()
    if suffix in SUFFIXES and not output.is_dir():
        return [write_table(identities.table, output, overwrite=overwrite)]
    crops = dict(read_again(gathered, identities, missing_faces(timeline, identities)))
    if suffix in _PAGES and not output.is_dir():
        return [write_people_page(timeline, identities, output, crops, overwrite=overwrite)]
    merged = replace(timeline.with_identities(identities), embeddings=None)  # not asked for
    return [
        write_people_page(timeline, identities, output / _PAGE, crops, overwrite=overwrite),
        write_table(identities.table, output / _TABLES[0], overwrite=overwrite),
        write_table(identities.tracks, output / _TABLES[1], overwrite=overwrite),
        merged.save(output / _TABLES[2], overwrite=overwrite),
    ]
