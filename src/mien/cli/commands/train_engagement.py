"""``mien train-engagement``: trains an engagement model on labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.commands.engagement import Features
from mien.cli.exit_codes import extra


def train_engagement(
    clips: Annotated[
        Path, typer.Argument(help="CSV: path, level (0 to 1, or names), group, split, person.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new model, NAME.onnx.")],
    window: Annotated[float, typer.Option(help="Length of a window, seconds.")] = 128 / 30,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the first weights.")] = 0,
    detector: options.Detector = "mtcnn",
    features: Features = "mien-mobilenet",
    overwrite: options.Overwrite = False,
) -> None:
    """Train an engagement model on clips of one person each, and test it on other people.

    A path is a video, or its table from `mien analyze --embeddings features`, which is much
    faster to read.
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
