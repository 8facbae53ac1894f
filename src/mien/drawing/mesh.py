"""Contours of face meshes: eyes, irises, brows, nose, lips and the outline, as thin lines."""

from __future__ import annotations

import cv2
import numpy as np

from mien.types import FloatArray, Image

#: Points of a mesh in the order of a line, and whether it is closed.
CONTOURS: tuple[tuple[tuple[int, ...], bool], ...] = (
    (
        (
            *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400),
            *(377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67),
            109,
        ),
        True,
    ),
    ((33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246), True),
    ((263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466), True),
    ((469, 470, 471, 472), True),
    ((474, 475, 476, 477), True),
    ((70, 63, 105, 66, 107), False),
    ((300, 293, 334, 296, 336), False),
    ((168, 6, 197, 195, 5, 4), False),
    ((98, 97, 2, 326, 327), False),
    (
        (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
        True,
    ),
    (
        (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
        True,
    ),
)
_COLOR = (255, 255, 255)
_OPACITY = 0.6
_SUBPIXELS = 4  # bits of OpenCV's fixed-point coordinates
_WIDTH = 1 / 160  # of a line, in widths of a face


def draw_mesh(image: Image, points: FloatArray) -> Image:
    """Draw the contours of n faces, translucent, so that the faces stay visible.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is not changed.
        points: ``(n, 478, 3)`` pixels, as in `mien.faces.mesh.Mesh`; faces of NaN are left out.

    Returns:
        ``(H, W, 3)`` uint8 RGB, a new array.
    """
    lines = image.copy()
    for face in points[np.isfinite(points).all(axis=(1, 2))]:
        thickness = max(1, round(_WIDTH * float(np.ptp(face[:, 0]))))
        fixed = np.rint((face[:, :2] - 0.5) * 2**_SUBPIXELS).astype(np.int32)
        for order, closed in CONTOURS:
            path = [fixed[list(order)]]
            cv2.polylines(lines, path, closed, _COLOR, thickness, cv2.LINE_AA, _SUBPIXELS)
    return np.asarray(cv2.addWeighted(image, 1 - _OPACITY, lines, _OPACITY, 0), np.uint8)
