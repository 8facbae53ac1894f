"""``mien finetune``: a model, adapted to faces of your own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli import options
from mien.cli.exit_codes import extra
from mien.errors import UsageError


def finetune(
    data: Annotated[Path, typer.Argument(help="Your labelled faces: a folder a label, a CSV ...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new model, NAME.onnx.")],
    model: Annotated[
        str, typer.Option(help="Where to start: a model of mien's, or an .onnx it exported.")
    ] = "mien-mobilenet",
    labels: options.Labels = None,
    photos: options.Photos = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Adapt a model to a few hundred faces of your own, or to one person.

    Three in ten are held out, unless the data has splits, and tell whether it helped.
    """
    with extra("train"):
        from mien.training.expressions.finetune import tune
    from mien.cli.console import steps, tell
    from mien.cli.output.evaluation import show_comparison
    from mien.datasets import load_faces
    from mien.files import check_new
    from mien.plugins import find_model, load_detector

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"the new model's name must end in .onnx, got {output.name}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    check_new(output, overwrite=overwrite)
    start = find_model(model)
    find = load_detector("mtcnn").detect if photos else None
    faces = load_faces(data, labels=options.meanings(labels), find=find, progress=steps("reading"))
    for line in faces.describe():
        tell(line)
    tuned = tune(start, faces, output, _show, steps("judging"))
    tell(f"learned from {tuned.learned:,} faces, measured on {tuned.held_out:,} others")
    show_comparison(tuned.gain, "before", "after", json=False)
    if tuned.gain.overall.difference <= 0:
        tell("it did not help: stay with the model that you had, or label more faces.")
    print(tuned.path)  # noqa: T201


def _show(line: dict[str, Any]) -> None:
    """What is found stays; the hundred short epochs pass by, where somebody sees them."""
    seen = sys.stderr.isatty()
    if "told" in line:
        clear = "\r\033[K" if seen else ""
        print(f"{clear}{line['told']}", file=sys.stderr)  # noqa: T201
    elif "loss" in line and seen:
        right = f"{line['val_accuracy']:.0%} of the faces apart are told right"
        print(f"\repoch {line['epoch']}: {right} ", end="", file=sys.stderr)  # noqa: T201
