"""A user's own detector: any function, or boxes that are known already.

def find(image):
    return my_detector(image)  # rows of x1, y1, x2, y2 and, optionally, a confidence

detector = CustomDetector(find)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score, tidy
from mien.faces.detectors.box_formats import FORMATS, BoxFormat, check_box_format, to_xyxy
from mien.types import Boxes, Faces, Image

_CHECKED = 8  # results whose box format is checked


class CustomDetector(SelfDescribing):
    """Make a face detector of a function, or of fixed boxes.

    Args:
        source: a function of an image ``(H, W, 3)`` uint8 RGB that returns boxes, or the boxes
            themselves, the same for every image. Boxes are rows of four or five numbers, the fifth
            a confidence from 0 to 1 (NaN for none), as lists, tuples or an array; or `Faces`.
        box_format: what the four numbers are, in pixels: ``xyxy`` left, top, right, bottom;
            ``xywh`` left, top, width, height; ``cxcywh`` center, width, height; ``trbl`` top,
            right, bottom, left. ``xyxyn``, ``xywhn`` and ``cxcywhn`` are the same as fractions of
            the image from 0 to 1. Boxes that seem to be in another format raise an error that
            names it; the first few results are checked with MTCNN's last network.
        min_score: minimum confidence; faces without a confidence are kept.
        min_face: minimum length of the shorter side of a box, pixels.

    Raises:
        UsageError: there is no such `box_format`.
        PluginError: fixed boxes are not as described.
    """

    def __init__(
        self,
        source: Callable[[Image], Any] | Any,
        box_format: BoxFormat = "xyxy",
        min_score: float = 0.0,
        min_face: float = 0.0,
    ) -> None:
        if box_format not in FORMATS:
            raise UsageError(f"box_format must be one of {', '.join(FORMATS)}, got {box_format!r}.")
        check_min_score(min_score)
        self.box_format = box_format
        self.min_score = min_score
        self.min_face = min_face
        self.source = source
        self._unchecked = _CHECKED
        if not callable(source) and not box_format.endswith("n"):
            _ordered(to_xyxy(_rows(source)[:, :4], box_format), box_format)

    def detect(self, image: Image) -> Faces:
        """Call the function, check its boxes, and return the faces, largest first.

        Raises:
            PluginError: the function failed, or returned something other than boxes.
        """
        check_image(image)
        answer = self.source
        if callable(answer):
            try:
                answer = answer(image)
            except Exception as error:
                raise PluginError(
                    f"the detector function raised {type(error).__name__}: {error}"
                ) from error
        return tidy(self._faces(answer, image), self.min_score, self.min_face)

    def _faces(self, answer: Any, image: Image) -> Faces:
        """Convert boxes of any accepted form to `Faces`, or raise what is wrong with them."""
        if isinstance(answer, Faces):
            return answer
        rows = _rows(answer)
        if not len(rows):
            return Faces.empty()
        if self._unchecked:
            check_box_format(rows[:, :4], self.box_format, image)
            self._unchecked -= 1
        boxes = _ordered(to_xyxy(rows[:, :4], self.box_format, image), self.box_format)
        scores = rows[:, 4] if rows.shape[1] == 5 else np.full(len(rows), np.nan)
        return Faces(boxes.astype(np.float32), scores.astype(np.float32))


def _ordered(boxes: Boxes, box_format: BoxFormat) -> Boxes:
    """The boxes ``(n, 4)``, checked to have their corners in order."""
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        raise PluginError(
            f"a box is not {box_format}: its lower right corner would be at "
            f"{boxes[wrong][0, 2:].tolist()}, its upper left corner at "
            f"{boxes[wrong][0, :2].tolist()}; pass box_format, one of {', '.join(FORMATS)}, to "
            "EmotionAnalyzer or load_detector."
        )
    return boxes


def _rows(answer: Any) -> Boxes:
    """Boxes, with confidences if there are any, as an array ``(n, 4)`` or ``(n, 5)``."""
    if isinstance(answer, Faces):
        return answer.boxes.astype(np.float64)
    try:
        rows: Boxes = np.array(answer, np.float64)
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"a detector must return rows of four or five numbers, got {type(answer).__name__}."
        ) from error
    if rows.size == 0 and rows.ndim:
        return np.zeros((0, 4))
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        raise PluginError(
            f"a detector must return rows of four or five numbers, got shape {rows.shape}."
        )
    if not np.isfinite(rows[:, :4]).all():
        raise PluginError("a detector returned a box with numbers that are not finite.")
    if rows.shape[1] == 5 and ((rows[:, 4] < 0) | (rows[:, 4] > 1)).any():
        raise PluginError("a detector's confidence must be between 0 and 1, or NaN.")
    return rows
