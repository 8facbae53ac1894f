"""Reading and writing images: any kind of image becomes ``(H, W, 3)`` uint8 RGB, upright.

Pillow reads every format but the pixels of a JPEG: those come from libjpeg-turbo through
simplejpeg, which gives the same pixels in under half the time and reports damaged data.
OpenCV reads color images of more than 8 bits, of which Pillow keeps 8, and rotates images.

Color profiles (ICC) are not applied: a Display P3 phone image comes out slightly less saturated,
which does not change an expression, and a conversion would cost more than the decoding.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mien.errors import ImageError, InputError, InputNotFoundError, UsageError
from mien.files import SIGNATURE, check_output, write_bytes
from mien.media.image_file import read_file, read_pil
from mien.media.paths import irregular, is_handed_over
from mien.media.values import depth_of
from mien.types import Image

if TYPE_CHECKING:
    from PIL import Image as PilImage

_Encoded: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
ImageSource: TypeAlias = "_Encoded | PilImage.Image | npt.NDArray[Any]"

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".avif", ".heic", ".heif", ".hif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""File name extensions of images, in lower case."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".avi", ".mkv", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)
"""File name extensions of videos, in lower case."""

_SOFTWARE = 0x0131  # EXIF tag
_WRITERS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


def read_image(source: ImageSource, *, name: str | None = None) -> Image:
    """Read one image.

    Of a GIF, animated PNG, WebP or AVIF, the first frame is read; of a TIFF the first page, or the
    full-size page if the first is marked as a thumbnail. EXIF orientation is applied, also that of
    a PIL image. Transparent pixels show mid gray. Values of more than 8 bits are
    scaled to 8 by the rule in `mien.media.values`.

    Args:
        source: a path, the bytes of a file, a binary file object (read from its start where it
            is seekable, and left open), a PIL image (left unchanged) or a uint8 array in RGB
            order: ``(H, W, 3)``, ``(H, W, 4)`` with alpha, ``(H, W)`` or ``(H, W, 1)`` gray.
            OpenCV's arrays are BGR: pass ``array[..., ::-1]``.
        name: name of the source in error messages; its own name by default.

    Returns:
        ``(H, W, 3)`` uint8 RGB, writable, C-contiguous, sharing no memory with the source.

    Raises:
        InputNotFoundError: there is no such file.
        InputError: the path is a folder.
        ImageError: the source is not an image, is damaged, cut off, unreadable (permissions),
            larger than `mien.media.limits.LIMITS`, or an array of another dtype or shape.
        UsageError: the source is of a type that cannot be an image.
    """
    name = name or name_of(source)
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    if isinstance(source, str | os.PathLike):
        with _open(os.fspath(source), name) as file:
            return read_file(file, name)
    if isinstance(source, bytes | bytearray | memoryview):
        return read_file(io.BytesIO(source), name)
    if _is_pil(source):
        return read_pil(cast("PilImage.Image", source), name)
    if hasattr(source, "read"):
        return read_file(_rewindable(source, name), name)
    raise UsageError(
        f"{type(source).__name__} is not an image: give a path, bytes, a binary file, a PIL image"
        " or a NumPy array (None is what cv2.imread returns for a file it cannot read)."
    )


def is_image(source: object) -> bool:
    """Whether `source`, judged by its type, is one image in memory that `read_image` may take."""
    in_memory = isinstance(source, np.ndarray | bytes | bytearray | memoryview)
    return in_memory or hasattr(source, "read") or _is_pil(source)


def name_of(source: object, number: int | None = None) -> str:
    """Name of a source: its path or file name, or else its kind, such as ``array 3``."""
    if isinstance(source, str | os.PathLike):  # tables and JSON hold only valid UTF-8
        with suppress(UnicodeEncodeError):  # a name from a table that this locale cannot encode
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
    """Write an image as JPEG, PNG or WebP, by the extension of `path`.

    Args:
        path: ends in .jpg, .jpeg, .png or .webp; an image written by mien is replaced.
        image: ``(H, W, 3)`` uint8 RGB.
        quality: 1 to 100, for JPEG and WebP.
        overwrite: replace any other file, too.

    Raises:
        UsageError: another extension, a folder that does not exist, a file not written by mien, a
            quality out of range, or an image too large for the format.
        ImageError: `image` is not a uint8 image.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _WRITERS:
        raise UsageError(f"{path} cannot be written: end its name in .jpg, .png or .webp.")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality must be 1 to 100, got {quality}.")
    target = check_output(path, overwrite=overwrite)
    from PIL.Image import Exif

    exif = Exif()
    exif[_SOFTWARE] = SIGNATURE
    data = encode(image, _WRITERS[suffix], quality=quality, exif=exif.tobytes())
    write_bytes(target, data)


