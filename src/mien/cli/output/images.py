"""The table of the faces in images, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.cli.console import colored, console, table
from mien.escaping import printable
from mien.timeline.text import fitting_labels, measure_heads, measure_text, shown_measures

if TYPE_CHECKING:
    from mien.results.result import Result

_NAME, _SHORT_NAME = 28, 20  # letters of a file's name at most, and in a narrow terminal


def show_faces(results: Sequence[Result]) -> None:
    """Print one row per face: image, apparent expression, and probabilities in percent.

    Columns that say nothing are left out: numbers of faces where each image has one, and labels
    with less than half a percent everywhere. Where the rest is too wide, the least probable labels
    are summed up.
    """
    labels = results[0].labels
    names = [printable(Path(result.source).name) for result in results]
    probabilities = np.concatenate([result.scores.values for result in results])
    named = dict.fromkeys(name for result in results for name in result.scores.measures)
    measures = shown_measures(named)
    answers = [_answers(result) for result in results]
    numbered = any(len(result) > 1 for result in results)
    out = console()
    wide = max([len("expression"), *(len(answer) for row in answers for answer in row)])
    longest = _NAME if out.width >= 100 else _SHORT_NAME
    room = out.width - min(longest, max(5, *map(len, names))) - wide - 2 - 6 * numbered
    heads = measure_heads(measures)
    room -= sum(len(head) + 2 for head in heads)
    shown, rest = fitting_labels(labels, probabilities, room)
    columns = ["image", *["face"] * numbered, "expression", *shown, *["other"] * bool(rest), *heads]
    made = table(*columns, left=(0, 1 + numbered))
    taken = wide + 2 + 6 * numbered + sum(max(3, len(name)) + 2 for name in columns[2 + numbered :])
    made.columns[0].max_width = max(longest, out.width - taken)
    for name, result, texts in zip(names, results, answers, strict=True):
        if not len(result):
            made.add_row(name, *["-"] * numbered, "no face")
        for row, emotion in enumerate(result.emotions):
            values = dict(zip(labels, result.scores.values[row], strict=True))
            cells = [f"{100 * values[label]:.0f}" for label in shown]
            cells += [f"{100 * sum(values[label] for label in rest):.0f}"] * bool(rest)
            kept = result.scores.measures
            cells += [measure_text(m, kept[m][row] if m in kept else np.nan) for m in measures]
            number = [str(row)] * numbered
            made.add_row(name, *number, colored(texts[row], emotion, labels), *cells)
    out.print(made)


def _answers(result: Result) -> list[str]:
    """The expression of each face, and why it is unfit to be judged."""
    reasons = [str(reason).replace("_", " ") for reason in result.quality.reason]
    return [
        f"{emotion} ({reason})" if reason else str(emotion)
        for emotion, reason in zip(result.emotions, reasons, strict=True)
    ]
