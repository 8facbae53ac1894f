"""The user's own detector: any function, or boxes that are there already.

def find(image):
    return my_detector(image)  # rows of x1, y1, x2, y2 and, if you like, confidence

detector = GivenDetector(find)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mien.errors import PluginError, UsageError
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score, tidy
from mien.faces.detectors.box_formats import FORMATS, BoxFormat, check_box_format, to_xyxy
from mien.types import Boxes, Faces, Image

_CHECKED = 8  # answers with boxes whose format is looked at


class GivenDetector(SelfDescribing):
    """Make a face detector of a function, or of fixed boxes.

    Args:
        source: a function of an image ``(H, W, 3)`` uint8 RGB that returns boxes, or the boxes
            themselves, the same for every image. Boxes are rows of four numbers or of five, the
            fifth a confidence from 0 to 1 (NaN for none); lists, tuples or an array; or `Faces`.
        box_format: what the four numbers are, in pixels: ``xyxy`` left, top, right, bottom;
            ``xywh`` left, top, width, height; ``cxcywh`` center, width, height; ``trbl`` top,
            right, bottom, left. ``xyxyn``, ``xywhn`` and ``cxcywhn`` are the same in shares of
            the image from 0 to 1. Boxes that seem to be in another format are refused with the
            name of that format; the first few answers are looked at by MTCNN's last network.
        min_score: faces with a smaller confidence are left out; those without one stay.
        min_face: faces whose box has a shorter side than this, in pixels, are left out.

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
        """Ask the function, check what it says, and return it largest face first.

        Raises:
            PluginError: the function failed, or returned something else than boxes.
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
        """Turn boxes in any of the allowed forms into `Faces`, or say what is wrong with them."""
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
    """The same boxes ``(n, 4)``, if their corners are in order."""
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        raise PluginError(
            f"a box is not {box_format}: its right or lower side would be at "
            f"{boxes[wrong][0, 2:].tolist()}, its left upper corner is at "
            f"{boxes[wrong][0, :2].tolist()}; pass box_format, one of {', '.join(FORMATS)}, to "
            "EmotionAnalyzer or load_detector."
        )
    return boxes


def _rows(answer: Any) -> Boxes:
    """Boxes, and confidences where there are some, as an array ``(n, 4)`` or ``(n, 5)``."""
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
        raise PluginError("a detector returned a box that is not of finite numbers.")
    if rows.shape[1] == 5 and ((rows[:, 4] < 0) | (rows[:, 4] > 1)).any():
        raise PluginError("a detector's confidence must lie between 0 and 1, or be NaN.")
    return rows
