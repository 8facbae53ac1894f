"""``mien finetune``: adapts a model to labelled faces of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import extra


def finetune(
    data: Annotated[
        Path, typer.Argument(help="Labelled faces: a folder for each label, a CSV ...")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new model, NAME.onnx.")],
    model: Annotated[
        str, typer.Option(help="The model to start from: a name, or an .onnx mien exported.")
    ] = "mien-mobilenet",
    labels: options.Labels = None,
    photos: options.Photos = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Fine-tune a model on a few hundred labelled faces of your own.

    Three in ten are held out to test it, unless the data has splits.
    """
    with extra("train"):
        from mien.training.expressions.finetune import finetune as train
    from mien.cli.console import steps, tell
    from mien.cli.output.evaluation import show_comparison
    from mien.cli.output.training import new_model, training_progress
    from mien.datasets import load_faces
    from mien.plugins import find_model, load_detector

    new_model(output, overwrite=overwrite)
    start = find_model(model)
    find = load_detector("mtcnn").detect if photos else None
    faces = load_faces(data, labels=options.meanings(labels), find=find, progress=steps("reading"))
    for line in faces.describe():
        tell(line)
    tuned = train(start, faces, output, training_progress(epochs=False), steps("testing"))
    tell(f"trained on {tuned.train:,} faces, tested on {tuned.test:,} others")
    show_comparison(tuned.gain, "before", "after", json=False)
    if tuned.gain.overall.difference <= 0:
        tell("it did not help: keep the model that you had, or label more faces.")
    print(tuned.path)  # noqa: T201
