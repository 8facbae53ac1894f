"""Boxes and captions of a moving picture, which stay where they are unless they must move.

`mien.drawing.image.draw_faces` finds the best place and letter size for each picture alone; frame
after frame that would make captions jump and shrink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.drawing.margin import blit, sprite
from mien.drawing.text import PADDING, Color, ellipsize, ink, line_height, text_sizes, text_width
from mien.types import FloatArray, Image

Rect = tuple[int, int, int, int]  # x1, y1, x2, y2; x2 and y2 are just outside

_SHADE = 0.7  # of a thin line around the box, which sets it off from a background of its colour
_KEEP = 0.35  # share of a caption's area that a better place must win, before it moves there
_SHORTER, _NEXT = 0.4, 0.02  # what a shorter wording and a less usual place cost, as such shares


@dataclass(frozen=True)
class Outline:
    """A box ``(4,)`` x1 y1 x2 y2 px with what to write, best wording first."""

    key: int
    box: FloatArray
    wordings: Sequence[str]
    color: Color


@dataclass(frozen=True)
class _Place:
    """Where a caption may stand: which wording, which of the places around its box."""

    wording: int
    place: int
    text: str
    area: Rect


class Outlines:
    """Draws the boxes of frame after frame into pictures of one size (width, height)."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        wished, smallest = text_sizes(*size)
        self._letters = max(smallest, round(0.8 * wished))
        self._line = max(1, round(0.6 + 0.0024 * (size[0] * size[1]) ** 0.5))
        self._before: dict[int, tuple[int, int]] = {}  # wording and place in the last frame

    def draw(self, out: Image, outlines: Sequence[Outline], selected: int | None = None) -> None:
        """Draw into ``(H, W, 3)`` uint8 RGB `out`; the one whose key is `selected` is thicker."""
        inside = [(each, rect) for each in outlines if (rect := self._rect(each.box)) is not None]
        for each, rect in sorted(inside, key=lambda pair: pair[0].key == selected):
            self._frame(out, rect, self._line * (2 if each.key == selected else 1), each.color)
        padding = round(PADDING * self._letters)
        faces = [rect for _, rect in inside]
        taken: list[Rect] = []
        kept: dict[int, tuple[int, int]] = {}
        for each, rect in inside:
            others = [*(face for face in faces if face is not rect), *taken]
            chosen = self._settle(each, rect, others)
            if chosen is not None:
                color = each.color
                tag = sprite(chosen.text, self._letters, ink(color), color, True, padding)
                blit(out, tag, *chosen.area[:2])
                taken.append(chosen.area)
                kept[each.key] = chosen.wording, chosen.place
        self._before = kept

    def _rect(self, box: FloatArray) -> Rect | None:
        """The box in whole pixels inside the picture, or None where it lies outside."""
        width, height = self.size
        x1, y1 = (int(v) for v in np.floor(box[:2]))
        x2, y2 = (int(v) for v in np.ceil(box[2:]))
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
        return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None

    def _frame(self, out: Image, rect: Rect, line: int, color: Color) -> None:
        x1, y1, x2, y2 = rect
        for grow, thick, tone in ((line + 1, 1, None), (line, line, color)):
            left, top = max(x1 - grow, 0), max(y1 - grow, 0)
            right, bottom = min(x2 + grow, self.size[0]), min(y2 + grow, self.size[1])
            for band in (
                out[top : top + thick, left:right],
                out[bottom - thick : bottom, left:right],
                out[top:bottom, left : left + thick],
                out[top:bottom, right - thick : right],
            ):
                band[:] = (band * _SHADE).astype(np.uint8) if tone is None else tone

    def _settle(self, each: Outline, rect: Rect, others: Sequence[Rect]) -> _Place | None:
        """Choose wording and place: off faces and captions, and rather where it was before."""
        best: tuple[float, _Place] | None = None
        for place in self._places(each, rect):
            area = (place.area[2] - place.area[0]) * (place.area[3] - place.area[1])
            hidden = float(sum(_shared(place.area, other) for other in others))
            hidden += 0.5 * _shared(place.area, rect)  # rather over its own face than another
            cost = hidden / area + _SHORTER * place.wording + _NEXT * place.place
            if self._before.get(each.key) == (place.wording, place.place):
                cost -= _KEEP
            if best is None or cost < best[0]:
                best = cost, place
        return None if best is None else best[1]

    def _places(self, each: Outline, rect: Rect) -> list[_Place]:
        width, height = self.size
        padding, high = round(PADDING * self._letters), line_height(self._letters)
        places = []
        for wording, full in enumerate(each.wordings):
            text = ellipsize(full, self._letters, max(1, width - 2 * padding))
            wide = text_width(text, self._letters, bold=True) + 2 * padding
            for place, (x, y) in enumerate(_corners(rect, wide, high, self._line)):
                x, y = max(0, min(x, width - wide)), max(0, min(y, height - high))
                places.append(_Place(wording, place, text, (x, y, x + wide, y + high)))
        return places


def _corners(rect: Rect, wide: int, high: int, line: int) -> list[tuple[int, int]]:
    """Where a caption may stand, best first: above, below, beside, then inside the box."""
    x1, y1, x2, y2 = rect
    left, right, over, under = x1 - line, x2 + line - wide, y1 - line - high, y2 + line
    return [
        (left, over),
        (right, over),
        (left, under),
        (right, under),
        (x2 + line, y1 - line),
        (x1 - line - wide, y1 - line),
        (left, y2 - high),
    ]


def _shared(a: Rect, b: Rect) -> int:
    """Pixels that two rectangles share."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return wide * high if wide > 0 and high > 0 else 0