def encode(image: Image, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file ``(H, W, 3)`` uint8 RGB in a format of Pillow's, by its name.

    Raises:
        ImageError: `image` is not a uint8 image.
        UsageError: it is too large for the format.
    """
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
    gray = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    color = array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or not (gray or color) or not array.size:
        raise ImageError(
            f"{name} is {array.dtype} of shape {array.shape}, but an image is uint8 of shape"
            f" (height, width, 3) in RGB order{_array_hint(array)}."
        )
    if gray:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    elif array.shape[2] == 4:
        from PIL import Image as PilImage

        return read_pil(PilImage.fromarray(np.ascontiguousarray(array)), name)
    return np.array(array, dtype=np.uint8, order="C", subok=False)


def _array_hint(array: npt.NDArray[Any]) -> str:
    if not array.size:
        return "; this one is empty"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        return "; move the channels last: array.transpose(1, 2, 0)"
    if array.dtype == np.bool_ or (array.dtype.kind == "f" and np.nanmax(array) <= 1):
        return "; multiply by 255 and convert: (array * 255).round().astype('uint8')"
    if array.dtype == np.uint16:
        unused = depth_of(int(array.max())) - 8
        return f"; it holds {unused + 8} bits, convert them: (array >> {unused}).astype('uint8')"
    if array.dtype.kind in "iuf" and array.dtype != np.uint8:
        return "; convert values of 0 to 255: array.clip(0, 255).astype('uint8')"
    return ""


def _open(path: str, name: str) -> BinaryIO:
    what = irregular(path)
    if what is not None and not is_handed_over(path):  # opening it may block forever
        raise ImageError(f"{name} is {what}, where an image file is expected.")
    try:
        if what is None:
            return open(path, "rb")
        with open(path, "rb") as file:  # a pipe from the shell is not seekable
            return io.BytesIO(file.read())
    except FileNotFoundError as error:
        hint = "; mien reads local files only, download it first" if "://" in path else ""
        raise InputNotFoundError(f"No such file or folder: {name!r}{hint}.") from error
    except (IsADirectoryError, PermissionError) as error:
        if os.path.isdir(path):  # Windows reports "permission denied" for folders
            raise InputError(f"{name} is a folder, where one image is expected.") from error
        raise ImageError(f"{name} cannot be read: permission denied.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name!r} cannot be opened: {reason}.") from error


def _rewindable(file: Any, name: str) -> BinaryIO:
    """A seekable version of a user's file object, as Pillow needs one."""
    if isinstance(file, io.TextIOBase):
        raise UsageError(f"{name} is open as text: open it in binary mode, open(path, 'rb').")
    try:
        if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
            return cast(BinaryIO, file)
        data = file.read()
    except (OSError, ValueError) as error:  # ValueError: a closed file
        raise ImageError(f"{name} cannot be read: {error}.") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name} must read as bytes, got {type(data).__name__}.")
    return io.BytesIO(data)


def _is_pil(source: object) -> bool:
    module = sys.modules.get("PIL.Image")  # loaded whenever a PIL image exists
    return module is not None and isinstance(source, module.Image)
