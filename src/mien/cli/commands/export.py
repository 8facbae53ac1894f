"""``mien export``: a saved analysis of a film, for players, annotation tools and spreadsheets."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.timeline.timeline import Timeline

_VIDEO = "{video}"  # in the name of an output: the name of the video


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
    video: Annotated[
        str | None, typer.Option(help="Of a table of several videos, the one to export.")
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Also of a table that lacks faces, as it is.")
    ] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write the expressions of a film as subtitles, an ELAN document, a drawing, or a table.

    A table is the pair of faces and images, each frame as it is after smoothing; tables alone are
    not smoothed by default. A drawing (.svg) shows everyone's curves, or with --plane everyone's
    way through valence and arousal. Where no face was found, the file says nothing, and standard
    error says so; the exit code is 0. Of a table of several videos, an output with {video} in its
    name, such as '{video}.eaf', is one file each.
    """
    from mien.cli.output.videos import as_shown, tell_unfit
    from mien.files import check_output
    from mien.results.files import SUFFIXES, apart
    from mien.timeline.timeline import Timeline

    drawn = output.suffix.lower() == ".svg"
    if plane and not drawn:
        raise UsageError(f"--plane is a drawing: end the name of {output} in .svg.")
    timeline = Timeline.load(table, incomplete=incomplete)
    if video is not None:
        timeline = timeline.film(_named(timeline.sources, video))
    whole = output.suffix.lower() in SUFFIXES
    if smooth is None and whole:
        smooth = float(timeline.settings.get("smooth_s", 0))
    timeline = as_shown(timeline, smooth, all_faces)
    if not whole or not len(timeline.faces):
        tell_unfit(timeline)
    if affect:
        timeline = timeline.derive_affect()
    parts = list(_parts(timeline, output))
    for _, target in parts:
        apart(target, table)
        if target.suffix.lower() not in SUFFIXES:
            check_output(target, inputs=(table,), overwrite=overwrite)
    for part, target in parts:
        if drawn:
            (part.plane() if plane else part.plot()).save(target, overwrite=overwrite)
        else:
            part.export(target, min_segment, overwrite=overwrite)
        print(f"wrote {target}", file=sys.stderr)  # noqa: T201


def _named(sources: Sequence[str], name: str) -> str:
    """The video that is called so: by its whole name, its file name, or that without a suffix."""
    for called in (str, lambda s: PurePath(s).name, lambda s: PurePath(s).stem):
        found = [source for source in sources if called(source) == name]
        if len(found) == 1:
            return found[0]
    raise UsageError(f"there is no one video {name!r}; there are {', '.join(sources)}.")


def _parts(timeline: Timeline, output: Path) -> Iterator[tuple[Timeline, Path]]:
    """What goes to which file: everything to `output`, or each video to its own."""
    if _VIDEO not in output.name:
        yield timeline, output
        return
    taken: dict[str, int] = {}
    for source in timeline.sources:
        stem = PurePath(source).stem
        taken[stem] = taken.get(stem, 0) + 1
        stem += f"-{taken[stem]}" if taken[stem] > 1 else ""
        yield timeline.film(source), output.with_name(output.name.replace(_VIDEO, stem))
