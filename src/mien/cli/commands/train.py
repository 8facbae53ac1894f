"""``mien train``: a recipe in, a model file with its card out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

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

    path = run(recipe, data, output, backbone, sample, show, options.meanings(labels))
    print(path)  # noqa: T201


def show(line: dict[str, Any]) -> None:
    """Steps overwrite each other on a terminal; epochs stay."""
    if "told" in line:
        print(line["told"], file=sys.stderr)  # noqa: T201
        return
    if "step" in line:
        if sys.stderr.isatty():
            done = f"\repoch {line['epoch'] + 1}, step {line['step']} of {line['of']}"
            print(f"{done}, {line['per_s']:.0f} faces/s ", end="", file=sys.stderr)  # noqa: T201
        return
    values = ", ".join(
        f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in line.items()
    )
    print(f"\r{values}", file=sys.stderr)  # noqa: T201
