"""Frames of a video with boxes, captions and a margin that do not flicker.

People keep their place in the margin, and captions keep theirs beside the faces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from mien.drawing.captions import Annotator, FaceBox
from mien.drawing.margin import Card, Panel, bars_of
from mien.drawing.text import QUIET
from mien.faces.geometry import square
from mien.labels import UNCERTAIN, color_of
from mien.types import FloatArray, Image

_LEAVE_S = 1.0  # seconds for which the margin keeps a place for a person who is not visible


class Reading(NamedTuple):
    """One further number of a face, a row below its probabilities.

    Attributes:
        share: length of the bar, 0 to 1; NaN where there is none, as for angles.
        text: the number.
    """

    share: float
    text: str


@dataclass(frozen=True)
class Person:
    """One face of one frame, as it is drawn.

    Attributes:
        key: track id, or the face's row where faces are not tracked.
        name: such as "person 1".
        box: ``(4,)`` float32, x1 y1 x2 y2 in pixels of the frame.
        emotion: the apparent expression, or ``uncertain``.
        percent: its probability, 0 to 100; None where the scores are no probabilities.
        values: ``(k,)`` float32, one for each label.
        unfit: why the image quality of the face is too low, or "".
        readings: further numbers by name, such as facial actions.
    """

    key: int
    name: str
    box: FloatArray
    emotion: str
    percent: int | None
    values: FloatArray
    unfit: str = ""
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def wordings(self) -> tuple[str, ...]:
        """Possible captions, longest first."""
        text = self.emotion
        if self.percent is not None and self.emotion != UNCERTAIN:
            text = f"{text} {self.percent} %"
        if self.unfit:
            text = f"{text} ({self.unfit.replace('_', ' ')})"
        return f"{self.name}: {text}", text

    @property
    def bars(self) -> tuple[FloatArray, list[str]]:
        """Lengths of the bars, 0 to 1, and the numbers beside them; see `bars_of`."""
        return bars_of(self.values, probabilities=self.percent is not None)


class Overlay:
    """Draws people into frame after frame, all of one size, with a margin that stays in place.

    Args:
        labels: the k names of the scores.
        size: width and height of the drawn frame; images of other sizes are fitted into it.
        margin: add the list of every probability at the right.
        most: people listed in it at once.
        readings: names of the further numbers of people that are listed below the probabilities.
    """

    def __init__(
        self,
        labels: Sequence[str],
        size: tuple[int, int],
        *,
        margin: bool = True,
        most: int = 3,
        readings: Sequence[str] = (),
    ) -> None:
        self.labels: tuple[str, ...] = tuple(labels)
        self.size: tuple[int, int] = size
        self.readings: tuple[str, ...] = tuple(readings)
        self._annotator = Annotator(size)
        colors = [color_of(label, self.labels) for label in self.labels]
        colors += [QUIET] * len(self.readings)
        rows = (*self.labels, *self.readings)
        self._panel = Panel(rows, colors, size, most) if margin else None
        self._seats: list[_Seat | None] = []

    @property
    def full_size(self) -> tuple[int, int]:
        """Width and height of the images that `draw` returns."""
        if self._panel is None:
            return self.size
        return self.size[0] + self._panel.width, self._panel.height

    def draw(
        self,
        image: Image,
        people: Sequence[Person],
        *,
        time_s: float = 0.0,
        selected: int | None = None,
    ) -> Image:
        """Draw one frame.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.
            people: as from `Stabilizer.people` or `people_of`, boxes in pixels of `image`.
            time_s: seconds, to keep the margin's order; it may jump.
            selected: key of the person to draw with a thicker box and alone in the margin.

        Returns:
            ``(H', W', 3)`` uint8 RGB, a new array of `full_size`.
        """
        width, height = self.full_size
        canvas = np.zeros((height, width, 3), np.uint8)
        frame = canvas[: self.size[1], : self.size[0]]
        scale, shift = self._fit(frame, image)
        faces = [
            FaceBox(p.key, p.box * scale + shift, p.wordings, color_of(p.emotion, self.labels))
            for p in people
        ]
        if self._panel is not None:
            self._panel.draw(
                canvas[:, self.size[0] :], self._cards(image, people, time_s, selected)
            )
        self._annotator.draw(frame, faces, selected)
        return canvas

    def _fit(self, frame: Image, image: Image) -> tuple[float, FloatArray]:
        """Copy an image into the frame, letterboxed; its scale, and its shift twice (x, y)."""
        width, height = self.size
        if image.shape[:2] == (height, width):
            frame[:] = image
            return 1.0, np.zeros(4, np.float32)
        scale = min(width / image.shape[1], height / image.shape[0])
        fitted = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        x, y = (width - fitted[0]) // 2, (height - fitted[1]) // 2
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        frame[y : y + fitted[1], x : x + fitted[0]] = cv2.resize(
            image, fitted, interpolation=method
        )
        return scale, np.array([x, y, x, y], np.float32)

    def _cards(
        self, image: Image, people: Sequence[Person], now: float, selected: int | None
    ) -> list[Card | None]:
        assert self._panel is not None
        if selected is not None:
            return [self._card(p, image) for p in people if p.key == selected]
        self._seat(people, now, self._panel.most)
        cards: list[Card | None] = []
        for seat in self._seats:
            if seat is None:
                cards.append(None)
            elif seat.last_s == now and seat.person in people:
                cards.append(self._card(seat.person, image))
            else:
                top, name = int(np.argmax(seat.person.values)), seat.person.name
                cards.append(Card(name, "not visible", (0, 0, 0), None, (), top))
        return cards

    def _seat(self, people: Sequence[Person], now: float, most: int) -> None:
        """Assign places in the margin: people keep theirs, free ones go to the largest faces."""
        here = {person.key: person for person in people}
        for place, seat in enumerate(self._seats):
            if seat is not None and seat.person.key in here:
                self._seats[place] = _Seat(here.pop(seat.person.key), now)
            elif seat is not None and not 0 <= now - seat.last_s < _LEAVE_S:
                self._seats[place] = None
        self._seats += [None] * (min(most, len(people)) - len(self._seats))
        empty = [place for place, seat in enumerate(self._seats) if seat is None]
        areas = {key: np.prod(person.box[2:] - person.box[:2]) for key, person in here.items()}
        largest = sorted(here.values(), key=lambda p: -areas[p.key])[: len(empty)]
        for place, person in zip(empty, sorted(largest, key=lambda p: p.key), strict=False):
            self._seats[place] = _Seat(person, now)

    def _card(self, person: Person, image: Image) -> Card:
        shares, numbers = person.bars
        more = [person.readings.get(name, _NOTHING) for name in self.readings]
        shares = np.append(shares, np.array([reading.share for reading in more], np.float32))
        return Card(
            person.name,
            person.emotion,
            color_of(person.emotion, self.labels),
            shares,
            [*numbers, *(reading.text for reading in more)],
            _strongest(person, self.labels),
            face_of(image, person.box),
        )


_NOTHING = Reading(math.nan, "-")


@dataclass(frozen=True)
class _Seat:
    person: Person
    last_s: float


def _strongest(person: Person, labels: Sequence[str]) -> int:
    """The row in bold letters: the reported expression, or the largest value."""
    if person.emotion in labels:
        return list(labels).index(person.emotion)
    return int(np.argmax(person.values))


def face_of(image: Image, box: FloatArray) -> Image:
    """The square crop around a face, cut at the image's edge, ``(S, S', 3)`` uint8."""
    x1, y1, x2, y2 = square(box[None], 0.1)[0].tolist()
    height, width = image.shape[:2]
    x1, y1 = max(0, math.floor(x1)), max(0, math.floor(y1))
    return image[y1 : max(y1, min(height, math.ceil(y2))), x1 : max(x1, min(width, math.ceil(x2)))]
