"""Decodes an image file or PIL image to upright RGB; checks its size, page, depth and damage."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from mien.errors import ImageError, InputError
from mien.media import damage, signatures, values
from mien.media.limits import RGB_BYTES, check_file_size, check_image_size
from mien.media.pages import Page, main_page, moved_to
from mien.media.values import Samples8
from mien.types import Image

if TYPE_CHECKING:
    from PIL import Image as PilImage

# Pillow's other formats are excluded: some run external programs (EPS), none hold photos of people.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM")
_READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000 or PPM"
_FULL_SCALE = ("PPM", "JPEG2000")  # their decoders scale by the declared depth
_HEAD = 4096  # bytes from which the format is recognized
_HUGE = 45_000_000  # pixels from which images are decoded one at a time
_DEEP = 64  # high bytes below this: of 16 bits, 14 or fewer are used
#: Peak memory of decoding, bytes per pixel, as measured, the RGB image included.
_COST = {"WEBP": 17, "AVIF": 10, "HEIF": 8, "JPEG2000": 20}
_DEEP_COST, _PROGRESSIVE_COST = 17, 9
_TURNS = {  # EXIF orientation: (swap rows and columns?, then which way cv2.flip mirrors)
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
_pillow_settings = threading.RLock()


def read_file(file: BinaryIO, name: str) -> Image:
    """Decode a seekable image file; see `mien.read_image`."""
    with _damage(name):
        file.seek(0)
        head = file.read(_HEAD)
        size = signatures.webp_size(head)
        if size is not None:  # Pillow allocates the memory on opening
            check_image_size(name, *size, _COST["WEBP"])
        first = page = None
        if head[:2] in (b"II", b"MM"):
            first, page = _tiff_page(file, head, name)
            if page is not first and page is not None:
                file = io.BytesIO(moved_to(_bytes(file, name), page))
        image = _opened(file, head, page, name)
        if isinstance(image, np.ndarray):
            return image
        with image:
            if first is not page and first is not None and image.getexif().get(0x0112, 1) == 1:
                return turned(_decoded(image, name, file, page), first.orientation)
            return _decoded(image, name, file, page)


def read_pil(image: PilImage.Image, name: str) -> Image:
    """The pixels of a PIL image, which is left unchanged."""
    with _damage(name):
        return _decoded(image, name, None, None)


def turned(pixels: Image, orientation: int) -> Image:
    """An image turned upright by its EXIF orientation, in place where possible."""
    if orientation not in _TURNS:
        return pixels
    import cv2

    swap, mirror = _TURNS[orientation]
    if swap:
        pixels = cast(Image, cv2.transpose(pixels))
    return pixels if mirror is None else cast(Image, cv2.flip(pixels, mirror, dst=pixels))


@contextmanager
def quiet() -> Iterator[None]:
    """Disable Pillow's warnings and size limit; `mien.media.limits` has one for all formats.

    Under a lock, as Python's warning filters and Pillow's limit are global to the process.
    """
    from PIL import Image as PilImage

    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, PilImage.MAX_IMAGE_PIXELS = PilImage.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PilImage.MAX_IMAGE_PIXELS = theirs


def _tiff_page(file: BinaryIO, head: bytes, name: str) -> tuple[Page | None, Page | None]:
    """The first page and the page that is the image; None where the file cannot be parsed."""
    problem = signatures.describe(head)
    first, page = main_page(file) or (None, None)
    if page is not None and page.is_raw:
        problem = signatures.RAW
    if problem is not None:
        raise ImageError(f"{name} {problem}.")
    return first, page


def _opened(file: BinaryIO, head: bytes, page: Page | None, name: str) -> PilImage.Image | Image:
    """The file opened with Pillow, or the pixels of a TIFF that only OpenCV can read."""
    from PIL import Image as PilImage
    from PIL import UnidentifiedImageError

    try:
        with quiet():
            return PilImage.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if page is not None:
            check_image_size(name, page.width, page.height, 4 + page.bits // 8 * 3)
            return values.to_color(_tiff_samples(file, page, name))
        if head[4:8] == b"ftyp":
            import pi_heif

            pi_heif.register_heif_opener()
            try:
                with quiet():
                    return PilImage.open(file, formats=("HEIF",))
            except UnidentifiedImageError:
                pass
        raise ImageError(f"{name} {_not_read(file)}.") from error


def _not_read(file: BinaryIO) -> str:
    """The problem with a file that no decoder accepts."""
    file.seek(0)
    head = file.read(1 << 20)  # a JPEG's frame header may follow a long EXIF block
    file.seek(-min(len(head), 18), os.SEEK_END)
    problem = signatures.describe(head, file.read(18))
    return problem or f"is not an image that can be read ({_READABLE}), or it is damaged or cut off"


def _decoded(image: PilImage.Image, name: str, file: BinaryIO | None, page: Page | None) -> Image:
    """Decode an opened image; `file` is None for a PIL image of the user."""
    width, height = image.size
    # Of 16 bits per channel, Pillow returns the upper 8.
    deep = (
        file is not None
        and image.mode in ("RGB", "RGBA")
        and (page.bits == 16 if page else image.format == "PNG" and damage.is_deep_png(file))
    )
    check_image_size(name, width, height, _cost(image, deep=deep))
    # Pillow warns about sizes again while decoding TIFF; two huge images at once exhaust memory.
    careful = image.format == "TIFF" or width * height > _HUGE
    pixels = None
    with quiet() if careful else nullcontext():
        if file is not None and image.format in ("JPEG", "MPO"):
            pixels = damage.decode_jpeg(_bytes(file, name), name, inks=image.mode == "CMYK")
        if pixels is None:
            image.load()
    if pixels is not None:
        return turned(pixels, _orientation(image))
    if file is not None:
        _check(image, file, name)
    samples = _deep_color(image, name, file, page) if deep else _deep_gray(image, name, file, page)
    pixels = values.to_rgb(image) if samples is None else values.to_color(samples)
    return turned(pixels, _orientation(image))


def _cost(image: PilImage.Image, *, deep: bool) -> int:
    """Peak memory of decoding, bytes per pixel."""
    if image.format in ("JPEG", "MPO") and image.mode != "CMYK":
        return _PROGRESSIVE_COST if image.info.get("progressive") else RGB_BYTES
    if deep or image.mode in ("I", "F"):
        return _DEEP_COST
    held = 1 if image.mode in ("1", "L", "P") else 4
    return _COST.get(image.format or "", RGB_BYTES + held)


def _check(image: PilImage.Image, file: BinaryIO, name: str) -> None:
    """Check for damage a file that Pillow has decoded without an error."""
    if image.format == "PNG":
        last = image.crop((0, image.height - 1, *image.size))
        damage.check_png(file, name, ends_black=not np.asarray(last).any())
    elif image.format == "WEBP":
        damage.check_webp(_bytes(file, name), name)
    elif image.format in ("HEIF", "AVIF"):
        damage.check_container(_bytes(file, name), name)


def _deep_color(
    image: PilImage.Image, name: str, file: BinaryIO | None, page: Page | None
) -> Samples8 | None:
    """16-bit color that uses fewer bits, scaled to 8; None where Pillow's 8 bits are right."""
    if page is not None and page.is_planar:
        raise ImageError(f"{name} holds 16-bit color in separate planes: save it with 8 bits.")
    extrema = cast("tuple[tuple[int, int], ...]", image.getextrema())
    if file is None or max(most for _, most in extrema[:3]) >= _DEEP:
        return None
    if page is not None:
        return _tiff_samples(file, page, name)
    samples = values.read_all_bits(_bytes(file, name), name)
    bits = values.png_bits(samples[..., :3], damage.significant_bits(file))
    return values.to_8_bits(samples, name, bits=bits)


