"""What all pages share: the templates and their environment, percentages, names of files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mien.escaping import printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from mien.plots import Plot

#: Between a number and its unit.
NBSP = "\u00a0"
#: Widths of plots in CSS pixels, for screens and for phones held upright.
WIDTHS = {"wide": 960, "narrow": 358}


def render(template: str, **values: Any) -> str:
    """A page from a template of ``mien/assets``; everything that is inserted is escaped."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mien", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent)
    return environment


def both_widths(
    plot: Callable[..., Plot], people: Sequence[Any], **options: Any
) -> list[tuple[str, str]]:
    """A plot for wide and for narrow screens; none without people."""
    if not people:
        return []
    return [(kind, plot(people, width=width, **options).svg) for kind, width in WIDTHS.items()]


def base(source: str) -> str:
    """The last part of a path or address, with either kind of slash."""
    return printable(source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source)


def percent(share: float, digits: int = 1) -> str:
    """A share in percent, rounded, but only 0 is called 0 % and only 1 is 100 %; NaN is a dash."""
    if math.isnan(share):
        return "–"
    text, least = f"{100 * share:.{digits}f}", 10.0**-digits
    if share > 0 and float(text) == 0:
        text = f"<{least:.{digits}f}"
    elif share < 1 - 1e-9 and float(text) == 100:
        text = f">{100 - least:.{digits}f}"
    return f"{text}{NBSP}%"


def whole_percent(share: float) -> str:
    """The same without decimals."""
    return percent(share, 0)


def count(number: int, noun: str) -> str:
    """A number with its noun, such as "1 face" or "1,200 faces"."""
    return f"{number:,}{NBSP}{noun}" + ("" if number == 1 else "s")
