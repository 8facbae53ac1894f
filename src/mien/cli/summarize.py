"""``mien summarize``: a film as one page, with its strongest moments as clips."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.timeline import Timeline

_SMOOTH_S = 1.0


def summarize(
    film: Annotated[Path, typer.Argument(help="A film, or what `mien analyze -o` wrote of one.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the page, its clips and the tables.")
    ],
    detector: Annotated[str, typer.Option(help="mtcnn, haar, or a YuNet .onnx file.")] = "mtcnn",
    model: Annotated[
        str, typer.Option(help="Model name, or an .onnx file that carries its card.")
    ] = "mien-mobilenet",
    clips: Annotated[int, typer.Option(min=0, help="How many clips at most.")] = 6,
    longest: Annotated[float, typer.Option(min=1, help="Longest clip, seconds.")] = 10.0,
) -> None:
    """Write who was seen, everyone's curve, and the longest runs of an expression as clips."""
    from mien.clips import cut, strongest
    from mien.report import write_report
    from mien.tablefiles import SUFFIXES

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: give a folder for the page and its clips.")
    output.mkdir(parents=True, exist_ok=True)
    if film.suffix.lower() in SUFFIXES:
        from mien.timeline import Timeline

        timeline = Timeline.load(film)
    else:
        timeline = _analysed(film, detector, model)
        timeline.save(output / f"{film.stem}.parquet")
    timeline = timeline.smooth(float(timeline.settings.get("smooth_s", _SMOOTH_S)))
    found = strongest(timeline, clips) if clips and timeline.track_ids else []
    shown = []
    for number, clip in enumerate(found, 1):
        name = f"clip-{number}-person-{clip.track_id}-{clip.emotion}.mp4"
        shown.append(cut(timeline, clip, output / name, longest_s=longest))
        print(  # noqa: T201
            f"{name}: {clip.start_s:.1f} to {clip.end_s:.1f} s, {100 * clip.strength:.0f} %",
            file=sys.stderr,
        )
    page = write_report(timeline, output / "index.html", shown)
    print(f"wrote {page}", file=sys.stderr)  # noqa: T201


def _analysed(film: Path, detector: str, model: str) -> Timeline:
    from mien.cli.console import progress
    from mien.cli.road import load_analyzer
    from mien.sources.video import VideoSource
    from mien.timeline import Timeline

    source = VideoSource(film)
    analyzer = load_analyzer(detector, model, None, ())
    return Timeline.from_results(progress(analyzer.stream(source)))
