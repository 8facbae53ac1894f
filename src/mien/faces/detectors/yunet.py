"""YuNet, a small and fast face detection network: the default detector.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence
Research 20, 656-665). The weights are those of OpenCV Zoo's ``face_detection_yunet_2023mar.onnx``,
converted by ``scripts/convert_yunet.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mien.errors import UsageError
from mien.faces.crops import warp
from mien.faces.detectors.base import SelfDescribing, check_image, check_min_score, tidy
from mien.faces.detectors.weights import weights
from mien.faces.detectors.yunet_network import Detections, YunetNetwork, resized
from mien.faces.geometry import Matrices, iou, quarter_turns, square, turned_square_matrix
from mien.faces.quality import MIN_SIZE_PX
from mien.media.brightness import brightened
from mien.types import Boxes, Faces, FloatArray, Image

_NEEDED = 14  # width, input pixels, of the smallest faces that the network does not overlook
_CLEAR = 20  # width, input pixels, from which its first answer is as good as a closer look
_COARSEST = 320  # longer side, pixels, below which no image is shrunk
_ENLARGED = 2.0  # factor up to which smaller ones are enlarged to that
_LYING = 640  # longer side, pixels, of images in which only faces on their side are searched for
_SMALLEST, _SHARE = 20, 100  # default of `min_face`: 20 px, or a 100th of the shorter side
_SUSPECT = 0.2  # confidence from which a place is looked at more closely
_LIKELY, _CROWD = 0.5, 4  # so many likely small faces: there may be smaller ones
_UPRIGHT = 0.92  # confidence that only clear and upright faces reach
_SETTLED = 0.9  # confidence in a closer look that only faces in the right rotation reach
_CROP, _AROUND = 96, 2.0  # side of a closer look, pixels; its ratio to that of the face
_NEAR = 0.2  # maximum distance of the face from the middle of it, as a fraction of its side
_LEAD = 0.02  # lead in confidence by which a face is taken as rotated
_DOUBT = 0.1  # added to the minimum confidence of rotated faces, as there are more views of them
_ROLLS = (0, 90, 180, 270, 45, 135, 225, 315)  # degrees by which a face may be rotated
_QUARTERS = 3  # of these after the first, before the next ones
_BATCH = 64  # crops at a time
_TRACKED = 0.3  # minimum overlap (IoU) of a face with itself one frame earlier


class YunetDetector(SelfDescribing):
    """Find faces from 10 pixels to the whole image, with a confidence and five landmarks each.

    The network is given the image at the scale at which the smallest faces have 14 pixels.
    Whatever may be a face, but is small, rotated or doubtful, is enlarged and judged again, in
    four rotations.

    Args:
        min_score: minimum confidence, 0 to 1.
        min_face: width in pixels of the smallest face to detect, at least 4; None for 20, or a
            100th of the image's shorter side if that is more, but less in crowds. The time per
            image grows with ``1 / min_face ** 2``.
        threads: threads per run; None for all processors.
        any_angle: also detect faces that lie on their side or are upside down as what they are;
            otherwise their landmarks are as if they were upright.

    Raises:
        UsageError: an argument is out of its range.
        ModelError: the installation lacks the network.
    """

    _certain = 0.8

    def __init__(
        self,
        min_score: float = 0.7,
        min_face: int | None = None,
        threads: int | None = None,
        any_angle: bool = True,
    ) -> None:
        check_min_score(min_score)
        if min_face is not None and min_face < 4:
            raise UsageError(f"min_face must be at least 4 pixels, got {min_face}.")
        self.min_score = min_score
        self.min_face = min_face
        self.any_angle = any_angle
        self._net = YunetNetwork(weights("yunet"), threads)
        self._rolls = _ROLLS if any_angle else _ROLLS[:1]

    def detect(self, image: Image) -> Faces:
        """Detect the faces in one image, largest first.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.

        Returns:
            boxes (which may exceed the image), scores 0 to 1 and landmarks.
        """
        check_image(image)
        image = brightened(image)
        faces = self._confirmed(image, self._search(image))
        if self.any_angle and not len(faces):
            faces = self._confirmed(image, self._sideways(image))
        return tidy(faces, self.min_score, self.min_face or 0)

    def follow(self, image: Image, faces: Faces, min_score: float) -> Faces:
        """Detect the faces of the next frame of a video, at the scale that the last ones need.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.
            faces: the faces of the frame before, where they are expected now.
            min_score: minimum confidence near these.

        Returns:
            the faces, largest first; new ones too if they are not smaller than the others.
        """
        check_image(image)
        image = brightened(image)
        found = self._net.search(image, self._scale_of(image, faces), _SUSPECT)
        overlap = iou(found.boxes, faces.boxes)
        near = overlap.max(axis=1, initial=0) >= _TRACKED
        sure = found.scores >= self.min_score
        turns = np.full(len(near), -1)  # of new faces the rotation is not known
        if near.any():
            turns[near] = quarter_turns(faces)[overlap[near].argmax(axis=1)]
        whole = (found.points[:, 0] >= 0) & (found.points[:, 1] <= image.shape[1::-1])
        clear = (found.scores >= _UPRIGHT) | (sure & (turns == 0) & whole.all(axis=1))
        parts = [found.select(clear)]
        for turn in np.unique(turns[~clear]):
            rows = np.flatnonzero(~clear & (turns == turn) & (near | sure))
            rolls = self._rolls if turn < 0 else (90 * int(turn),)
            parts.append(self._closer(image, found.select(rows), rolls))
        return tidy(Detections.concat(parts).distinct().faces(), min_score, self.min_face or 0)

    def corrected(self, image: Image, faces: Faces) -> Faces:
        """The faces of another detector, those that are rotated with boxes and landmarks by YuNet.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; it is not modified.
            faces: n faces with landmarks as if all of them were upright.

        Returns:
            n faces in the same order, with the same scores.
        """
        if not len(faces):
            return faces
        corners, scores = faces.boxes.reshape(-1, 2, 2), np.asarray(faces.scores)
        points = np.concatenate([corners, np.asarray(faces.landmarks)], axis=1)
        found = self._closer(brightened(image), Detections(scores, points), _ROLLS)
        rows = np.flatnonzero(quarter_turns(found.faces()))
        points[rows] = found.points[rows]
        return Detections(scores, points).faces()

    def _scale(self, image: Image) -> float:
        """The scale at which no face is overlooked."""
        smallest = self.min_face or max(_SMALLEST, min(image.shape[:2]) / _SHARE)
        return float(max(_NEEDED / smallest, min(_ENLARGED, _COARSEST / max(image.shape[:2]))))

    def _scale_of(self, image: Image, faces: Faces) -> float:
        """The scale at which these faces are clear: a half, a quarter ... so that it is steady."""
        width = float((faces.boxes[:, 2] - faces.boxes[:, 0]).min(initial=np.inf))
        needed = max(_CLEAR / max(width, 1.0), _COARSEST / max(image.shape[:2]))
        return min(self._scale(image), 2.0 ** math.ceil(math.log2(needed)))

    def _search(self, image: Image) -> Detections:
        """All that may be faces."""
        scale = self._scale(image)
        found = self._net.search(image, scale, _SUSPECT)
        while self.min_face is None and scale < 1:
            small = (scale * found.sizes[:, 0] < _CLEAR) & (found.scores >= _LIKELY)
            if small.sum() < _CROWD:
                break
            scale = min(1.0, 2 * scale)
            found = self._net.search(image, scale, _SUSPECT)
        return found

    def _sideways(self, image: Image) -> Detections:
        """All that may be faces in the image on its side: the network overlooks some that lie."""
        scale = min(self._scale(image), _LYING / max(image.shape[:2]))
        width, height = (max(1, round(scale * side)) for side in image.shape[1::-1])
        turned = np.ascontiguousarray(np.rot90(resized(image, width, height)))
        found = self._net.search(turned, 1.0, _SUSPECT)
        points = np.stack([width - found.points[..., 1], found.points[..., 0]], axis=-1)
        points *= (image.shape[1] / width, image.shape[0] / height)
        points[:, :2] = np.sort(points[:, :2], axis=1)
        return Detections(found.scores, points)

    def _confirmed(self, image: Image, found: Detections) -> Faces:
        """The faces among all that may be some."""
        # What is too small to be predicted need not be the right way up.
        small = (found.sizes[:, 0] < MIN_SIZE_PX) & (found.scores >= self.min_score)
        clear = small | (found.scores >= _UPRIGHT)
        parts = [found.select(clear), self._closer(image, found.select(~clear), self._rolls)]
        faces = Detections.concat(parts).distinct().faces()
        rotated = quarter_turns(faces) > 0
        return faces[np.asarray(faces.scores) >= self.min_score + _DOUBT * rotated]

    def _closer(self, image: Image, found: Detections, rolls: Sequence[int]) -> Detections:
        """Detections as they are judged when enlarged; with a score of 0 where there is no face.

        Args:
            image: ``(H, W, 3)``.
            found: n detections.
            rolls: degrees by which they may be rotated clockwise; the first is preferred, and the
                ones after `_QUARTERS` are tried only where none of these is upright.
        """
        if not len(found.scores):
            return found
        around = square(found.boxes, (_AROUND - 1) / 2).astype(np.float64)
        best = self._view(image, around, rolls[0])
        rows, same = np.arange(len(around)), np.full(len(around), rolls[0] == 0)
        for number, roll in enumerate(rolls[1:]):
            if number % _QUARTERS == 0:
                rows = np.flatnonzero(best.scores < _SETTLED)
            other = self._view(image, around[rows], roll)
            better = other.scores > best.scores[rows] + _LEAD
            best.scores[rows[better]] = other.scores[better]
            best.points[rows[better]] = other.points[better]
            same[rows[better]] = False
        # Out of focus, a face may be clearer when it is not enlarged.
        same &= found.scores > best.scores
        best.points[same] = found.points[same]
        known = same | (best.scores > 0)
        return Detections(np.where(known, np.maximum(best.scores, found.scores), 0), best.points)

    def _view(self, image: Image, around: Boxes, roll: int) -> Detections:
        """The face in the middle of each of n squares, rotated back first; score 0 for none."""
        matrices = [turned_square_matrix(box, _CROP, roll) for box in around]
        crops = np.empty((len(around), _CROP, _CROP, 3), np.uint8)
        for crop, matrix in zip(crops, matrices, strict=True):
            crop[:] = warp(image, matrix, _CROP)
        best = Detections(
            np.zeros(len(crops), np.float32), np.zeros((len(crops), 7, 2), np.float32)
        )
        for start in range(0, len(crops), _BATCH):
            found, numbers = self._net.run(crops[start : start + _BATCH], _SUSPECT)
            away = np.abs(found.centers - _CROP / 2).max(axis=1)
            rows = np.flatnonzero(away < _NEAR * _CROP)
            rows = rows[np.argsort(found.scores[rows])]  # so that the best is written last
            for row in rows:
                number = start + numbers[row]
                best.scores[number] = found.scores[row]
                best.points[number] = _placed(found.points[row], matrices[number])
        return best


def _placed(points: FloatArray, matrix: Matrices) -> FloatArray:
    """Corners and landmarks ``(7, 2)`` in a crop as those in the image.

    The box of a rotated face is that of the ellipse in its own box.

    Args:
        points: pixels of the crop.
        matrix: ``(2, 3)`` similarity map from image to crop.
    """
    linear = np.linalg.inv(matrix[:, :2])
    placed = (points - matrix[:, 2]) @ linear.T
    half = np.linalg.norm(linear * (points[1] - points[0]) / 2, axis=1)
    center = placed[:2].mean(axis=0)
    placed[:2] = center - half, center + half
    return np.asarray(placed, np.float32)
