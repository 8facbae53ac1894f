"""``mien compare``: two models on the same faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    one: Annotated[str, typer.Argument(help="Model name or .onnx file.")],
    other: Annotated[str, typer.Argument(help="The other model.")],
    data: Annotated[Path, typer.Argument(help="Labelled faces: a folder, a CSV or Parquet file.")],
    split: Annotated[
        str | None, typer.Option(help="Only this split, or the rows of lists/SPLIT.csv.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Numbers count as in fer2013, ferplus, rafdb or affectnet.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell whether one of two models is better on the same faces, or whether it may be luck."""
    from mien import evaluation
    from mien.cli.measured import show_comparison, steps
    from mien.datasets import load_faces
    from mien.registry import load_classifier

    if split is None and (data / "lists" / "literature_test.csv").is_file():
        split = "literature_test"
    models = load_classifier(one), load_classifier(other)
    faces = load_faces(data, split, labels=labels, progress=steps("reading"))
    found = evaluation.compare(*models, faces, progress=steps("judging"))
    show_comparison(found, one, other, json=json)
