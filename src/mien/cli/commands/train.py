"""``mien train``: a recipe in, a model file with its card out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mien.cli import options
from mien.cli.exit_codes import extra


def train(
    recipe: Annotated[
        Path, options.argument("RECIPE", "A recipe, such as recipes/mien-mobilenet.toml.")
    ],
    data: Annotated[
        Path, options.option("DATA", "Labeled faces, split into train and validation.")
    ],
    output: Annotated[
        Path, options.option("FOLDER", "Folder for checkpoints, log and model.", "-o", "--output")
    ] = Path("runs"),
    backbone: Annotated[
        Path | None,
        options.option(
            "FOLDER", "Folder with faceres.json and .bin.", default="of `mien models pull faceres`"
        ),
    ] = None,
    sample: Annotated[
        int | None, options.option("N", "A trial: only N faces, and one epoch per stage.", min=64)
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
