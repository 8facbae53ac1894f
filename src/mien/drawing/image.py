"""Drawings of one still image: boxes with captions, a margin of bars, sheets of crops, heatmaps.

Every function takes arrays and returns a new image; its inputs stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mien.drawing.captions import (
    draw_boxes,
    line_width,
    place_captions,
    selected_line,
    visible,
)
from mien.drawing.margin import Card, Panel, bars_of
from mien.drawing.text import (
    PADDING,
    PAPER,
    QUIET,
    SMALLEST,
    TRACK,
    ellipsize,
    fit,
    line_height,
    paste,
    text_image,
)
from mien.errors import UsageError
from mien.labels import WHITE, Color, ink
from mien.types import Crops, FloatArray, Image

#: The one hue of heatmaps, which neither skin nor hair has, and its opacity where heat is 1.
HEAT: Color = (214, 0, 120)
_OPACITY = 0.55
_SIDE = 160  # the smallest default side of a crop in a sheet, pixels


def shrunk(image: Image, longest: int) -> Image:
    """The image, at most `longest` pixels wide and high."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def draw_faces(
    image: Image,
    boxes: npt.ArrayLike,
    captions: Sequence[str],
    colors: Sequence[Color],
    *,
    selected: int | None = None,
) -> Image:
    """Draw a box and a caption for each face.

    The outline runs around the box, not over it. A caption lies above its box, or below or
    beside it where that is taken; it is always inside the frame, and covers a face or another
    caption only where there is no free place around its box. Lines and letters grow with the
    image.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is not changed.
        boxes: ``(n, 4)`` x1 y1 x2 y2 in pixels; one that lies outside the frame is not drawn.
        captions: n texts such as "happiness 87 %"; an empty one draws the box alone.
        colors: n colors, RGB 0..255.
        selected: the face to draw with a thicker outline, as beside `draw_margin`.

    Returns:
        ``(H, W, 3)`` uint8 RGB, a new array.

    Raises:
        UsageError: a shape or a length does not fit.
    """
    out = _checked(image).copy()
    size = out.shape[1], out.shape[0]
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    _same_length(boxes=corners, captions=captions, colors=colors)
    rects, rows = visible(corners, size)
    if rows:
        line = line_width(size, rects)
        lines = [selected_line(line) if i == selected else line for i in rows]
        placed = place_captions([captions[i] for i in rows], rects, lines, size)
        draw_boxes(out, rects, lines, [colors[i] for i in rows], placed)
    return out


def draw_margin(
    image: Image,
    title: str,
    labels: Sequence[str],
    values: Sequence[float] | FloatArray,
    colors: Sequence[Color],
    *,
    thumbnail: Image | None = None,
) -> Image:
    """Add a margin at the right with every probability of one face as a bar.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, for instance from `draw_faces`; it is not changed.
        title: heading of the margin, such as "face 0".
        labels: k names, listed in this order.
        values: k probabilities; values outside 0..1 are written as plain numbers, with bars
            relative to the largest. NaN has no bar and is written "-".
        colors: k colors, RGB 0..255.
        thumbnail: ``(h, w, 3)`` uint8 RGB, the square crop of the face shown below the title, or
            None.

    Returns:
        ``(H', W', 3)`` uint8 RGB with the image at its top left corner. ``H'`` is ``H``, or more
        where the image is too low for a legible list.

    Raises:
        UsageError: a shape or a length does not fit.
    """
    picture = _checked(image)
    scores = np.asarray(values, np.float32).reshape(-1)
    _same_length(labels=labels, values=scores, colors=colors)
    finite = scores[np.isfinite(scores)]
    probabilities = not finite.size or bool(finite.min() >= 0 and finite.max() <= 1 + 1e-4)
    shares, numbers = bars_of(scores, probabilities=probabilities)
    strongest = int(np.nanargmax(scores)) if finite.size else -1
    height, width = picture.shape[:2]
    panel = Panel(labels, colors, (width, height), most=1, portrait=thumbnail is not None)
    out = np.full((panel.height, width + panel.width, 3), PAPER, np.uint8)
    out[:height, :width] = picture
    face = None if thumbnail is None else _checked(thumbnail)
    panel.draw(out[:, width:], [Card(title, "", WHITE, shares, numbers, strongest, face)])
    return out


