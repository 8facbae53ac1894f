"""``mien export``: a saved analysis of a film, for players, annotation tools and spreadsheets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.errors import UsageError


def export(
    table: Annotated[Path, typer.Argument(help="What `mien analyze -o` wrote.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File: .vtt, .eaf, .csv, .jsonl or .parquet.")
    ],
    smooth: Annotated[
        float | None, typer.Option(help="Smooth over so many seconds; as it was saved if left out.")
    ] = None,
    min_segment: Annotated[
        float, typer.Option(help="Join what is shorter, seconds (.vtt and .eaf).")
    ] = 0.5,
) -> None:
    """Write the expressions of a film as subtitles, an ELAN document, or a table.

    A table is the pair of faces and images, each frame as it is after smoothing.
    """
    from mien.timeline import Timeline

    if output.resolve() == table.resolve():
        raise UsageError(f"{output} is the table itself: choose another name.")
    timeline = Timeline.load(table)
    if smooth is not None:
        timeline = timeline.smooth(smooth)
    timeline.export(output, min_segment)
    print(f"wrote {output}", file=sys.stderr)  # noqa: T201
