"""The margin at the right of a frame: every probability of a few people as bars.

One layout serves still images and videos. Text is rendered once and cached, so that a video frame
costs less than a millisecond, and nothing moves while the number of people stays the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.drawing.text import (
    PAPER,
    QUIET,
    SMALLEST,
    TRACK,
    ellipsize,
    line_height,
    paste,
    text_image,
    text_sizes,
    text_width,
)
from mien.labels import BLACK, Color
from mien.types import FloatArray, Image

_ROW = 1.6  # height of a line, in units of text size
_HEAD, _PORTRAIT, _GAP = 2.4, 4.4, 1.1  # lines of a card's head, and between two cards
_NUMBERS = ("100 %", "-12.34")  # the widest numbers beside the bars


@dataclass(frozen=True)
class Card:
    """What the margin shows of one person.

    Attributes:
        title: such as "person 1".
        subtitle: the apparent expression, or "" for none.
        color: RGB 0..255 of the subtitle's mark.
        shares: ``(k,)`` lengths of the bars, 0 to 1, NaN for a number without a bar; None where
            the person is not visible.
        numbers: k texts beside the bars.
        strongest: the row that is set in bold letters; -1 for none.
        thumbnail: ``(h, w, 3)`` uint8 RGB, the square crop of the face, or None.
    """

    title: str
    subtitle: str
    color: Color
    shares: FloatArray | None
    numbers: Sequence[str]
    strongest: int
    thumbnail: Image | None = None


def bars_of(values: FloatArray, *, probabilities: bool) -> tuple[FloatArray, list[str]]:
    """Lengths of the bars of ``(k,)`` scores, 0 to 1, and the numbers written beside them.

    Scores that are no probabilities are written as plain numbers, with bars relative to the
    largest. NaN has no bar and is written "-".
    """
    finite = values[np.isfinite(values)]
    largest = 1.0 if probabilities else max(float(finite.max(initial=0)), 1e-9)
    numbers = [
        "-" if math.isnan(v) else f"{100 * v:.0f} %" if probabilities else f"{v:.2f}"
        for v in values.tolist()
    ]
    return np.asarray(np.clip(np.nan_to_num(values / largest), 0, 1), np.float32), numbers


class Panel:
    """Lists up to `most` people one below the other, as large as their number allows.

    Args:
        labels: the k names of the bars.
        colors: k colors, RGB 0..255.
        size: width and height of the frame that the panel stands beside.
        most: people listed at once; fewer where the frame is too low for them.
        portrait: show the face below its title, as large as there is room, instead of beside it.
    """

    def __init__(
        self,
        labels: Sequence[str],
        colors: Sequence[Color],
        size: tuple[int, int],
        most: int = 3,
        portrait: bool = False,
    ) -> None:
        self.labels, self.colors, self._portrait = tuple(labels), tuple(colors), portrait
        preferred, smallest = text_sizes(*size)
        self._preferred = max(smallest, round((1.0 if portrait else 0.85) * preferred))
        self._lines = (_PORTRAIT if portrait else _HEAD) + len(self.labels) + _GAP
        self.height = max(size[1], math.ceil(self._lines * _ROW * SMALLEST))
        fitting = [n for n in range(1, most + 1) if self._letters(n) >= smallest]
        self.most = max(fitting, default=1)
        letters = self._letters(1)
        self.width = self._names(letters) + _numbers(letters) + 10 * letters

    def _letters(self, cards: int) -> int:
        """Text size, pixels, at which this many cards fill the height."""
        return min(self._preferred, int(self.height / (_ROW * self._lines * cards)))

    def _names(self, letters: int) -> int:
        return max((text_width(label, letters, bold=True) for label in self.labels), default=0)

    def draw(self, out: Image, cards: Sequence[Card | None]) -> None:
        """Paint ``(height, width, 3)`` uint8 RGB `out` with cards, top down; None leaves a gap."""
        out[:] = PAPER[0]  # a gray: one number is copied ten times as fast as three
        listed = cards[: self.most]
        letters = max(1, self._letters(max(1, len(listed))))
        step = round(_ROW * self._lines * letters) if len(listed) > 1 else self.height
        for place, card in enumerate(listed):
            if card is not None:
                self._card(out[place * step : (place + 1) * step], card, letters)

    def _card(self, out: Image, card: Card, letters: int) -> None:
        row, left = round(_ROW * letters), letters
        right, y = out.shape[1] - letters, letters // 2
        head = self._large_head if self._portrait else self._head
        y += head(out, card, letters, left, y, right)
        start = left + self._names(letters) + letters
        end = right - _numbers(letters) - letters // 2
        high = max(3, round(0.75 * letters))
        for i, label in enumerate(self.labels):
            bold = card.shares is not None and i == card.strongest
            color = BLACK if bold else QUIET
            paste(out, text_image(label, letters, color, PAPER, bold), left, y)
            bar = y + (line_height(letters) - high) // 2
            share = 0.0 if card.shares is None else float(card.shares[i])
            if not math.isnan(share):
                out[bar : bar + high, start:end] = TRACK
            if card.shares is not None:
                filled = 0 if math.isnan(share) else round((end - start) * share)
                out[bar : bar + high, start : start + filled] = self.colors[i]
                number = text_image(card.numbers[i], letters, color, PAPER, bold)
                paste(out, number, right - number.shape[1], y)
            y += row

    def _head(self, out: Image, card: Card, letters: int, left: int, y: int, right: int) -> int:
        """The face, the title beside it, the expression below; returns the height in pixels."""
        side = round((_HEAD - 0.4) * _ROW * letters)
        _thumbnail(out, card, side, left, y)
        text = left + side + letters // 2
        visible = card.shares is not None
        title = ellipsize(card.title, letters, right - text)
        paste(out, text_image(title, letters, BLACK if visible else QUIET, PAPER, True), text, y)
        below = y + side - line_height(letters)
        if visible and card.subtitle:
            mark, dot = below + round(0.35 * letters), round(0.7 * letters)
            out[mark : mark + dot, text : text + dot] = card.color
            text += dot + letters // 2
        subtitle = ellipsize(card.subtitle, letters, right - text)
        paste(out, text_image(subtitle, letters, QUIET, PAPER), text, below)
        return round(_HEAD * _ROW * letters)

    def _large_head(
        self, out: Image, card: Card, letters: int, left: int, y: int, right: int
    ) -> int:
        """The title, and below it the face in the room that the bars leave."""
        title = ellipsize(card.title, letters, right - left)
        paste(out, text_image(title, letters, BLACK, PAPER, True), left, y)
        top = y + round(_ROW * letters)
        bars = round(_ROW * letters * len(self.labels))
        side = min(len(out) - top - bars - 2 * letters, right - left)
        side = max(side, round((_PORTRAIT - 1.6) * _ROW * letters))
        _thumbnail(out, card, side, left, top)
        return top + side + letters - y


def _numbers(letters: int) -> int:
    return max(text_width(number, letters, bold=True) for number in _NUMBERS)


def _thumbnail(out: Image, card: Card, side: int, x: int, y: int) -> None:
    if card.thumbnail is not None and card.thumbnail.size:
        shrinks = side < card.thumbnail.shape[0]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        face = cv2.resize(card.thumbnail, (side, side), interpolation=method)
        paste(out, np.asarray(face, np.uint8), x, y)
