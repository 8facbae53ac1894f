"""``mien train-video``: films with labels in, a model of whole films out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import extra
from mien.errors import UsageError

_TOLD = 20  # films without an answer that are named


def train_video(
    films: Annotated[
        Path,
        typer.Argument(metavar="LIST", help="CSV: path, label; and group, split if wanted."),
    ],
    output: options.ModelOutput,
    detector: options.Detector = "mtcnn",
    model: options.Model = "mien-mobilenet",
    fps: options.Fps = None,
    kind: Annotated[
        options.VideoKind, typer.Option(help="Classify each person, or everyone together.")
    ] = options.VideoKind.person,
    kernel: Annotated[
        options.VideoKernel, typer.Option(help="SVM kernel.")
    ] = options.VideoKernel.linear,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder for video features.", show_default="NAME.features"
        ),
    ] = None,
    json: options.Json = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a classifier of whole videos.

    It works on the features of their faces, which are cached: the same command continues where it
    was stopped. `mien analyze --video-model` uses it.

    \b
    Examples:
      mien train-video videos.csv -o mood.onnx
      mien train-video videos.csv -o mood.onnx --kind group --fps 5
    """
    with extra("video"):
        from mien.training.videos.train import train_films
    from mien.cli.console import note
    from mien.cli.inputs import load_analyzer
    from mien.cli.output.videos import show_trained, video_steps
    from mien.cli.run import counted
    from mien.files import check_new
    from mien.training.videos.data import read_films
    from mien.training.videos.features import Camera

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"the new model's name must end in .onnx, got {output.name}.")
    listed = read_films(films)
    output.parent.mkdir(parents=True, exist_ok=True)
    check_new(output, overwrite=overwrite)
    kept = cache or output.with_suffix(".features")
    camera = Camera(
        kept, lambda: load_analyzer(detector, model, extras=("features",)), fps, counted
    )
    trained = train_films(listed, output, camera, kind.value, kernel.value, video_steps())
    for name, problem in list(trained.problems.items())[:_TOLD]:
        note(f"{name} is left out: {problem}")
    if len(trained.problems) > _TOLD:
        note(f"{len(trained.problems)} films are left out in all.")
    show_trained(trained, json=json)
    if kept.is_dir():
        note(f"what was seen of the films is kept in {kept}")
    if not json:
        print(trained.path)  # noqa: T201
