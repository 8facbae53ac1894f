"""Pictures of a result: boxes with captions, a margin of probabilities, squares, heatmaps.

Every function takes arrays and returns a new picture; the ones given stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pil
from PIL import ImageDraw

from mien.drawing.text import (
    BLACK,
    PADDING,
    WHITE,
    Color,
    Rect,
    Tag,
    fit,
    ink,
    line_height,
    place_captions,
    text_sizes,
    text_width,
    write,
)
from mien.errors import UsageError
from mien.types import Crops, FloatArray, Image

_PAPER: Color = (250, 250, 250)
_TRACK: Color = (229, 231, 235)
_QUIET: Color = (90, 96, 105)
_SEAM = (0, 0, 0, 70)
_ROW = 1.7  # height of a line in the margin, in units of text size
_COLORMAPS = {"turbo": cv2.COLORMAP_TURBO, "inferno": cv2.COLORMAP_INFERNO}


def draw_faces(
    image: Image,
    boxes: npt.ArrayLike,
    captions: Sequence[str],
    colors: Sequence[Color],
    *,
    thickness: int | None = None,
    selected: int | None = None,
) -> Image:
    """Draw a box and a caption for each face.

    The outline runs around the box, not over it. A caption lies above its box, or below or
    beside it where that is taken; it is always inside the frame, and covers a face or another
    caption only where there is no free place around its box. Lines and letters grow with the
    picture.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is not changed.
        boxes: ``(n, 4)`` x1 y1 x2 y2 in pixels; one that lies outside the frame is not drawn.
        captions: n texts such as "happiness 87 %"; an empty one draws the box alone.
        colors: n colours, RGB 0..255.
        thickness: width of the outlines in pixels; None chooses it by the picture's size.
        selected: the face to draw with a thicker outline, as beside `draw_margin`.

    Returns:
        ``(H, W, 3)`` uint8 RGB, a new array.

    Raises:
        UsageError: a shape or a length does not fit.
    """
    canvas, draw = _canvas(image)
    width, height = canvas.size
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    _same_length(boxes=corners, captions=captions, colors=colors)
    rects = _inside(corners, width, height)
    seen = np.flatnonzero((rects[:, 2:] > rects[:, :2]).all(axis=1)).tolist()
    if not seen:
        return np.array(canvas)
    rects = rects[seen]
    line = _thickness(rects, width, height) if thickness is None else max(1, thickness)
    lines = [max(line + 2, 2 * line) if i == selected else line for i in seen]
    for k in sorted(range(len(seen)), key=lambda k: lines[k]):  # the selected one on top
        _outline(draw, rects[k], lines[k], colors[seen[k]])
    tags = place_captions([captions[i] for i in seen], rects, lines, (width, height))
    for i, tag in zip(seen, tags, strict=True):
        if tag is not None:
            _caption(draw, tag, colors[i])
    return np.array(canvas)


def draw_margin(
    image: Image,
    title: str,
    labels: Sequence[str],
    values: Sequence[float] | FloatArray,
    colors: Sequence[Color],
    *,
    thumbnail: Image | None = None,
) -> Image:
    """Add a margin at the right that lists every probability of one face as a bar.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, for instance from `draw_faces`; it is not changed.
        title: heading of the margin, such as "face 0".
        labels: k names, listed in this order.
        values: k probabilities; values outside 0..1 are written as plain numbers, with bars in
            proportion to the largest. NaN has no bar and is written "-".
        colors: k colours, RGB 0..255.
        thumbnail: ``(h, w, 3)`` uint8 RGB square of the face, shown under the title, or None.

    Returns:
        ``(H', W', 3)`` uint8 RGB with the picture at its top left corner. ``H'`` is ``H``, or
        more where the picture is too low for a legible list.

    Raises:
        UsageError: a shape or a length does not fit.
    """
    picture = _checked(image)
    numbers = np.asarray(values, np.float64).reshape(-1)
    _same_length(labels=labels, values=numbers, colors=colors)
    height, width = picture.shape[:2]
    wished, smallest = text_sizes(width, height)
    lines = len(labels) + 3 + (5 if thumbnail is not None else 0)
    size = int(np.clip(height / (_ROW * lines), smallest, wished))
    bars = _bars(labels, numbers, colors, size)
    left, y = width + size, size
    top = y + round(_ROW * size)  # below the title
    if thumbnail is not None:
        side = int(np.clip(height - top - bars.height - 2 * size, 5 * size, bars.width))
        square = Pil.fromarray(_resized(_checked(thumbnail), side))
        at, top = (left, top + size // 4), top + side + size
    full = max(height, top + bars.height + size)
    canvas = Pil.new("RGB", (left + bars.width + size, full), _PAPER)
    canvas.paste(Pil.fromarray(picture), (0, 0))
    heading = fit(title, size, size, bars.width)[0]
    write(ImageDraw.Draw(canvas), (left, y), heading, size, BLACK, bold=True)
    if thumbnail is not None:
        canvas.paste(square, at)
    canvas.paste(bars, (left, top))
    return np.array(canvas)


def square_sheet(
    crops: Crops,
    captions: Sequence[str],
    colors: Sequence[Color],
    *,
    columns: int | None = None,
    size: int | None = None,
) -> Image:
    """Lay the squares of n faces out in one picture, each with its caption below.

    Args:
        crops: ``(n, S, S, 3)`` uint8 RGB.
        captions: n texts; they shrink and then shorten until they fit below their square.
        colors: n colours, RGB 0..255, for the captions' background.
        columns: squares in a row; None makes the sheet a little wider than high.
        size: side of each square in the sheet, in pixels; None takes S, at least 112.

    Returns:
        ``(H, W, 3)`` uint8 RGB; without faces a small picture that says "no face".

    Raises:
        UsageError: a shape or a length does not fit, or a number is below 1.
    """
    squares = _checked_crops(crops)
    _same_length(crops=squares, captions=captions, colors=colors)
    side = max(squares.shape[1], 112) if size is None else size
    n = len(squares)
    across = _columns(n) if columns is None else columns
    if side < 1 or (n and across < 1):
        raise UsageError(f"columns and size must be at least 1, got {columns} and {size}.")
    wished = max(9, round(4 + 0.08 * side))
    if not n:
        return _note("no face", side, wished)
    room = side - round(2 * PADDING * wished)
    letters = min(fit(caption, wished, 9, room)[1] for caption in captions)
    gap, strip = max(4, round(0.06 * side)), line_height(letters) + 2
    rows = -(-n // across)
    width, height = gap + across * (side + gap), gap + rows * (side + strip + gap)
    canvas = Pil.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(canvas)
    for i in range(n):
        x = gap + (i % across) * (side + gap)
        y = gap + (i // across) * (side + strip + gap)
        canvas.paste(Pil.fromarray(_resized(squares[i], side)), (x, y))
        draw.rectangle((x, y + side, x + side - 1, y + side + strip - 1), fill=colors[i])
        text = fit(captions[i], letters, letters, room)[0]
        start = x + (side - text_width(text, letters, bold=True)) // 2
        write(draw, (start, y + side + 1), text, letters, ink(colors[i]), bold=True)
    return np.array(canvas)


def blend_heatmaps(
    crops: Crops,
    maps: npt.ArrayLike,
    *,
    colormap: Literal["turbo", "inferno"] = "turbo",
    strength: float = 0.6,
) -> Crops:
    """Lay heatmaps over the squares of faces; a place is covered as much as it is hot.

    Args:
        crops: ``(n, S, S, 3)`` uint8 RGB; they are not changed.
        maps: ``(n, h, w)`` numbers; values are cut to 0..1, NaN counts as 0. A map covers the
            whole square and is enlarged smoothly (bicubic).
        colormap: "turbo" (blue to red, as heatmaps are known) or "inferno" (perceptually even).
        strength: opacity, 0 to 1, of the hottest places.

    Returns:
        ``(n, S, S, 3)`` uint8 RGB, a new array. A map of zeros leaves its square unchanged.

    Raises:
        UsageError: a shape does not fit, the colour map is unknown, or strength is not in 0..1.
    """
    squares = _checked_crops(crops)
    heats = np.nan_to_num(np.asarray(maps, np.float32))
    if heats.ndim != 3 or len(heats) != len(squares):
        raise UsageError(f"maps must have shape ({len(squares)}, h, w), got {heats.shape}.")
    if colormap not in _COLORMAPS or not 0 <= strength <= 1:
        raise UsageError("colormap must be 'turbo' or 'inferno', and strength from 0 to 1.")
    blended = squares.copy()
    for i, heat in enumerate(heats):
        size = (squares.shape[2], squares.shape[1])
        smooth = np.clip(cv2.resize(np.clip(heat, 0, 1), size, interpolation=cv2.INTER_CUBIC), 0, 1)
        tint = cv2.applyColorMap(np.rint(255 * smooth).astype(np.uint8), _COLORMAPS[colormap])
        cover = (strength * smooth)[..., None]
        mixed = squares[i] * (1 - cover) + tint[..., ::-1] * cover
        blended[i] = np.rint(mixed).astype(np.uint8)
    return blended


def _checked(image: Image) -> Image:
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise UsageError(f"a picture must be (H, W, 3) uint8 RGB, got {array.shape} {array.dtype}.")
    return np.ascontiguousarray(array)


def _checked_crops(crops: Crops) -> Crops:
    array = np.asarray(crops)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8 or 0 in array.shape[1:3]:
        raise UsageError(
            f"squares must be (n, S, S, 3) uint8 RGB, got {array.shape} {array.dtype}."
        )
    return array


def _same_length(**parts: Any) -> None:
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise UsageError(f"there must be one of each for every face or label, got {told}.")


def _canvas(image: Image) -> tuple[Pil.Image, ImageDraw.ImageDraw]:
    """A copy to draw on; "RGBA" on an RGB picture makes colours with alpha blend."""
    canvas = Pil.fromarray(_checked(image))
    return canvas, ImageDraw.Draw(canvas, "RGBA")


def _inside(boxes: npt.NDArray[np.float64], width: int, height: int) -> Rect:
    """Whole pixels that cover the boxes, cut at the frame."""
    grown = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    rects: Rect = np.clip(grown, 0, [width, height, width, height]).astype(np.int64)
    return rects


def _thickness(rects: Rect, width: int, height: int) -> int:
    """Outline width for a picture, thinner where the faces are small."""
    face = float(np.median(rects[:, 2:] - rects[:, :2]))
    return max(1, min(round(0.6 + 0.0024 * math.sqrt(width * height)), round(0.06 * face)))


def _outline(draw: ImageDraw.ImageDraw, rect: Rect, line: int, color: Color) -> None:
    """A frame around `rect`; at the picture's edge it moves inside, so that it is seen.

    A thin dark line outside sets it off from a background of its own colour.
    """
    seam = max(1, round(line / 4))
    outer = np.clip(rect + line * np.array([-1, -1, 1, 1]), 0, [*draw.im.size, *draw.im.size])
    for grown, width, tone in ((seam, seam, _SEAM), (0, line, color)):
        x1, y1, x2, y2 = (outer + grown * np.array([-1, -1, 1, 1])).tolist()
        if x2 - x1 > 2 * width and y2 - y1 > 2 * width:
            draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=tone, width=width)


def _caption(draw: ImageDraw.ImageDraw, tag: Tag, color: Color) -> None:
    """Write a caption on its colour, in the middle of its place."""
    x1, y1, x2, y2 = tag.rect
    draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=color)
    start = x1 + (x2 - x1 - text_width(tag.text, tag.size, bold=True)) // 2
    write(draw, (start, y1), tag.text, tag.size, ink(color), bold=True)


def _shares(values: npt.NDArray[np.float64]) -> tuple[list[str], npt.NDArray[np.float64]]:
    """What is written beside each bar, and the part of the track that it fills."""
    known = values[np.isfinite(values)]
    if known.size == 0 or (known.min() >= 0 and known.max() <= 1 + 1e-4):
        return ["-" if np.isnan(v) else f"{100 * v:.0f} %" for v in values], values
    largest = max(float(known.max()), 1e-12)
    return ["-" if np.isnan(v) else f"{v:.2f}" for v in values], values / largest


def _bars(
    labels: Sequence[str], values: npt.NDArray[np.float64], colors: Sequence[Color], size: int
) -> Pil.Image:
    """The list of a margin: a line a label with its name, its bar and its figure."""
    texts, shares = _shares(values)
    names, figures = (
        max((text_width(text, size, bold=True) for text in column), default=0) + size
        for column in (labels, texts)
    )
    row, long, high = round(_ROW * size), 6 * size, round(0.8 * size)
    canvas = Pil.new("RGB", (names + long + figures, row * len(labels) + 1), _PAPER)
    draw = ImageDraw.Draw(canvas)
    strongest = int(np.nanargmax(shares)) if np.isfinite(shares).any() else -1
    for i, (label, text, share) in enumerate(zip(labels, texts, shares, strict=True)):
        bold, y = i == strongest, i * row
        dark = BLACK if bold else _QUIET
        write(draw, (0, y), label, size, dark, bold=bold)
        start = canvas.width - text_width(text, size, bold=bold)
        write(draw, (start, y), text, size, dark, bold=bold)
        bar = y + (line_height(size) - high) // 2
        draw.rectangle((names, bar, names + long - 1, bar + high - 1), fill=_TRACK)
        filled = round(long * min(max(share, 0.0), 1.0)) if np.isfinite(share) else 0
        if filled:
            draw.rectangle((names, bar, names + filled - 1, bar + high - 1), fill=colors[i])
    return canvas


def _columns(n: int) -> int:
    """Columns for n squares: few empty places at the end, and a sheet a little wider than high."""
    wished = math.sqrt(1.6 * n)
    few, many = max(1, math.ceil(math.sqrt(n))), math.ceil(math.sqrt(2 * n))
    return min(range(few, many + 1), key=lambda c: (-n % c, abs(c - wished)), default=1)


def _resized(image: Image, side: int) -> Image:
    """A square of `side` pixels, without aliasing when it shrinks."""
    method = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def _note(text: str, side: int, size: int) -> Image:
    """A small picture that carries one line."""
    canvas = Pil.new("RGB", (max(side, text_width(text, size) + 2 * size), side), _TRACK)
    start = ((canvas.width - text_width(text, size)) // 2, (side - line_height(size)) // 2)
    write(ImageDraw.Draw(canvas), start, text, size, _QUIET)
    return np.array(canvas)
