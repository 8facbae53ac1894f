"""``mien summarize``: a film as one page, with its strongest moments as clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options
from mien.cli.console import tell
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import InputError, UsageError

if TYPE_CHECKING:
    from mien.reports.highlights import Clip
    from mien.results.result import Result
    from mien.timeline.timeline import Timeline


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
) -> None:
    """Write who was seen, everyone's curve, and the longest runs of an expression as clips."""
    from mien.cli.output.videos import as_shown, tell_unfit
    from mien.reports import write_report
    from mien.reports.highlights import highlights
    from mien.results.files import SUFFIXES
    from mien.timeline.timeline import Timeline

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: give a folder for the page and its clips.")
    if film.suffix.lower() in SUFFIXES:
        timeline = Timeline.load(film)
        timeline = timeline.derive_affect() if affect else timeline
    else:
        timeline = _analysed(film, output, (detector, model), adaptive=adaptive, affect=affect)
    timeline = as_shown(timeline, smooth, all_faces)
    tell_unfit(timeline)
    output.mkdir(parents=True, exist_ok=True)
    found = highlights(timeline, clips) if clips and timeline.track_ids else []
    if clips and not found and len(timeline.counted_faces):
        tell("there are no clips: no expression but neutral lasts half a second or longer.")
    shown = list(_cut(timeline, found, output, longest, ".gif" if gif else ".mp4"))
    tell(f"wrote {write_report(timeline, output / 'index.html', shown)}")
    if len(shown) < len(found):
        raise typer.Exit(SOME_FAILED)


def _cut(
    timeline: Timeline, found: list[Clip], output: Path, longest: float, suffix: str
) -> Iterator[Clip]:
    """The clips that could be made; of the others it is said why not."""
    from mien.reports.highlights import write_clip

    for number, clip in enumerate(found, 1):
        name = f"clip-{number}-person-{clip.track_id}-{clip.emotion}{suffix}"
        try:
            yield write_clip(timeline, clip, output / name, max_duration_s=longest)
        except InputError as error:  # the page is worth having without it
            tell(f"mien: {name} could not be made: {error}")
            continue
        tell(f"{name}: {clip.start_s:.1f} to {clip.end_s:.1f} s, {100 * clip.strength:.0f} %")


def _analysed(
    film: Path, output: Path, names: tuple[str, str], *, adaptive: bool, affect: bool
) -> Timeline:
    """Analyse a film; what is known so far is kept as a table in the folder."""
    from mien.cli.console import progress
    from mien.cli.inputs import load_analyzer
    from mien.media.video import VideoSource
    from mien.sinks.tables import TableSink
    from mien.timeline.timeline import Timeline

    source = VideoSource(film)
    analyzer = load_analyzer(*names, None, (), ("affect",) * affect)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{film.stem}.parquet"
    with TableSink(path, analyzer.labels, analyzer.settings, True, analyzer.measures) as table:

        def written() -> Iterator[Result]:
            for result in progress(analyzer.stream(source, adaptive=adaptive)):
                table.write(result)
                yield result

        return Timeline.from_results(written())
