"""``mien train``: a recipe in, a model file with its card out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import extra


def train(
    recipe: Annotated[
        Path,
        typer.Argument(metavar="RECIPE", help="A recipe, such as recipes/mien-mobilenet.toml."),
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="DATA", help="Labeled faces, split into train and validation."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder for checkpoints, log and model."
        ),
    ] = Path("runs"),
    backbone: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder with faceres.json and .bin.",
            show_default="of `mien models pull faceres`",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=64, metavar="N", help="A trial: only N faces, and one epoch per stage."),
    ] = None,
    labels: options.Labels = None,
) -> None:
    """Train an expression model from a recipe.

    Continues from the last checkpoint.

    \b
    Examples:
      mien train recipes/mien-mobilenet.toml --data ferplus/
      mien train recipes/mien-mobilenet.toml --data ferplus/ --sample 64
    """
    with extra("train"):
        from mien.training.expressions.train import run

    from mien.cli.console import answer
    from mien.cli.output.training import training_progress

    report, meanings = training_progress(), options.meanings(labels)
    path = run(recipe, data, output, backbone, sample, report, meanings)
    answer(path)
