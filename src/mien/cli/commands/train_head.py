"""``mien train-head``: further columns for the table, learned from labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.exit_codes import extra
from mien.cli.options import Model, Overwrite, named
from mien.errors import UsageError


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
    columns: Annotated[str, typer.Option(help="Learn only these, such as AU06,AU12.")] = "",
    hidden: Annotated[int, typer.Option(min=0, help="Units in the middle; 0: linear.")] = 128,
    class_weights: Annotated[
        float | None, typer.Option(min=0, max=1, help="1: labels count the same; 0: faces.")
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

    Figures are measured on films or people that it did not learn from.
    """
    with extra("train"):
        from mien.training.heads.personalize import adapt
        from mien.training.heads.train import HeadRecipe
        from mien.training.heads.train import train_head as train
    from mien.cli.commands.train import show
    from mien.cli.console import steps, tell
    from mien.cli.output.evaluation import show_figures
    from mien.expressions.onnx import OnnxClassifier
    from mien.files import check_new
    from mien.plugins import find_model
    from mien.training.heads.data import Wanted, load_rows

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"the head's name must end in .onnx, got {output.name}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    check_new(output, overwrite=overwrite)
    wanted = Wanted(task, named(columns), model, shift, person)  # type: ignore[arg-type]
    rows = load_rows(features, labels, wanted, steps("looking"))
    for line in rows.told:
        tell(line)
    if person is None:
        recipe = HeadRecipe(wanted.task, hidden=hidden, class_weights=class_weights)
        trained = train(rows, recipe, output, show)
    else:
        trained = adapt(OnnxClassifier(find_model(model)), rows, output)
    show_figures(output.name, trained.figures)
    for line in (*trained.told, *trained.card.protocol):
        tell(line)
    print(output)  # noqa: T201
