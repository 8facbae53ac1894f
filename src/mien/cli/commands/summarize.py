"""``mien summarize``: a film as one page, with its strongest moments as clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.cli.console import tell
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import InputError, UsageError

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.reports.highlights import Clip
    from mien.timeline.timeline import Timeline

_PAGE = "index.html"


def summarize(
    film: Annotated[Path, typer.Argument(help="A film, or what `mien analyze -o` wrote of one.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the page, its clips and the tables.")
    ],
    detector: options.Detector = "mtcnn",
    model: options.Model = "mien-mobilenet",
    clips: Annotated[int, typer.Option(min=0, help="How many clips at most.")] = 6,
    longest: Annotated[float, typer.Option(min=1, help="Longest clip, seconds.")] = 10.0,
    gif: Annotated[bool, typer.Option("--gif", help="Clips as small GIFs, not MP4.")] = False,
    adaptive: options.Adaptive = False,
    affect: options.Affect = False,
    smooth: options.Smooth = None,
    all_faces: options.AllFaces = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write who was seen, everyone's curve, and the longest runs of an expression as clips."""
    from mien.cli.inputs import load_analyzer
    from mien.cli.output.videos import as_shown, tell_unfit
    from mien.files import check_output
    from mien.reports import write_report
    from mien.reports.highlights import highlights
    from mien.results.files import SUFFIXES
    from mien.timeline.timeline import Timeline

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: give a folder for the page and its clips.")
    if output.is_dir():
        check_output(output / _PAGE, inputs=(film,), overwrite=overwrite)
    if film.suffix.lower() in SUFFIXES:
        timeline = Timeline.load(film)
        timeline = timeline.derive_affect() if affect else timeline
    else:
        analyzer = load_analyzer(detector, model, None, (), ("affect",) * affect)
        table = output / f"{film.stem}.parquet"
        timeline = _analysed(analyzer, film, table, adaptive=adaptive, overwrite=overwrite)
    timeline = as_shown(timeline, smooth, all_faces)
    tell_unfit(timeline)
    output.mkdir(parents=True, exist_ok=True)
    found = highlights(timeline, clips) if clips and timeline.track_ids else []
    if clips and not found and len(timeline.counted_faces):
        tell("there are no clips: no expression but neutral lasts half a second or longer.")
    cutting = {"max_duration_s": longest, "overwrite": overwrite}
    shown = list(_cut(timeline, found, output, ".gif" if gif else ".mp4", cutting))
    tell(f"wrote {write_report(timeline, output / _PAGE, shown, overwrite=overwrite)}")
    if len(shown) < len(found):
        raise typer.Exit(SOME_FAILED)


def _cut(
    timeline: Timeline, found: list[Clip], output: Path, suffix: str, options: dict[str, Any]
) -> Iterator[Clip]:
    """The clips that could be made; of the others it is said why not."""
    from mien.reports.highlights import write_clip

    for number, clip in enumerate(found, 1):
        name = f"clip-{number}-person-{clip.track_id}-{clip.emotion}{suffix}"
        try:
            yield write_clip(timeline, clip, output / name, **options)
        except InputError as error:  # the page is worth having without it
            tell(f"mien: {name} could not be made: {error}")
            continue
        tell(f"{name}: {clip.start_s:.1f} to {clip.end_s:.1f} s, {100 * clip.strength:.0f} %")


def _analysed(
    analyzer: EmotionAnalyzer, film: Path, table: Path, *, adaptive: bool, overwrite: bool
) -> Timeline:
    """Analyse a film into a table, or read the one that the same command has written before."""
    from mien.cli.console import progress
    from mien.cli.output.sinks import frames_setting
    from mien.media.inputs import VideoOptions
    from mien.media.video import VideoSource
    from mien.results.tables import face_dtypes
    from mien.sinks.checkpoint import Checkpoint, Plan
    from mien.sinks.tables import TableSink
    from mien.timeline.timeline import Timeline

    source, labels, measures = VideoSource(film), analyzer.labels, analyzer.measures
    table.parent.mkdir(parents=True, exist_ok=True)
    settings = {**analyzer.settings, **frames_setting(VideoOptions(), adaptive)}
    plan = Plan(settings, tuple(face_dtypes(labels, measures)), [str(film)], {"peaks"})
    checkpoint = Checkpoint(table, plan, overwrite=overwrite)
    with TableSink(table, labels, settings, True, measures, checkpoint) as sink:
        if checkpoint.skips(str(film)):
            tell(f"{table} has the faces of {film} already")
        else:
            for result in progress(analyzer.stream(source, adaptive=adaptive)):
                sink.write(result)
    return Timeline.load(table)
