"""``mien train-engagement``: labelled clips in, an engagement model out."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.cli.commands.engagement import Features
from mien.cli.exit_codes import extra
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.training.engagement.train import Trained


def train_engagement(
    clips: Annotated[
        Path, typer.Argument(help="CSV: path, level (0 to 1, or names), group, split, person.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new model, NAME.onnx.")],
    window: Annotated[float, typer.Option(help="Seconds of a window.")] = 128 / 30,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another split and start.")] = 0,
    detector: options.Detector = "mtcnn",
    features: Features = "mien-mobilenet",
    overwrite: options.Overwrite = False,
) -> None:
    """Train an engagement model on clips of one person each, and measure it on other people.

    A path is a film, or a table of it from `mien analyze --embeddings features`, which is read
    again in no time.
    """
    with extra("train"):
        from mien.training.engagement.data import read_clips
        from mien.training.engagement.train import Plan, train_engagement
    from mien.cli.commands.engagement import read_film
    from mien.cli.console import steps, tell
    from mien.files import check_new

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"a model is an .onnx file, not {output.name!r}.")
    plan = Plan(window_s=window, seed=seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    check_new(output, overwrite=overwrite)
    data = read_clips(clips, lambda path: read_film(path, detector, features), steps("reading"))
    trained = train_engagement(data, output, plan, _show)
    for line in trained.left_out[:20]:
        tell(f"left out: {line}")
    if len(trained.left_out) > 20:
        tell(f"and {len(trained.left_out) - 20} more")
    _report(trained)
    print(trained.path)  # noqa: T201


def _show(line: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        share = 100 * line["step"] // line["of"]
        end = "\r\033[K" if line["step"] == line["of"] else ""
        told = f"\rtraining {share} %, loss {line['loss']:.4f}, {line['left_s']:.0f} s left "
        print(told, end=end, file=sys.stderr)  # noqa: T201


def _report(trained: Trained) -> None:
    """The figures and how they were measured."""
    from mien.cli.console import tell
    from mien.evaluation.intervals import refusal

    people = int(trained.figures["people"])
    refused = refusal(people)
    lines = [] if refused else _figures(trained.figures)
    for line in (*lines, "protocol:", *(f"- {line}" for line in trained.protocol)):
        tell(line)
    if refused:
        tell(f"{refused} Do not use this model.")
    elif not trained.figures["mse_gain_low"] > 0:
        tell("on these people it is not clearly better than the mean: do not use it.")


def _figures(f: dict[str, float]) -> list[str]:
    """What was measured on people held out, a sentence each."""
    from mien.reports.html import percent

    def span(name: str) -> str:
        low, high = f[f"{name}_low"], f[f"{name}_high"]
        if math.isnan(low):
            return "too few clips for an interval"
        return f"95 % interval {percent(low)} to {percent(high)}"

    return [
        f"measured on {f['clips']:.0f} clips of {f['people']:.0f} people held out",
        f"mean squared error {f['mse']:.4f}; of predicting the mean {f['mse_of_mean']:.4f}",
        f"it saves {percent(f['mse_gain'])} of that ({span('mse_gain')})",
        f"accuracy {percent(f['accuracy'])} ({span('accuracy')}); of the most common level "
        f"{percent(f['accuracy_of_commonest'])}; mean recall {percent(f['uar'])}",
        f"levels within one uncertainty {f['within_1']:.0%}, within two {f['within_2']:.0%} "
        "(68 and 95 % if it is right)",
    ]
