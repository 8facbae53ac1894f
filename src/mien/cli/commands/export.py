"""``mien export``: a saved analysis of a film, for players, annotation tools and spreadsheets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.errors import UsageError


def export(
    table: Annotated[Path, typer.Argument(help="What `mien analyze -o` wrote.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="File: .vtt, .eaf, .svg, .csv, .jsonl or .parquet."),
    ],
    smooth: options.Smooth = None,
    min_segment: Annotated[
        float, typer.Option(help="Join what is shorter, seconds (.vtt and .eaf).")
    ] = 0.5,
    affect: options.Affect = False,
    all_faces: options.AllFaces = False,
    plane: Annotated[
        bool, typer.Option("--plane", help="An .svg of valence and arousal, not of curves.")
    ] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write the expressions of a film as subtitles, an ELAN document, a drawing, or a table.

    A table is the pair of faces and images, each frame as it is after smoothing; tables alone are
    not smoothed by default. A drawing (.svg) shows everyone's curves, or with --plane everyone's
    way through valence and arousal. Where no face was found, the file says nothing, and standard
    error says so; the exit code is 0.
    """
    from mien.cli.output.videos import as_shown, tell_unfit
    from mien.files import check_output
    from mien.results.files import SUFFIXES, apart
    from mien.timeline.timeline import Timeline

    apart(output, table)
    if output.suffix.lower() not in SUFFIXES:
        check_output(output, inputs=(table,), overwrite=overwrite)
    drawn = output.suffix.lower() == ".svg"
    if plane and not drawn:
        raise UsageError(f"--plane is a drawing: end the name of {output} in .svg.")
    timeline = Timeline.load(table)
    whole = output.suffix.lower() in SUFFIXES
    if smooth is None and whole:
        smooth = float(timeline.settings.get("smooth_s", 0))
    timeline = as_shown(timeline, smooth, all_faces)
    if not whole or not len(timeline.faces):
        tell_unfit(timeline)
    if affect:
        timeline = timeline.derive_affect()
    if drawn:
        (timeline.plane() if plane else timeline.plot()).save(output, overwrite=overwrite)
    else:
        timeline.export(output, min_segment, overwrite=overwrite)
    print(f"wrote {output}", file=sys.stderr)  # noqa: T201
