"""Image pyramid: one image at many sizes, by exact area averages.

A pixel of the smaller image is the mean of the area that it covers, fractions of pixels included.
`cv2.resize` does the same, but reads the whole image for each size; for the small sizes, which are
most of a pyramid, running sums down the columns cost far less.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from mien.types import FloatArray, Image

_SMALL = 1 / 3  # fraction of the image's height above which the running sums are slower
_LARGE = 4_000_000  # pixels above which a copy in float32 would take too much memory
_STEP = 4  # rows between stored sums: a quarter of the memory for little more work
_STEP_HUGE, _HUGE = 16, 50_000_000  # the same for images of more pixels than that
_BLOCK = 1_000_000  # values averaged at a time


class Pyramid:
    """Downscales one image ``(H, W, 3)`` uint8; holds about 3 bytes per pixel."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._sums: npt.NDArray[np.int32] | None = None
        self._pixels: FloatArray | None = None
        self._step = _STEP_HUGE if math.prod(image.shape[:2]) > _HUGE else _STEP

    def at(self, width: int, height: int) -> FloatArray:
        """The image at a smaller size, ``(height, width, 3)`` float32, 0 to 255.

        Request the larger sizes first: memory that only they need is freed at the first small one.
        """
        full, wide = self.image.shape[:2]
        if height > full * _SMALL and full * wide <= _LARGE:
            if self._pixels is None:
                self._pixels = self.image.astype(np.float32)
            small = cv2.resize(self._pixels, (width, height), interpolation=cv2.INTER_AREA)
            return np.asarray(small, np.float32)
        self._pixels = None
        edges = np.linspace(0, full, height + 1)
        step = max(1, _BLOCK // (3 * wide))
        shrunk = np.empty((height, width, 3), np.float32)
        for top in range(0, height, step):  # first the height, then the width
            rows = self._flatten(edges[top : top + step + 1])
            size = (width, len(rows))
            shrunk[top : top + step] = cv2.resize(rows, size, interpolation=cv2.INTER_AREA)
        return shrunk

    def _flatten(self, edges: npt.NDArray[np.float64]) -> FloatArray:
        """Mean of the rows between consecutive `edges` (n + 1, in rows): ``(n, W, 3)``."""
        full = len(self.image)
        flat = self.image.reshape(full, -1)
        rows = edges.astype(np.intp)
        parts = flat[np.minimum(rows, full - 1)] * (edges - rows).astype(np.float32)[:, None]
        # Whole rows first, as integers: the sums are too large for a float32's 24 bits.
        means = np.diff(self._above(rows), axis=0).astype(np.float32)
        means += parts[1:]
        means -= parts[:-1]
        means *= (1 / np.diff(edges)).astype(np.float32)[:, None]
        return means.reshape(len(edges) - 1, -1, 3)

    def _above(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
        """Column sums of everything above each of the n `rows`: ``(n, 3 W)``."""
        flat = self.image.reshape(len(self.image), -1)
        if self._sums is None:
            self._sums = np.zeros((len(flat) // self._step + 1, flat.shape[1]), np.int32)
            running = np.zeros(flat.shape[1], np.int32)
            for number, row in enumerate(flat, 1):
                np.add(running, row, out=running)
                if number % self._step == 0:
                    self._sums[number // self._step] = running
        sums = self._sums[rows // self._step]
        for further in range(self._step - 1):
            some = np.flatnonzero(rows % self._step > further)
            sums[some] += flat[rows[some] // self._step * self._step + further]
        return sums
