"""Conversion of sample values to 8-bit RGB: the white level, and the color of transparent pixels.

Files of 16 or more bits often use fewer, and few declare it. The rule: white is the largest value
of the depth that the file declares (TIFF ``MaxSampleValue``, PNG ``sBIT`` unless the values are
already at full scale), or else of the smallest usual depth (8, 10, 12, 14, 16, 24, 32 bits) that
holds all values of the image. Floats are 0 to 1, or 0 to the largest value of such a depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import ImageError
from mien.types import Image

if TYPE_CHECKING:
    from PIL import Image as PilImage

Samples = npt.NDArray[Any]
Samples8 = npt.NDArray[np.uint8]

_DEPTHS = (8, 10, 12, 14, 16, 24, 32)
_ROWS = 32  # converted at a time, so that the copies stay in the processor's cache
_NEUTRAL = (128, 128, 128, 255)
_LEAST_FLOAT_RANGE = 16  # floats up to a value between 1 and this have no plausible depth


def to_rgb(image: PilImage.Image) -> Image:
    """A loaded PIL image of 8-bit samples as ``(H, W, 3)`` RGB.

    Transparent pixels become mid gray: outside the circle of a profile image the hidden pixels can
    be anything.
    """
    from PIL import Image as PilImage
    from PIL import ImageFilter

    if image.mode == "1":  # undo dithering, so that faces are detected
        image = image.convert("L").filter(ImageFilter.GaussianBlur(1.0))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):  # in strips, as every step makes a copy
        strip = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        if strip.mode == "La":
            strip = strip.convert("LA")
        if strip.has_transparency_data:
            ground = PilImage.new("RGBA", strip.size, _NEUTRAL)
            ground.alpha_composite(strip.convert("RGBA"))
            strip = ground
        pixels[top : top + _ROWS] = np.asarray(
            strip if strip.mode == "RGB" else strip.convert("RGB")
        )
    return pixels


def to_color(samples: Samples8) -> Image:
    """8-bit gray, RGB or RGBA samples as ``(H, W, 3)`` RGB, transparent pixels mid gray."""
    from PIL import Image as PilImage

    if samples.ndim == 2:
        return np.repeat(samples[..., None], 3, axis=2)
    if samples.shape[2] == 4:
        return to_rgb(PilImage.fromarray(np.ascontiguousarray(samples)))
    return np.ascontiguousarray(samples)


def to_8_bits(
    samples: Samples,
    name: str,
    *,
    bits: int | None = None,
    signed: bool = False,
    white_is_zero: bool = False,
) -> Samples8:
    """Scale samples of any type to 8 bits.

    Args:
        samples: ``(H, W)`` or ``(H, W, channels)``, integers or floats.
        name: name of the image, for errors.
        bits: depth of the values, if declared.
        signed: their type is signed, so that white has one bit fewer.
        white_is_zero: small values are light.

    Returns:
        uint8 of the same shape; negative values become black.

    Raises:
        ImageError: floats of an undefined range: not finite, negative, or just over 1.
    """
    if samples.ndim == 3 and samples.shape[2] == 4:  # alpha may have another depth
        color = to_8_bits(samples[..., :3], name, bits=bits, signed=signed)
        return np.dstack([color, to_8_bits(samples[..., 3], name, signed=signed)])
    white = _white(samples, name, bits, signed=signed)
    scaled = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), _ROWS):
        rows = samples[top : top + _ROWS]
        if white == 1 and rows.dtype.kind == "f":
            part = np.rint(rows.clip(0, 1) * 255)
        elif rows.dtype.kind == "f":
            part = np.rint(rows.clip(0, white) * (255 / white))
        else:  # the high bits, as decoders of 16-bit color do
            part = rows.clip(0, white).astype(np.uint32) >> (white.bit_length() - 8)
        scaled[top : top + _ROWS] = 255 - part if white_is_zero else part
    return scaled


def png_bits(samples: Samples, significant: int | None) -> int | None:
    """Depth of 16-bit PNG samples by its sBIT chunk; None if the usual rule applies.

    The standard requires values shifted up to 16 bits, with low bits that are zero or a copy of
    the high ones, but some writers declare sBIT and leave the values unshifted.
    """
    if significant is None or not 8 <= significant < 16:
        return None
    if int(samples.max()) >= 1 << significant:
        return 16
    low = samples & ((1 << (16 - significant)) - 1)
    full_scale = bool(((low == 0) | (low == samples >> significant)).all())
    return 16 if full_scale else significant


def read_all_bits(data: bytes, name: str) -> Samples:
    """Samples at full depth, ``(H, W)`` or ``(H, W, 3 or 4)`` in RGB order, read with OpenCV.

    Raises:
        ImageError: OpenCV cannot read this kind of file.
    """
    import cv2
    from cv2.utils import logging

    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # it writes to standard error otherwise
    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{name} {NOT_READ}.") from error
    finally:
        logging.setLogLevel(level)
    if samples is None or (samples.ndim == 3 and samples.shape[2] not in (3, 4)):
        raise ImageError(f"{name} {NOT_READ}.")
    if samples.ndim == 3:
        samples = samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    return samples


NOT_READ = (
    "is damaged, or holds samples of a number, depth or compression that is not read:"
    " save it with 8 bits a channel"
)


def depth_of(top: float) -> int:
    """Bits of the smallest usual depth that holds a value, at most 32."""
    return next((bits for bits in _DEPTHS if top < 1 << bits), 32)


def _white(samples: Samples, name: str, bits: int | None, *, signed: bool) -> int:
    top = samples.max()
    if samples.dtype.kind != "f":
        if bits is None or top >= 1 << bits:
            bits = depth_of(int(top))
            bits -= signed and bits in (16, 32)
        return (1 << bits) - 1
    low = samples.min()
    if not (np.isfinite(low) and np.isfinite(top)) or low < 0 or 1 < top < _LEAST_FLOAT_RANGE:
        raise ImageError(
            f"{name} has float values of {low:.3g} to {top:.3g}, so that white is undefined:"
            " scale them to 0 to 1, or save it with 8 bits."
        )
    return 1 if top <= 1 else (1 << depth_of(float(np.ceil(top)))) - 1
