"""The viewer in a terminal: images of half blocks, bars, a table, and keys."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import cv2

from mien.cli.console import table as new_table
from mien.cli.viewer.keys import Keys
from mien.cli.viewer.view import App, Screen, strip_row
from mien.drawing.overlay import Person, face_of
from mien.labels import color_of
from mien.types import Image

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_REFRESH_S = 0.08  # faster, a terminal falls behind
_BAR = 24  # cells
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show_in_terminal(app: App, console: Console) -> None:
    """Show an app on the whole terminal until it is done; then restore the terminal."""
    from rich.live import Live

    refreshed = 0.0
    with (
        Keys() as keys,
        Live(console=console, screen=True, auto_refresh=False, transient=True) as live,
    ):
        while True:
            screen = app.next_screen()
            if screen is not None:
                live.update(layout(screen, console), refresh=True)
                refreshed = time.monotonic()
            if app.done:
                return
            for key in keys.read(max(app.pause_s, _REFRESH_S - (time.monotonic() - refreshed))):
                app.press(key)


def layout(screen: Screen, console: Console) -> RenderableType:
    """One screen, arranged for the size and the colors of a console."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    width, height = console.size
    parts: list[RenderableType] = [Text(screen.headline, style="bold", no_wrap=True)]
    table = faces_table(screen, width)
    taken = 5 + (screen.strip is not None) + bool(screen.readings)
    rows = max(4, height - taken - max(3, len(screen.people)))
    colors = console.color_system is not None
    shown = chosen(screen)
    middle = Table.grid(padding=(0, 3))
    cells: list[RenderableType] = []
    if colors and (screen.image is not None or screen.people):
        room = max(8, width - _BAR - 34)
        cells.append(half_blocks(_subject(screen, shown), min(room, 100), rows))
    if shown is not None:
        cells.append(bars(shown, screen))
    if cells:
        middle.add_row(*cells)
        parts.append(middle)
    if shown is not None and shown.readings:
        parts.append(Text(_numbers(shown), no_wrap=True))
    if screen.strip is not None and colors:
        parts.append(_strip(screen, width))
    parts += [table, Text(screen.message or screen.keys, style="dim", no_wrap=True)]
    return Group(*parts)


def chosen(screen: Screen) -> Person | None:
    """Whose probabilities are listed: the selected person, or else the first."""
    selected = [person for person in screen.people if person.key == screen.selected]
    return next(iter([*selected, *screen.people]), None)


def faces_table(screen: Screen, width: int) -> Table:
    """One row per face: who, the apparent expression, and the probabilities that fit `width`."""
    import numpy as np
    from rich.text import Text

    from mien.timeline.text import fitting_labels

    names = [("▸ " if p.key == screen.selected else "  ") + p.name for p in screen.people]
    words = [person.wordings[1] for person in screen.people]
    taken = max([4, *map(len, names)]) + max([len("apparent expression"), *map(len, words)]) + 4
    values = np.array([p.values for p in screen.people]).reshape(-1, len(screen.labels))
    shown, _ = fitting_labels(screen.labels, values, width - taken)
    table = new_table("face", "apparent expression", *shown, left=(0, 1))
    for name, text, person in zip(names, words, screen.people, strict=True):
        style = f"bold {_rgb(color_of(person.emotion, screen.labels))}"
        numbers = dict(zip(screen.labels, person.bars[1], strict=True))
        table.add_row(Text(name), Text(text, style=style), *(numbers[label] for label in shown))
    if not screen.people:
        table.add_row("  -", "no face")
    return table


def bars(person: Person, screen: Screen) -> Table:
    """Every probability of one person as a bar, and below them the readings that have one."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_row(Text(person.name, style="bold"), Text(person.emotion), "")
    values = zip(screen.labels, *person.bars, strict=True)
    for label, share, figure in values:
        style = "bold" if label == person.emotion else ""
        color = color_of(label, screen.labels)
        cells = Text(_bar(float(share)).ljust(_BAR), style=_rgb(color))
        table.add_row(Text(label, style=style), cells, Text(figure.rjust(5), style=style))
    for name, (share, figure) in person.readings.items():
        if not math.isnan(share):
            cells = Text(_bar(share), style="dim")
            table.add_row(Text(name), cells, Text(figure.rjust(5)))
    return table


def _numbers(person: Person) -> str:
    """The readings that have no bar, such as angles, in a line."""
    return "  ".join(
        f"{name} {text}" for name, (share, text) in person.readings.items() if math.isnan(share)
    )


def _bar(share: float) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * _BAR * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _subject(screen: Screen, shown: Person | None) -> Image:
    """The image to show: a face close up, or the frame with its boxes."""
    image = screen.background()
    if screen.close_up and shown is not None:
        face = face_of(image, shown.box)
        if face.size:
            return face
    if not screen.people:
        return image
    image = image.copy()
    line = max(1, image.shape[1] // 120)
    for person in screen.people:
        x1, y1, x2, y2 = (round(v) for v in person.box.tolist())
        thick = line * 2 if person is shown and len(screen.people) > 1 else line
        color = color_of(person.emotion, screen.labels)
        cv2.rectangle(image, (x1 - thick, y1 - thick), (x2 + thick, y2 + thick), color, thick)
    return image


def half_blocks(image: Image, columns: int, rows: int) -> Text:
    """An image of characters, each two pixels high, at most `columns` by `rows` cells."""
    from rich.text import Text

    height, width = image.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    across, down = max(1, int(width * scale)), max(2, int(height * scale) // 2 * 2)
    small = cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA)
    text = Text(no_wrap=True, end="")
    for y in range(0, down, 2):
        for upper, lower in zip(small[y].tolist(), small[y + 1].tolist(), strict=True):
            text.append("▀", style=f"{_rgb(upper)} on {_rgb(lower)}")
        if y + 2 < down:
            text.append("\n")
    return text


def _strip(screen: Screen, width: int) -> Text:
    from rich.text import Text

    assert screen.strip is not None
    row = strip_row(screen.strip, width)
    at = min(round(screen.cursor * (width - 1)), width - 1)
    text = Text(no_wrap=True, end="\n")
    for x, color in enumerate(row.tolist()):
        text.append("│" if x == at else " ", style=f"bold white on {_rgb(color)}")
    return text


def _rgb(color: Any) -> str:
    red, green, blue = (int(c) for c in color)
    return f"rgb({red},{green},{blue})"


def lines(screen: Screen) -> list[str]:
    """A screen as plain lines, one per face, for where there is no terminal."""
    if not screen.people:
        return [f"{screen.time_s:8.2f} s  no face"]
    found = []
    for person in screen.people:
        more = [f"{name} {reading.text}" for name, reading in person.readings.items()]
        found.append("  ".join([f"{screen.time_s:8.2f} s", person.wordings[0], *more]))
    return found
