"""Terminal output of evaluations and comparisons."""

from __future__ import annotations

import json as writer
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mien.cli.console import answer, note, show, steps
from mien.cli.console import table as new_table

if TYPE_CHECKING:
    from pathlib import Path

    from mien.datasets import LabelledFaces
    from mien.datasets.loading import Find
    from mien.evaluation import Comparison, Estimate, Evaluation
    from mien.evaluation.comparison import Difference

#: What ``--split`` calls every row.
ALL = "all"


def faces_to_measure(
    data: Path, split: str | None, labels: str | None, find: Find | None = None
) -> LabelledFaces:
    """The faces that a model is measured on: of data with splits, those it was not trained on.

    They are the rows of `split`, or "all"; where it is None, of test, or else validation.
    """
    from mien.cli.options import meanings
    from mien.datasets import load_faces

    wanted = None if split == ALL else split
    faces = load_faces(data, wanted, labels=meanings(labels), find=find, progress=steps("reading"))
    there = sorted(set(faces.splits.tolist()) - {""})
    if split is not None or len(there) < 2:
        return faces
    held_out = next((name for name in ("test", "validation") if name in there), None)
    if held_out is None:
        return faces
    others = " or ".join(f"--split {name}" for name in (*there, ALL) if name != held_out)
    note(f"measured on {held_out} alone; for other faces use {others}.")
    return faces.split(held_out)


def show_figures(
    title: str, figures: Sequence[Estimate], count: str = "faces", people: str = "people"
) -> None:
    """Every figure with its protocol; `count` and `people` name what the figures count."""
    from mien.reports.evaluation import interval_of, value_of

    if not figures:
        return
    columns = {
        "figure": [figure.name for figure in figures],
        "value": [value_of(figure) for figure in figures],
        "95 % interval": [interval_of(figure) for figure in figures],
        count: [f"{figure.count:,}" for figure in figures],
        people: [f"{figure.people:,}" if figure.people else "" for figure in figures],
        "protocol": [figure.protocol for figure in figures],
    }
    filled = {name: column for name, column in columns.items() if any(column)}
    shown = new_table(*filled, title=title, left=(0, len(filled) - 1))
    shown.columns[-1].no_wrap = False  # protocols are sentences
    for row in zip(*filled.values(), strict=True):
        shown.add_row(*row)
    show(shown)


def show_evaluation(
    found: Evaluation,
    title: str,
    notes: Iterable[str],
    figures: Sequence[Estimate] = (),
    *,
    json: bool,
) -> None:
    """The figures of an evaluation, its groups, and how they were measured."""
    from mien.reports.evaluation import gap_sentence, interval_of, table
    from mien.reports.html import percent

    if json:
        answer(writer.dumps(table(found, figures)))
        return
    for line in notes:
        note(line)
    shown = new_table("figure", "value", "95 % interval", "faces", title=title)
    for name, figure in (
        ("accuracy", found.accuracy),
        ("macro F1", found.macro_f1),
        *((f"recall of {label}", figure) for label, figure in found.recalls.items()),
    ):
        shown.add_row(name, percent(figure.value), interval_of(figure), f"{figure.count:,}")
    for name, value in {"calibration error": found.ece, **found.votes}.items():
        shown.add_row(name, f"{value:.4f}", "", "")
    sure = f"{percent(found.sure[1])} (covers {percent(found.sure[0], 0)} of faces)"
    shown.add_row("accuracy on confident faces", sure, "", "")
    show(shown)
    for part in found.groups:
        shown = new_table(part.column, "accuracy", "95 % interval", "faces")
        for name, figure in part.parts:
            shown.add_row(
                name or "unknown", percent(figure.value), interval_of(figure), f"{figure.count:,}"
            )
        show(shown)
        answer(f"{gap_sentence(part)}\n")
    _protocol(found.protocol)


def show_comparison(found: Comparison, one: str, other: str, *, json: bool) -> None:
    """Both accuracies, their difference, and whether it is significant."""
    if json:
        answer(writer.dumps(found.to_dict()))
        return
    shown = new_table("faces with label", one, other, "difference", "95 % interval", "p", "faces")
    rows: list[tuple[str, Difference]] = [("all", found.overall), *found.by_label.items()]
    for name, part in rows:
        span = f"{100 * part.low:+.1f} to {100 * part.high:+.1f}"
        shown.add_row(
            name,
            f"{100 * part.one:.1f} %",
            f"{100 * part.other:.1f} %",
            f"{100 * part.difference:+.1f}",
            "too few faces" if math.isnan(part.low) else span,
            f"{part.p:.2g}",
            f"{part.faces:,}",
        )
    show(shown)
    answer(verdict(found.overall, one, other))
    _protocol(found.protocol)


def verdict(part: Difference, one: str, other: str) -> str:
    """The result in one sentence."""
    counts = f"{part.only_one} faces only {one} predicts right, {part.only_other} only {other}"
    if part.p < 0.05:
        better, worse = (other, one) if part.difference > 0 else (one, other)
        return f"{better} is better than {worse} on these faces: {counts} (p = {part.p:.2g})."
    return f"No significant difference: {counts} (p = {part.p:.2g})."


def _protocol(lines: Iterable[str]) -> None:
    answer("protocol:")
    for line in lines:
        answer(f"- {line}")
