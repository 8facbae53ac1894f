"""The user's own detector: any function, or boxes that are there already.

def find(image):
    return my_detector(image)  # rows of x1, y1, x2, y2 and, if you like, confidence

detector = GivenDetector(find)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import check_image, check_min_score, tidy
from mien.types import Faces, Image

BoxFormat = Literal["xyxy", "xywh"]


class GivenDetector:
    """Make a face detector of a function, or of fixed boxes.

    Args:
        source: a function of an image ``(H, W, 3)`` uint8 RGB that returns boxes, or the boxes
            themselves, the same for every picture. Boxes are rows, in pixels, of four numbers
            or of five, the fifth a confidence from 0 to 1 (NaN for none); lists, tuples or an
            array; or `Faces`.
        box_format: what the four numbers are: ``xyxy``, two corners, or ``xywh``, the upper
            left corner, width and height.
        min_score: faces with a smaller confidence are left out; those without one stay.
        min_face: faces whose box has a shorter side than this, in pixels, are left out.

    Raises:
        UsageError: `box_format` is neither.
        PluginError: fixed boxes are not as described.
    """

    def __init__(
        self,
        source: Callable[[Image], Any] | Any,
        box_format: BoxFormat = "xyxy",
        min_score: float = 0.0,
        min_face: float = 0.0,
    ) -> None:
        if box_format not in ("xyxy", "xywh"):
            raise UsageError(f"box_format must be 'xyxy' or 'xywh', got {box_format!r}.")
        check_min_score(min_score)
        self.box_format = box_format
        self.min_score = min_score
        self.min_face = min_face
        self.source = source if callable(source) else _to_faces(source, box_format)

    def detect(self, image: Image) -> Faces:
        """Ask the function, check what it says, and return it largest face first.

        Raises:
            PluginError: the function failed, or returned something else than boxes.
        """
        check_image(image)
        faces = self.source
        if callable(faces):
            try:
                answer = faces(image)
            except Exception as error:
                raise PluginError(
                    f"the detector function raised {type(error).__name__}: {error}"
                ) from error
            faces = _to_faces(answer, self.box_format)
        return tidy(faces, self.min_score, self.min_face)


def _to_faces(answer: Any, box_format: BoxFormat) -> Faces:
    """Turn boxes in any of the allowed forms into `Faces`, or say what is wrong with them."""
    if isinstance(answer, Faces):
        return answer
    try:
        rows = np.array(answer, np.float64)
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"a detector must return rows of four or five numbers, got {type(answer).__name__}."
        ) from error
    if rows.size == 0 and rows.ndim:
        return Faces.empty()
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        raise PluginError(
            f"a detector must return rows of four or five numbers, got shape {rows.shape}."
        )
    boxes = rows[:, :4].copy()
    if box_format == "xywh":
        boxes[:, 2:] += boxes[:, :2]
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        hint = "width, height >= 0" if box_format == "xywh" else "x1 <= x2 and y1 <= y2"
        raise PluginError(f"a detector returned a box that is not {box_format} with {hint}.")
    scores = rows[:, 4] if rows.shape[1] == 5 else np.full(len(rows), np.nan)
    if ((scores < 0) | (scores > 1)).any():
        raise PluginError("a detector's confidence must lie between 0 and 1, or be NaN.")
    return Faces(boxes.astype(np.float32), scores.astype(np.float32))
