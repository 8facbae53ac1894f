"""``mien watch``: a camera, a stream or a film, analysed while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.cli.viewer.live import Live
    from mien.types import Frame


def watch(
    source: Annotated[str, typer.Argument(help="Camera number or device, URL, or film.")] = "0",
    record: Annotated[
        Path | None, typer.Option(help="Write the annotated view to this .mp4 from the start.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table: .parquet, .csv or .jsonl.")
    ] = None,
    detector: Annotated[str, typer.Option(help="mtcnn, haar, or a YuNet .onnx file.")] = "mtcnn",
    model: Annotated[
        str, typer.Option(help="Model name, or an .onnx file that carries its card.")
    ] = "mien-mobilenet",
    min_score: Annotated[
        float | None, typer.Option(help="Drop faces found with less confidence, 0 to 1.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop by itself after so many seconds.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Show faces and their apparent expressions live, in a window or in the terminal.

    Keys: q quit, up and down or a number to select a face, r record, space pause, s snapshot.
    Late frames are left out and counted; nothing is kept unless -o, --record or r asks for it.
    """
    from mien.cli.inputs import load_analyzer
    from mien.cli.viewer.live import Live
    from mien.files import check_output

    if record is not None:
        check_output(record, inputs=(source,), overwrite=overwrite)
    frames, is_file = _open(source)
    analyzer = load_analyzer(detector, model, min_score, ())
    sinks: list[Any] = []
    if output is not None:
        from mien.sinks.checkpoint import Checkpoint
        from mien.sinks.tables import TableSink

        checkpoint = Checkpoint(output, overwrite=overwrite)
        labels, settings, measures = analyzer.labels, analyzer.settings, analyzer.measures
        sinks.append(TableSink(output, labels, settings, measures=measures, checkpoint=checkpoint))
    live = Live(
        f"camera {source}" if source.isdigit() else Path(source).name,
        frames,
        lambda gate: analyzer.stream(gate, keep=True),
        own_speed=is_file,
        sinks=sinks,
        record=record,
        seconds=seconds,
        overwrite=overwrite,
    )
    with live:
        show(live)
    counts = ", ".join(f"{count} {name}" for name, count in live.counts.items() if count)
    print(f"frames: {counts or 'none'}", file=sys.stderr)  # noqa: T201
    for path in [*live.recorded, *([output] if output is not None else [])]:
        print(f"wrote {path}", file=sys.stderr)  # noqa: T201
    if live.error is not None:
        raise live.error


def show(live: Live) -> None:
    """In a window; else on the terminal; else as lines, one a second for each face."""
    from mien.cli.console import console
    from mien.cli.viewer.window import show_in_window

    if show_in_window(live):
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        from mien.cli.viewer.terminal import show_in_terminal

        show_in_terminal(live, console())
        return
    from mien.cli.viewer.terminal import lines

    due = 0.0
    while not live.done:
        look = live.look()
        if look is not None and look.labels and time.monotonic() >= due:
            print("\n".join(lines(look)), flush=True)  # noqa: T201
            due = time.monotonic() + 1
        time.sleep(0.02)


def _open(source: str) -> tuple[Iterable[Frame], bool]:
    """The frames of a source, and whether it is a file, which has a speed of its own."""
    from mien.media.inputs import is_live, is_moving

    if source.isdigit() or is_live(source):
        from mien.media.camera import CameraSource

        return CameraSource(source), False
    if Path(source).is_file() and not is_moving(source):
        raise UsageError(f"{source} is not a video; for images: mien analyze {source}.")
    from mien.media.video import VideoSource

    return VideoSource(source), True
