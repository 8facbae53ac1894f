"""MTCNN: three small networks, each more careful than the one before.

Zhang, Zhang, Li and Qiao 2016, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks" (arXiv 1604.02878). The P-Net slides over the picture at many sizes and
proposes boxes, the R-Net throws most of them away, the O-Net judges the rest and places five
landmarks. The weights, and the choices that the paper leaves open (which resampling, which
suppression, which limits), are those of the PyPI package ``mtcnn`` 1.0.0, so that the answers
are the same as its.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import ModelError, UsageError
from mien.faces.detectors.base import check_image, check_min_score, tidy
from mien.faces.detectors.nms import chunks, patches, refine, squares, suppress
from mien.faces.detectors.pyramid import Pyramid
from mien.models.session import Session
from mien.types import Boxes, Faces, FloatArray, Image
from mien.types import Floats as Values

MODELS = Path(__file__).parents[2] / "weights"

_CELL = 12  # side of the square that the P-Net sees at once
_STRIDE = 2  # pixels from one of its places to the next
_STRIP = 60_000  # pixels of a strip: the P-Net's layers then stay in the processor's cache
_SMALLEST, _SHARE = 20, 80  # the default of `min_face`: 20 px, or an 80th of the shorter side


class MtcnnDetector:
    """Find faces, large and small, with a confidence and five landmarks each.

    Args:
        min_score: the O-Net's probability from which a candidate is a face.
        min_face: side in pixels of the smallest face to look for, at least 12; None for 20, or
            an 80th of the picture's shorter side where that is more. The time a picture takes
            grows with ``1 / min_face ** 2``. A face may come out a little smaller than this.
        thresholds: the probabilities that a candidate must pass in the P-Net and the R-Net.
        scale_factor: each size of the picture is this share of the one before.
        threads: how many threads a run may use; None for every processor there is.

    Raises:
        UsageError: an argument is out of its range.
        ModelError: mien was installed without its networks.
    """

    def __init__(
        self,
        min_score: float = 0.9,
        min_face: int | None = None,
        thresholds: tuple[float, float] = (0.6, 0.7),
        scale_factor: float = 0.709,
        threads: int | None = None,
    ) -> None:
        if min_face is not None and min_face < _CELL:
            raise UsageError(f"min_face must be at least {_CELL} pixels, got {min_face}.")
        if not all(0 < limit < 1 for limit in thresholds):
            raise UsageError(f"thresholds must lie between 0 and 1, got {thresholds}.")
        if not 0 < scale_factor < 1:
            raise UsageError(f"scale_factor must lie between 0 and 1, got {scale_factor}.")
        check_min_score(min_score)
        self.min_score = min_score
        self.min_face = min_face
        self.thresholds = thresholds
        self.scale_factor = scale_factor
        self._nets = {name: _network(name, threads) for name in ("pnet", "rnet", "onet")}

    def detect(self, image: Image, min_face: int = 0) -> Faces:
        """Find the faces of one picture, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.
            min_face: for this picture, leave out faces smaller than this too, in pixels; the
                larger, the faster.

        Returns:
            boxes (they may reach over the edge), scores 0 to 1 and landmarks.
        """
        check_image(image)
        boxes = self._propose(image, min_face)
        boxes = self._reject(image, boxes)
        return self._judged(image, boxes, self.min_score)

    def refine(self, image: Image, boxes: Boxes, min_score: float | None = None) -> Faces:
        """Look for faces only where they are about to be, by the O-Net alone.

        A box may be off by a quarter of its side and still find its face, so that the boxes of
        one frame do for the next; repeating it does not drift. About 1.5 ms a box.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.
            boxes: ``(n, 4)``, where to look.
            min_score: the probability from which it is a face; the detector's own by default.

        Returns:
            the faces found, at most n, largest first; where several boxes lead to one face,
            the best.
        """
        check_image(image)
        check_min_score(self.min_score if min_score is None else min_score)
        around = squares(np.asarray(boxes, np.float64).reshape(-1, 4))
        around = around[(around[:, 2:] > around[:, :2]).all(axis=1)]
        return self._judged(image, around, self.min_score if min_score is None else min_score)

    def _judged(self, image: Image, boxes: Boxes, min_score: float) -> Faces:
        """The O-Net's answer as `Faces`."""
        if not len(boxes):
            return Faces.empty()
        boxes, scores, points = self._judge(image, boxes, min_score)
        sound = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        columns = [column[sound].astype(np.float32) for column in (boxes, scores, points)]
        return tidy(Faces(columns[0], columns[1], columns[2]), min_score)

    def _scales(self, height: int, width: int, min_face: int = 0) -> list[float]:
        """Factors by which the picture is shrunk, largest first."""
        shorter = min(height, width)
        smallest = max(min_face, self.min_face or max(_SMALLEST, shorter // _SHARE))
        scale, scales = _CELL / smallest, []
        while shorter * scale >= _CELL:
            scales.append(scale)
            scale *= self.scale_factor
        return scales

    def _propose(self, image: Image, min_face: int) -> Boxes:
        """P-Net at every size: candidate squares ``(n, 4)``."""
        height, width = image.shape[:2]
        found: list[Boxes] = [np.zeros((0, 4))]
        found_scores: list[Values] = [np.zeros(0)]
        pyramid = Pyramid(image)
        for scale in self._scales(height, width, min_face):
            boxes, scores = self._scan(pyramid.at(int(width * scale), int(height * scale)))
            boxes /= scale
            best = suppress(boxes, scores, 0.5)
            found.append(boxes[best])
            found_scores.append(scores[best])
        boxes, scores = np.concatenate(found), np.concatenate(found_scores)
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _scan(self, picture: FloatArray) -> tuple[Boxes, Values]:
        """P-Net over one size of the picture, strip by strip: boxes in its pixels, scores."""
        height, width = picture.shape[:2]
        rows = (height - _CELL + _STRIDE) // _STRIDE
        step = max(8, _STRIP // width // _STRIDE)
        boxes, scores = [], []
        limit = np.log(self.thresholds[0] / (1 - self.thresholds[0]))
        for top in range(0, rows, step):
            strip = picture[top * _STRIDE : (top + step - 1) * _STRIDE + _CELL]
            logits, offsets = self._nets["pnet"].run(["logit", "offsets"], strip[None])
            y, x = np.nonzero(logits[0, 0] > limit)
            corner = np.stack([x, y + top], axis=1) * _STRIDE
            cell = np.concatenate([corner + 1, corner + _CELL], axis=1)
            boxes.append(cell + offsets[0][:, y, x].T * (_CELL - 1))
            scores.append(_probability(logits[0, 0, y, x]))
        return np.concatenate(boxes), np.concatenate(scores)

    def _reject(self, image: Image, boxes: Boxes) -> Boxes:
        """R-Net: the candidates that stay, as squares ``(n, 4)``."""
        if not len(boxes):
            return boxes
        logits, offsets = self._run("rnet", ["logit", "offsets"], image, boxes, 24)
        scores = _probability(logits[:, 0])
        kept = scores > self.thresholds[1]
        boxes, scores = refine(boxes[kept], offsets[kept]), scores[kept]
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _judge(self, image: Image, boxes: Boxes, min_score: float) -> tuple[Boxes, Values, Values]:
        """O-Net: boxes ``(n, 4)``, scores ``(n,)``, landmarks ``(n, 5, 2)``."""
        wanted = ["logit", "offsets", "landmarks"]
        logits, offsets, points = self._run("onet", wanted, image, boxes, 48)
        # All x come first, then all y, as shares of the square that the O-Net saw.
        size = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        places = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        scores = _probability(logits[:, 0])
        kept = scores >= min_score
        boxes, scores, places = refine(boxes, offsets)[kept], scores[kept], places[kept]
        best = suppress(boxes, scores, 0.7, nested=True)
        return boxes[best], scores[best], places[best]

    def _run(
        self, name: str, outputs: list[str], image: Image, boxes: Boxes, size: int
    ) -> list[FloatArray]:
        """Cut candidates out and run a network on them, a bounded number at a time."""
        parts = [self._nets[name].run(outputs, patches(image, p, size)) for p in chunks(boxes)]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _probability(logits: FloatArray) -> Values:
    """Sigmoid, on purpose in float32: sums of 1 and less than 6e-8 make ties at the top.

    The package's softmax makes the same ties, and which box of a tie is kept depends on its place
    in the list. Finer scores would part them, and often choose the other box.
    """
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-logits))).astype(np.float64)


def _network(name: str, threads: int | None) -> Session:
    path = MODELS / f"mtcnn_{name}.onnx"
    if not path.is_file():
        raise ModelError(
            f"there is no {path.name} in this installation of mien: install it again, "
            "or run 'python hatch_build.py' in a source checkout."
        )
    return Session(path, threads)
