"""``mien train-head``: trains a head, for further columns of the table, on labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.exit_codes import extra
from mien.cli.options import Model, Overwrite, named


def train_head(
    features: Annotated[
        Path,
        typer.Argument(help="A table of analyze --embeddings features, a folder, or faces."),
    ],
    labels: Annotated[
        Path | None, typer.Argument(help="A CSV table, or a folder of Aff-Wild2, BP4D or DISFA.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The head.")] = Path("head.onnx"),
    task: Annotated[
        str,
        typer.Option(help="expression, valence-arousal, action-units, regression or multilabel."),
    ] = "expression",
    columns: Annotated[str, typer.Option(help="Only these columns, such as AU06,AU12.")] = "",
    hidden: Annotated[
        int, typer.Option(min=0, help="Size of the hidden layer; 0: linear classifier.")
    ] = 128,
    class_weights: Annotated[
        float | None, typer.Option(min=0, max=1, help="Class balancing: 0 none, 1 full.")
    ] = None,
    shift: Annotated[
        int, typer.Option(min=-(10**6), max=10**6, help="Add this to the labels' frames.")
    ] = 0,
    person: Annotated[
        str | None, typer.Option(help="Adapt the model's last layer to this track_id; or: all.")
    ] = None,
    model: Model = "mien-mobilenet",
    overwrite: Overwrite = False,
) -> None:
    """Train a small head on a model's features; mien analyze --head uses it.

    Its accuracy is measured on people or videos that it was not trained on.
    """
    with extra("train"):
        from mien.training.heads.personalize import adapt
        from mien.training.heads.train import HeadRecipe
        from mien.training.heads.train import train_head as train
    from mien.cli.console import steps, tell
    from mien.cli.output.training import new_model, show_trained, training_progress
    from mien.expressions.onnx import OnnxClassifier
    from mien.plugins import find_model
    from mien.training.heads.data import Selection, load_rows

    new_model(output, overwrite=overwrite)
    selection = Selection(task, named(columns), model, shift, person)  # type: ignore[arg-type]
    rows = load_rows(features, labels, selection, steps("computing features"))
    for line in rows.notes:
        tell(line)
    if person is None:
        recipe = HeadRecipe(selection.task, hidden=hidden, class_weights=class_weights)
        trained = train(rows, recipe, output, training_progress())
    else:
        trained = adapt(OnnxClassifier(find_model(model)), rows, output)
    show_trained(trained)
