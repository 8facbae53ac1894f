"""MTCNN: a cascade of three small networks, each more selective than the one before.

Zhang, Zhang, Li and Qiao 2016, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks" (arXiv 1604.02878). The P-Net slides over the image at many sizes and
proposes boxes, the R-Net rejects most of them, the O-Net classifies the rest and locates five
landmarks. The weights, and the choices that the paper leaves open (resampling, suppression,
thresholds), are those of the PyPI package ``mtcnn`` 1.0.0, so that the results are equal.
"""

from __future__ import annotations

import numpy as np

from mien.errors import UsageError
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score
from mien.faces.detectors.nms import chunks, patches, refine, squares, suppress
from mien.faces.detectors.onet import OutputNetwork, probability
from mien.faces.detectors.pyramid import Pyramid
from mien.faces.detectors.weights import weights
from mien.faces.detectors.yunet import YunetDetector
from mien.faces.geometry import quarter_turns
from mien.media.brightness import brightened
from mien.models.session import Session
from mien.types import Boxes, Faces, FloatArray, Image
from mien.types import Floats as Values

_CELL = 12  # side of the P-Net's input window
_STRIDE = 2  # stride of the window, pixels
_STRIP = 60_000  # pixels per strip, so that the P-Net's layers stay in the processor's cache
_SMALLEST, _SHARE = 20, 80  # the default of `min_face`: 20 px, or an 80th of the shorter side


class MtcnnDetector(SelfDescribing):
    """Find faces, large and small, with a confidence and five landmarks each.

    Args:
        min_score: minimum probability of a face by the O-Net.
        min_face: side in pixels of the smallest face to detect, at least 12; None for 20, or an
            80th of the image's shorter side if that is more. The time per image grows with
            ``1 / min_face ** 2``. A detected face may be slightly smaller than this.
        thresholds: minimum probabilities of a candidate by the P-Net and the R-Net.
        scale_factor: ratio of successive sizes of the image.
        threads: threads per run; None for all processors.
        any_angle: correct the landmarks of faces that lie on their side or are upside down, which
            MTCNN places as if they were upright, by YuNet; and detect such faces with YuNet where
            MTCNN detects none. Costs about a millisecond per face.

    Raises:
        UsageError: an argument is out of its range.
        ModelError: the installation lacks the networks.
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
            raise UsageError(f"thresholds must be between 0 and 1, got {thresholds}.")
        if not 0 < scale_factor < 1:
            raise UsageError(f"scale_factor must be between 0 and 1, got {scale_factor}.")
        check_min_score(min_score)
        self.min_score = min_score
        self.min_face = min_face
        self.thresholds = thresholds
        self.scale_factor = scale_factor
        self.any_angle = any_angle
        self._nets = {name: Session(weights(f"mtcnn_{name}"), threads) for name in ("pnet", "rnet")}
        self._output = OutputNetwork(weights("mtcnn_onet"), threads)
        self._rotation = YunetDetector(threads=threads) if any_angle else None

    def detect(self, image: Image) -> Faces:
        """Detect the faces in one image, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.

        Returns:
            boxes (which may exceed the image), scores 0 to 1 and landmarks.
        """
        check_image(image)
        image = brightened(image)
        boxes = self._propose(image)
        boxes = self._reject(image, boxes)
        faces = self._output.judge(image, boxes, self.min_score)
        if self._rotation is None:
            return faces
        if len(faces):
            return self._rotation.corrected(image, faces)
        others = self._rotation.detect(image)
        return others[quarter_turns(others) > 0]

    def _scales(self, image: Image) -> list[float]:
        """Scale factors of the image, largest first."""
        shorter = min(image.shape[:2])
        smallest = self.min_face or max(_SMALLEST, shorter // _SHARE)
        scale, scales = _CELL / smallest, []
        while shorter * scale >= _CELL:
            scales.append(scale)
            scale *= self.scale_factor
        return scales

    def _propose(self, image: Image) -> Boxes:
        """P-Net at every size: candidate squares ``(n, 4)``."""
        height, width = image.shape[:2]
        all_boxes: list[Boxes] = [np.zeros((0, 4))]
        all_scores: list[Values] = [np.zeros(0)]
        pyramid = Pyramid(image)
        for scale in self._scales(image):
            boxes, scores = self._scan(pyramid.at(int(width * scale), int(height * scale)))
            boxes /= scale
            best = suppress(boxes, scores, 0.5)
            all_boxes.append(boxes[best])
            all_scores.append(scores[best])
        boxes, scores = np.concatenate(all_boxes), np.concatenate(all_scores)
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _scan(self, image: FloatArray) -> tuple[Boxes, Values]:
        """P-Net over one size of the image, strip by strip: boxes in its pixels, scores."""
        height, width = image.shape[:2]
        rows = (height - _CELL + _STRIDE) // _STRIDE
        step = max(8, _STRIP // width // _STRIDE)
        boxes, scores = [], []
        limit = np.log(self.thresholds[0] / (1 - self.thresholds[0]))
        for top in range(0, rows, step):
            strip = image[top * _STRIDE : (top + step - 1) * _STRIDE + _CELL]
            logits, offsets = self._nets["pnet"].run(["logit", "offsets"], strip[None])
            y, x = np.nonzero(logits[0, 0] > limit)
            corner = np.stack([x, y + top], axis=1) * _STRIDE
            cell = np.concatenate([corner + 1, corner + _CELL], axis=1)
            boxes.append(cell + offsets[0][:, y, x].T * (_CELL - 1))
            scores.append(probability(logits[0, 0, y, x]))
        return np.concatenate(boxes), np.concatenate(scores)

    def _reject(self, image: Image, boxes: Boxes) -> Boxes:
        """R-Net: the remaining candidates, as squares ``(n, 4)``."""
        if not len(boxes):
            return boxes
        logits, offsets = self._run("rnet", ["logit", "offsets"], image, boxes, 24)
        scores = probability(logits[:, 0])
        keep = scores > self.thresholds[1]
        boxes, scores = refine(boxes[keep], offsets[keep]), scores[keep]
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _run(
        self, name: str, outputs: list[str], image: Image, boxes: Boxes, size: int
    ) -> list[FloatArray]:
        """Crop candidates and run a network on them, a bounded number at a time."""
        parts = [self._nets[name].run(outputs, patches(image, p, size)) for p in chunks(boxes)]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
