"""``mien summarize``: a video as one page, with its strongest moments as clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.cli.console import note, warn, wrote
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import InputError, UsageError

if TYPE_CHECKING:
    from mien.analyzer import EmotionAnalyzer
    from mien.reports.highlights import Clip
    from mien.timeline.timeline import Timeline

_PAGE = "index.html"


def summarize(
    video: options.VideoOrTable,
    output: Annotated[
        Path, options.option("FOLDER", "Folder for the page, clips and tables.", "-o", "--output")
    ],
    detector: options.Detector = "yunet",
    model: options.Model = "mien-mobilenet",
    adaptive: options.Adaptive = False,
    affect: options.Affect = False,
    actions: options.Actions = False,
    clips: Annotated[int, options.option("N", "Maximum number of clips.", min=0)] = 6,
    longest: Annotated[float, options.option("SECONDS", "Maximum length of a clip.", min=1)] = 10.0,
    gif: Annotated[bool, options.flag("Clips as small GIFs instead of MP4.", "--gif")] = False,
    smooth: options.Smooth = None,
    baseline: options.Baseline = None,
    all_faces: options.AllFaces = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Make a page about a video, with its highlights.

    Who appears, everyone's curve, and the longest runs of an expression as clips. With facial
    actions (--actions, or a table with them) also their curves, and events as NAME.actions.csv.

    \b
    Examples:
      mien summarize film.mp4 -o summary
      mien summarize film.parquet -o summary --gif --clips 3
    """
    from mien.cli.baselines import calibrated
    from mien.cli.inputs import load_analyzer
    from mien.cli.output.videos import as_shown, note_unfit
    from mien.files import check_output
    from mien.labels import ACTIONS
    from mien.reports import write_report
    from mien.reports.highlights import highlights
    from mien.results.files import SUFFIXES
    from mien.timeline.timeline import Timeline

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: give a folder for the page and its clips.")
    if output.is_dir():
        check_output(output / _PAGE, inputs=(video,), overwrite=overwrite)
    if video.suffix.lower() in SUFFIXES:
        timeline = Timeline.load(video)
        timeline = timeline.derive_affect() if affect else timeline
    else:
        wanted = ("affect",) * affect + (ACTIONS,) * actions
        analyzer = load_analyzer(detector, model, extras=wanted)
        table = output / f"{video.stem}.parquet"
        timeline = _analyzed(analyzer, video, table, adaptive=adaptive, overwrite=overwrite)
    timeline = as_shown(calibrated(timeline, baseline), smooth, all_faces)
    note_unfit(timeline)
    output.mkdir(parents=True, exist_ok=True)
    moments = highlights(timeline, clips) if clips and timeline.track_ids else []
    if clips and not moments and len(timeline.counted_faces):
        note("there are no clips: no expression but neutral lasts half a second or longer.")
    cutting = {"max_duration_s": longest, "overwrite": overwrite}
    made = list(_cut(timeline, moments, output, ".gif" if gif else ".mp4", cutting))
    wrote(write_report(timeline, output / _PAGE, made, overwrite=overwrite))
    if timeline.has_actions:
        events = output / f"{video.stem}.actions.csv"
        wrote(timeline.export(events, actions=True, overwrite=overwrite))
    if len(made) < len(moments):
        raise typer.Exit(SOME_FAILED)


def _cut(
    timeline: Timeline, moments: list[Clip], output: Path, suffix: str, options: dict[str, Any]
) -> Iterator[Clip]:
    """The clips that could be made; the others are reported."""
    from mien.reports.highlights import write_clip

    for number, clip in enumerate(moments, 1):
        name = f"clip-{number}-person-{clip.track_id}-{clip.emotion}{suffix}"
        try:
            yield write_clip(timeline, clip, output / name, **options)
        except InputError as error:  # the page is worth having without it
            warn(f"{name} could not be made: {error}")
            continue
        note(f"{name}: {clip.start_s:.1f} to {clip.end_s:.1f} s, {100 * clip.strength:.0f} %")


def _analyzed(
    analyzer: EmotionAnalyzer, video: Path, table: Path, *, adaptive: bool, overwrite: bool
) -> Timeline:
    """Analyze a video into a table, or read the table that the same command has written before."""
    from mien.cli.output.sinks import Outputs, Targets
    from mien.cli.run import counted
    from mien.media.inputs import ALL_FRAMES, Input, frames_setting
    from mien.media.video import VideoSource
    from mien.timeline.timeline import Timeline

    source, frames = VideoSource(video), frames_setting(ALL_FRAMES, adaptive)
    table.parent.mkdir(parents=True, exist_ok=True)
    targets = Targets(table, beside=frozenset({"peaks"}), overwrite=overwrite)
    with Outputs(analyzer, [str(video)], frames, targets) as outputs:
        if outputs.skips(Input(source.name, "video", source.path)):
            note(f"{table} has the faces of {video} already")
        else:
            for result in counted(analyzer.stream(source, adaptive=adaptive), source):
                outputs.write(result)
    return Timeline.load(table)
