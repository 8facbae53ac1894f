"""``mien train-head``: trains a head, for further columns of the table, on labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.exit_codes import extra
from mien.cli.options import Model, Overwrite, names


def train_head(
    features: Annotated[
        Path,
        typer.Argument(
            metavar="FEATURES",
            help="A table of `mien analyze --embeddings features`, or labeled faces.",
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Argument(
            metavar="LABELS", help="A CSV table, or a folder of Aff-Wild2, BP4D or DISFA."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The new head, NAME.onnx.")
    ] = Path("head.onnx"),
    model: Model = "mien-mobilenet",
    task: Annotated[
        str,
        typer.Option(
            metavar="TASK",
            help="expression, valence-arousal, action-units, regression or multilabel.",
        ),
    ] = "expression",
    columns: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Use only these label columns, such as AU06,AU12.",
            show_default=False,
        ),
    ] = "",
    hidden: Annotated[
        int, typer.Option(min=0, metavar="N", help="Size of the hidden layer; 0 = linear.")
    ] = 128,
    class_weights: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="0..1", help="Class balancing: 0 = none, 1 = full."),
    ] = None,
    shift: Annotated[
        int,
        typer.Option(
            min=-(10**6), max=10**6, metavar="FRAMES", help="Added to the labels' frame numbers."
        ),
    ] = 0,
    person: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Adapt the model to this track_id instead; or: all."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train further columns from labeled frames.

    A small head on the features of a model; `mien analyze --head` uses it. Each part of the data
    needs some 30 faces, and action units both states in each. Accuracy is measured on videos or
    people that were not trained on.

    \b
    Examples:
      mien train-head film.parquet labels.csv -o smile.onnx
      mien train-head film.parquet few.csv --person 2 -o anna.onnx
    """
    with extra("train"):
        from mien.training.heads.personalize import adapt
        from mien.training.heads.train import HeadRecipe
        from mien.training.heads.train import train_head as train
    from mien.cli.console import note, steps
    from mien.cli.output.training import new_model, show_trained, training_progress
    from mien.expressions.onnx import OnnxClassifier
    from mien.plugins import find_model
    from mien.training.heads.data import Selection, load_rows

    new_model(output, overwrite=overwrite)
    selection = Selection(task, names(columns), model, shift, person)  # type: ignore[arg-type]
    rows = load_rows(features, labels, selection, steps("computing features"))
    for line in rows.notes:
        note(line)
    if person is None:
        recipe = HeadRecipe(selection.task, hidden=hidden, class_weights=class_weights)
        trained = train(rows, recipe, output, training_progress())
    else:
        trained = adapt(OnnxClassifier(find_model(model)), rows, output)
    show_trained(trained)
