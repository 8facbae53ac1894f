"""Boxes around faces and their captions: where each caption goes, and how both are drawn.

Still images and videos share one placement. A still image is free in letter size; in a video
that would make captions jump and shrink, so size is fixed and each caption prefers to stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.drawing.text import (
    PADDING,
    SMALLEST,
    ellipsize,
    line_height,
    paste,
    text_image,
    text_sizes,
    text_width,
    without_number,
)
from mien.labels import Color, ink
from mien.types import FloatArray, Image

Rects = npt.NDArray[np.int64]  # x1, y1, x2, y2; x2 and y2 are just outside

_SHADE = 0.72  # of a thin line around each box, which separates it from a similar background
#: Cost of covering all of a caption's area: its own face, another face, another caption.
_OWN, _OTHER, _CAPTION = 1.0, 3.0, 4.0
#: In a video, on the same scale: cost of a shorter wording and of each less usual place, and what
#: staying is worth. A shorter wording costs more than staying, or it would never grow back.
_SHORTER, _NEXT, _STAY = 0.8, 0.04, 0.7


@dataclass(frozen=True)
class Caption:
    """A placed caption: where, and which text in which size.

    Attributes:
        rect: x1, y1, x2, y2 in pixels.
        text: what is written.
        size: text size, pixels.
        wording, place: numbers of the chosen wording and of the position around the box.
    """

    rect: tuple[int, int, int, int]
    text: str
    size: int
    wording: int = 0
    place: int = 0


@dataclass(frozen=True)
class FaceBox:
    """A box ``(4,)`` x1 y1 x2 y2 px with its possible wordings, longest first.

    `key` identifies the face from frame to frame.
    """

    key: int
    box: FloatArray
    wordings: Sequence[str]
    color: Color


class Annotator:
    """Draws the boxes and captions of frame after frame, all of one size (width, height)."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        preferred, smallest = text_sizes(*size)
        self._letters = max(smallest, round(0.8 * preferred))
        self._line = line_width(size)
        self._before: dict[int, Caption] = {}

    def draw(self, out: Image, faces: Sequence[FaceBox], selected: int | None = None) -> None:
        """Draw into ``(H, W, 3)`` uint8 RGB `out`; the face with key `selected` stands out."""
        boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
        rects, rows = visible(boxes, self.size)
        shown = [faces[row] for row in rows]
        lines = [selected_line(self._line) if f.key == selected else self._line for f in shown]
        captions, _ = _layout(
            [face.wordings for face in shown],
            rects,
            lines,
            self.size,
            self._letters,
            [self._before.get(face.key) for face in shown],
        )
        draw_boxes(out, rects, lines, [face.color for face in shown], captions)
        placed = zip(shown, captions, strict=True)
        self._before = {face.key: caption for face, caption in placed if caption is not None}


