"""Terminal output of the commands that train models."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.console import Meter, answer, note
from mien.errors import UsageError
from mien.files import check_new

if TYPE_CHECKING:
    from mien.training.trained import Report, Trained

_MAX_NAMED = 20  # inputs that could not be used and are named


def new_model(path: Path, *, overwrite: bool) -> Path:
    """The file of a new model, before anything slow is begun; its folder is made.

    Raises:
        UsageError: its name does not end in .onnx, it exists, or it cannot be written.
    """
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"the name of the new model must end in .onnx, got {path.name}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return check_new(path, overwrite=overwrite)


def training_progress(*, epochs: bool = True) -> Report:
    """Shows progress: notes stay, and `epochs`; everything else is a bar that passes by."""
    meter, stage = Meter(), ""

    def show(line: dict[str, Any]) -> None:
        nonlocal meter, stage
        if "note" in line:
            note(line["note"])
        elif "step" in line:
            name = line.get("stage", "epoch")
            if name.split()[0] != stage:
                meter, stage = Meter(), name.split()[0]
            what = f"{name} {line['epoch'] + 1}" if "epoch" in line else name
            meter(line["step"], line["of"], what=f"{what}{_figures(line)},")
        elif epochs or sys.stderr.isatty():
            note(_figures(line).removeprefix(", "))

    return show


def _figures(line: dict[str, Any]) -> str:
    """The numbers of a line of progress but for its steps."""
    stepping = ("stage", "step", "of") + (("epoch",) if "step" in line else ())
    return "".join(
        f", {name} {value:.4f}" if isinstance(value, float) else f", {name} {value}"
        for name, value in line.items()
        if name not in stepping
    )


def show_trained(trained: Trained[Any], count: str = "faces", people: str = "people") -> None:
    """The figures of a new model, what could not be used, and the protocol; then its file."""
    from mien.cli.output.evaluation import show_figures

    show_left_out(trained.left_out)
    show_figures(trained.path.name, trained.figures, count, people)
    for line in (*trained.notes, "protocol:", *(f"- {line}" for line in trained.card.protocol)):
        note(line)
    answer(str(trained.path))


def show_left_out(lines: Iterable[str]) -> None:
    """Inputs that could not be used, and why; of very many only the first."""
    every = list(lines)
    for line in every[:_MAX_NAMED]:
        note(f"left out: {line}")
    if len(every) > _MAX_NAMED:
        note(f"and {len(every) - _MAX_NAMED} more")
