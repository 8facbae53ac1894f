"""MTCNN's last network: probability of a face, its landmarks, and its rotation in the image.

The O-Net was trained on upright faces only, so it can tell the rotation of a face: the face is
scored at every 30 degrees, and the scores of neighboring angles support each other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.faces.crops import warp
from mien.faces.detectors.base import tidy
from mien.faces.detectors.nms import chunks, patches, refine, squares, suppress
from mien.faces.geometry import turned_square_matrix
from mien.models.session import Session
from mien.types import Boxes, Faces, FloatArray, Image, IntArray
from mien.types import Floats as Values

_SIDE = 48  # side of the network's input, pixels
_WIDE = 2 * _SIDE  # side of the crop from which the input is taken at every angle, pixels
_COARSE, _FINE = 120, 30  # steps between angles, degrees
_CLEAR = 3.0  # lead of the upright logit over the coarse angles that settles it
_SCALES = (1.0, 1.3, 1.15)  # relative sizes of the crop, tried until one angle leads
_LEAD = 2.0  # lead in the sum of the logits that decides
_RIVAL = 60  # distance from the best angle, degrees, beyond which another one contradicts it
_SMALLEST = 16  # pixels; the rotation of smaller faces cannot be determined


class OutputNetwork:
    """Classifies candidate boxes as faces, at any angle.

    Args:
        path: the ``.onnx`` file.
        threads: threads per run; None for all processors.

    Raises:
        ModelError: there is no such file (immediately), or it is not a network (on first use).
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._net = Session(path, threads)

    def judge(
        self, image: Image, boxes: Boxes, min_score: float, turns: IntArray | None = None
    ) -> Faces:
        """The faces in square boxes ``(n, 4)``, at most n, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            boxes: the candidates.
            min_score: minimum probability of a face.
            turns: ``(n,)`` clockwise rotation of each face in quarter turns; 0 by default.
        """
        if not len(boxes):
            return Faces.empty()
        turns = np.zeros(len(boxes), np.int64) if turns is None else turns
        logits, offsets, points = self._run(image, boxes, turns)
        # All x come first, then all y, as fractions of the input square.
        size = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        places = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        scores = probability(logits[:, 0])
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        boxes = refine(boxes, offsets)
        lying = np.flatnonzero(turns)
        if len(lying):
            places[lying] = _turned(places[lying], centers[lying], turns[lying])
            corners = _turned(boxes[lying].reshape(-1, 2, 2), centers[lying], turns[lying])
            boxes[lying] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        rows = np.flatnonzero((scores >= min_score) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        rows = rows[suppress(boxes[rows], scores[rows], 0.7, nested=True)]
        columns = [column[rows].astype(np.float32) for column in (boxes, scores, places)]
        return tidy(Faces(columns[0], columns[1], columns[2]), min_score)

    def scores(self, image: Image, boxes: Boxes) -> Values:
        """The probability ``(n,)`` of an upright face in each square box ``(n, 4)``."""
        return probability(self._run(image, boxes, np.zeros(len(boxes), np.int64))[0][:, 0])

    def upright(self, image: Image, faces: Faces, min_score: float) -> Faces:
        """The faces, with corrected landmarks for those that are rotated.

        Detectors trained on upright faces also detect rotated ones, but place their landmarks as if
        they were upright.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            faces: n faces with landmarks.
            min_score: rotated faces below this probability are dropped.
        """
        turns = self.turns(image, faces.boxes)
        if not turns.any():
            return faces
        lying = turns > 0
        rotated = self.at_any_angle(image, faces.boxes[lying], min_score, turns[lying])
        return distinct(Faces.concat([faces[~lying], rotated]))

    def at_any_angle(
        self, image: Image, boxes: FloatArray, min_score: float, turns: IntArray | None = None
    ) -> Faces:
        """The faces in or next to `boxes` ``(n, 4)``, at any rotation.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            boxes: the candidates.
            min_score: minimum probability of a face.
            turns: ``(n,)`` quarter turns, if measured already.
        """
        turns = self.turns(image, boxes) if turns is None else turns
        # The boxes of rotated faces are inaccurate: the first pass only locates the second.
        near = self.judge(image, squares(boxes.astype(np.float64)), 0.0, turns)
        turns = self.turns(image, near.boxes)
        return self.judge(image, squares(near.boxes.astype(np.float64)), min_score, turns)

    def turns(self, image: Image, boxes: FloatArray) -> IntArray:
        """Clockwise rotation in quarter turns ``(n,)`` of each face in `boxes` ``(n, 4)``."""
        around = squares(boxes.astype(np.float64))
        rolls = [self._roll(image, box) for box in around]
        return np.rint(np.array(rolls) / 90).astype(np.int64) % 4

    def _roll(self, image: Image, box: Boxes) -> float:
        """Clockwise rotation of the face in a square, degrees, 0 to 330."""
        side = box[2] - box[0]
        if side < _SMALLEST:
            return 0.0
        grown = box + (_WIDE / _SIDE - 1) / 2 * side * np.array([-1, -1, 1, 1])
        wide = warp(image, turned_square_matrix(grown, _WIDE, 0.0), _WIDE)
        upright, *others = self._logits(wide, 1.0, _COARSE)
        if upright - max(others) > _CLEAR:
            return 0.0
        support = np.zeros(360 // _FINE)
        for scale in _SCALES:
            logits = self._logits(wide, scale, _FINE)
            support += logits / 2 + np.roll(logits, 1) / 4 + np.roll(logits, -1) / 4
            apart = _FINE * np.abs(np.arange(len(support)) - support.argmax())
            rivals = support[np.minimum(apart, 360 - apart) > _RIVAL]
            if support.max() - rivals.max() > _LEAD:
                break
        return float(_FINE * support.argmax())

    def _logits(self, wide: Image, scale: float, step: int) -> Values:
        """The logits of the face in the middle of a crop, rotated back by every `step` degrees."""
        box = _WIDE / 2 + scale * _SIDE / 2 * np.array([-1, -1, 1, 1])
        matrices = [turned_square_matrix(box, _SIDE, angle) for angle in range(0, 360, step)]
        crops = np.stack([warp(wide, matrix, _SIDE) for matrix in matrices])
        return self._net.run(["logit"], crops.astype(np.float32))[0][:, 0].astype(np.float64)

    def _run(self, image: Image, boxes: Boxes, turns: IntArray) -> list[FloatArray]:
        """Crop candidates, upright, and run the network, a bounded number at a time."""
        parts = []
        for part, lying in zip(chunks(boxes), chunks(turns), strict=True):
            crops = patches(image, part, _SIDE)
            for turn in np.unique(lying[lying > 0]):
                crops[lying == turn] = np.rot90(crops[lying == turn], turn, axes=(1, 2))
            parts.append(self._net.run(["logit", "offsets", "landmarks"], crops))
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def distinct(faces: Faces) -> Faces:
    """The faces without duplicates of a more confident face, largest first."""
    boxes, scores = faces.boxes.astype(np.float64), np.asarray(faces.scores, np.float64)
    return tidy(faces[suppress(boxes, scores, 0.7, nested=True)])


def probability(logits: FloatArray) -> Values:
    """Sigmoid, deliberately in float32: probabilities within 6e-8 of 1 are ties.

    The softmax of the package ``mtcnn`` has the same ties, and which box of a tie is kept depends
    on its position in the list. More precise scores would often choose the other box.
    """
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-logits))).astype(np.float64)


def _turned(points: Values, centers: Values, turns: IntArray) -> Values:
    """Rotate points ``(n, m, 2)`` clockwise about centers ``(n, 2)`` by quarter turns ``(n,)``."""
    cos = np.array([1, 0, -1, 0])[turns][:, None]
    sin = np.array([0, 1, 0, -1])[turns][:, None]
    x, y = np.moveaxis(points - centers[:, None], -1, 0)
    turned: Values = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    return turned + centers[:, None]
