"""``mien compare``: two models on the same faces."""

from __future__ import annotations

from typing import Annotated

from mien.cli import options


def compare(
    one: options.ModelArgument,
    other: Annotated[str, options.argument("OTHER", "The model to compare with.")],
    data: options.LabelledFaces,
    split: options.Split = None,
    labels: options.Labels = None,
    photos: options.Photos = False,
    json: options.Json = False,
) -> None:
    """Compare two models on the same faces.

    Says whether the difference is statistically significant.

    \b
    Examples:
      mien compare mien-mobilenet mine.onnx my_faces/
      mien compare mien-mobilenet enet_b2_8 ferplus/ --json
    """
    from mien import evaluation
    from mien.cli.console import note, steps
    from mien.cli.output.evaluation import faces_to_measure, show_comparison
    from mien.plugins import load_classifier, load_detector

    if split is None and (data / "lists" / "literature_test.csv").is_file():
        split = "literature_test"
    models = load_classifier(one), load_classifier(other)
    find = load_detector("yunet").detect if photos else None
    faces = faces_to_measure(data, split, labels, find)
    for line in () if json else faces.describe():
        note(line)
    found = evaluation.compare(*models, faces, progress=steps("evaluating"))
    show_comparison(found, one, other, json=json)
