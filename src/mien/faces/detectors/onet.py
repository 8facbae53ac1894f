"""MTCNN's last network: probability of a face in a box, and its landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.faces.detectors.base import tidy
from mien.faces.detectors.nms import chunks, patches, refine, suppress
from mien.models.session import Session
from mien.types import Boxes, Faces, FloatArray, Image
from mien.types import Floats as Values

_SIDE = 48  # side of the network's input, pixels


class OutputNetwork:
    """Classifies candidate boxes as faces.

    Args:
        path: the ``.onnx`` file.
        threads: threads per run; None for all processors.

    Raises:
        ModelError: there is no such file (immediately), or it is not a network (on first use).
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._net = Session(path, threads)

    def judge(self, image: Image, boxes: Boxes, min_score: float) -> Faces:
        """The faces in square boxes ``(n, 4)``, at most n, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            boxes: the candidates.
            min_score: minimum probability of a face.
        """
        if not len(boxes):
            return Faces.empty()
        logits, offsets, points = self._run(image, boxes)
        # All x come first, then all y, as fractions of the input square.
        size = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        places = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        scores = probability(logits[:, 0])
        boxes = refine(boxes, offsets)
        rows = np.flatnonzero((scores >= min_score) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        rows = rows[suppress(boxes[rows], scores[rows], 0.7, nested=True)]
        columns = [column[rows].astype(np.float32) for column in (boxes, scores, places)]
        return tidy(Faces(columns[0], columns[1], columns[2]), min_score)

    def scores(self, image: Image, boxes: Boxes) -> Values:
        """The probability ``(n,)`` of an upright face in each square box ``(n, 4)``."""
        return probability(self._run(image, boxes)[0][:, 0])

    def _run(self, image: Image, boxes: Boxes) -> list[FloatArray]:
        """Crop candidates and run the network, a bounded number at a time."""
        outputs = ["logit", "offsets", "landmarks"]
        parts = [self._net.run(outputs, patches(image, part, _SIDE)) for part in chunks(boxes)]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def probability(logits: FloatArray) -> Values:
    """Sigmoid, deliberately in float32: probabilities within 6e-8 of 1 are ties.

    The softmax of the package ``mtcnn`` has the same ties, and which box of a tie is kept depends
    on its position in the list. More precise scores would often choose the other box.
    """
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-logits))).astype(np.float64)
