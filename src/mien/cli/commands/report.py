"""``mien report``: a saved analysis of a film as one page to look at and to pass on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options


def report(
    table: Annotated[Path, typer.Argument(help="What `mien analyze -o` wrote.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Page to write; TABLE.html if left out.")
    ] = None,
    smooth: options.Smooth = None,
    affect: options.Affect = False,
    all_faces: options.AllFaces = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write curves, segments, faces and settings as one HTML page that needs no network."""
    from mien.cli.output.videos import as_shown, tell_unfit
    from mien.files import check_output
    from mien.reports import write_report
    from mien.timeline.timeline import Timeline

    page = output or table.with_suffix(".html")
    check_output(page, inputs=(table,), overwrite=overwrite)
    timeline = as_shown(Timeline.load(table), smooth, all_faces)
    if affect:
        timeline = timeline.derive_affect()
    tell_unfit(timeline)
    written = write_report(timeline, page, overwrite=overwrite)
    print(f"wrote {written}", file=sys.stderr)  # noqa: T201
