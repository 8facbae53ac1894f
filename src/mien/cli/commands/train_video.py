"""``mien train-video``: trains a classifier of whole videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import extra


def train_video(
    videos: Annotated[
        Path, options.argument("LIST", "CSV: path, label; and group, split if wanted.")
    ],
    output: options.ModelOutput,
    detector: options.Detector = "yunet",
    model: options.Model = "mien-mobilenet",
    fps: options.Fps = None,
    kind: Annotated[
        options.VideoKind, typer.Option(help="Classify each person, or everyone together.")
    ] = options.VideoKind.person,
    kernel: Annotated[
        options.VideoKernel, typer.Option(help="SVM kernel.")
    ] = options.VideoKernel.linear,
    cache: Annotated[
        Path | None, options.option("FOLDER", "Folder for video features.", default="NAME.features")
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
        from mien.training.videos.train import train_videos
    from mien.cli.console import answer, note
    from mien.cli.inputs import load_analyzer
    from mien.cli.output.training import (
        new_model,
        show_left_out,
        show_trained,
        training_progress,
    )
    from mien.cli.run import counted
    from mien.training.videos.data import read_videos
    from mien.training.videos.features import FeatureCache

    listed = read_videos(videos)
    new_model(output, overwrite=overwrite)
    folder = cache or output.with_suffix(".features")
    features = FeatureCache(
        folder, lambda: load_analyzer(detector, model, extras=("features",)), fps, counted
    )
    report = training_progress()
    trained = train_videos(listed, output, features, kind.value, kernel.value, report)
    if json:
        show_left_out(trained.left_out)
        answer(trained.card.to_json())
    else:
        show_trained(trained, "videos", "groups")
    if folder.is_dir():
        note(f"the features of the videos are cached in {folder}")
