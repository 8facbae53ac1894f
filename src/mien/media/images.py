"""Pictures in and out: anything a user may call a picture becomes ``(H, W, 3)`` uint8 RGB, upright.

One decoder, Pillow, reads every format. OpenCV decodes a 12-megapixel JPEG in about half the time
but returns a half-grey picture for a file that is cut off, and does not know CMYK; a wrong picture
gives a wrong table, so it only helps here to turn pictures, which it does three times faster.

Colour profiles (ICC) are not applied: a Display P3 phone picture comes out slightly less
saturated, which does not change an expression, and a conversion would cost more than the decoding.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mien.errors import ImageError, InputError, InputNotFoundError, UsageError
from mien.files import SIGNATURE, check_output, write_bytes
from mien.media.paths import irregular, is_handed_over
from mien.types import Image

if TYPE_CHECKING:
    from PIL import Image as PilImage

ImageSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO"
    " | PilImage.Image | npt.NDArray[Any]"
)

MAX_PIXELS = 178_000_000
"""The largest picture that is decoded, in pixels: just under what Pillow itself refuses."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".avif", ".heic", ".heif", ".hif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""File name endings, in lower case, by which pictures are found in folders."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".avi", ".mkv", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)
"""File name endings by which a video is told apart from a broken picture."""

