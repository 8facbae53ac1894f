"""The same in a terminal: pictures of half blocks, bars, a table, and keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cv2

from mien.cli.viewer.keys import Keys
from mien.cli.viewer.view import App, Look, strip_row
from mien.drawing.overlay import Person, face_of
from mien.labels import color_of
from mien.types import Image

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_REFRESH_S = 0.08  # a terminal cannot show more, and would fall behind
_BAR = 24  # cells
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show_in_terminal(app: App, console: Console) -> None:
    """Show an app on the whole terminal until it is done; then the terminal is as before."""
    from rich.live import Live

    seen = 0.0
    with (
        Keys() as keys,
        Live(console=console, screen=True, auto_refresh=False, transient=True) as live,
    ):
        while True:
            look = app.look()
            if look is not None:
                live.update(screen(look, console), refresh=True)
                app.shown(look)
                seen = time.monotonic()
            if app.done:
                return
            for key in keys.read(max(app.pause_s, _REFRESH_S - (time.monotonic() - seen))):
                app.press(key)


def screen(look: Look, console: Console) -> RenderableType:
    """One look, arranged for the size and the colours of a console."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    width, height = console.size
    parts: list[RenderableType] = [Text(look.headline, style="bold", no_wrap=True)]
    table = faces_table(look, wide=width >= 40 + 10 * len(look.labels))
    rows = max(4, height - 5 - max(3, len(look.people)) - (look.strip is not None))
    colours = console.color_system is not None
    shown = chosen(look)
    middle = Table.grid(padding=(0, 3))
    cells: list[RenderableType] = []
    if colours and (look.image is not None or look.people):
        room = max(8, width - _BAR - 34)
        cells.append(half_blocks(_subject(look, shown), min(room, 100), rows))
    if shown is not None:
        cells.append(bars(shown, look))
    if cells:
        middle.add_row(*cells)
        parts.append(middle)
    if look.strip is not None and colours:
        parts.append(_strip(look, width))
    parts += [table, Text(look.message or look.keys, style="dim", no_wrap=True)]
    return Group(*parts)


def chosen(look: Look) -> Person | None:
    """Whose probabilities are listed: the selected one, or else the first."""
    found = [person for person in look.people if person.key == look.selected]
    return next(iter([*found, *look.people]), None)


def faces_table(look: Look, *, wide: bool = True) -> Table:
    """One row a face: who, the apparent expression, and every probability where there is room."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("face", no_wrap=True)
    table.add_column("apparent expression", no_wrap=True)
    labels = look.labels if wide else ()
    for label in labels:
        table.add_column(label, justify="right", no_wrap=True)
    for person in look.people:
        mark = "▸ " if person.key == look.selected else "  "
        told = Text(person.wordings[1], style=f"bold {_rgb(color_of(person.emotion, labels))}")
        figures = person.bars[1] if wide else []
        table.add_row(Text(mark + person.name), told, *figures)
    if not look.people:
        table.add_row("  -", "no face")
    return table


def bars(person: Person, look: Look) -> Table:
    """Every probability of one person as a bar."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_row(Text(person.name, style="bold"), Text(person.emotion), "")
    values = zip(look.labels, *person.bars, strict=True)
    for label, share, figure in values:
        style = "bold" if label == person.emotion else ""
        color = color_of(label, look.labels)
        cells = Text(_bar(float(share)).ljust(_BAR), style=_rgb(color))
        table.add_row(Text(label, style=style), cells, Text(figure.rjust(5), style=style))
    return table


def _bar(share: float) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * _BAR * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _subject(look: Look, shown: Person | None) -> Image:
    """What the small picture shows: a face close up, or the frame with its boxes."""
    picture = look.picture()
    if look.close_up and shown is not None:
        face = face_of(picture, shown.box)
        if face.size:
            return face
    if not look.people:
        return picture
    picture = picture.copy()
    line = max(1, picture.shape[1] // 120)
    for person in look.people:
        x1, y1, x2, y2 = (round(v) for v in person.box.tolist())
        thick = line * 2 if person is shown and len(look.people) > 1 else line
        color = color_of(person.emotion, look.labels)
        cv2.rectangle(picture, (x1 - thick, y1 - thick), (x2 + thick, y2 + thick), color, thick)
    return picture


def half_blocks(image: Image, columns: int, rows: int) -> Text:
    """A picture of characters, each two pixels high, at most so many cells wide and high."""
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


def _strip(look: Look, width: int) -> Text:
    from rich.text import Text

    assert look.strip is not None
    row = strip_row(look.strip, width)
    at = min(round(look.cursor * (width - 1)), width - 1)
    text = Text(no_wrap=True, end="\n")
    for x, color in enumerate(row.tolist()):
        text.append("│" if x == at else " ", style=f"bold white on {_rgb(color)}")
    return text


def _rgb(color: Any) -> str:
    red, green, blue = (int(c) for c in color)
    return f"rgb({red},{green},{blue})"


def lines(look: Look) -> list[str]:
    """A look as plain lines, for where there is no terminal: one a face."""
    if not look.people:
        return [f"{look.time_s:8.2f} s  no face"]
    return [f"{look.time_s:8.2f} s  {p.wordings[0]}" for p in look.people]