def _deep_gray(
    image: PilImage.Image, name: str, file: BinaryIO | None, page: Page | None
) -> Samples8 | None:
    """Gray of more than 8 bits, scaled to 8; None for all other images."""
    if not (image.mode in ("F", "I") or image.mode.startswith("I;16")):
        return None
    samples = np.asarray(image)
    if page is not None:
        if samples.dtype == np.int32 and not page.is_signed:
            samples = samples.view(np.uint32)
        return _tiff_8_bits(samples, name, page, page.stated_bits)
    bits = 16 if image.format in _FULL_SCALE else None
    if file is not None and image.format == "PNG":
        bits = values.png_bits(samples, damage.significant_bits(file))
    return values.to_8_bits(samples, name, bits=bits)


def _tiff_samples(file: BinaryIO, page: Page, name: str) -> Samples8:
    """The samples of a TIFF by OpenCV, which returns 10, 12 and 14 packed bits at full scale."""
    samples = values.read_all_bits(_bytes(file, name), name)
    if samples.dtype == np.uint8:
        if page.bits != 8:
            raise ImageError(f"{name} {values.NOT_READ}.")
        return samples
    return _tiff_8_bits(samples, name, page, page.stated_bits if page.bits % 8 == 0 else 16)


def _tiff_8_bits(samples: values.Samples, name: str, page: Page, bits: int | None) -> Samples8:
    signed, inverted = page.is_signed, page.white_is_zero
    return values.to_8_bits(samples, name, bits=bits, signed=signed, white_is_zero=inverted)


def _bytes(file: BinaryIO, name: str) -> bytes:
    file.seek(0, os.SEEK_END)
    check_file_size(name, file.tell())
    file.seek(0)
    return file.read()


def _orientation(image: PilImage.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if the EXIF block is absent or broken."""
    try:
        with quiet():
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # noqa: BLE001 - broken metadata does not invalidate the image
        return 1


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn any exception of a decoder into one clear `ImageError`."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is: make it smaller.") from error
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        if any(word in reason.lower() for word in ("truncated", "end of file")):
            raise ImageError(f"{name} {damage.CUT_OFF}.") from error
        raise ImageError(f"{name} is damaged or cut off: {reason}.") from error
