"""What the live view and the viewer of tables share: a screen, what it is drawn with, and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.drawing.overlay import Overlay, Person
from mien.drawing.text import PAPER, QUIET, ellipsize, line_height, paste, text_image
from mien.files import numbered
from mien.labels import BLACK
from mien.media.images import write_image
from mien.types import Image

_LETTERS = 13  # height of the letters below the image, pixels
_STRIP = 16  # height of the strip, pixels


@dataclass(frozen=True)
class Screen:
    """What is displayed at one moment: a frame with its people, and the lines around it.

    Attributes:
        image: the frame, ``(H, W, 3)`` uint8 RGB without annotation; None where there is none.
        people: the people in it.
        selected: key of the person whose probabilities are listed; None lists those of several.
        labels: the k names of the probabilities.
        headline: the position, such as "film.mp4, frame 3 of 20, 0.12 s".
        message: a sentence about the last key, or about a problem; may be empty.
        keys: the keys and what they do.
        index, time_s: number and time of the frame.
        size: width and height of the frame, also where there is no image of it.
        strip: ``(n, 3)`` uint8 RGB, a color for each frame of the table; or None.
        cursor: position of this frame in the strip, 0 to 1.
        readings: names of the further numbers of people, see `Person.readings`.
        close_up: where there is little room, show a face instead of the whole frame.
    """

    image: Image | None
    people: Sequence[Person]
    labels: Sequence[str]
    headline: str
    keys: str
    size: tuple[int, int] = (640, 480)
    selected: int | None = None
    message: str = ""
    index: int = 0
    time_s: float = 0.0
    strip: Image | None = None
    cursor: float = 0.0
    close_up: bool = False
    readings: tuple[str, ...] = ()

    def background(self) -> Image:
        """The image, or a dark one of the same size."""
        if self.image is not None:
            return self.image
        width, height = self.size
        return np.full((height, width, 3), 40, np.uint8)


class App(Protocol):
    """What a window or a terminal displays. Its methods are called from one thread.

    Attributes:
        title: title of the window.
        pause_s: seconds to wait before asking for another screen.
        done: whether it has ended.
    """

    title: str
    pause_s: float
    done: bool

    def press(self, key: str) -> None:
        """A key: a character, or ``left right up down pageup pagedown home end escape``."""

    def seek(self, share: float) -> None:
        """React to a click at this position of the strip, 0 to 1."""

    def next_screen(self) -> Screen | None:
        """What to display now; None if it is the same as before."""


class Renderer:
    """Draws screens as images that fit a window."""

    def __init__(self) -> None:
        self._scene: Overlay | None = None
        self._made_for: tuple[object, ...] = ()
        self.strip_rows = range(0)  # of the last image, to interpret clicks

    def draw(self, screen: Screen, room: tuple[int, int]) -> Image:
        """A screen as an image, ``(H, W, 3)`` uint8 RGB, at most `room` (width, height) large."""
        image = screen.background()
        size = image.shape[1], image.shape[0]
        lines = [screen.message or screen.keys, screen.headline]
        below = len(lines) * line_height(_LETTERS) + (0 if screen.strip is None else _STRIP) + 8
        made_for = (size, room, tuple(screen.labels), screen.readings, below)
        if self._scene is None or made_for != self._made_for:
            self._scene = _fitting(screen, size, (room[0], room[1] - below))
            self._made_for = made_for
        drawn = self._scene.draw(
            image, screen.people, time_s=screen.time_s, selected=screen.selected
        )
        height, width = drawn.shape[:2]
        canvas = np.full((height + below, width, 3), PAPER[0], np.uint8)
        canvas[:height] = drawn
        y = height
        self.strip_rows = range(0)
        if screen.strip is not None:
            self.strip_rows = range(y, y + _STRIP)
            _draw_strip(canvas[y : y + _STRIP], screen)
            y += _STRIP
        y += 4
        for text, ink in zip(reversed(lines), (BLACK, QUIET), strict=True):
            text = ellipsize(text, _LETTERS, width - 2 * _LETTERS)
            paste(canvas, text_image(text, _LETTERS, ink, PAPER), _LETTERS, y)
            y += line_height(_LETTERS)
        return canvas


def _fitting(screen: Screen, size: tuple[int, int], room: tuple[int, int]) -> Overlay:
    """A scene that fits the room with its margin, and is no larger than needed."""
    scale = min(max(1.0, 640 / size[0]), room[1] / size[1])
    for _ in range(4):
        fitted = max(16, round(size[0] * scale)), max(16, round(size[1] * scale))
        scene = Overlay(screen.labels, fitted, readings=screen.readings)
        left = room[0] - (scene.full_size[0] - fitted[0])  # beside the margin
        if fitted[0] <= left:
            break
        scale = max(left, 16) / size[0]
    return scene


def strip_row(strip: Image, width: int) -> Image:
    """The colors of a strip at `width` positions, ``(width, 3)`` uint8."""
    places = (np.arange(width) + 0.5) / max(1, width) * len(strip)
    row: Image = strip[np.minimum(places.astype(np.int64), len(strip) - 1)]
    return row


def _draw_strip(out: Image, screen: Screen) -> None:
    assert screen.strip is not None
    width = out.shape[1]
    out[:] = strip_row(screen.strip, width)[None]
    at = min(round(screen.cursor * (width - 1)), width - 1)
    out[:, max(0, at - 2) : at + 3] = 255
    out[:, max(0, at - 1) : at + 2] = BLACK


def save_snapshot(screen: Screen, folder: Path, name: str) -> str:
    """Write the annotated frame into `folder`; returns a message about it.

    The name gets a number, so that no file is replaced.
    """
    image = screen.background()
    size = image.shape[1], image.shape[0]
    path = numbered(folder / f"{name}.png", ".png", Path.exists)
    scene = Overlay(screen.labels, size, readings=screen.readings)
    write_image(path, scene.draw(image, screen.people, selected=screen.selected))
    return f"wrote {path}"
