"""One self-contained page about an evaluation, and the same as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.errors import UsageError
from mien.evaluation.evaluation import Evaluation, Groups
from mien.evaluation.intervals import Estimate
from mien.labels import color_of, hex_color
from mien.plots import write_page
from mien.plots.metrics import calibration_plot, confusion_plot, coverage_plot
from mien.reports.html import percent, render


def write_evaluation(
    evaluation: Evaluation,
    folder: str | Path,
    *,
    model: str,
    data: str,
    figures: Sequence[Estimate] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write ``report.html`` and ``report.json`` into a folder, which is made if necessary.

    `figures` are further ones with their protocols, as from `evaluate_ferplus`.

    Raises:
        UsageError: nothing can be written there.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {target}: {error.strerror}.") from error
    values = {"model": model, "data": data, **table(evaluation, figures)}
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    page = evaluation_page(evaluation, model=model, data=data, figures=figures)
    return [
        write_page(page, target / "report.html", (".html",), overwrite=overwrite),
        write_page(text, target / "report.json", (".json",), overwrite=overwrite),
    ]


def table(evaluation: Evaluation, figures: Sequence[Estimate] = ()) -> dict[str, Any]:
    """All figures of an evaluation, and further ones with their protocols, for JSON."""
    others = {
        f.name: {"value": round(f.value, 5), "faces": f.count, "protocol": f.protocol}
        for f in figures
    }
    return {**evaluation.to_dict(), "figures": others}


def evaluation_page(
    evaluation: Evaluation, *, model: str, data: str, figures: Sequence[Estimate] = ()
) -> str:
    """The page as text."""
    return render(
        "evaluation.html",
        model=model,
        data=data,
        evaluation=evaluation,
        interval_of=interval_of,
        gap_sentence=gap_sentence,
        colors={label: hex_color(color_of(label)) for label in evaluation.labels},
        confusion=confusion_plot(evaluation.table, evaluation.labels).svg,
        calibration=calibration_plot(evaluation.reliability).svg,
        coverage=coverage_plot(*evaluation.selective[1:], evaluation.sure).svg,
        figures=[(f.name, value_of(f), f"{f.count:,}", f.protocol) for f in figures],
    )


def value_of(figure: Estimate) -> str:
    """A figure in its own unit: percent, or a plain number for distances and correlations."""
    return percent(figure.value, 2) if figure.is_share else f"{figure.value:.4f}"


def interval_of(figure: Estimate) -> str:
    """The interval of a figure in its own unit; empty where there is none."""
    if math.isnan(figure.low):
        return ""
    if not figure.is_share:
        return f"{figure.low:.3f} to {figure.high:.3f}"
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"


def gap_sentence(part: Groups) -> str:
    """The largest gap between groups, where it is larger than chance explains."""
    gap = part.gap
    if gap is None:
        return "Too few faces in the groups to compare them."
    p = f"permutation test, p = {gap.p:.2g}"
    if not gap.is_beyond_chance:
        return f"No difference between the groups beyond chance ({p})."
    value = {name: percent(figure.value) for name, figure in part.parts}
    return (
        f"Largest gap: {100 * gap.value:.1f} percentage points ({gap.best}: {value[gap.best]}, "
        f"{gap.worst}: {value[gap.worst]}), 95 % interval {100 * gap.low:.1f} to "
        f"{100 * gap.high:.1f} ({p}). Groups may also differ in which expressions they show."
    )
