"""Motion between two frames: amount of change, cuts, and optical flow of boxes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.types import Boxes, Faces, FloatArray, Image

_SIDE = 96  # longer side in pixels of the thumbnail on which changes are measured
_CUT = 0.22  # change of the whole image, relative to its contrast, that may be a cut
_CERTAIN = 0.6  # change that is a cut regardless of the changes before
_CONTRAST = 16.0  # minimum contrast of a region, gray levels
_MEMORY_S = 0.2  # time constant of the usual change


class ChangeBaseline:
    """The usual amount of recent change, with which a change is compared.

    A cut is a change that is large and also far larger than those before it, so that a dancing
    person or a panning camera does not count as cuts. At low frame rates every frame may show
    something different, and a large change suffices.

    Args:
        limit: changes up to this are never exceptional.
        fps: frame rate.
    """

    def __init__(self, limit: float, fps: float) -> None:
        self.limit = limit
        self._weight = min(1.0, 1 / (_MEMORY_S * fps))
        self._ratio = float(np.clip(fps / 2, 1.5, 3))
        self._level: float | None = None

    def exceeded(self, change: float) -> bool:
        """Whether `change` is exceptional; it updates the usual amount."""
        usual = change if self._level is None else self._level
        self._level = usual + self._weight * (change - usual)
        return change > max(self.limit, self._ratio * usual)


class Changes:
    """The change of a frame from the one before, everywhere and around a box.

    A change is the mean difference of brightness relative to the contrast (standard deviation) of
    the region: 0 for a still, over 0.3 if the image is a different one. Changes of light, a flash
    or a fade, are discounted: it is the lesser of the plain difference and of that after both
    regions have been normalized to the same mean and contrast.
    """

    def __init__(self) -> None:
        self._step = 1
        self._now: FloatArray | None = None
        self._before: FloatArray | None = None

    def update(self, image: Image) -> bool:
        """Set the next frame; returns False if the one before is missing or of another size."""
        import cv2

        step = max(1, max(image.shape[:2]) // _SIDE)
        small = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
        now = np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.float32)
        same = self._now is not None and self._now.shape == now.shape and self._step == step
        self._before = self._now if same else None
        self._now, self._step = now, step
        return same

    def around(self, box: Boxes | None = None, margin: float = 0.5) -> float:
        """The change in a box ``(4,)`` grown by `margin` of its size; None for the whole image."""
        if self._now is None or self._before is None:
            return 0.0
        part: tuple[slice, ...] = (slice(None), slice(None))
        if box is not None:
            grow = margin * (box[2:] - box[:2])
            low = np.maximum((box[:2] - grow) / self._step, 0).astype(int)
            high = np.maximum((box[2:] + grow) / self._step, 0).astype(int) + 1
            part = (slice(low[1], high[1]), slice(low[0], high[0]))
        return _change(self._now[part], self._before[part])

    def unpanned(self) -> float:
        """The change of the whole image without that of an evenly moving camera."""
        import cv2

        if self._now is None or self._before is None:
            return 0.0
        height, width = self._now.shape
        window = cv2.createHanningWindow((width, height), cv2.CV_32F)
        # Copies, because OpenCV multiplies its arguments with the window in place.
        shift, _ = cv2.phaseCorrelate(self._before.copy(), self._now.copy(), window)
        x = int(np.clip(round(shift[0]), -width // 2, width // 2))
        y = int(np.clip(round(shift[1]), -height // 2, height // 2))
        now = self._now[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
        before = self._before[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
        return min(self.around(), _change(now, before))


def _change(now: FloatArray, before: FloatArray) -> float:
    """The mean difference of two regions of equal size, relative to their contrast."""
    if not now.size:
        return 0.0
    contrasts = [max(float(small.std()), _CONTRAST) for small in (now, before)]
    plain = float(np.abs(now - before).mean()) / (sum(contrasts) / 2)
    now, before = ((s - s.mean()) / c for s, c in zip((now, before), contrasts, strict=True))
    return min(plain, float(np.abs(now - before).mean()))


class CutDetector:
    """Detects the first frame of each shot.

    Args:
        fps: frame rate of the images passed to `begins`.

    Attributes:
        changes: the changes since the last frame.
        restless: whether so much has changed that positions are unreliable for matching.
    """

    def __init__(self, fps: float) -> None:
        self.changes: Changes = Changes()
        self.restless: bool = False
        self._usual = ChangeBaseline(_CUT, fps)

    def begins(self, image: Image) -> bool:
        """Whether the next frame is the first of a video or of a shot."""
        comparable = self.changes.update(image)
        change = self.changes.around()
        unusual = self._usual.exceeded(change)
        self.restless = change > _CUT and self.changes.unpanned() > _CUT
        return not comparable or unusual or change > _CERTAIN


class FlowTracker:
    """Tracks boxes from frame to frame by the optical flow of a few points in each.

    Pyramidal Lucas-Kanade; only points that return to their origin when tracked backwards are
    trusted, and the box moves and grows with their medians (Kalal, Mikolajczyk and Matas 2010,
    "Forward-Backward Error"). For detectors without a method ``refine``.
    """

    _LONGEST = 480  # longer side of the image on which points are tracked, pixels
    _POINTS = 7  # points along each side of a box

    def __init__(self) -> None:
        self._gray: npt.NDArray[np.uint8] | None = None
        self._before: npt.NDArray[np.uint8] | None = None
        self._shrink = 1.0

    def update(self, image: Image) -> None:
        """Set the next frame."""
        import cv2

        height, width = image.shape[:2]
        shrink = min(1.0, self._LONGEST / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        whole = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        gray = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
        fits = self._gray is not None and self._gray.shape == gray.shape
        self._before = self._gray if fits else None
        self._gray, self._shrink = gray, shrink

    def follow(self, faces: Faces) -> Faces:
        """The faces of the last frame at their new positions; lost ones are dropped."""
        if self._before is None or self._gray is None or min(self._gray.shape) < 16:
            return Faces.empty()
        rows, boxes, landmarks = [], [], []
        for row, box in enumerate(faces.boxes.astype(np.float64)):
            moved = self._move(box)
            if moved is None:
                continue
            scale, shift = moved
            center = (box[:2] + box[2:]) / 2
            rows.append(row)
            boxes.append(np.tile(center + shift, 2) + scale * (box - np.tile(center, 2)))
            if faces.landmarks is not None:
                landmarks.append(center + shift + scale * (faces.landmarks[row] - center))
        if not rows:
            return Faces.empty()
        scores = np.asarray(faces.scores)[rows]
        points = None if faces.landmarks is None else np.array(landmarks, np.float32)
        return Faces(np.array(boxes, np.float32), scores, points)

    def _move(self, box: Boxes) -> tuple[float, npt.NDArray[np.float64]] | None:
        """Scale and shift ``(2,)`` of a box ``(4,)`` since the last frame."""
        share = np.linspace(0.15, 0.85, self._POINTS)
        x, y = (box[i] + share * (box[i + 2] - box[i]) for i in (0, 1))
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 1, 2) * self._shrink
        start = points.astype(np.float32)
        end, back, sound = self._track(start)
        error = np.linalg.norm(back - start[:, 0], axis=1)
        sound &= error <= max(float(np.median(error)), 0.5)
        sound &= error < 0.05 * self._shrink * float((box[2:] - box[:2]).max()) + 1
        if sound.sum() < len(points) // 4:
            return None
        before, after = start[sound, 0].astype(np.float64), end[sound].astype(np.float64)
        shift = np.median(after - before, axis=0) / self._shrink
        return _growth(before, after), shift

    def _track(self, start: FloatArray) -> tuple[Any, Any, npt.NDArray[np.bool_]]:
        """Points ``(k, 1, 2)`` tracked into this frame and back."""
        import cv2

        follow: Any = partial(cv2.calcOpticalFlowPyrLK, winSize=(15, 15), maxLevel=3)
        end, ahead, _ = follow(self._before, self._gray, start, None)
        back, behind, _ = follow(self._gray, self._before, end, None)
        return end[:, 0], back[:, 0], (ahead[:, 0] & behind[:, 0]).astype(bool)


def _growth(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> float:
    """Growth of points ``(k, 2)``: the median ratio of their distances, 0.9 to 1.1."""
    a, b = np.triu_indices(len(before), 1)
    old = np.linalg.norm(before[a] - before[b], axis=1)
    new = np.linalg.norm(after[a] - after[b], axis=1)
    far = old > 1e-3
    return float(np.clip(np.median(new[far] / old[far]), 0.9, 1.1)) if far.any() else 1.0