# Pillow's other formats are left out: some run outside programs (EPS), none hold photos of people.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM")
_READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000 or PPM"
_SOFTWARE = 0x0131  # EXIF tag
_NEUTRAL = (128, 128, 128, 255)
_TURNS = {  # EXIF orientation: (swap rows and columns?, then which way cv2.flip mirrors)
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
_WRITERS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_warning_filters = threading.Lock()


def read_image(source: ImageSource, *, name: str | None = None) -> Image:
    """Read one picture.

    The first page of a TIFF and the first frame of a GIF, animated PNG or WebP is the picture.
    EXIF orientation is applied, also that of a PIL image. Transparent pixels show mid grey, as a
    profile picture cut to a circle often hides anything at all outside the circle. 16-bit values
    are scaled to 8 bits.

    Args:
        source: a path, the bytes of a file, a binary file object (read from its start where it
            can be rewound, and left open), a PIL image (left as it is) or a uint8 array in RGB
            order: ``(H, W, 3)``, ``(H, W, 4)`` with alpha, ``(H, W)`` or ``(H, W, 1)`` grey.
            OpenCV's arrays are BGR: pass ``array[..., ::-1]``.
        name: what to call the source in error messages; by default its own name.

    Returns:
        ``(H, W, 3)`` uint8 RGB, writable, C-contiguous, sharing no memory with the source.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: the path is a folder.
        ImageError: the source is not a picture, is damaged, cut off or not permitted to be read,
            has over `MAX_PIXELS` pixels, or is an array of another dtype or shape.
        UsageError: the source is of a type that cannot be a picture.
    """
    name = name or name_of(source)
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    if isinstance(source, str | os.PathLike):
        with _open(os.fspath(source), name) as file:
            return _from_file(file, name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_file(io.BytesIO(source), name)
    if _is_pil(source):
        return _from_pil(cast("PilImage.Image", source), name)
    if hasattr(source, "read"):
        return _from_file(_rewindable(source, name), name)
    raise UsageError(
        f"{type(source).__name__} is not a picture: give a path, bytes, a binary file, a PIL image"
        " or a NumPy array (None is what cv2.imread returns for a file it cannot read)."
    )


def is_picture(source: object) -> bool:
    """Whether `source` is one picture by its type, other than a path: `read_image` may take it."""
    known = isinstance(source, np.ndarray | bytes | bytearray | memoryview)
    return known or hasattr(source, "read") or _is_pil(source)


def name_of(source: object, number: int | None = None) -> str:
    """What to call a source: its path or file name, or else its kind, such as ``array 3``."""
    if isinstance(source, str | os.PathLike):  # tables and JSON hold only what UTF-8 can say
        with suppress(UnicodeEncodeError):  # a name from a table that this locale cannot spell
            return os.fsencode(source).decode("utf-8", "backslashreplace")
        return os.fspath(source)
    own = getattr(source, "filename" if _is_pil(source) else "name", None)
    if isinstance(own, str) and own:
        return own
    kind = "image" if _is_pil(source) else "file" if hasattr(source, "read") else "bytes"
    kind = "array" if isinstance(source, np.ndarray) else kind
    return f"the {kind}" if number is None else f"{kind} {number}"


def write_image(
    path: str | os.PathLike[str], image: Image, *, quality: int = 92, overwrite: bool = False
) -> None:
    """Write a picture as JPEG, PNG or WebP, by the ending of `path`.

    Args:
        path: ends in .jpg, .jpeg, .png or .webp; an image that mien wrote is replaced.
        image: ``(H, W, 3)`` uint8 RGB.
        quality: 1 to 100, for JPEG and WebP.
        overwrite: replace any other file, too.

    Raises:
        UsageError: another ending, a folder that does not exist, a file that mien did not write,
            a quality out of range, or a picture too large for the format.
        ImageError: `image` is not a uint8 picture.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _WRITERS:
        raise UsageError(f"{path} cannot be written: end its name in .jpg, .png or .webp.")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality must be 1 to 100, got {quality}.")
    target = check_output(path, overwrite=overwrite)
    write_bytes(target, _encode(image, _WRITERS[suffix], quality=quality, exif=_signature()))


def _signature() -> bytes:
    """EXIF that says which program wrote an image."""
    from PIL.Image import Exif

    exif = Exif()
    exif[_SOFTWARE] = SIGNATURE
    return exif.tobytes()


def encode_png(image: Image) -> bytes:
    """The bytes of a PNG file; raises `ImageError` where `image` is not a uint8 picture."""
    return _encode(image, "PNG")


def _encode(image: Image, form: str, **options: Any) -> bytes:
    from PIL import Image as PilImage

    buffer = io.BytesIO()
    pixels = _from_array(image, "the array")
    try:
        PilImage.fromarray(pixels).save(buffer, form, **options)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise UsageError(f"{width} x {height} pixels do not fit in {form}: {error}.") from error
    return buffer.getvalue()


def _from_array(array: npt.NDArray[Any], name: str) -> Image:
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or not (grey or colour) or not array.size:
        raise ImageError(
            f"{name} is {array.dtype} of shape {array.shape}, but a picture is uint8 of shape"
            f" (height, width, 3) in RGB order{_array_hint(array)}."
        )
    if grey:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    elif array.shape[2] == 4:
        from PIL import Image as PilImage

        return _from_pil(PilImage.fromarray(np.ascontiguousarray(array)), name)
    return np.array(array, dtype=np.uint8, order="C", subok=False)


def _array_hint(array: npt.NDArray[Any]) -> str:
    if not array.size:
        return "; this one is empty"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        return "; move the channels last: array.transpose(1, 2, 0)"
    if array.dtype == np.bool_ or (array.dtype.kind == "f" and np.nanmax(array) <= 1):
        return "; multiply by 255 and convert: (array * 255).round().astype('uint8')"
    if array.dtype == np.uint16:
        return "; divide by 257 and convert: (array // 257).astype('uint8')"
    if array.dtype.kind in "iuf" and array.dtype != np.uint8:
        return "; convert values of 0 to 255: array.clip(0, 255).astype('uint8')"
    return ""


def _open(path: str, name: str) -> BinaryIO:
    what = irregular(path)
    if what is not None and not is_handed_over(path):  # opening it may wait for ever
        raise ImageError(f"{name} is {what}, where an image file is expected.")
    try:
        if what is None:
            return open(path, "rb")
        with open(path, "rb") as file:  # what a shell hands over cannot be rewound
            return io.BytesIO(file.read())
    except FileNotFoundError as error:
        hint = "; mien reads local files only, download it first" if "://" in path else ""
        raise InputNotFoundError(f"There is nothing at {name!r}{hint}.") from error
    except (IsADirectoryError, PermissionError) as error:
        if os.path.isdir(path):  # Windows says "permission denied" of a folder
            raise InputError(f"{name} is a folder, where one picture is expected.") from error
        raise ImageError(f"{name} may not be read: permission denied.") from error
    except (OSError, ValueError) as error:  # a ValueError is a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name!r} cannot be opened: {reason}.") from error


def _rewindable(file: Any, name: str) -> BinaryIO:
    """Make a user's file object one that can be rewound, which Pillow then does."""
    if isinstance(file, io.TextIOBase):
        raise UsageError(f"{name} is open as text: open it in binary mode, open(path, 'rb').")
    try:
        if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
            return cast(BinaryIO, file)
        data = file.read()
    except (OSError, ValueError) as error:  # a ValueError is a closed file
        raise ImageError(f"{name} cannot be read: {error}.") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name} must read as bytes, got {type(data).__name__}.")
    return io.BytesIO(data)


def _from_file(file: BinaryIO, name: str) -> Image:
    from PIL import Image as PilImage
    from PIL import UnidentifiedImageError

    with _damage(name):
        try:
            with _quiet():
                image: PilImage.Image = PilImage.open(file, formats=_FORMATS)
        except UnidentifiedImageError as error:
            file.seek(0)
            head = file.read(4096)
            image = _open_heic(file, head, name, error)
        with image:
            return _from_pil(image, name)


def _open_heic(file: BinaryIO, head: bytes, name: str, cause: Exception) -> PilImage.Image:
    """Try the one format that Pillow has no decoder for, or say what is wrong with the file."""
    from PIL import Image as PilImage
    from PIL import UnidentifiedImageError

    if head[4:8] == b"ftyp":
        import pillow_heif

        pillow_heif.register_heif_opener()
        try:
            with _quiet():
                return PilImage.open(file, formats=("HEIF",))
        except UnidentifiedImageError:
            pass
    if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES:
        problem = "is a video, not a picture, and this version reads pictures only"
    elif not head:
        problem = "is empty: it has 0 bytes"
    elif _is_text(head):
        problem = "holds text, not a picture, whatever its name says"
    else:
        problem = f"is not a picture that can be read ({_READABLE}), or it is damaged or cut off"
    raise ImageError(f"{name} {problem}.") from cause


def _is_text(head: bytes) -> bool:
    try:  # incrementally, as the last character may be cut in two
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False


def _from_pil(image: PilImage.Image, name: str) -> Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, width * height, MAX_PIXELS))
    if not width or not height:
        raise ImageError(f"{name} has no pixels: it is {width} x {height}.")
    # Pillow warns of sizes again while it decodes TIFF; and two huge pictures at once eat memory.
    careful = image.format == "TIFF" or width * height > MAX_PIXELS // 4
    with _damage(name):
        with _quiet() if careful else nullcontext():
            image.load()
        return _turned(_to_rgb(image, name), _orientation(image))


