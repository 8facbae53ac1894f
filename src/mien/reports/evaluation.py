"""One self-contained page about an evaluation, and the same for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.errors import UsageError
from mien.evaluation.evaluation import Evaluation, Groups
from mien.evaluation.intervals import Estimate
from mien.labels import color_of
from mien.plots import write_page
from mien.plots.metrics import calibration_picture, confusion_picture, coverage_picture

_NBSP = "\u00a0"


def write_evaluation(
    found: Evaluation,
    folder: str | Path,
    *,
    model: str,
    data: str,
    figures: Sequence[Estimate] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write ``report.html`` and ``report.json`` into a folder, which is made if need be.

    Args:
        found: as from `mien.evaluation.evaluate`.
        folder: where to.
        model, data: what they are called on the page.
        figures: further figures with their protocols, as from `evaluate_ferplus`.
        overwrite: replace files that mien did not write, too.

    Raises:
        UsageError: nothing can be written there.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {target}: {error.strerror}.") from error
    everything = {"model": model, "data": data, **table(found, figures)}
    text = json.dumps(everything, indent=1, ensure_ascii=False) + "\n"
    page = evaluation_page(found, model=model, data=data, figures=figures)
    return [
        write_page(page, target / "report.html", (".html",), overwrite=overwrite),
        write_page(text, target / "report.json", (".json",), overwrite=overwrite),
    ]


def table(found: Evaluation, figures: Sequence[Estimate] = ()) -> dict[str, Any]:
    """All figures of an evaluation, and further ones with their protocols, for JSON."""
    further = {
        f.name: {"value": round(f.value, 5), "faces": f.count, "protocol": f.protocol}
        for f in figures
    }
    return {**found.to_dict(), "figures": further}


def evaluation_page(
    found: Evaluation, *, model: str, data: str, figures: Sequence[Estimate] = ()
) -> str:
    """The page as text."""
    from importlib import resources

    from jinja2 import Environment, StrictUndefined

    assets = resources.files("mien") / "assets"
    page = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.filters.update(percent=percent, span=span, gap_sentence=gap_sentence)
    return page.from_string((assets / "evaluation.html").read_text(encoding="utf-8")).render(
        style=(assets / "page.css").read_text(encoding="utf-8"),
        model=model,
        data=data,
        found=found,
        colors={label: "#{:02x}{:02x}{:02x}".format(*color_of(label)) for label in found.labels},
        confusion=confusion_picture(found.table, found.labels).svg,
        calibration=calibration_picture(found.reliability).svg,
        coverage=coverage_picture(*found.selective, found.sure).svg,
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
    """The largest gap between groups, where it is more than chance makes of groups like these."""
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


def percent(share: float, digits: int = 1) -> str:
    """A share in percent; a dash where it is not known. Only what is whole is called 100 %."""
    if math.isnan(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        text = f">{100 - 10**-digits:.{digits}f}"
    return f"{text}{_NBSP}%"


def span(figure: Estimate) -> str:
    """The interval of a figure."""
    if math.isnan(figure.low):
        return ""
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"
