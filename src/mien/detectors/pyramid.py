"""One picture at many sizes, by exact area averages.

A pixel of the smaller picture is the mean of the area that it covers, fractions of pixels
included. `cv2.resize` does the same, but reads the whole picture for each size; for the small
sizes, which are most of a pyramid, running sums down the columns cost far less.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mien.types import FloatArray, Image

_SMALL = 1 / 3  # the share of the picture's height above which the running sums are slower


class Pyramid:
    """Shrinks one picture ``(H, W, 3)`` uint8; holds 12 bytes a pixel meanwhile."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._sums: npt.NDArray[np.int32] | None = None
        self._pixels: FloatArray | None = None

    def at(self, width: int, height: int) -> FloatArray:
        """The picture at a smaller size, ``(height, width, 3)`` float32, 0 to 255.

        Ask for the larger sizes first: what only they need is dropped at the first small one.
        """
        if height > self.image.shape[0] * _SMALL:
            if self._pixels is None:
                self._pixels = self.image.astype(np.float32)
            rows = self._pixels
        else:
            self._pixels = None
            rows = self._flatten(height)
        small = cv2.resize(rows, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32)

    def _flatten(self, height: int) -> FloatArray:
        """Shrink the height alone: ``(height, W, 3)``."""
        full, width = self.image.shape[:2]
        flat = self.image.reshape(full, -1)
        if self._sums is None:
            self._sums = np.zeros((full + 1, width * 3), np.int32)
            for above, row, below in zip(self._sums, flat, self._sums[1:], strict=False):
                np.add(above, row, out=below)
        edges = np.linspace(0, full, height + 1)
        rows = edges.astype(np.intp)
        parts = flat[np.minimum(rows, full - 1)] * (edges - rows).astype(np.float32)[:, None]
        # Whole rows first, as integers: the sums are too large for a float32's 24 bits.
        means = (self._sums[rows[1:]] - self._sums[rows[:-1]]).astype(np.float32)
        means += parts[1:]
        means -= parts[:-1]
        means *= np.float32(height / full)
        return means.reshape(height, width, 3)
