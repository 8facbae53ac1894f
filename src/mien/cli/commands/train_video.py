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
    films: Annotated[Path, typer.Argument(help="CSV: path, label; and group, split if wanted.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new model, NAME.onnx.")],
    kind: Annotated[
        options.FilmKind, typer.Option(help="Judge each person of a film, or everyone together.")
    ] = options.FilmKind.person,
    kernel: Annotated[
        options.FilmKernel, typer.Option(help="Of the machine.")
    ] = options.FilmKernel.linear,
    detector: options.Detector = "mtcnn",
    model: options.Model = "mien-mobilenet",
    fps: options.Fps = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for what was seen; NAME.features by default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Learn to tell films apart by the features of their faces.

    A film once looked at is kept in the cache: the same command goes on where it was stopped.
    """
    with extra("video"):
        from mien.training.videos.train import train_films
    from mien.cli.console import progress, tell
    from mien.cli.inputs import load_analyzer
    from mien.cli.output.videos import film_steps, show_trained
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
        kept, lambda: load_analyzer(detector, model, None, (), ("features",)), fps, progress
    )
    trained = train_films(listed, output, camera, kind.value, kernel.value, film_steps())
    for name, problem in list(trained.problems.items())[:_TOLD]:
        tell(f"{name} is left out: {problem}")
    if len(trained.problems) > _TOLD:
        tell(f"{len(trained.problems)} films are left out in all.")
    show_trained(trained, json=json)
    if kept.is_dir():
        tell(f"what was seen of the films is kept in {kept}")
    if not json:
        print(trained.path)  # noqa: T201
