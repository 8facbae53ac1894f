"""What a live view and a viewer of tables have in common: what is to be seen, and the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.drawing.overlay import Overlay, Person
from mien.drawing.text import PAPER, QUIET, ellipsize, line_height, paste, text_image
from mien.labels import BLACK
from mien.media.images import write_image
from mien.types import Image

_LETTERS = 13  # of the lines below the picture, pixels
_STRIP = 16  # height of the strip, pixels


@dataclass(frozen=True)
class Look:
    """One thing to be seen: a frame with its people, and the lines around it.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB without drawings, or None where there is none.
        people: who is in it.
        selected: key of the person whose every probability is listed; None lists several.
        labels: the k names of the scores.
        headline: where we are, such as "film.mp4, frame 3 of 20, 0.12 s".
        message: one sentence about the last key or about what went wrong; may be empty.
        keys: the keys and what they do.
        index, time_s: number and time of the frame.
        size: width and height of the frame, also where there is no image of it.
        strip: ``(n, 3)`` uint8 RGB, a colour for each frame of all there is, or None.
        cursor: where in the strip this frame is, 0 to 1.
        close_up: show faces rather than the whole frame, where there is room for little.
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

    def picture(self) -> Image:
        """The image, or a dark one of its size."""
        if self.image is not None:
            return self.image
        width, height = self.size
        return np.full((height, width, 3), 40, np.uint8)


class App(Protocol):
    """What a window or a terminal shows. Its methods are called from one thread.

    Attributes:
        title: what the window is called.
        pause_s: seconds to wait before asking for another look.
        done: whether it has ended.
    """

    title: str
    pause_s: float
    done: bool

    def press(self, key: str) -> None:
        """Answer a key: a character, or ``left right up down pageup pagedown home end escape``."""

    def point(self, share: float) -> None:
        """Answer a click into the strip, 0 to 1."""

    def look(self) -> Look | None:
        """What is to be seen now, or None if it is the same as before."""

    def shown(self, look: Look) -> None:
        """Take note that a look can be seen."""


class Stage:
    """Draws looks as whole pictures that fit a room, one after another."""

    def __init__(self) -> None:
        self._scene: Overlay | None = None
        self._made_for: tuple[object, ...] = ()
        self.strip_rows = range(0)  # of the last picture, so that a click can be understood

    def draw(self, look: Look, room: tuple[int, int]) -> Image:
        """The picture of a look, ``(H, W, 3)`` uint8 RGB, at most `room` (width, height) large."""
        image = look.picture()
        size = image.shape[1], image.shape[0]
        lines = [look.message or look.keys, look.headline]
        below = len(lines) * line_height(_LETTERS) + (0 if look.strip is None else _STRIP) + 8
        made_for = (size, room, tuple(look.labels), below)
        if self._scene is None or made_for != self._made_for:
            self._scene = _fitting(look.labels, size, (room[0], room[1] - below))
            self._made_for = made_for
        drawn = self._scene.draw(image, look.people, time_s=look.time_s, selected=look.selected)
        height, width = drawn.shape[:2]
        canvas = np.full((height + below, width, 3), PAPER[0], np.uint8)
        canvas[:height] = drawn
        y = height
        self.strip_rows = range(0)
        if look.strip is not None:
            self.strip_rows = range(y, y + _STRIP)
            _draw_strip(canvas[y : y + _STRIP], look)
            y += _STRIP
        y += 4
        for text, ink in zip(reversed(lines), (BLACK, QUIET), strict=True):
            text = ellipsize(text, _LETTERS, width - 2 * _LETTERS)
            paste(canvas, text_image(text, _LETTERS, ink, PAPER), _LETTERS, y)
            y += line_height(_LETTERS)
        return canvas


def _fitting(labels: Sequence[str], size: tuple[int, int], room: tuple[int, int]) -> Overlay:
    """A scene that with its margin is at most as large as the room, and no larger than needed."""
    scale = min(max(1.0, 640 / size[0]), room[1] / size[1])
    for _ in range(4):
        fitted = max(16, round(size[0] * scale)), max(16, round(size[1] * scale))
        scene = Overlay(labels, fitted)
        left = room[0] - (scene.full_size[0] - fitted[0])  # what the margin leaves
        if fitted[0] <= left:
            break
        scale = max(left, 16) / size[0]
    return scene


def strip_row(strip: Image, width: int) -> Image:
    """The colours of a strip at `width` places, ``(width, 3)`` uint8."""
    places = (np.arange(width) + 0.5) / max(1, width) * len(strip)
    row: Image = strip[np.minimum(places.astype(np.int64), len(strip) - 1)]
    return row


def _draw_strip(out: Image, look: Look) -> None:
    assert look.strip is not None
    width = out.shape[1]
    out[:] = strip_row(look.strip, width)[None]
    at = min(round(look.cursor * (width - 1)), width - 1)
    out[:, max(0, at - 2) : at + 3] = 255
    out[:, max(0, at - 1) : at + 2] = BLACK


def save_snapshot(look: Look, folder: Path, name: str) -> str:
    """Write the annotated frame into `folder`; returns what to tell of it.

    The name gets a number, so that no file is replaced.
    """
    picture = look.picture()
    size = picture.shape[1], picture.shape[0]
    path, number = folder / f"{name}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.png"
    scene = Overlay(look.labels, size)
    write_image(path, scene.draw(picture, look.people, selected=look.selected))
    return f"wrote {path}"
