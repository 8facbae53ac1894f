"""``mien analyze``: photos and films in, tables and annotated pictures out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.cli.exit_codes import SOME_FAILED
from mien.cli.signals import uninterrupted
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.results.result import Result

_ROWS = 50  # photos shown at once: a long run must not fill the memory


def analyze(
    paths: Annotated[
        list[str], typer.Argument(help="Images, videos, folders or patterns; a stream's URL.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table: .parquet, .csv or .jsonl.")
    ] = None,
    annotate: options.Annotate = None,
    detector: options.Detector = "mtcnn",
    model: options.Model = "mien-mobilenet",
    min_score: options.MinScore = None,
    without: options.Without = None,
    json: options.Json = False,
    fps: options.Fps = None,
    every: options.Every = 1,
    start: options.Start = None,
    end: options.End = None,
    width: options.Width = None,
    stream: options.Stream = None,
    adaptive: options.Adaptive = False,
    keep_faces: options.KeepFaces = False,
    attributes: options.Attributes = "",
    embeddings: options.Kept = "",
    film_model: options.FilmModel = None,
    affect: options.Affect = False,
    head: options.Heads = None,
    resume: options.Resume = True,
    overwrite: options.Overwrite = False,
    all_faces: options.AllFaces = False,
    max_pixels: options.MaxPixels = None,
) -> None:
    """Find every face and say which expression viewers would see.

    Exit code 0 when all inputs were read, 3 when some were not, 2 for wrong use.
    """
    from mien.cli.console import Tally, progress, show_table
    from mien.cli.inputs import load_analyzer, results, show_left_out, video_options
    from mien.cli.output.sinks import Outputs, Targets, frames_setting
    from mien.cli.output.videos import FilmAnswers, as_shown, show_people
    from mien.labels import ATTRIBUTES, EMBEDDINGS
    from mien.media.inputs import Inputs
    from mien.timeline.timeline import Timeline

    if keep_faces and output is None:
        raise UsageError("--keep-faces keeps them beside the table; name one with -o.")
    if embeddings and output is None:
        raise UsageError("--embeddings keeps them beside the table; name one with -o.")
    kept = options.named(embeddings, EMBEDDINGS)
    answers = FilmAnswers(film_model, paths, output, kept, json, all_faces)
    also = (*options.named(attributes, ATTRIBUTES), *kept, *answers.also, *["affect"] * affect)
    analyzer = load_analyzer(detector, model, min_score, tuple(without or ()), also, head or ())
    answers.check(analyzer)
    wanted = video_options(
        paths, fps=fps, every=every, start=start, end=end, width=width, stream=stream
    )
    written = {"peaks": keep_faces, "embeddings": bool(kept), "videos": film_model is not None}
    beside = frozenset(name for name, chosen in written.items() if chosen)
    targets = Targets(output, annotate, beside, resume, overwrite)
    outputs = Outputs(analyzer, paths, frames_setting(wanted, adaptive), targets)
    tally, inputs = Tally(), Inputs(paths)

    def run(sinks: Sequence[Any]) -> Iterator[Result]:
        keep, skips = annotate is not None, outputs.skips
        road = results(analyzer, inputs, wanted, keep=keep, adaptive=adaptive, skips=skips)
        for result in answers.through(progress(road)):
            with uninterrupted():
                for sink in sinks:
                    sink.write(result)
                tally.add(result)
            yield result

    with ExitStack() as stack:
        stack.enter_context(answers)
        sinks: list[Any] = [stack.enter_context(outputs)]
        if json:
            from mien.sinks.jsonl import JsonSink

            sinks.append(JsonSink(sys.stdout))
        for moving, group in groupby(run(sinks), lambda result: result.time_s is not None):
            if json or output is not None:
                for _ in group:
                    pass
            elif moving:
                timeline = Timeline.from_results(group, keep_faces=False)
                show_people(as_shown(timeline, all_faces=all_faces))
            else:
                good = (result for result in group if result.error is None)
                while shown := list(islice(good, _ROWS)):
                    show_table(shown)
    show_left_out(inputs)
    tally.show(list(outputs.wrote()))
    if tally.failed or outputs.failed:
        raise typer.Exit(SOME_FAILED)
