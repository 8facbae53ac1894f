"""``mien watch``: a camera, a stream or a video, analyzed while it plays."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mien.cli import options
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.cli.viewer.live import Live
    from mien.types import Frame


def watch(
    source: Annotated[
        str, options.argument("SOURCE", "Camera number or device, stream URL, or video.")
    ] = "0",
    output: options.TableOutput = None,
    record: Annotated[
        Path | None, options.option("FILE", "Record the annotated view to this .mp4.")
    ] = None,
    detector: options.Detector = "yunet",
    model: options.Model = "mien-mobilenet",
    min_score: options.MinScore = None,
    prior: options.Prior = None,
    actions: options.Actions = False,
    seconds: Annotated[
        float | None, options.option("SECONDS", "Stop after this time.", min=0.1)
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Show a camera, stream or video with expressions.

    In a window, else in the terminal. Keys: q quit, up and down or a number to select a face, r
    record, space pause, s snapshot. Late frames are dropped and counted; nothing is saved unless
    -o, --record or r asks for it. --actions adds facial actions, head pose and gaze.

    \b
    Examples:
      mien watch
      mien watch film.mp4 --record annotated.mp4
    """
    from mien.cli.console import note, wrote
    from mien.cli.inputs import load_analyzer
    from mien.cli.viewer.live import Live
    from mien.files import check_output
    from mien.labels import ACTIONS

    if record is not None:
        check_output(record, inputs=(source,), overwrite=overwrite)
    frames, is_file = _open(source)
    analyzer = load_analyzer(
        detector, model, min_score=min_score, extras=(ACTIONS,) * actions, prior=prior
    )
    sinks: list[Any] = []
    if output is not None:
        from mien.sinks.tables import TableSink

        sinks.append(TableSink(output, analyzer, overwrite=overwrite))
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
    note(f"frames: {counts or 'none'}")
    wrote(*live.recorded, *([] if output is None else [output]))
    if live.error is not None:
        raise live.error


def show(live: Live) -> None:
    """Show it in a window; else in the terminal; else as lines, one per face and second."""
    from mien.cli.console import answer, console
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
        screen = live.next_screen()
        if screen is not None and screen.labels and time.monotonic() >= due:
            answer("\n".join(lines(screen)))
            sys.stdout.flush()
            due = time.monotonic() + 1
        time.sleep(0.02)


def _open(source: str) -> tuple[Iterable[Frame], bool]:
    """The frames of a source, and whether it is a file, which has its own frame rate."""
    from mien.media.inputs import is_live, is_moving

    if source.isdigit() or is_live(source):
        from mien.media.camera import CameraSource

        return CameraSource(source), False
    if Path(source).is_file() and not is_moving(source):
        raise UsageError(f"{source} is not a video; for images: mien analyze {source}.")
    from mien.media.video import VideoSource

    return VideoSource(source), True
