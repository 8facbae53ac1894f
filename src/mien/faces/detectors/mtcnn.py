"""MTCNN: three small networks, each more careful than the one before.

Zhang, Zhang, Li and Qiao 2016, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks" (arXiv 1604.02878). The P-Net slides over the picture at many sizes and
proposes boxes, the R-Net throws most of them away, the O-Net judges the rest and places five
landmarks. The weights, and the choices that the paper leaves open (which resampling, which
suppression, which limits), are those of the PyPI package ``mtcnn`` 1.0.0, so that the answers
are the same as its.
"""

from __future__ import annotations

import numpy as np

from mien.errors import UsageError
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score, tidy
from mien.faces.detectors.nms import chunks, patches, refine, squares, suppress
from mien.faces.detectors.onet import OutputNetwork, probability
from mien.faces.detectors.pyramid import Pyramid
from mien.faces.detectors.weights import weights
from mien.faces.detectors.yunet import YunetDetector
from mien.media.brightness import brightened
from mien.models.session import Session
from mien.types import Boxes, Faces, FloatArray, Image, IntArray
from mien.types import Floats as Values

_CELL = 12  # side of the square that the P-Net sees at once
_STRIDE = 2  # pixels from one of its places to the next
_STRIP = 60_000  # pixels of a strip: the P-Net's layers then stay in the processor's cache
_SMALLEST, _SHARE = 20, 80  # the default of `min_face`: 20 px, or an 80th of the shorter side
_CANDIDATE = 0.6  # YuNet's confidence from which a second look is worth it
_LOOSE = 0.8  # of the smallest face: YuNet's boxes are narrower than MTCNN's


class MtcnnDetector(SelfDescribing):
    """Find faces, large and small, with a confidence and five landmarks each.

    Args:
        min_score: the O-Net's probability from which a candidate is a face.
        min_face: side in pixels of the smallest face to look for, at least 12; None for 20, or
            an 80th of the picture's shorter side where that is more. The time a picture takes
            grows with ``1 / min_face ** 2``. A face may come out a little smaller than this.
        thresholds: the probabilities that a candidate must pass in the P-Net and the R-Net.
        scale_factor: each size of the picture is this share of the one before.
        threads: how many threads a run may use; None for every processor there is.
        any_angle: also find faces that lie on their side or are upside down, with landmarks that
            show it. Costs a few milliseconds a face, and a second look where nothing is found.

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
        any_angle: bool = True,
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
        self.any_angle = any_angle
        self._nets = {name: Session(weights(f"mtcnn_{name}"), threads) for name in ("pnet", "rnet")}
        self._output = OutputNetwork(weights("mtcnn_onet"), threads)
        self._yunet = YunetDetector(weights("yunet"), _CANDIDATE, any_angle=False)

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
        image = brightened(image)
        boxes = self._propose(image, min_face)
        boxes = self._reject(image, boxes)
        faces = self._output.judge(image, boxes, self.min_score)
        if not self.any_angle:
            return faces
        if len(faces):
            return self._output.upright(image, faces, self.min_score)
        return self._second_look(image, min_face)

    def refine(
        self,
        image: Image,
        boxes: Boxes,
        min_score: float | None = None,
        turns: IntArray | None = None,
    ) -> Faces:
        """Look for faces only where they are about to be, by the O-Net alone.

        A box may be off by a quarter of its side and still find its face, so that the boxes of
        one frame do for the next; repeating it does not drift. About 1.5 ms a box.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not changed.
            boxes: ``(n, 4)``, where to look.
            min_score: the probability from which it is a face; the detector's own by default.
            turns: ``(n,)`` by how many quarter turns, clockwise, each face lies; 0 by default.

        Returns:
            the faces found, at most n, largest first; where several boxes lead to one face,
            the best.
        """
        check_image(image)
        check_min_score(self.min_score if min_score is None else min_score)
        around = squares(np.asarray(boxes, np.float64).reshape(-1, 4))
        sound = (around[:, 2:] > around[:, :2]).all(axis=1)
        turns = None if turns is None else turns[sound]
        limit = self.min_score if min_score is None else min_score
        return self._output.judge(brightened(image), around[sound], limit, turns)

    def _second_look(self, image: Image, min_face: int) -> Faces:
        """Where MTCNN finds nothing: YuNet's candidates, which the O-Net judges at any angle."""
        smallest = max(min_face, self._smallest(image))
        boxes = tidy(self._yunet.detect(image), min_face=_LOOSE * smallest).boxes
        return self._output.at_any_angle(image, boxes, self.min_score)

    def _smallest(self, image: Image) -> int:
        """Side in pixels of the smallest face to look for."""
        return self.min_face or max(_SMALLEST, min(image.shape[:2]) // _SHARE)

    def _scales(self, image: Image, min_face: int) -> list[float]:
        """Factors by which the picture is shrunk, largest first."""
        shorter = min(image.shape[:2])
        scale, scales = _CELL / max(min_face, self._smallest(image)), []
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
        for scale in self._scales(image, min_face):
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
            scores.append(probability(logits[0, 0, y, x]))
        return np.concatenate(boxes), np.concatenate(scores)

    def _reject(self, image: Image, boxes: Boxes) -> Boxes:
        """R-Net: the candidates that stay, as squares ``(n, 4)``."""
        if not len(boxes):
            return boxes
        logits, offsets = self._run("rnet", ["logit", "offsets"], image, boxes, 24)
        scores = probability(logits[:, 0])
        kept = scores > self.thresholds[1]
        boxes, scores = refine(boxes[kept], offsets[kept]), scores[kept]
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _run(
        self, name: str, outputs: list[str], image: Image, boxes: Boxes, size: int
    ) -> list[FloatArray]:
        """Cut candidates out and run a network on them, a bounded number at a time."""
        parts = [self._nets[name].run(outputs, patches(image, p, size)) for p in chunks(boxes)]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
