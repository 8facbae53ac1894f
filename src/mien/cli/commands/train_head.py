"""``mien train-head``: trains a head, for further columns of the table, on labeled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mien.cli import options
from mien.cli.exit_codes import extra


def train_head(
    features: Annotated[
        Path,
        options.argument(
            "FEATURES", "A table of `mien analyze --embeddings features`, or labeled faces."
        ),
    ],
    labels: Annotated[
        Path | None,
        options.argument("LABELS", "A CSV table, or a folder of Aff-Wild2, BP4D or DISFA."),
    ] = None,
    output: Annotated[
        Path, options.option("FILE", "The new head, NAME.onnx.", "-o", "--output")
    ] = Path("head.onnx"),
    model: options.Model = "mien-mobilenet",
    task: Annotated[
        str,
        options.option(
            "TASK", "expression, valence-arousal, action-units, regression or multilabel."
        ),
    ] = "expression",
    inputs: Annotated[
        str,
        options.option(
            "NAMES",
            "Learn from features,actions,pose or some of them.",
            "--features",
            default="features",
        ),
    ] = "",
    columns: Annotated[
        str,
        options.option("NAMES", "Use only these label columns, such as AU06,AU12.", default=False),
    ] = "",
    hidden: Annotated[
        int, options.option("N", "Size of the hidden layer; 0 = linear.", min=0)
    ] = 128,
    class_weights: Annotated[
        float | None, options.option("0..1", "Class balancing: 0 = none, 1 = full.", min=0, max=1)
    ] = None,
    shift: Annotated[
        int,
        options.option("FRAMES", "Added to the labels' frame numbers.", min=-(10**6), max=10**6),
    ] = 0,
    person: Annotated[
        str | None, options.option("ID", "Adapt the model to this track_id instead; or: all.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Train further columns from labeled frames.

    A small head on the features of a model; `mien analyze --head` uses it. Each part of the data
    needs some 30 faces, and action units both states in each. Accuracy is measured on videos or
    people that were not trained on. With --features a head also learns from the facial actions and
    head pose of a table made with --actions.

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
    from mien.labels import FEATURES
    from mien.plugins import find_model
    from mien.training.heads.data import Selection, load_rows

    new_model(output, overwrite=overwrite)
    chosen = options.names(inputs) or (FEATURES,)
    selection = Selection(task, options.names(columns), model, shift, person, chosen)  # type: ignore[arg-type]
    rows = load_rows(features, labels, selection, steps("computing features"))
    for line in rows.notes:
        note(line)
    if person is None:
        recipe = HeadRecipe(selection.task, hidden=hidden, class_weights=class_weights)
        trained = train(rows, recipe, output, training_progress())
    else:
        trained = adapt(OnnxClassifier(find_model(model)), rows, output)
    show_trained(trained)
