"""Text on pictures: in which font, how large, in which ink, and where a caption goes.

The font is the one inside Pillow (Aileron), so a drawing looks the same on every machine. It
holds ASCII and little more: a text with other letters is set in a font of the system that has
them, and where there is none it loses its accents ("dégoût" becomes "degout").
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw, ImageFont

Color = tuple[int, int, int]
Rect = npt.NDArray[np.int64]  # x1, y1, x2, y2; x2 and y2 are just outside

BLACK: Color = (17, 17, 17)
WHITE: Color = (255, 255, 255)
#: Height of a line and of its capitals, and the padding left and right, in units of text size.
LINE, CAPITAL, PADDING = 1.4, 0.7, 0.38
_TINY = 9  # pixels: smaller letters cannot be read
_ELLIPSIS = "…"
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "arial.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
    "PingFang.ttc",
)
_NUMBER_AT_END = re.compile(r"\s*\(?\d+(?:[.,]\d+)?\s*%?\)?$")


@lru_cache(maxsize=64)
def _font(size: int, name: str | None = None) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size) if name is None else ImageFont.truetype(name, size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow built without FreeType
        raise RuntimeError("Pillow was built without FreeType, so it cannot draw scalable text.")
    return font


def _lacks(character: str, name: str | None) -> bool:
    """Whether a font draws its "no such character" box for this one."""
    font = _font(16, name)
    return bytes(font.getmask(character)) == bytes(font.getmask("\U0010ffff"))


@lru_cache(maxsize=1024)
def _typeset(text: str) -> tuple[str, str | None]:
    """The text as it can be drawn, and the font that can draw it (None: Pillow's own)."""
    strange = {c for c in text if not c.isspace() and _lacks(c, None)}
    if not strange:
        return text, None
    for name in _SYSTEM_FONTS:
        try:
            if not any(_lacks(c, name) for c in strange):
                return text, name
        except OSError:
            continue
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join("?" if not c.isspace() and _lacks(c, None) else c for c in plain), None


@lru_cache(maxsize=4096)
def text_width(text: str, size: int, *, bold: bool = False) -> int:
    """Width of one line in pixels."""
    plain, name = _typeset(text)
    extra = 2 * _stroke(size) if bold else 0
    return int(np.ceil(_font(size, name).getlength(plain) + extra))


def _stroke(size: int) -> float:
    """Pixels that bold letters are thicker on each side; Pillow's font has one weight."""
    return size / 55


def line_height(size: int) -> int:
    """Height in pixels of a line of text with its air, capitals in its middle."""
    return round(LINE * size)


def write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    size: int,
    color: Color,
    *,
    bold: bool = False,
) -> None:
    """Write a line whose top left corner is `corner`; its letters stay inside its line height."""
    plain, name = _typeset(text)
    baseline = corner[1] + round((LINE + CAPITAL) / 2 * size)
    draw.text(
        (corner[0], baseline),
        plain,
        fill=color,
        font=_font(size, name),
        anchor="ls",
        stroke_width=_stroke(size) if bold else 0,
    )


