"""Vectors by which a tracker re-identifies people within a video where motion is ambiguous.

Of faces with landmarks they are those of `mien.faces.identity`. Of others they describe shape and
color of the head with its hair, inside an oval that excludes the background: a histogram of
oriented gradients (Dalal and Triggs 2005) and a blurred histogram of the colors in CIE Lab, so that
small changes of light or expression have little effect. That is not face recognition: it works for
the same light, face and hair, not across videos or from behind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mien.faces.crops import crop_faces
from mien.faces.detectors.weights import weights
from mien.faces.identity import IdentityModel
from mien.models.card import CropSpec
from mien.types import Crops, Faces, FloatArray, Image

Identity = Callable[[Image, Faces], FloatArray]
"""A function of an image and n faces in it: ``(n, d)`` unit vectors, similar for one person."""

_HEAD = CropSpec(margin=0.25)  # the box grown by a quarter on each side: hair, ears and chin
_SIDE = 64  # side of the crop, pixels; gradients are counted in cells of 8
_BLOCKS = 7  # blocks of 16 pixels, in steps of 8, along each side
_BINS = 8  # along each of L, a and b
_OVAL = (0.7, 0.85)  # half axes of the head in the crop, as fractions of half its side
_LOW, _HIGH = (0.0, 104.0, 104.0), (255.0, 176.0, 176.0)  # Lab range of skin, hair and clothes


class Recognition(NamedTuple):
    """How faces are compared.

    Attributes:
        vectors: makes unit vectors ``(n, d)`` of an image and n faces in it.
        near: minimum cosine of one person's faces where a hidden one may reappear.
        stayed: anywhere else in the same shot, or at the same position after a sudden change.
        again: anywhere after a cut.
    """

    vectors: Identity
    near: float
    stayed: float
    again: float


def recognition(faces: Faces) -> Recognition:
    """How the faces of a video are compared, of which some are given."""
    if faces.landmarks is None:
        return Recognition(appearance, near=0.82, stayed=0.92, again=0.94)
    return Recognition(_identity, near=0.25, stayed=0.45, again=0.5)


def _identity(image: Image, faces: Faces) -> FloatArray:
    return _network()(image, faces)


@cache
def _network() -> IdentityModel:
    return IdentityModel(weights("mobilefacenet"), threads=1)


def appearance(image: Image, faces: Faces) -> FloatArray:
    """Unit vectors ``(n, d)`` float32; their scalar products are cosine similarities.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        faces: n faces in pixels of `image`; only their boxes are used, so landmarks are not needed.
    """
    crops = crop_faces(image, faces, _SIDE, _HEAD)
    vectors = np.empty((len(faces), _gradients().getDescriptorSize() + _BINS**3), np.float32)
    for row, face in enumerate(crops):
        vectors[row] = np.concatenate([_shape(face), _colors(face)]) * np.sqrt(0.5)
    return vectors


@cache
def _gradients() -> Any:
    import cv2

    return cv2.HOGDescriptor((_SIDE, _SIDE), (16, 16), (8, 8), (8, 8), 9)


@cache
def _oval(size: int) -> FloatArray:
    """Mask ``(size, size)``: 1 on the head, 0 outside, with a soft edge."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    away = np.hypot(x / _OVAL[0], (y + 0.05) / _OVAL[1])
    return np.asarray(np.clip((1 - away) / 0.15 + 0.5, 0, 1), np.float32)


def _shape(crop: Crops) -> FloatArray:
    """Oriented gradients, block by block (columns first), as a vector of length 1."""
    import cv2

    values = _gradients().compute(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY))
    values = (values.reshape(_BLOCKS, _BLOCKS, -1) * _oval(_BLOCKS).T[..., None] ** 0.5).ravel()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-9), np.float32)


def _colors(crop: Crops) -> FloatArray:
    """Square roots of the color histogram: their product is the Bhattacharyya coefficient.

    Each pixel is distributed over the eight nearest bins, which avoids effects at bin edges.
    """
    import cv2

    smooth = cv2.GaussianBlur(crop, (0, 0), 2.5)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    low, high = np.array(_LOW, np.float32), np.array(_HIGH, np.float32)
    places = np.clip((lab - low) / (high - low), 0, 1) * (_BINS - 1)
    below = np.minimum(places.astype(np.intp), _BINS - 2)
    share = places - below
    head = _oval(_SIDE).ravel()
    counts: npt.NDArray[np.float64] = np.zeros(_BINS**3)
    for corner in np.ndindex(2, 2, 2):
        bins = (below + corner) @ (_BINS**2, _BINS, 1)
        weight = np.where(np.array(corner, bool), share, 1 - share).prod(axis=1) * head
        counts += np.bincount(bins, weight, minlength=_BINS**3)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)
