"""How the page says a share, a file, a colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mien.escaping import printable
from mien.labels import color_of

NBSP = "\u00a0"  # between a number and its unit


def base(source: str) -> str:
    """The last part of a path or address, whichever way its slashes lean."""
    return printable(source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source)


def percent(share: float) -> str:
    """A share as a whole number of percent; what is not known is a dash."""
    if math.isnan(share):
        return "–"
    return f"<{NBSP}1{NBSP}%" if 0 < share < 0.005 else f"{100 * share:.0f}{NBSP}%"


def color(label: str, labels: Sequence[str]) -> str:
    """A label's colour, ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color_of(label, labels))