def visible(
    boxes: FloatArray | npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[Rects, list[int]]:
    """Boxes in whole pixels, cut at the frame, and the rows of those with an area inside."""
    grown = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    rects: Rects = np.clip(grown, 0, [*size, *size]).astype(np.int64)
    inside = (rects[:, 2:] > rects[:, :2]).all(axis=1)
    return rects[inside], np.flatnonzero(inside).tolist()


def line_width(size: tuple[int, int], rects: Rects | None = None) -> int:
    """Outline width for a frame (width, height); thinner where faces are small, if given."""
    line = round(0.6 + 0.0024 * math.sqrt(size[0] * size[1]))
    if rects is not None:
        line = min(line, round(0.06 * float(np.median(rects[:, 2:] - rects[:, :2]))))
    return max(1, line)


def selected_line(line: int) -> int:
    """Outline width of a selected face."""
    return max(line + 2, 2 * line)


def draw_boxes(
    out: Image,
    rects: Rects,
    lines: Sequence[int],
    colors: Sequence[Color],
    captions: Sequence[Caption | None],
) -> None:
    """Draw outlines, thicker ones on top, then captions, into ``(H, W, 3)`` uint8 RGB `out`.

    An outline runs around its box; at the frame's edge it moves inside, so that it is visible.
    """
    for i in sorted(range(len(rects)), key=lambda i: lines[i]):
        _outline(out, rects[i], lines[i], colors[i])
    for caption, color in zip(captions, colors, strict=True):
        if caption is not None:
            padding = round(PADDING * caption.size)
            image = text_image(caption.text, caption.size, ink(color), color, True, padding)
            paste(out, image, *caption.rect[:2])


def _outline(out: Image, rect: Rects, line: int, color: Color) -> None:
    seam = max(1, round(line / 4))
    height, width = out.shape[:2]
    x1, y1, x2, y2 = rect.tolist()
    for grow, thick, tone in ((line + seam, seam, None), (line, line, color)):
        left, top = max(x1 - grow, 0), max(y1 - grow, 0)
        right, bottom = min(x2 + grow, width), min(y2 + grow, height)
        for band in (
            out[top : top + thick, left:right],
            out[max(bottom - thick, 0) : bottom, left:right],
            out[top:bottom, left : left + thick],
            out[top:bottom, max(right - thick, 0) : right],
        ):
            band[:] = (band * _SHADE).astype(np.uint8) if tone is None else tone


def place_captions(
    captions: Sequence[str], rects: Rects, lines: Sequence[int], frame: tuple[int, int]
) -> list[Caption | None]:
    """Find a place for the caption of each face in a still image.

    A caption goes above its box, or below, or beside it; it lies inside the frame and covers
    neither faces nor other captions wherever that is possible, and otherwise its own face rather
    than another. All captions have one size: the largest at which the fewest of them collide;
    where that does not help, captions that collide lose their number, then letters.

    Args:
        captions: n texts; an empty one gets no place (None).
        rects: ``(n, 4)`` whole pixels inside the frame, x1 y1 x2 y2.
        lines: n widths in pixels of the outlines around the boxes.
        frame: width and height of the image.
    """
    faces = rects[:, 2] - rects[:, 0] + 2 * np.asarray(lines)
    longest = max(captions, key=len)
    size, smallest = text_sizes(*frame)
    room = float(np.median(faces))
    while size > smallest and text_width(longest, size, bold=True) + 2 * PADDING * size > room:
        size -= 1
    tries = [(s, 0) for s in np.linspace(size, smallest, 3).round().astype(int).tolist()]
    tries += [(s, 1) for s in np.linspace(smallest, SMALLEST, 3).round().astype(int).tolist()]
    best: list[Caption | None] = []
    fewest = len(captions) + 1
    for size, brevity in dict.fromkeys([*tries, (SMALLEST, 2)]):
        wordings = [
            _wordings(caption, size, int(face) - 2 * round(PADDING * size), brevity)
            for caption, face in zip(captions, faces, strict=True)
        ]
        placed, collisions = _layout(wordings, rects, lines, frame, size)
        if collisions < fewest:
            best, fewest = placed, collisions
        if not collisions:
            break
    return best


def _wordings(caption: str, size: int, face: int, brevity: int) -> list[str]:
    """Possible texts of a caption, longest first.

    Brevity 0: all of it. 1: or its label alone. 2: as much of the label as fits its own box, so
    that neighbors in a row do not collide.
    """
    label = without_number(caption)
    if brevity == 2 and text_width(caption, size, bold=True) > face:
        return [ellipsize(label, size, face)]
    return list(dict.fromkeys([caption, label][: 1 + brevity]))


def _layout(
    wordings: Sequence[Sequence[str]],
    rects: Rects,
    lines: Sequence[int],
    frame: tuple[int, int],
    size: int,
    before: Sequence[Caption | None] | None = None,
) -> tuple[list[Caption | None], int]:
    """Place captions of one size one by one; also returns how many collide.

    Arguments as of `place_captions`, of each face several wordings, longest first. Without
    `before`, the captions of the frame before, they are of a still image and placed from the top
    down.
    """
    n = len(rects)
    outlines = rects + np.outer(np.asarray(lines, np.int64), [-1, -1, 1, 1])
    padding, height = round(PADDING * size), min(line_height(size), frame[1])
    obstacles = np.concatenate([rects, np.zeros_like(rects)])  # faces, then captions
    shorter, following, stay = (0.0, 0.0, 0.0) if before is None else (_SHORTER, _NEXT, _STAY)
    captions: list[Caption | None] = [None] * n
    collisions = 0
    order = np.lexsort((rects[:, 0], rects[:, 1])).tolist() if before is None else range(n)
    for i in order:
        weights = np.repeat([_OTHER, _CAPTION], n)
        weights[i] = _OWN
        best: tuple[float, bool, Caption] | None = None
        area = 0
        for wording, full in enumerate(wordings[i]):
            text = ellipsize(full, size, frame[0] - 2 * padding)
            if not text:
                continue
            width = min(text_width(text, size, bold=True) + 2 * padding, frame[0])
            area = area or width * height
            places = _places(outlines[i], rects[i], width, height, frame)
            reach = outlines[i] + [-width, -height, width, height]
            near = (obstacles[:, :2] < reach[2:]).all(1) & (obstacles[:, 2:] > reach[:2]).all(1)
            covered = _overlaps(places, obstacles[near]) @ weights[near]
            cost = covered / area + shorter * wording + following * np.arange(len(places))
            last = before[i] if before is not None else None
            if last is not None and last.wording == wording:
                cost[last.place] -= stay
            k = int(np.argmin(cost))
            if best is None or cost[k] < best[0]:
                x1, y1, x2, y2 = places[k].tolist()
                caption = Caption((x1, y1, x2, y2), text, size, wording, k)
                best = float(cost[k]), bool(covered[k] > 0), caption
            if best[0] <= 0:
                break
        if best is not None:
            captions[i], obstacles[n + i] = best[2], best[2].rect
            collisions += best[1]
    return captions, collisions


def _places(outline: Rects, rect: Rects, width: int, height: int, frame: tuple[int, int]) -> Rects:
    """Possible places of a caption, best first, pushed back into the frame: around, then inside."""
    x1, y1, x2, y2 = outline.tolist()
    columns = (x1, x2 - width, (x1 + x2 - width) // 2)
    rows = (y1, y2 - height, (y1 + y2 - height) // 2)
    corners = [(x, y) for y in (y1 - height, y2) for x in columns]
    corners += [(x, y) for x in (x2, x1 - width) for y in rows]
    corners += [(int(rect[0]), int(rect[1])), (int(rect[0]), int(rect[3]) - height)]
    left_top = np.clip(corners, 0, [frame[0] - width, frame[1] - height])
    places: Rects = np.concatenate([left_top, left_top + np.array([width, height])], axis=1)
    return places


def _overlaps(places: Rects, others: Rects) -> npt.NDArray[np.float64]:
    """``(p, m)``: pixels that each of p rectangles shares with each of m others."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared: npt.NDArray[np.float64] = (sides[..., 0] * sides[..., 1]).astype(np.float64)
    return shared
