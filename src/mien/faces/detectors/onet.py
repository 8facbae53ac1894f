"""MTCNN's last network: is this a face, where are its landmarks, and which way up is it?

The O-Net was trained on upright faces alone, and that makes it a judge of the way up: it scores the
same face turned by every 30 degrees, and the scores of neighboring angles support each other.
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

_SIDE = 48  # pixels of the square that the network takes
_WIDE = 2 * _SIDE  # pixels of the square around a face from which it is cut at every angle
_COARSE, _FINE = 120, 30  # degrees from one angle to the next
_CLEAR = 3.0  # lead of the upright logit over the coarse angles that leaves no doubt
_SCALES = (1.0, 1.3, 1.15)  # sizes of the square, one after the other until one angle leads
_LEAD = 2.0  # lead in the sum of the logits that decides
_RIVAL = 60  # degrees from the best angle from which another one contradicts it
_SMALLEST = 16  # pixels; the way up of smaller faces cannot be judged


class OutputNetwork:
    """Judges candidates for a face, at any angle.

    Args:
        path: the ``.onnx`` file.
        threads: how many threads a run may use; None for every processor there is.

    Raises:
        ModelError: there is no such file (at once), or it is not a network (on first use).
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._net = Session(path, threads)

    def judge(
        self, image: Image, boxes: Boxes, min_score: float, turns: IntArray | None = None
    ) -> Faces:
        """The faces in square boxes ``(n, 4)``, at most n, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            boxes: where to look.
            min_score: the probability from which it is a face.
            turns: ``(n,)`` by how many quarter turns, clockwise, each face lies; 0 by default.
        """
        if not len(boxes):
            return Faces.empty()
        turns = np.zeros(len(boxes), np.int64) if turns is None else turns
        logits, offsets, points = self._run(image, boxes, turns)
        # All x come first, then all y, as shares of the square that the network got.
        size = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        places = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        scores = probability(logits[:, 0])
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        boxes = refine(boxes, offsets)
        lying = np.flatnonzero(turns)
        if len(lying):
            places[lying] = _turned(places[lying], centres[lying], turns[lying])
            corners = _turned(boxes[lying].reshape(-1, 2, 2), centres[lying], turns[lying])
            boxes[lying] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        rows = np.flatnonzero((scores >= min_score) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        rows = rows[suppress(boxes[rows], scores[rows], 0.7, nested=True)]
        columns = [column[rows].astype(np.float32) for column in (boxes, scores, places)]
        return tidy(Faces(columns[0], columns[1], columns[2]), min_score)

    def scores(self, image: Image, boxes: Boxes) -> Values:
        """The probability ``(n,)`` that there is an upright face in each square box ``(n, 4)``."""
        return probability(self._run(image, boxes, np.zeros(len(boxes), np.int64))[0][:, 0])

    def upright(self, image: Image, faces: Faces, min_score: float) -> Faces:
        """The same faces; those that lie or are upside down get their landmarks put right.

        Detectors that were trained on upright faces find turned ones too, but place their
        landmarks as if they were upright.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            faces: n faces with landmarks.
            min_score: turned faces below this probability are left out.
        """
        turns = self.turns(image, faces.boxes)
        if not turns.any():
            return faces
        lying = turns > 0
        found = self.at_any_angle(image, faces.boxes[lying], min_score, turns[lying])
        return distinct(Faces.concat([faces[~lying], found]))

    def at_any_angle(
        self, image: Image, boxes: FloatArray, min_score: float, turns: IntArray | None = None
    ) -> Faces:
        """The faces in or next to `boxes` ``(n, 4)``, whichever way up they are.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            boxes: where to look.
            min_score: the probability from which it is a face.
            turns: ``(n,)`` quarter turns where they have been measured already.
        """
        turns = self.turns(image, boxes) if turns is None else turns
        # The boxes of turned faces are off: the first answer only says where to look again.
        near = self.judge(image, squares(boxes.astype(np.float64)), 0.0, turns)
        turns = self.turns(image, near.boxes)
        return self.judge(image, squares(near.boxes.astype(np.float64)), min_score, turns)

    def turns(self, image: Image, boxes: FloatArray) -> IntArray:
        """By how many quarter turns, clockwise, each face in `boxes` ``(n, 4)`` lies: ``(n,)``."""
        around = squares(boxes.astype(np.float64))
        rolls = [self._roll(image, box) for box in around]
        return np.rint(np.array(rolls) / 90).astype(np.int64) % 4

    def _roll(self, image: Image, box: Boxes) -> float:
        """By how many degrees, clockwise, the face in a square is turned, 0 to 330."""
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
        """The logits of the face in the middle of a square, turned back by every `step` degrees."""
        box = _WIDE / 2 + scale * _SIDE / 2 * np.array([-1, -1, 1, 1])
        matrices = [turned_square_matrix(box, _SIDE, angle) for angle in range(0, 360, step)]
        seen = np.stack([warp(wide, matrix, _SIDE) for matrix in matrices])
        return self._net.run(["logit"], seen.astype(np.float32))[0][:, 0].astype(np.float64)

    def _run(self, image: Image, boxes: Boxes, turns: IntArray) -> list[FloatArray]:
        """Cut candidates out, upright, and run the network, a bounded number at a time."""
        parts = []
        for part, lying in zip(chunks(boxes), chunks(turns), strict=True):
            cut = patches(image, part, _SIDE)
            for turn in np.unique(lying[lying > 0]):
                cut[lying == turn] = np.rot90(cut[lying == turn], turn, axes=(1, 2))
            parts.append(self._net.run(["logit", "offsets", "landmarks"], cut))
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def distinct(faces: Faces) -> Faces:
    """Without those that are only another box around a surer face, largest first."""
    boxes, scores = faces.boxes.astype(np.float64), np.asarray(faces.scores, np.float64)
    return tidy(faces[suppress(boxes, scores, 0.7, nested=True)])


def probability(logits: FloatArray) -> Values:
    """Sigmoid, on purpose in float32: sums of 1 and less than 6e-8 make ties at the top.

    The package's softmax makes the same ties, and which box of a tie is kept depends on its place
    in the list. Finer scores would part them, and often choose the other box.
    """
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-logits))).astype(np.float64)


def _turned(points: Values, centres: Values, turns: IntArray) -> Values:
    """Turn points ``(n, m, 2)`` clockwise about centres ``(n, 2)`` by quarter turns ``(n,)``."""
    cos = np.array([1, 0, -1, 0])[turns][:, None]
    sin = np.array([0, 1, 0, -1])[turns][:, None]
    x, y = np.moveaxis(points - centres[:, None], -1, 0)
    turned: Values = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    return turned + centres[:, None]
