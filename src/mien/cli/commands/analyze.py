"""``mien analyze``: images and videos in, tables and annotated copies out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import groupby, islice
from typing import Any

import typer

from mien.cli import options
from mien.cli.exit_codes import SOME_FAILED
from mien.errors import UsageError

_ROWS = 50  # images in a table on the terminal: a long run must not fill the memory


def analyze(
    paths: options.Inputs,
    output: options.TableOutput = None,
    annotate: options.Annotate = None,
    keep_faces: options.KeepFaces = False,
    detector: options.Detector = "yunet",
    model: options.Model = "mien-mobilenet",
    min_score: options.MinScore = None,
    without: options.Without = None,
    prior: options.Prior = None,
    fps: options.Fps = None,
    every: options.Every = 1,
    start: options.Start = None,
    end: options.End = None,
    width: options.Width = None,
    stream: options.Stream = None,
    adaptive: options.Adaptive = False,
    affect: options.Affect = False,
    attributes: options.Attributes = "",
    actions: options.Actions = False,
    landmarks: options.Landmarks = False,
    embeddings: options.Embeddings = "",
    head: options.Heads = None,
    video_model: options.VideoModel = None,
    baseline: options.Baseline = None,
    all_faces: options.AllFaces = False,
    json: options.Json = False,
    resume: options.Resume = True,
    overwrite: options.Overwrite = False,
    max_pixels: options.MaxPixels = None,
) -> None:
    """Find faces and predict their expressions.

    Without -o or --json, a table is printed. Exit code 0: all inputs were read; 3: some were not;
    2: usage error.

    \b
    Examples:
      mien analyze holiday/ -o faces.csv
      mien analyze film.mp4 -o film.parquet --annotate drawn.mp4
    """
    from mien.cli.baselines import apply, calibrate_file, check_target, references
    from mien.cli.inputs import load_analyzer, video_options
    from mien.cli.output.images import show_faces
    from mien.cli.output.sinks import Outputs, Targets
    from mien.cli.output.videos import VideoPredictions, as_shown, show_people
    from mien.cli.run import Tally, analyzed
    from mien.labels import ACTIONS, ATTRIBUTES, EMBEDDINGS, LANDMARKS
    from mien.media.inputs import Inputs, frames_setting
    from mien.timeline.timeline import Timeline

    beside = {
        "peaks": keep_faces,
        "embeddings": bool(embeddings),
        "landmarks": landmarks,
        "videos": video_model is not None,
    }
    names = {"peaks": "--keep-faces", "embeddings": "--embeddings", "landmarks": "--landmarks"}
    for file, name in names.items():
        if beside[file] and output is None:
            raise UsageError(f"{name} needs -o: its file is written beside the table.")
    saved = options.names(embeddings, EMBEDDINGS)
    predictions = VideoPredictions(video_model, paths, output, saved, json, all_faces)
    attribute_names = options.names(attributes, ATTRIBUTES)
    flags = {"affect": affect, ACTIONS: actions, LANDMARKS: landmarks}
    wanted = [name for name, asked in flags.items() if asked]
    analyzer = load_analyzer(
        detector,
        model,
        min_score=min_score,
        without=tuple(without or ()),
        extras=(*attribute_names, *saved, *predictions.extras, *wanted),
        heads=head or (),
        prior=prior,
    )
    if baseline and (json or annotate is not None):
        shown = "--json" if json else "--annotate"
        raise UsageError(f"{shown} shows each frame at once, before --baseline is known: use -o.")
    if baseline and prior is not None:
        raise UsageError("--baseline would undo --prior: give one of them.")
    if baseline:
        check_target(output, paths, overwrite=overwrite)
    resting = references(baseline or (), lambda: analyzer)
    predictions.check(analyzer)
    frames = video_options(
        paths, fps=fps, every=every, start=start, end=end, width=width, stream=stream
    )
    files = frozenset(name for name, written in beside.items() if written)
    targets = Targets(output, annotate, files, resume, overwrite)
    outputs = Outputs(analyzer, paths, frames_setting(frames, adaptive), targets)
    tally = Tally()
    with ExitStack() as stack:
        stack.enter_context(predictions)
        sinks: list[Any] = [stack.enter_context(outputs)]
        if json:
            from mien.sinks.jsonl import JsonlSink

            sinks.append(JsonlSink(sys.stdout))
        sinks.append(tally)
        results = analyzed(
            analyzer,
            Inputs(paths),
            frames,
            sinks=sinks,
            through=predictions.through,
            keep=annotate is not None,
            adaptive=adaptive,
            skips=outputs.skips,
        )
        for is_video, group in groupby(results, lambda result: result.time_s is not None):
            if json or output is not None:
                for _ in group:
                    pass
            elif is_video:
                timeline = Timeline.from_results(group, keep_faces=False)
                timeline = apply(timeline, resting) if resting else timeline
                show_people(as_shown(timeline, all_faces=all_faces))
            else:
                good = (result for result in group if result.error is None)
                while rows := list(islice(good, _ROWS)):
                    show_faces(rows)
    written = list(outputs.wrote())
    tally.show(written)
    if resting and output is not None and output in written:
        calibrate_file(output, resting)
    if tally.failed or outputs.failed:
        raise typer.Exit(SOME_FAILED)
