"""``mien train-engagement``: trains an engagement model on labeled clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mien.cli import options
from mien.cli.commands.engagement import Features
from mien.cli.exit_codes import extra


def train_engagement(
    clips: Annotated[
        Path, options.argument("LIST", "CSV: path, level (0 to 1, or names), group, split, person.")
    ],
    output: options.ModelOutput,
    detector: options.Detector = "yunet",
    features: Features = "mien-mobilenet",
    window: Annotated[
        float, options.option("SECONDS", "Length of a window.", default="128 frames at 30/s, 4.27")
    ] = 128 / 30,
    seed: Annotated[int, options.option("N", "Seed of the split and of the training.", min=0)] = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Train an engagement model from labeled clips.

    Each clip shows one person; accuracy is measured on other people. A path is a video, or its
    table of `mien analyze --embeddings features`, which is read much faster.

    \b
    Examples:
      mien train-engagement clips.csv -o engagement.onnx
      mien train-engagement clips.csv -o engagement.onnx --window 2
    """
    with extra("train"):
        from mien.training.engagement.data import read_clips
        from mien.training.engagement.train import Plan, train_engagement
    from mien.cli.commands.engagement import read_video
    from mien.cli.console import steps
    from mien.cli.output.training import new_model, show_trained, training_progress

    new_model(output, overwrite=overwrite)
    plan = Plan(window_s=window, seed=seed)
    data = read_clips(clips, lambda path: read_video(path, detector, features), steps("reading"))
    show_trained(train_engagement(data, output, plan, training_progress()), "clips")
