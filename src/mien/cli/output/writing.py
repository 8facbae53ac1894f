"""People as `mien people` writes them: a page of faces, tables, or all of it into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.files import writable_place
from mien.results.files import SUFFIXES, apart

if TYPE_CHECKING:
    from mien.cli.people_inputs import Gathered
    from mien.people.identities import People

_PAGES = (".html", ".htm")
_TABLES = ("people.csv", "tracks.csv", "merged.parquet")


def check_output(output: Path | None, files: Sequence[str]) -> None:
    """Make sure that `write` can write there, and over none of the tables that are read.

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
        return
    if is_file:
        writable_place(output)
    elif output.exists():
        raise UsageError(f"{output} is a file: give a folder, a page or a table to write.")
    else:
        output.mkdir(parents=True)


def write(gathered: Gathered, who: People, output: Path) -> list[Path]:
    """Write what the name asks for: a page, the table of people, or everything into a folder."""
    from mien.cli.people_faces import read_again
    from mien.reports.people import missing, write_gallery
    from mien.results.tables import write_table

    timeline = gathered.timeline
    suffix = output.suffix.lower()
    if suffix in SUFFIXES and not output.is_dir():
        return [write_table(who.table, output)]
    pictures = dict(read_again(gathered, who, missing(timeline, who)))
    if suffix in _PAGES and not output.is_dir():
        return [write_gallery(timeline, who, output, pictures)]
    merged = replace(timeline.merged(who), embeddings=None)  # nobody asked to keep them
    return [
        write_gallery(timeline, who, output / "index.html", pictures),
        write_table(who.table, output / _TABLES[0]),
        write_table(who.tracks, output / _TABLES[1]),
        merged.save(output / _TABLES[2]),
    ]