def ink(background: Color) -> Color:
    """Black or white, whichever stands out more (contrast ratio of WCAG 2.1)."""
    linear = [
        (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
        for c in (channel / 255 for channel in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return WHITE if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.056 else BLACK


def text_sizes(width: int, height: int) -> tuple[int, int]:
    """The wished and the smallest text size, in pixels, for a picture of this size.

    Pictures are looked at on screens that fit them, so text grows with the picture; it grows
    less than in proportion, because a small picture is shown enlarged less than a large one is
    shown reduced.
    """
    scale = math.sqrt(width * height)
    return max(10, round(7 + 0.015 * scale)), max(_TINY, round(4 + 0.009 * scale))


def ellipsize(text: str, size: int, room: int) -> str:
    """The text, or as much of its beginning as fits into `room` pixels, with an ellipsis."""
    if text_width(text, size) <= room:
        return text
    for end in range(len(text) - 1, 0, -1):
        short = text[:end].rstrip() + _ELLIPSIS
        if text_width(short, size) <= room:
            return short
    return ""


def without_number(caption: str) -> str:
    """A caption without the figure at its end: "happiness 87 %" is "happiness"."""
    return _NUMBER_AT_END.sub("", caption) or caption


def fit(text: str, size: int, smallest: int, room: int) -> tuple[str, int]:
    """Make a line fit into `room` pixels: smaller letters first, then fewer of them."""
    while size > smallest and text_width(text, size) > room:
        size -= 1
    if text_width(text, size) > room:
        text = without_number(text)
    return ellipsize(text, size, room), size


@dataclass(frozen=True)
class Tag:
    """A caption that has found its place: where, and which text of which size."""

    rect: tuple[int, int, int, int]
    text: str
    size: int


def place_captions(
    captions: Sequence[str], boxes: Rect, lines: Sequence[int], frame: tuple[int, int]
) -> list[Tag | None]:
    """Find a place for the caption of each face.

    A caption goes above its box, or below, or beside it; it lies inside the frame, off every face
    and off the other captions wherever that is possible, and else rather over its own face than
    over another. All captions have one size: the largest at which the fewest of them collide;
    where that does not help, captions that collide lose their figure, then letters.

    Args:
        captions: n texts; an empty one gets no place (None).
        boxes: ``(n, 4)`` whole pixels inside the frame, x1 y1 x2 y2.
        lines: n widths in pixels of the outlines around the boxes.
        frame: width and height of the picture.
    """
    grown = boxes + np.outer(lines, [-1, -1, 1, 1])
    face = float(np.median(grown[:, 2] - grown[:, 0]))
    widest = max(captions, key=len)
    size, smallest = text_sizes(*frame)
    while size > smallest and text_width(widest, size, bold=True) + 2 * PADDING * size > face:
        size -= 1
    tries = [(s, 0) for s in np.linspace(size, smallest, 3).round().astype(int).tolist()]
    tries += [(s, 1) for s in np.linspace(smallest, _TINY, 3).round().astype(int).tolist()]
    best: list[Tag | None] = []
    fewest = len(captions) + 1
    for size, brevity in dict.fromkeys([*tries, (_TINY, 2)]):
        tags, collisions = _layout(captions, boxes, grown, frame, size, brevity)
        if collisions < fewest:
            best, fewest = tags, collisions
        if not collisions:
            break
    return best


def _wordings(caption: str, size: int, room: int, face: int, brevity: int) -> list[str]:
    """What a caption may say, best first.

    Brevity 0: all of it, as far as it fits the frame. 1: or its label alone. 2: as much as fits
    its own box, so that neighbours in a row do not get into each other's way.
    """
    label = without_number(caption)
    if brevity == 2 and text_width(caption, size, bold=True) > face:
        texts = [ellipsize(label, size, min(face, room))]
    else:
        texts = [ellipsize(text, size, room) for text in [caption, label][: 1 + brevity]]
    return [text for text in dict.fromkeys(texts) if text]


def _layout(
    captions: Sequence[str],
    boxes: Rect,
    grown: Rect,
    frame: tuple[int, int],
    size: int,
    brevity: int,
) -> tuple[list[Tag | None], int]:
    """Place captions of one size from the top of the picture down; count those that collide."""
    n = len(captions)
    padding, height = round(PADDING * size), min(line_height(size), frame[1])
    obstacles = np.concatenate([boxes, np.zeros_like(boxes)])  # faces, then captions
    tags: list[Tag | None] = [None] * n
    collisions = 0
    for i in np.lexsort((boxes[:, 0], boxes[:, 1])).tolist():
        weights = np.repeat([3.0, 4.0], n)
        weights[i] = 1  # better over its own face than over another
        face = int(grown[i, 2] - grown[i, 0]) - 2 * padding
        best: tuple[float, Tag] | None = None
        for text in _wordings(captions[i], size, frame[0] - 2 * padding, face, brevity):
            width = min(text_width(text, size, bold=True) + 2 * padding, frame[0])
            places = _places(grown[i], boxes[i], width, height, frame)
            reach = grown[i] + [-width, -height, width, height]
            near = (obstacles[:, :2] < reach[2:]).all(1) & (obstacles[:, 2:] > reach[:2]).all(1)
            cost = _overlaps(places, obstacles[near]) @ weights[near]
            k = int(np.argmin(cost))
            if best is None or cost[k] < best[0]:
                x1, y1, x2, y2 = places[k].tolist()
                best = float(cost[k]), Tag((x1, y1, x2, y2), text, size)
            if best[0] == 0:
                break
        if best is not None:
            tags[i], obstacles[n + i] = best[1], best[1].rect
            collisions += best[0] > 0
    return tags, collisions


def _places(outline: Rect, box: Rect, width: int, height: int, frame: tuple[int, int]) -> Rect:
    """Where a caption may go, best first, pushed back into the frame: around, then inside."""
    x1, y1, x2, y2 = outline.tolist()
    columns = (x1, x2 - width, (x1 + x2 - width) // 2)
    rows = (y1, y2 - height, (y1 + y2 - height) // 2)
    corners = [(x, y) for y in (y1 - height, y2) for x in columns]
    corners += [(x, y) for x in (x2, x1 - width) for y in rows]
    corners += [(int(box[0]), int(box[1])), (int(box[0]), int(box[3]) - height)]
    left_top = np.clip(corners, 0, [frame[0] - width, frame[1] - height])
    places: Rect = np.concatenate([left_top, left_top + np.array([width, height])], axis=1)
    return places


def _overlaps(places: Rect, others: Rect) -> npt.NDArray[np.float64]:
    """``(p, m)``: pixels that each of p rectangles shares with each of m others."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared: npt.NDArray[np.float64] = (sides[..., 0] * sides[..., 1]).astype(np.float64)
    return shared
