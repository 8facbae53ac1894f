"""``mien train``: a recipe in, a model file with its card out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import extra


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/mien-mobilenet.toml.")],
    data: Annotated[
        Path, typer.Option(help="Labelled faces with the splits train and validation.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for checkpoints, log and model.")
    ] = Path("runs"),
    backbone: Annotated[
        Path | None,
        typer.Option(help="Folder with faceres.json and .bin; default: from mien models pull."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=64, help="A trial with this many faces, one epoch per stage.")
    ] = None,
    labels: options.Labels = None,
) -> None:
    """Train the model that a recipe describes; continues from the last checkpoint."""
    with extra("train"):
        from mien.training.expressions.train import run

    from mien.cli.output.training import training_progress

    report, meanings = training_progress(), options.meanings(labels)
    path = run(recipe, data, output, backbone, sample, report, meanings)
    print(path)  # noqa: T201
