"""Text on images: fonts, widths, letter sizes, and lines of text as small images.

The font is the one inside Pillow (Aileron), so a drawing looks the same on every machine. It
holds little more than ASCII: other letters are set in a system font that has them; where there
is none, they lose their accents ("dégoût" becomes "degout").
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache

import numpy as np
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

from mien.labels import Color
from mien.types import Image

#: Height of a line and of its capitals, and the padding left and right, in units of text size.
LINE, CAPITAL, PADDING = 1.4, 0.7, 0.38
#: The smallest legible text size, pixels.
SMALLEST = 9
#: The background of margins and notes, an empty bar, and text that is not stressed.
PAPER: Color = (250, 250, 250)
TRACK: Color = (229, 231, 235)
QUIET: Color = (90, 96, 105)
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
    foreign = {c for c in text if not c.isspace() and _lacks(c, None)}
    if not foreign:
        return text, None
    for name in _SYSTEM_FONTS:
        try:
            if not any(_lacks(c, name) for c in foreign):
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
    """Extra width of bold letters on each side, pixels; Pillow's font has one weight."""
    return size / 55


def line_height(size: int) -> int:
    """Height of a line of text in pixels, with its leading; capitals stand in its middle."""
    return round(LINE * size)


@lru_cache(maxsize=2048)
def text_image(
    text: str, size: int, color: Color, background: Color, bold: bool = False, padding: int = 0
) -> Image:
    """One line of text as an image ``(h, w, 3)`` uint8 RGB, read-only and cached."""
    width = max(1, text_width(text, size, bold=bold) + 2 * padding)
    canvas = Pil.new("RGB", (width, line_height(size)), background)
    plain, name = _typeset(text)
    ImageDraw.Draw(canvas).text(
        (padding, round((LINE + CAPITAL) / 2 * size)),
        plain,
        fill=color,
        font=_font(size, name),
        anchor="ls",
        stroke_width=_stroke(size) if bold else 0,
    )
    image: Image = np.array(canvas)
    image.setflags(write=False)
    return image


def paste(out: Image, image: Image, x: int, y: int) -> None:
    """Copy an image into `out` with its top left corner at x, y; what lies outside is cut off."""
    height, width = out.shape[:2]
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + image.shape[1], width), min(y + image.shape[0], height)
    if x2 > x1 and y2 > y1:
        out[y1:y2, x1:x2] = image[y1 - y : y2 - y, x1 - x : x2 - x]


def text_sizes(width: int, height: int) -> tuple[int, int]:
    """The preferred and the smallest text size, in pixels, for an image of this size.

    Images are viewed scaled to a screen, so text grows with the image; less than in proportion,
    because a small image is enlarged less than a large one is reduced.
    """
    scale = math.sqrt(width * height)
    return max(10, round(7 + 0.015 * scale)), max(SMALLEST, round(4 + 0.009 * scale))


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
    """A caption without the number at its end: "happiness 87 %" becomes "happiness"."""
    return _NUMBER_AT_END.sub("", caption) or caption


def fit(text: str, size: int, smallest: int, room: int) -> tuple[str, int]:
    """Make a line fit into `room` pixels: smaller letters first, then fewer of them."""
    while size > smallest and text_width(text, size) > room:
        size -= 1
    if text_width(text, size) > room:
        text = without_number(text)
    return ellipsize(text, size, room), size
