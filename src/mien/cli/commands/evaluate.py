"""``mien evaluate``: measures a model, each figure with its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mien.cli import options

if TYPE_CHECKING:
    from mien.evaluation import Estimate


def evaluate(
    model: options.ModelArgument,
    data: options.LabelledFaces,
    output: Annotated[
        Path | None,
        options.option("FOLDER", "Folder for report.html and report.json.", "-o", "--output"),
    ] = None,
    split: options.Split = None,
    by: Annotated[
        list[str] | None,
        options.option("COLUMN", "Report accuracy for each value of a column; repeatable."),
    ] = None,
    labels: options.Labels = None,
    photos: options.Photos = False,
    prior: options.Prior = None,
    json: options.Json = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure a model on labeled faces.

    A folder with FER+ and its lists is measured on every list that papers report.

    \b
    Examples:
      mien evaluate mien-mobilenet ferplus/
      mien evaluate mine.onnx faces.csv --by age -o evaluation/
    """
    from mien import evaluation
    from mien.cli.console import steps, wrote
    from mien.cli.output.evaluation import faces_to_measure, show_evaluation, show_figures
    from mien.expressions.base_rates import ReweightedClassifier, load_prior
    from mien.plugins import load_classifier, load_detector
    from mien.reports.evaluation import write_evaluation

    classifier = load_classifier(model)
    if prior is not None:
        classifier = ReweightedClassifier(classifier, load_prior(prior, classifier))
        model = f"{model} (prior {prior})"
    figures: list[Estimate] = []
    literature = data / "lists" / "literature_test.csv"
    if literature.is_file() and split is None:
        figures = evaluation.evaluate_ferplus(classifier, data, steps("evaluating"))
        if not json:
            show_figures(f"{model} on {data}", figures)
        split = "literature_test"
    find = load_detector("yunet").detect if photos else None
    faces = faces_to_measure(data, split, labels, find)
    found = evaluation.evaluate(classifier, faces, by=by or (), progress=steps("evaluating"))
    splits = set(faces.splits.tolist()) - {""}
    if split is None and len(splits) == 1:
        split = splits.pop()
    name = f"{data.name}, {split}" if split else data.name
    if output is not None:
        about: dict[str, Any] = {"model": model, "data": name, "figures": figures}
        wrote(*write_evaluation(found, output, **about, overwrite=overwrite))
    show_evaluation(found, f"{model} on {name}", faces.describe(), figures, json=json)