def _to_rgb(image: PilImage.Image, name: str) -> Image:
    from PIL import Image as PilImage
    from PIL import ImageFilter

    if image.mode == "F":
        raise ImageError(
            f"{name} has 32-bit float pixels without a known range: save it in 8 bits."
        )
    if image.mode.startswith("I"):  # 16 bits, or 16 bits held in 32; Pillow would clip at 255
        grey = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
        return _from_array((grey >> 8).astype(np.uint8), name)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        ground = PilImage.new("RGBA", image.size, _NEUTRAL)
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    if image.mode == "1":  # dots stand for greys: bring the greys back, for faces to be found
        image = image.convert("L").filter(ImageFilter.GaussianBlur(1.0))
    if image.mode != "RGB":
        image = image.convert("RGB")
    # In strips, as Pillow hands out its pixels by way of bytes: the copies then stay in the cache.
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, 32):
        strip = image.crop((0, top, image.width, min(top + 32, image.height)))
        pixels[top : top + 32] = np.asarray(strip)
    return pixels


def _orientation(image: PilImage.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where the EXIF block is absent or broken."""
    try:
        with _quiet():
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # noqa: BLE001 - a broken note about a picture does not break the picture
        return 1


def _turned(pixels: Image, orientation: int) -> Image:
    if orientation not in _TURNS:
        return pixels
    import cv2

    swap, mirror = _TURNS[orientation]
    turned = cv2.transpose(pixels) if swap else pixels
    return cast(Image, turned if mirror is None else cv2.flip(turned, mirror))


def _is_pil(source: object) -> bool:
    module = sys.modules.get("PIL.Image")  # who holds a PIL image has imported it
    return module is not None and isinstance(source, module.Image)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings in; under a lock, as Python's warning filters are not thread-safe."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises, which may be anything, into one clear `ImageError`."""
    from PIL import Image as PilImage

    try:
        yield
    except InputError:
        raise
    except PilImage.DecompressionBombError as error:
        pixels, limit = [
            int(word) for word in str(error).replace("(", "").split() if word.isdigit()
        ]
        raise ImageError(_too_large(name, pixels, limit)) from error
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        if any(word in reason.lower() for word in ("truncated", "end of file")):
            reason = "the file ends before the picture does, copy or download it again"
            raise ImageError(f"{name}: the picture is cut off; {reason}.") from error
        raise ImageError(f"{name} is damaged or cut off: {reason}.") from error


def _too_large(name: str, pixels: int, limit: int) -> str:
    return f"{name} has {pixels:,} pixels, over the limit of {limit:,}: make it smaller first."
