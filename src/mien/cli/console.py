"""What people see in the terminal: progress, a coloured table, one line of summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from mien.cli.streams import CLEAR, PrintableStream, StyledStream
from mien.escaping import printable, printable_lines
from mien.labels import ATTRIBUTES, color_of
from mien.timeline.text import clock

if TYPE_CHECKING:
    from rich.console import Console

    from mien.evaluation import Progress
    from mien.results.result import Result

_TOLD = 20  # failures that are told one by one


def progress(results: Iterable[Result]) -> Iterator[Result]:
    """Pass results through and, on a terminal and after two seconds, count them aloud."""
    started = said = time.monotonic()
    loud = sys.stderr.isatty()
    for count, result in enumerate(results, 1):
        now = time.monotonic()
        if loud and now - started > 2 and now - said > 0.5:
            said = now
            line = f"\r{count} pictures, {count / (now - started):.1f} a second "
            if result.time_s is not None:
                line = f"{line}(at {clock(result.time_s)}) "
            print(line, end="", file=sys.stderr, flush=True)  # noqa: T201
        yield result
    if said != started:
        print(CLEAR, end="", file=sys.stderr, flush=True)  # noqa: T201


def console() -> Console:
    """Standard output for tables: names are no markup, control characters become escapes.

    It is wide where nobody looks.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class PrintableConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable_lines(text), style)

        def on_broken_pipe(self) -> None:
            raise  # what it means is said where all errors become exit codes

    out, width = sys.stdout, None if sys.stdout.isatty() else 160
    file = cast(TextIO, StyledStream(out)) if isinstance(out, PrintableStream) else out
    return PrintableConsole(file=file, width=width, highlight=False, markup=False, emoji=False)


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
    measures = list(dict.fromkeys(name for r in results for name in r.scores.measures))
    for name in measures:
        table.add_column(name.replace("_", " "), justify="right")
    for result in results:
        name = printable(Path(result.source).name)
        if not len(result):
            table.add_row(name, "-", "no face")
        for row, emotion in enumerate(result.emotions):
            red, green, blue = color_of(emotion, labels)
            shade = f"rgb({red},{green},{blue})"
            reason = str(result.quality.reason[row]).replace("_", " ")
            doubt = f" ({reason})" if reason else ""
            values = [f"{100 * value:.0f}" for value in result.scores.values[row]]
            known = result.scores.measures
            values += [f"{known[m][row]:{_format(m)}}" if m in known else "-" for m in measures]
            table.add_row(name, str(row), Text(emotion + doubt, style=f"bold {shade}"), *values)
    console().print(table)


def _format(measure: str) -> str:
    """Years without a fraction, everything else with two digits of it."""
    return ".0f" if measure == ATTRIBUTES["age"] else ".2f"


@dataclass
class Tally:
    """Counts a run, and says aloud what could not be read."""

    photos: int = 0
    frames: int = 0
    faces: int = 0
    unfit: int = 0
    failed: int = 0
    dropped: int = 0

    def add(self, result: Result) -> None:
        """Count one result; of very many failures only the first are told."""
        if result.error is None or result.dropped:
            self.frames += result.time_s is not None
            self.photos += result.time_s is None
            self.faces += len(result)
            self.unfit += int((~result.quality.fit).sum())
            self.dropped += result.dropped
            return
        self.failed += 1
        if self.failed <= _TOLD:
            tell(f"mien: {result.error}")
        elif self.failed == _TOLD + 1:
            tell("mien: more could not be read.")

    def show(self, written: Sequence[Path]) -> None:
        """One line about the whole run, and where things were written."""
        kinds = [(self.photos, "picture"), (self.frames, "frame"), (self.faces, "face")]
        counts = ", ".join(_many(n, noun) for n, noun in kinds if n or noun == "face")
        if self.unfit:
            counts += f" ({self.unfit} unfit to be judged)"
        bad = f", {self.failed} could not be read" if self.failed else ""
        late = f", {self.dropped} left out to keep up" if self.dropped else ""
        tell(counts + bad + late)
        for path in written:
            tell(f"wrote {path}")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def steps(what: str) -> Progress:
    """Shows how far a loop over batches is, where somebody sees it."""

    def shown(batches: Iterable[int], total: int) -> Iterator[int]:
        seen = sys.stderr.isatty()
        for count, batch in enumerate(batches):
            if seen:
                print(f"\r{what} {100 * count // total} %", end="", file=sys.stderr)  # noqa: T201
            yield batch
        if seen:
            print(CLEAR, end="", file=sys.stderr)  # noqa: T201

    return shown


def tell(line: str) -> None:
    """One line on standard error, whatever characters the names in it have."""
    print(printable(line), file=sys.stderr)  # noqa: T201
