"""``mien train-video``: trains a classifier of whole videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import extra


def train_video(
    videos: Annotated[Path, typer.Argument(help="CSV: path, label; and group, split if wanted.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new model, NAME.onnx.")],
    kind: Annotated[
        options.FilmKind, typer.Option(help="Classify each person of a video, or the group.")
    ] = options.FilmKind.person,
    kernel: Annotated[
        options.FilmKernel, typer.Option(help="SVM kernel.")
    ] = options.FilmKernel.linear,
    detector: options.Detector = "mtcnn",
    model: options.Model = "mien-mobilenet",
    fps: options.Fps = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for features; default: NAME.features.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a classifier of whole videos on the features of their faces.

    Features of each video are cached: the same command continues where it was stopped.
    """
    with extra("video"):
        from mien.training.videos.train import train_videos
    from mien.cli.console import progress, tell
    from mien.cli.inputs import load_analyzer
    from mien.cli.output.training import (
        new_model,
        show_left_out,
        show_trained,
        training_progress,
    )
    from mien.training.videos.data import read_videos
    from mien.training.videos.features import FeatureCache

    listed = read_videos(videos)
    new_model(output, overwrite=overwrite)
    folder = cache or output.with_suffix(".features")
    features = FeatureCache(
        folder, lambda: load_analyzer(detector, model, None, (), ("features",)), fps, progress
    )
    report = training_progress()
    trained = train_videos(listed, output, features, kind.value, kernel.value, report)
    if json:
        show_left_out(trained.left_out)
        print(trained.card.to_json())  # noqa: T201
    else:
        show_trained(trained, "videos", "groups")
    if folder.is_dir():
        tell(f"the features of the videos are cached in {folder}")
