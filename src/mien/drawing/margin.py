"""The margin of a moving picture: every probability of a few people, in a place that never moves.

`mien.drawing.image.draw_margin` sets one picture at leisure. Here everything that has letters is
drawn once and kept, so that a frame costs less than a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image as Pil
from PIL import ImageDraw

from mien.drawing.text import (
    BLACK,
    Color,
    ellipsize,
    line_height,
    text_sizes,
    text_width,
    write,
)
from mien.types import FloatArray, Image

PAPER: Color = (250, 250, 250)
_TRACK: Color = (229, 231, 235)
_QUIET: Color = (90, 96, 105)
_ROW = 1.6  # height of a line, in units of text size
_HEAD, _GAP = 2.4, 1.1  # lines for a card's head, and between two cards
_SMALLEST = 9  # pixels: smaller letters cannot be read


@dataclass(frozen=True)
class Card:
    """What the margin says of one person.

    Attributes:
        title: who, such as "person 1".
        subtitle: the apparent expression, in its colour.
        color: RGB 0..255 of the subtitle's mark.
        shares: ``(k,)`` parts of the full bars, 0 to 1; None where the person is out of sight.
        figures: k texts beside the bars.
        strongest: the row that is set in bold letters.
        thumbnail: ``(h, w, 3)`` uint8 RGB square of the face, or None.
    """

    title: str
    subtitle: str
    color: Color
    shares: FloatArray | None
    figures: Sequence[str]
    strongest: int
    thumbnail: Image | None = None


class Panel:
    """Lists up to `most` people one below the other, as large as their number allows.

    Args:
        labels: the k names of the bars.
        colors: k colours, RGB 0..255.
        size: width and height of the picture that the panel stands beside.
        most: people who may be listed at once; fewer where the picture is too low for them.
    """

    def __init__(
        self, labels: Sequence[str], colors: Sequence[Color], size: tuple[int, int], most: int = 3
    ) -> None:
        self.labels, self.colors = tuple(labels), tuple(colors)
        wished, smallest = text_sizes(*size)
        self._wished = max(smallest, round(0.85 * wished))
        self._lines = _HEAD + len(self.labels) + _GAP
        self.height = max(size[1], math.ceil(self._lines * _ROW * _SMALLEST))
        fitting = [n for n in range(1, most + 1) if self._letters(n) >= smallest]
        self.most = max(fitting, default=1)
        letters = self._letters(1)
        self._names = max(text_width(label, letters, bold=True) for label in self.labels)
        figures = text_width("100 %", letters, bold=True)
        self.width = self._names + 6 * letters + figures + 4 * letters

    def _letters(self, cards: int) -> int:
        """Text size, pixels, at which so many cards fill the height."""
        return min(self._wished, int(self.height / (_ROW * self._lines * cards)))

    def draw(self, out: Image, cards: Sequence[Card | None]) -> None:
        """Paint ``(height, width, 3)`` uint8 RGB `out` with cards, top down; None leaves a gap."""
        out[:] = PAPER[0]  # a grey: one number is copied ten times as fast as three
        shown = cards[: self.most]
        letters = max(1, self._letters(max(1, len(shown))))
        step = round(_ROW * self._lines * letters)
        for place, card in enumerate(shown):
            if card is not None:
                self._card(out[place * step : (place + 1) * step], card, letters)

    def _card(self, out: Image, card: Card, letters: int) -> None:
        row, left = round(_ROW * letters), letters
        right, y = out.shape[1] - letters, letters // 2
        head = self._head(out, card, letters, left, y, right)
        y += head
        names = left + max(text_width(label, letters, bold=True) for label in self.labels) + letters
        end = right - text_width("100 %", letters, bold=True) - letters // 2
        high = max(3, round(0.75 * letters))
        for i, label in enumerate(self.labels):
            bold = card.shares is not None and i == card.strongest
            ink = BLACK if bold else _QUIET
            blit(out, sprite(label, letters, ink, PAPER, bold), left, y)
            bar = y + (line_height(letters) - high) // 2
            out[bar : bar + high, names:end] = _TRACK
            if card.shares is not None:
                filled = round((end - names) * min(max(float(card.shares[i]), 0.0), 1.0))
                out[bar : bar + high, names : names + filled] = self.colors[i]
                figure = sprite(card.figures[i], letters, ink, PAPER, bold)
                blit(out, figure, right - figure.shape[1], y)
            y += row

    def _head(self, out: Image, card: Card, letters: int, left: int, y: int, right: int) -> int:
        """The face, the name beside it, the expression below; returns the height in pixels."""
        side = round((_HEAD - 0.4) * _ROW * letters)
        if card.thumbnail is not None and card.thumbnail.size:
            out[y : y + side, left : left + side] = cv2.resize(
                card.thumbnail, (side, side), interpolation=cv2.INTER_AREA
            )
        text = left + side + letters // 2
        seen = card.shares is not None
        title = ellipsize(card.title, letters, right - text)
        blit(out, sprite(title, letters, BLACK if seen else _QUIET, PAPER, True), text, y)
        below = y + side - line_height(letters)
        if seen:
            mark, dot = below + round(0.35 * letters), round(0.7 * letters)
            out[mark : mark + dot, text : text + dot] = card.color
            text += dot + letters // 2
        subtitle = ellipsize(card.subtitle, letters, right - text)
        blit(out, sprite(subtitle, letters, _QUIET, PAPER), text, below)
        return round(_HEAD * _ROW * letters)


@lru_cache(maxsize=2048)
def sprite(
    text: str, size: int, color: Color, background: Color, bold: bool = False, padding: int = 0
) -> Image:
    """One line of text as a picture ``(h, w, 3)`` uint8 RGB, read-only, kept for the next frame."""
    width = max(1, text_width(text, size, bold=bold) + 2 * padding)
    canvas = Pil.new("RGB", (width, line_height(size)), background)
    write(ImageDraw.Draw(canvas), (padding, 0), text, size, color, bold=bold)
    picture: Image = np.array(canvas)
    picture.setflags(write=False)
    return picture


def blit(out: Image, picture: Image, x: int, y: int) -> None:
    """Copy `picture` into `out` with its corner at x, y; what lies outside is left out."""
    height, width = out.shape[:2]
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + picture.shape[1], width), min(y + picture.shape[0], height)
    if x2 > x1 and y2 > y1:
        out[y1:y2, x1:x2] = picture[y1 - y : y2 - y, x1 - x : x2 - x]
