"""The terminal: answers on standard output; progress, notes and problems on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TextIO, cast

from mien.cli.streams import PrintableStream, StyledStream
from mien.escaping import printable, printable_lines
from mien.labels import color_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as Bar
    from rich.table import Table
    from rich.text import Text

    from mien.evaluation import Progress

_WIDE = 160  # columns of a table that goes to a file or another program
_DELAY_S, _REFRESH_S, _LOG_S = 2.0, 0.2, 60.0


@dataclass
class Verbosity:
    """How much a command says on standard error; problems are always reported."""

    quiet: bool = False
    verbose: bool = False


#: Of the command that is running; set from ``--quiet`` and ``--verbose``.
verbosity: Verbosity = Verbosity()


def answer(line: object) -> None:
    """Write a line of the result to standard output."""
    Meter.hide()
    sys.stdout.write(f"{line}\n")


def note(line: str) -> None:
    """Write a line about the run to standard error, unless the command is to be quiet."""
    if not verbosity.quiet:
        _write(printable(line))


def warn(problem: str) -> None:
    """Report a problem on standard error."""
    _write(f"mien: {printable(problem)}")


def _write(line: str) -> None:
    Meter.hide()
    sys.stderr.write(f"{line}\n")


def wrote(*paths: object) -> None:
    """Say which files were written."""
    for path in paths:
        note(f"wrote {path}")


def show(renderable: RenderableType) -> None:
    """Print a table to standard output."""
    console().print(renderable)


def console(stream: TextIO | None = None) -> Console:
    """Standard output, or another stream, for tables and bars.

    Names are not markup, and control characters become escapes. What is not a terminal is wide,
    unless the variable COLUMNS is set.
    """
    import os

    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class PrintableConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable_lines(text), style)

        def on_broken_pipe(self) -> None:
            raise  # becomes an exit code where all errors do

    Meter.hide()
    out = stream or sys.stdout
    width = None if out.isatty() or os.environ.get("COLUMNS", "").isdigit() else _WIDE
    file = cast(TextIO, StyledStream(out)) if isinstance(out, PrintableStream) else out
    return PrintableConsole(file=file, width=width, highlight=False, markup=False, emoji=False)


def table(*columns: str, left: Sequence[int] = (0,), title: str | None = None) -> Table:
    """An empty table in the style of all tables; numbers stand at the right.

    Columns at the places `left` hold text; the first column gives way where the terminal is narrow.
    """
    from rich.table import Table
    from rich.text import Text

    heading = None if title is None else Text(title, style="bold")
    made = Table(box=None, pad_edge=False, header_style="bold", title=heading, title_justify="left")
    for place, name in enumerate(columns):
        justify: Any = "left" if place in left else "right"
        made.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")
    return made


def colored(text: str, label: str, labels: Sequence[str]) -> Text:
    """A text in the color of a label."""
    from rich.text import Text

    red, green, blue = color_of(label, labels)
    return Text(text, style=f"bold rgb({red},{green},{blue})")


class Meter:
    """Progress of a loop on standard error: count, share, rate, and time left.

    On a terminal it is a bar, once two seconds have passed; elsewhere a line each minute; with
    ``--quiet`` nothing. Other lines push it out of the way: at its next count it is back.

    Args:
        what: what is being done, such as ``reading``; may be empty.
        unit: what is counted, such as ``faces``.
        scale: how many make one of the units shown, such as 1e6 for bytes shown in MB.
    """

    _bar: ClassVar[Bar | None] = None

    def __init__(self, what: str = "", unit: str = "", *, scale: float = 1) -> None:
        self._what, self._unit, self._scale = what, unit, scale
        self._began = self._shown = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __call__(
        self,
        done: float,
        total: float | None = None,
        *,
        what: str | None = None,
        count: tuple[int, str] | None = None,
    ) -> None:
        """Show how far the loop is; cheap, so that it can be called for every step.

        A total of None or 0 is unknown; `what` replaces that of the meter, and `count` with its
        unit is shown in place of `done`.
        """
        if total and done >= total:
            self.hide()
        elif self.is_due():
            self._shown = time.monotonic()
            elapsed = self._shown - self._began
            self._show(done, total, self._text(done, total, what, count, elapsed))

    def is_due(self) -> bool:
        """Whether a call would show anything now."""
        now = time.monotonic()
        if verbosity.quiet:
            return False
        if not self._terminal:
            return now - self._shown >= _LOG_S
        return now - self._began >= _DELAY_S and now - self._shown >= _REFRESH_S

    def _text(
        self,
        done: float,
        total: float | None,
        what: str | None,
        count: tuple[int, str] | None,
        elapsed: float,
    ) -> str:
        amount, unit = count or (done / self._scale, self._unit)
        of = "" if count or not total else f" of {_number(total / self._scale)}"
        text = f"{self._what if what is None else what} {_number(amount)}{of} {unit}"
        if total:
            text += f" ({100 * done / total:.0f} %)"
        if unit and amount:
            text += f", {_number(amount / elapsed, 1)} {unit}/s"
        if total and done:
            text += f", {span(elapsed * (total - done) / done)} left"
        return text.strip()

    def _show(self, done: float, total: float | None, text: str) -> None:
        if not self._terminal:
            note(text)
            return
        if Meter._bar is None:
            from rich.progress import BarColumn, Progress, TextColumn
            from rich.table import Column

            name = TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            )
            out = console(sys.stderr)
            bar = BarColumn(bar_width=16)
            Meter._bar = Progress(bar, name, console=out, transient=True, auto_refresh=False)
            Meter._bar.add_task("")
            Meter._bar.start()
        task = Meter._bar.task_ids[0]
        Meter._bar.update(task, description=text, completed=done, total=total or None, refresh=True)

    @classmethod
    def hide(cls) -> None:
        """Take the bar from the terminal, so that something else can be written."""
        bar, cls._bar = Meter._bar, None
        if bar is not None:
            bar.stop()


def _number(value: float, digits: int = 0) -> str:
    """A count; small ones that are no whole numbers get a digit."""
    whole = value >= 10 or (not digits and float(value).is_integer())
    return f"{value:,.0f}" if whole else f"{value:.1f}"


def span(seconds: float) -> str:
    """A length of time in words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def steps(what: str, unit: str = "") -> Progress:
    """Shows how far a loop over batches is."""

    def shown(batches: Iterable[int], total: int) -> Iterator[int]:
        meter = Meter(what, unit)
        for count, batch in enumerate(batches):
            meter(count, total)
            yield batch
        meter.hide()

    return shown
