"""Box formats of detectors: conversion, and detection of a wrong format."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from mien.errors import PluginError
from mien.faces.detectors.nms import squares
from mien.faces.detectors.onet import OutputNetwork
from mien.faces.detectors.weights import weights
from mien.types import Boxes, Image

BoxFormat = Literal["xyxy", "xywh", "cxcywh", "trbl", "xyxyn", "xywhn", "cxcywhn"]
"""Four numbers of a box.

``xyxy``: left, top, right, bottom. ``xywh``: left, top, width, height. ``cxcywh``: center, width,
height. ``trbl``: top, right, bottom, left. With a final ``n``: fractions of the image's width and
height, from 0 to 1; without: pixels.
"""
FORMATS: tuple[BoxFormat, ...] = get_args(BoxFormat)

_SHARE = 1.5  # numbers up to this are fractions of the image, not pixels
_LEAST = 32  # side of an image, pixels, from which a box of at most 1.5 px cannot be a face
_OUTSIDE = 0.1  # fraction of the image's sides by which a box may exceed it
_FACE, _NO_FACE = 0.95, 0.3  # the O-Net is certain above, or below, this probability


def to_xyxy(rows: Boxes, box_format: BoxFormat, image: Image | None = None) -> Boxes:
    """Boxes ``(n, 4)`` as left, top, right, bottom; fractions of `image` become pixels."""
    boxes: Boxes = np.array(rows, np.float64)
    if box_format.endswith("n") and image is not None:
        boxes *= np.tile([image.shape[1], image.shape[0]], 2)
    layout = box_format.removesuffix("n")
    if layout == "trbl":
        return boxes[:, [3, 0, 1, 2]]
    if layout == "cxcywh":
        boxes[:, :2] -= boxes[:, 2:] / 2
    if layout != "xyxy":
        boxes[:, 2:] += boxes[:, :2]
    return boxes


def check_box_format(rows: Boxes, box_format: BoxFormat, image: Image) -> None:
    """Check that boxes ``(n, 4)`` are plausible in `box_format`.

    They are not if they are fractions of the image instead of pixels or the reverse, or if MTCNN's
    O-Net detects a face in none of them, but in each of them when read in another format.

    Raises:
        PluginError: they seem to be in another format, which the message names.
    """
    if not rows.any():
        return
    large = min(image.shape[:2]) >= _LEAST
    shares = bool((np.abs(rows) <= _SHARE).all())
    if box_format.endswith("n") != shares and (large or not shares):
        other = f"{box_format}n" if shares else box_format.removesuffix("n")
        unit = "fractions of the image" if shares else "pixels"
        fitting = [name for name in FORMATS if name.endswith("n") == shares]
        raise PluginError(
            f"the detector's boxes are in {unit}, not {box_format}: pass "
            f"box_format={other if other in fitting else fitting[0]!r} to EmotionAnalyzer or "
            "load_detector."
        )
    boxes = to_xyxy(rows, box_format, image)
    sound = _possible(boxes, image)
    others = [name for name in FORMATS if name != box_format and name.endswith("n") == shares]
    if sound.all() and _faces(boxes, image).max() > _NO_FACE:
        return
    for name in others:
        candidates = to_xyxy(rows, name, image)
        if _possible(candidates, image).all() and _faces(candidates, image).min() >= _FACE:
            raise PluginError(
                f"the detector's boxes look like {name}, not {box_format}: pass "
                f"box_format={name!r} to EmotionAnalyzer or load_detector."
            )


def _possible(boxes: Boxes, image: Image) -> npt.NDArray[np.bool_]:
    """``(n,)``: which boxes are neither empty, inverted nor outside the image."""
    size = np.array([image.shape[1], image.shape[0]])
    inside = (boxes[:, :2] >= -_OUTSIDE * size) & (boxes[:, 2:] <= (1 + _OUTSIDE) * size)
    return np.asarray((inside & (boxes[:, 2:] > boxes[:, :2])).all(axis=1))


def _faces(boxes: Boxes, image: Image) -> npt.NDArray[np.float64]:
    """``(n,)``: the O-Net's probability of a face in each box."""
    return _network().scores(image, squares(boxes))


@cache
def _network() -> OutputNetwork:
    return OutputNetwork(weights("mtcnn_onet"))
