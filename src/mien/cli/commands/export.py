"""``mien export``: a results table for players, annotation tools and spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

from mien.cli import options
from mien.errors import UsageError
from mien.results.files import SUFFIXES

if TYPE_CHECKING:
    from mien.timeline.timeline import Timeline

_VIDEO = "{video}"  # in the name of an output: the name of the video


def export(
    table: options.Table,
    output: Annotated[
        Path,
        options.option("FILE", f"File: .vtt, .eaf, .svg, {', '.join(SUFFIXES)}.", "-o", "--output"),
    ],
    video: Annotated[
        str | None, options.option("NAME", "Of several videos, the one to export.")
    ] = None,
    affect: options.Affect = False,
    plane: Annotated[
        bool, options.flag("An .svg of valence and arousal instead of curves.", "--plane")
    ] = False,
    actions: Annotated[
        bool,
        options.flag("Facial actions: their events as a table, tiers of .eaf, .svg.", "--actions"),
    ] = False,
    min_segment: Annotated[
        float, options.option("SECONDS", "Shortest segment (.vtt and .eaf).")
    ] = 0.5,
    smooth: options.Smooth = None,
    baseline: options.Baseline = None,
    all_faces: options.AllFaces = False,
    incomplete: Annotated[
        bool, options.flag("Also export a table that lacks faces.", "--incomplete")
    ] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Export to subtitles, ELAN, a plot or a table.

    A table is the pair of faces and images, smoothed frame by frame; tables alone are not smoothed
    by default. A plot (.svg) shows everyone's curves, or with --plane everyone's path through
    valence and arousal. --actions is about facial actions: onset, apex and offset of each. With
    {video} in its name, such as '{video}.eaf', each video gets a file. Without any face the file
    is empty, which standard error says; the exit code is 0.

    \b
    Examples:
      mien export film.parquet -o film.vtt
      mien export film.parquet -o actions.csv --actions
      mien export sessions.parquet -o '{video}.eaf'
    """
    from mien.cli.baselines import calibrated
    from mien.cli.console import wrote
    from mien.cli.output.videos import as_shown, note_unfit
    from mien.files import check_output
    from mien.results.files import apart
    from mien.timeline.timeline import Timeline

    plot = output.suffix.lower() == ".svg"
    if plane and not plot:
        raise UsageError(f"--plane is a plot: end the name of {output} in .svg.")
    if plane and actions:
        raise UsageError("--plane and --actions are two plots: leave one out.")
    timeline = Timeline.load(table, incomplete=incomplete)
    if video is not None:
        timeline = timeline.source(_named(timeline.sources, video))
    is_table = output.suffix.lower() in SUFFIXES
    if smooth is None and is_table:
        smooth = timeline.settings.smooth_s
    timeline = as_shown(calibrated(timeline, baseline), smooth, all_faces)
    if not is_table or not len(timeline.faces):
        note_unfit(timeline)
    if affect:
        timeline = timeline.derive_affect()
    parts = list(_parts(timeline, output))
    for _, target in parts:
        apart(target, table)
        if target.suffix.lower() not in SUFFIXES:
            check_output(target, inputs=(table,), overwrite=overwrite)
    for part, target in parts:
        if plot:
            drawn = part.plane() if plane else part.plot(actions=actions)
            drawn.save(target, overwrite=overwrite)
        else:
            part.export(target, min_segment, actions=actions, overwrite=overwrite)
        wrote(target)


def _named(sources: Sequence[str], name: str) -> str:
    """The source of this name: its path, its file name, or that without the suffix."""
    for called in (str, lambda s: PurePath(s).name, lambda s: PurePath(s).stem):
        found = [source for source in sources if called(source) == name]
        if len(found) == 1:
            return found[0]
    raise UsageError(f"no single video is called {name!r}; there are {', '.join(sources)}.")


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
        yield timeline.source(source), output.with_name(output.name.replace(_VIDEO, stem))