def crop_sheet(crops: Crops, captions: Sequence[str], colors: Sequence[Color]) -> Image:
    """Lay out the crops of n faces in one image, each with its caption below.

    The sheet is a little wider than high, and each crop at least 160 pixels wide in it.

    Args:
        crops: ``(n, S, S, 3)`` uint8 RGB.
        captions: n texts; they shrink and then shorten until they fit below their crop.
        colors: n colors, RGB 0..255, for the captions' background.

    Returns:
        ``(H, W, 3)`` uint8 RGB; without faces a small image that says "no face".

    Raises:
        UsageError: a shape or a length does not fit.
    """
    faces = _checked_crops(crops)
    _same_length(crops=faces, captions=captions, colors=colors)
    side, n = max(faces.shape[1], _SIDE), len(faces)
    across = _columns(n)
    preferred = max(SMALLEST, round(4 + 0.08 * side))
    if not n:
        return _note("no face", side, preferred)
    room = side - round(2 * PADDING * preferred)
    letters = min(fit(caption, preferred, SMALLEST, room)[1] for caption in captions)
    gap, strip = max(4, round(0.06 * side)), line_height(letters) + 2
    rows = -(-n // across)
    width, height = gap + across * (side + gap), gap + rows * (side + strip + gap)
    out = np.full((height, width, 3), WHITE, np.uint8)
    for i in range(n):
        x = gap + (i % across) * (side + gap)
        y = gap + (i // across) * (side + strip + gap)
        paste(out, _resized(faces[i], side), x, y)
        out[y + side : y + side + strip, x : x + side] = colors[i]
        text = fit(captions[i], letters, letters, room)[0]
        line = text_image(text, letters, ink(colors[i]), colors[i], True)
        paste(out, line, x + (side - line.shape[1]) // 2, y + side + 1)
    return out


def heatmap_sheet(
    crops: Crops, maps: npt.ArrayLike, captions: Sequence[str], colors: Sequence[Color]
) -> Image:
    """A sheet of crops under their heatmaps, with a legend of the scale and of its resolution.

    Arguments as of `blend_heatmaps` and `crop_sheet`.

    Raises:
        UsageError: a shape or a length does not fit.
    """
    sheet = crop_sheet(blend_heatmaps(crops, maps), captions, colors)
    if not len(crops):
        return sheet
    rows, columns = np.shape(maps)[1:]
    letters = max(SMALLEST, round(4 + 0.08 * max(crops.shape[1], _SIDE)) - 2)
    row, gap = line_height(letters), letters // 2
    lines = [f"{columns} x {rows} cells per face", "each face on its own scale"]
    ends = [text_image(end, letters, QUIET, WHITE) for end in ("none", "strongest")]
    legend = np.full((row * (1 + len(lines)) + gap, sheet.shape[1], 3), WHITE, np.uint8)
    left, right = gap + ends[0].shape[1] + gap, sheet.shape[1] - 2 * gap - ends[1].shape[1]
    right = min(right, left + 10 * letters)
    paste(legend, ends[0], gap, 0)
    if right > left:
        ramp = np.full((row // 2, right - left, 3), 255, np.uint8)
        heat = np.tile(np.linspace(0, 1, right - left, dtype=np.float32), (row // 2, 1))
        paste(legend, _tinted(ramp, heat), left, row // 4)
    paste(legend, ends[1], max(right, left) + gap, 0)
    for i, line in enumerate(lines, start=1):
        line = ellipsize(line, letters, sheet.shape[1] - 2 * gap)
        paste(legend, text_image(line, letters, QUIET, WHITE), gap, i * row)
    return np.concatenate([sheet, legend])


def blend_heatmaps(crops: Crops, maps: npt.ArrayLike) -> Crops:
    """Lay heatmaps in one hue over the crops of faces; opacity grows with heat.

    Cells keep their edges: a smoothly enlarged map of 4 × 4 cells would look more precise than it
    is.

    Args:
        crops: ``(n, S, S, 3)`` uint8 RGB; they are not changed.
        maps: ``(n, h, w)`` numbers; values are clipped to 0..1, NaN counts as 0. A map covers the
            whole crop.

    Returns:
        ``(n, S, S, 3)`` uint8 RGB, a new array. A map of zeros leaves its crop unchanged.

    Raises:
        UsageError: a shape does not fit.
    """
    faces = _checked_crops(crops)
    heats = np.clip(np.nan_to_num(np.asarray(maps, np.float32)), 0, 1)
    if heats.ndim != 3 or len(heats) != len(faces):
        raise UsageError(f"maps must have shape ({len(faces)}, h, w), got {heats.shape}.")
    size = (faces.shape[2], faces.shape[1])
    blended = faces.copy()
    for i, heat in enumerate(heats):
        cells = cv2.resize(heat, size, interpolation=cv2.INTER_NEAREST)
        blended[i] = _tinted(faces[i], np.asarray(cells, np.float32))
    return blended


def _tinted(image: Image, heat: FloatArray) -> Image:
    cover = (_OPACITY * heat)[..., None]
    tinted: Image = np.rint(image * (1 - cover) + np.array(HEAT) * cover).astype(np.uint8)
    return tinted


def _checked(image: Image) -> Image:
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise UsageError(f"an image must be (H, W, 3) uint8 RGB, got {array.shape} {array.dtype}.")
    return np.ascontiguousarray(array)


def _checked_crops(crops: Crops) -> Crops:
    array = np.asarray(crops)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8 or 0 in array.shape[1:3]:
        raise UsageError(f"crops must be (n, S, S, 3) uint8 RGB, got {array.shape} {array.dtype}.")
    return array


def _same_length(**parts: Any) -> None:
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise UsageError(f"there must be one of each for every face or label, got {counts}.")


def _columns(n: int) -> int:
    """Columns for n crops: few empty places at the end, and a sheet a little wider than high."""
    preferred = math.sqrt(1.6 * n)
    few, many = max(1, math.ceil(math.sqrt(n))), math.ceil(math.sqrt(2 * n))
    return min(range(few, many + 1), key=lambda c: (-n % c, abs(c - preferred)), default=1)


def _resized(image: Image, side: int) -> Image:
    """A square of `side` pixels, without aliasing when it shrinks."""
    method = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def _note(text: str, side: int, size: int) -> Image:
    """A small image that carries one line."""
    line = text_image(text, size, QUIET, TRACK)
    out = np.full((side, max(side, line.shape[1] + 2 * size), 3), TRACK, np.uint8)
    paste(out, line, (out.shape[1] - line.shape[1]) // 2, (side - line.shape[0]) // 2)
    return out
