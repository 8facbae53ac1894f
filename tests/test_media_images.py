"""Every way in which an image can be given, and every way in which it can be broken."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PilImage

from mien.errors import ImageError, InputError, InputNotFoundError, UsageError
from mien.media.images import encode, name_of, read_image, write_image
from mien.media.limits import LIMITS

ORIENTATION = 0x0112
WIDTH = struct.pack("<HHI", 256, 4, 1)  # the TIFF tag, of one 32-bit number
ADAPTIVE = PilImage.Palette.ADAPTIVE
STORED: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    # How a camera held that way stores an upright picture (EXIF 2.32, tag 274).
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def upright() -> npt.NDArray[np.uint8]:
    """(40, 60, 3): red, green, blue and skin-colored quarters, so no turn or swap goes unseen."""
    picture = np.empty((40, 60, 3), np.uint8)
    picture[:20, :30], picture[:20, 30:] = (200, 30, 30), (30, 160, 30)
    picture[20:, :30], picture[20:, 30:] = (30, 30, 200), (224, 172, 140)
    return picture


def encoded(form: str, picture: Any = None, **options: Any) -> bytes:
    picture = upright() if picture is None else picture
    image = PilImage.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noisy(form: str, **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    return encoded(form, pixels, **options)


def heic() -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(PilImage.fromarray(upright())).save(buffer, quality=95)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def far(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).mean())


GREY = np.asarray(PilImage.fromarray(upright()).convert("L").convert("RGB"))


@pytest.mark.parametrize(
    ("form", "mode", "options", "most"),
    [
        ("PNG", "RGB", {}, 0),
        ("PNG", "RGBA", {}, 0),
        ("PNG", "P", {}, 0),
        ("GIF", "P", {}, 0),
        ("BMP", "RGB", {}, 0),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}, 0),
        ("TIFF", "CMYK", {}, 1),
        ("PPM", "RGB", {}, 0),
        ("WEBP", "RGB", {"lossless": True}, 0),
        ("WEBP", "RGB", {"quality": 95}, 5),
        ("JPEG", "RGB", {"quality": 95}, 3),
        ("JPEG", "RGB", {"quality": 95, "progressive": True}, 3),
        ("JPEG", "CMYK", {"quality": 95}, 3),
        ("AVIF", "RGB", {"quality": 95}, 3),
    ],
)
def test_formats_in_color(form: str, mode: str, options: dict[str, Any], most: float) -> None:
    data = encoded(form, PilImage.fromarray(upright()).convert(mode, palette=ADAPTIVE), **options)
    image = read_image(data)
    assert image.dtype == np.uint8
    assert far(image, upright()) <= most


@pytest.mark.parametrize(("form", "mode"), [("PNG", "L"), ("PNG", "LA"), ("JPEG", "L")])
def test_formats_in_gray(form: str, mode: str) -> None:
    image = read_image(encoded(form, PilImage.fromarray(upright()).convert(mode)))
    assert far(image, GREY) <= 1


def test_heic() -> None:
    assert far(read_image(heic()), upright()) <= 5


def test_one_bit() -> None:
    image = read_image(encoded("PNG", PilImage.fromarray(upright()).convert("1")))
    gray = np.asarray(PilImage.fromarray(upright()).convert("L"), np.float32)
    dots = np.asarray(PilImage.fromarray(upright()).convert("1"), np.float32) * 255
    assert np.abs(image[..., 0] - gray).mean() < 0.7 * np.abs(dots - gray).mean()


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3)])
def test_sixteen_bits_are_scaled_not_clipped(shape: tuple[int, ...]) -> None:
    ramp = np.broadcast_to(np.arange(16).reshape(16, *(1,) * (len(shape) - 1)), shape)
    image = read_image(cv2.imencode(".png", (ramp * 4096).astype(np.uint16))[1].tobytes())
    assert np.array_equal(image[:, 0, 0], np.arange(16) * 16)
    assert np.array_equal(image[:, 5, 2], np.arange(16) * 16)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La"])
def test_transparent_pixels_show_mid_gray_and_opaque_ones_themselves(mode: str) -> None:
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[0, 0] = (250, 250, 250, 0)
    image = read_image(
        PilImage.fromarray(pixels).convert("LA" if mode == "La" else mode).convert(mode)
    )
    assert image[0, 0].tolist() == [128] * 3
    assert image[3, 3].tolist() == [255] * 3


def test_transparent_palette_color() -> None:
    palette = PilImage.fromarray(upright()).convert("P", palette=ADAPTIVE)
    image = read_image(encoded("PNG", palette, transparency=palette.getpixel((0, 0))))
    assert image[0, 0].tolist() == [128] * 3
    assert image[30, 45].tolist() == [224, 172, 140]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_of_many_frames_is_the_photo(form: str) -> None:
    other = PilImage.new("RGB", (60, 40))
    lossless = {"lossless": True} if form == "WEBP" else {}
    data = encoded(form, save_all=True, append_images=[other], **lossless)
    assert far(read_image(data), upright()) <= 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(form: str, orientation: int) -> None:
    exif = PilImage.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(form, STORED[orientation](upright()), exif=exif, quality=95)
    assert far(read_image(data), upright()) <= 6


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_a_pil_image_is_turned_and_left_alone(orientation: int) -> None:
    exif = PilImage.Exif()
    exif[ORIENTATION] = orientation
    theirs = PilImage.open(io.BytesIO(encoded("PNG", STORED[orientation](upright()), exif=exif)))
    before = (theirs.size, theirs.mode, dict(theirs.info))
    assert far(read_image(theirs), upright()) == 0
    assert (theirs.size, theirs.mode, dict(theirs.info)) == before
    assert theirs.getexif()[ORIENTATION] == orientation
    assert np.array_equal(np.asarray(theirs), STORED[orientation](upright()))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0not TIFF at all",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01",  # five entries announced, none there
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\0ab\0\0\0\0\0\0",  # turned by "ab"
    ],
    ids=["noise", "cut", "text"],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_broken_exif_does_not_break_the_image(form: str, exif: bytes) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert far(read_image(encoded(form, quality=95, exif=exif)), upright()) <= 3
    assert not told


def test_every_kind_of_source_gives_the_same_image(tmp_path: Path) -> None:
    data = encoded("PNG")
    path = tmp_path / "eins & ä.png"
    path.write_bytes(data)
    spent = io.BytesIO(data)
    spent.read()  # a buffer just written to, or checked, stands at its end

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    sources = [path, str(path), data, bytearray(data), memoryview(data), spent, Pipe(data)]
    sources += [PilImage.fromarray(upright()), upright()]
    for source in sources:
        assert np.array_equal(read_image(source), upright())  # type: ignore[arg-type]
    assert not spent.closed
    with path.open("rb") as file:
        assert np.array_equal(read_image(file), upright())
        assert not file.closed


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (upright(), upright()),
        (upright()[..., ::-1], upright()[..., ::-1]),
        (GREY[..., 0], GREY),
        (GREY[..., :1], GREY),
        (np.dstack([upright(), np.full((40, 60), 255, np.uint8)]), upright()),
        (np.dstack([upright(), np.zeros((40, 60), np.uint8)]), np.full((40, 60, 3), 128)),
    ],
    ids=["rgb", "view", "gray", "gray1", "opaque", "transparent"],
)
def test_arrays(array: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    image = read_image(array)
    assert np.array_equal(image, expected)
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert not np.shares_memory(image, array)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32 .*uint8.*multiply by 255"),
        (np.full((4, 4, 3), 200.0), "float64 .*clip"),
        (np.full((4, 4, 3), 4000, np.uint16), "12 bits.*array >> 4"),
        (np.zeros((4, 4), bool), "bool .*multiply by 255"),
        (np.zeros((3, 8, 9), np.uint8), r"\(3, 8, 9\).*transpose"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"\(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros(9, np.uint8), r"\(9,\)"),
    ],
)
def test_arrays_that_are_no_images(array: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read_image(array)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty: it has 0 bytes"),
        (b"this is text\n" * 20, "is a text file"),
        ("é".encode() * 3000, "is a text file"),
        (b"\xff\xd8", "not an image that can be read"),
        (bytes(range(256)), "not an image that can be read"),
        (png_header(50_000, 50_000), "2,500,000,000 in all, over the limit of"),
        (png_header(0, 50), "damaged|no pixels"),
    ],
    ids=["empty", "text", "umlauts", "stub", "noise", "bomb", "no width"],
)
def test_files_that_are_no_images(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=f"holiday.jpg.*({words})"):
        read_image(path)


def test_own_limit_before_decoding_and_no_warning_below_it() -> None:
    with pytest.raises(ImageError, match=f"over the limit of {LIMITS.side:,} pixels a side"):
        read_image(png_header(1, 178_000_000))
    # Cut off is what these are; Pillow would warn of their size, when opened or when decoded.
    wide_tiff = encoded("TIFF").replace(WIDTH + struct.pack("<I", 60), WIDTH + b"\x50\xc3\0\0")
    for data in (png_header(50_000, 2_000), wide_tiff):
        with pytest.raises(ImageError, match="is cut off"):
            read_image(data)


@pytest.mark.parametrize(
    "data",
    [
        noisy("JPEG"),
        noisy("JPEG", progressive=True),
        noisy("PNG"),
        noisy("WEBP"),
        noisy("GIF"),
        noisy("BMP"),
        noisy("TIFF"),
        noisy("TIFF", compression="tiff_lzw"),
        noisy("AVIF"),
        heic(),
    ],
    ids=["jpeg", "progressive", "png", "webp", "gif", "bmp", "tiff", "lzw", "avif", "heic"],
)
@pytest.mark.parametrize("kept", [0.1, 0.6, 0.97])
def test_cut_off_files_are_errors_not_half_images(data: bytes, kept: float) -> None:
    read_image(data)
    with pytest.raises(ImageError, match=r"the bytes.*cut off"):
        read_image(data[: int(len(data) * kept)])


def test_paths_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputNotFoundError, match=r"nowhere\.jpg"):
        read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(InputNotFoundError, match="download"):
        read_image("https://example.org/a.jpg")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image("a\0b.jpg")

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", deny)
    with pytest.raises(ImageError, match=r"secret\.jpg cannot be read: permission denied"):
        read_image("secret.jpg")


@pytest.mark.parametrize("source", [None, 3, {"a": 1}, io.StringIO("text")])
def test_wrong_types_are_usage_errors(source: Any) -> None:
    with pytest.raises(UsageError):
        read_image(source)


def test_closed_files() -> None:
    closed = io.BytesIO(encoded("PNG"))
    closed.close()
    with pytest.raises(ImageError, match="closed"):
        read_image(closed)


def test_names() -> None:
    assert name_of(Path("a") / "b.jpg") == os.path.join("a", "b.jpg")
    assert (name_of(b""), name_of(upright(), 3)) == ("the bytes", "array 3")
    with pytest.raises(ImageError, match=r"^bytes 7 is empty"):
        read_image(b"", name="bytes 7")


def test_threads_read_and_leave_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(read_image, [encoded("TIFF")] * 80))
    assert all(np.array_equal(image, upright()) for image in images)
    assert list(warnings.filters) == before


@pytest.mark.parametrize(
    ("suffix", "magic", "most"),
    [
        ("jpg", b"\xff\xd8\xff", 3),
        ("JPEG", b"\xff\xd8\xff", 3),
        ("png", b"\x89PNG", 0),
        ("webp", b"RIFF", 6),
    ],
)
def test_write(tmp_path: Path, suffix: str, magic: bytes, most: float) -> None:
    path = tmp_path / f"a.{suffix}"
    write_image(path, upright(), quality=95)
    assert path.read_bytes().startswith(magic)
    assert far(read_image(path), upright()) <= most
    assert np.array_equal(read_image(encode(upright())), upright())


def test_write_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.jpg, \.png or \.webp"):
        write_image(tmp_path / "a.txt", upright())
    with pytest.raises(UsageError, match="folder"):
        write_image(tmp_path / "none" / "a.jpg", upright())
    with pytest.raises(UsageError, match="quality"):
        write_image(tmp_path / "a.jpg", upright(), quality=0)
    with pytest.raises(UsageError, match="WEBP"):
        write_image(tmp_path / "a.webp", np.zeros((1, 20_000, 3), np.uint8))
    with pytest.raises(ImageError, match="multiply by 255"):
        write_image(tmp_path / "a.png", np.zeros((2, 2, 3)))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_importing_loads_neither_pillow_nor_opencv() -> None:
    code = "import sys, mien.media.images; sys.exit(not {'PIL', 'cv2'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
