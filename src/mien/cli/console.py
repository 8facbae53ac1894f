"""What people see in the terminal: progress, a coloured table, one line of summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.labels import color_of

if TYPE_CHECKING:
    from rich.console import Console

    from mien.result import Result


def progress(results: Iterable[Result]) -> Iterator[Result]:
    """Pass results through and, on a terminal and after two seconds, count them aloud."""
    started = said = time.monotonic()
    loud = sys.stderr.isatty()
    for count, result in enumerate(results, 1):
        now = time.monotonic()
        if loud and now - started > 2 and now - said > 0.5:
            said = now
            line = f"\r{count} pictures, {count / (now - started):.1f} a second "
            print(line, end="", file=sys.stderr, flush=True)  # noqa: T201
        yield result
    if said != started:
        print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201


def console() -> Console:
    """Standard output for tables: names are shown as they are, wide where nobody looks."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def show_table(results: Sequence[Result]) -> None:
    """Print one row a face: where, what, and every probability in percent."""
    from rich.table import Table
    from rich.text import Text

    labels = results[0].labels
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture", overflow="ellipsis", no_wrap=True, max_width=28)
    table.add_column("face", justify="right")
    table.add_column("apparent expression", no_wrap=True)
    for label in labels:
        table.add_column(label[:9], justify="right", no_wrap=True)
    for result in results:
        name = Path(result.source).name
        if not len(result):
            table.add_row(name, "-", "no face")
        for row, emotion in enumerate(result.emotions):
            red, green, blue = color_of(emotion, labels)
            shade = f"rgb({red},{green},{blue})"
            doubt = "" if result.quality.fit[row] else " (poor view)"
            values = [f"{100 * value:.0f}" for value in result.scores.values[row]]
            table.add_row(name, str(row), Text(emotion + doubt, style=f"bold {shade}"), *values)
    console().print(table)


def show_summary(seen: int, faces: int, failed: int, written: Sequence[Path]) -> None:
    """One line about the whole run, and where things were written."""
    counts = f"{_many(seen, 'picture')}, {_many(faces, 'face')}"
    bad = f", {failed} could not be read" if failed else ""
    print(counts + bad, file=sys.stderr)  # noqa: T201
    for path in written:
        print(f"wrote {path}", file=sys.stderr)  # noqa: T201


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
