"""``mien compare``: two models on the same faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options


def compare(
    one: Annotated[str, typer.Argument(help="Model name or .onnx file.")],
    other: Annotated[str, typer.Argument(help="The other model.")],
    data: Annotated[Path, typer.Argument(help="Labelled faces: a folder, a CSV or Parquet file.")],
    split: options.Split = None,
    labels: options.Labels = None,
    photos: options.Photos = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Test whether one of two models is significantly better on the same faces."""
    from mien import evaluation
    from mien.cli.console import steps, tell
    from mien.cli.output.evaluation import faces_to_measure, show_comparison
    from mien.plugins import load_classifier, load_detector

    if split is None and (data / "lists" / "literature_test.csv").is_file():
        split = "literature_test"
    models = load_classifier(one), load_classifier(other)
    find = load_detector("mtcnn").detect if photos else None
    faces = faces_to_measure(data, split, labels, find)
    for line in () if json else faces.describe():
        tell(line)
    found = evaluation.compare(*models, faces, progress=steps("evaluating"))
    show_comparison(found, one, other, json=json)
