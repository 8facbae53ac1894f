"""YuNet's network: confidence, box and five landmarks of every face in an image of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mien.models.session import Session
from mien.types import Faces, FloatArray, Image, IntArray

_STRIDES = (8, 16, 32)
_MULTIPLE = 32  # of which each side of the input must be a multiple
_TILE, _OVERLAP = 768, 128  # pixels of the input: a tile's layers stay in the processor's cache
_LARGEST = 64  # sides, input pixels, of the largest faces that fit into the overlap of two tiles
_COARSER = 3  # ratio of the scales at which an image is searched
_SAME = 0.3  # overlap (IoU) from which two detections are one face


class Detections(NamedTuple):
    """What the network detects.

    Attributes:
        scores: ``(n,)`` confidences, 0 to 1.
        points: ``(n, 7, 2)`` upper left and lower right corner of the box, and the landmarks in
            the order of `Faces`.
    """

    scores: FloatArray
    points: FloatArray

    @classmethod
    def concat(cls, parts: Iterable[Detections]) -> Detections:
        """All of them together."""
        scores, points = zip(*parts, strict=True)
        return cls(np.concatenate(scores), np.concatenate(points))

    def select(self, rows: Any) -> Detections:
        """Those of a mask or of indices."""
        return Detections(self.scores[rows], self.points[rows])

    def moved(self, scale: npt.ArrayLike, shift: npt.ArrayLike = 0.0) -> Detections:
        """In another image: scaled, then shifted; arrays broadcast to `points`."""
        points = self.points * np.asarray(scale) + np.asarray(shift)
        return Detections(self.scores, points.astype(np.float32))

    @property
    def boxes(self) -> FloatArray:
        """``(n, 4)`` as of `Faces`."""
        return self.points[:, :2].reshape(-1, 4)

    @property
    def centers(self) -> FloatArray:
        """``(n, 2)`` middles of the boxes."""
        return np.asarray(self.points[:, :2].mean(axis=1), np.float32)

    @property
    def sizes(self) -> FloatArray:
        """``(n, 2)`` widths and heights of the boxes."""
        return np.asarray(self.points[:, 1] - self.points[:, 0], np.float32)

    def distinct(self) -> Detections:
        """Without those that a more confident one overlaps (greedy non-maximum suppression)."""
        boxes = np.concatenate([self.points[:, 0], self.sizes], axis=1).tolist()
        rows = cv2.dnn.NMSBoxes(boxes, self.scores.tolist(), 0.0, _SAME)
        return self.select(np.asarray(rows, np.intp))

    def faces(self) -> Faces:
        """The same as `Faces`."""
        return Faces(self.boxes, self.scores, self.points[:, 2:])


class YunetNetwork:
    """Runs the network on whole images, tile by tile, and on batches of crops.

    Args:
        path: the ``.onnx`` file of ``scripts/convert_yunet.py``.
        threads: threads per run; None for all processors.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._net = Session(path, threads)

    def search(self, image: Image, scale: float, min_score: float) -> Detections:
        """Detect the faces of an image that is scaled first; most confident first.

        An image that is larger than a tile after scaling is searched for small faces in
        overlapping tiles, for larger ones at a third of the scale, and so on.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.
            scale: factor on the image's size.
            min_score: minimum confidence.

        Returns:
            the faces, in pixels of `image`.
        """
        parts, smaller = [], image
        while True:
            width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
            smaller = resized(smaller, width, height)
            whole = max(width, height) <= _TILE
            for found in self._tiles(smaller, min_score):
                part = found if whole else found.select((found.sizes < _LARGEST).all(axis=1))
                parts.append(part.moved((image.shape[1] / width, image.shape[0] / height)))
            if whole:
                return Detections.concat(parts).distinct()
            scale /= _COARSER

    def _tiles(self, image: Image, min_score: float) -> Iterator[Detections]:
        """The faces whose centers are in each tile, in pixels of `image`."""
        for rows, above, below in _intervals(image.shape[0]):
            for columns, before, behind in _intervals(image.shape[1]):
                found, _ = self.run(_padded(image[rows, columns])[None], min_score)
                found = found.moved(1, (columns.start, rows.start))
                own = (found.centers >= (before, above)) & (found.centers < (behind, below))
                yield found.select(own.all(axis=1))

    def run(self, images: Image, min_score: float) -> tuple[Detections, IntArray]:
        """Detect the faces of a batch, several times each.

        Args:
            images: ``(n, h, w, 3)`` uint8 RGB, h and w multiples of 32.
            min_score: minimum confidence.

        Returns:
            m detections, and ``(m,)`` the index of the image of each.
        """
        outputs = self._net.run([f"stride{stride}" for stride in _STRIDES], images)
        levels = [
            _decoded(output, stride, min_score)
            for stride, output in zip(_STRIDES, outputs, strict=True)
        ]
        found, numbers = zip(*levels, strict=True)
        return Detections.concat(found), np.concatenate(numbers)


def _decoded(output: FloatArray, stride: int, min_score: float) -> tuple[Detections, IntArray]:
    """The detections of one stride, and the image of each.

    Args:
        output: ``(n, 16, h, w)``: two logits, center and logarithm of the size of the box, and
            five points, in strides from the corner of each place.
        stride: pixels.
        min_score: minimum confidence.
    """
    # The confidence is the root of two probabilities: none can be below its square.
    limit = np.log(min_score**2 / max(1 - min_score**2, 1e-9))
    number, y, x = np.nonzero(output[:, :2].min(axis=1) > limit)
    values, corner = output[number, :, y, x], np.stack([x, y], axis=1)
    scores = np.sqrt((1 / (1 + np.exp(-values[:, :2]))).prod(axis=1))
    center, half = corner + values[:, 2:4], np.exp(values[:, 4:6]) / 2
    points = values[:, 6:].reshape(-1, 5, 2) + corner[:, None]
    points = np.concatenate([(center - half)[:, None], (center + half)[:, None], points], axis=1)
    found = Detections(scores, stride * points.astype(np.float32))
    rows = np.flatnonzero(scores >= min_score)
    return found.select(rows), number[rows]


def _intervals(length: int) -> list[tuple[slice, float, float]]:
    """Overlapping tiles along an axis, and from where to where each is searched for its own."""
    count = max(1, -(-(length - _OVERLAP) // (_TILE - _OVERLAP)))
    side = -(-(length + (count - 1) * _OVERLAP) // count)
    side = min(length, side + -side % _MULTIPLE)
    starts = [round(i * (length - side) / max(1, count - 1)) for i in range(count)]
    seams = [(a + side + b) / 2 for a, b in pairwise(starts)]
    tiles = [slice(start, start + side) for start in starts]
    return list(zip(tiles, [-np.inf, *seams], [*seams, np.inf], strict=True))


def resized(image: Image, width: int, height: int) -> Image:
    """The image at another size: halved as often as possible, which is fast, then interpolated."""
    while min(image.shape[1] / width, image.shape[0] / height) >= 2:
        low, left = (side // 2 for side in image.shape[:2])
        even = image[: 2 * low, : 2 * left]
        image = np.asarray(cv2.resize(even, (left, low), interpolation=cv2.INTER_AREA), np.uint8)
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _padded(image: Image) -> Image:
    """The image with black to the right and below, up to sides that the network takes."""
    height, width = (-side % _MULTIPLE for side in image.shape[:2])
    if not (height or width):
        return np.ascontiguousarray(image)
    return np.pad(image, ((0, height), (0, width), (0, 0)))
