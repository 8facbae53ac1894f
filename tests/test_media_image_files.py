"""Image files: values of more than 8 bits, pages, damage, limits, and files of other kinds."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PilImage

from mien.errors import ImageError, VideoError
from mien.media import limits
from mien.media.formats import kind_of
from mien.media.images import read_image
from mien.media.pages import main_page

SHARED = Path(__file__).parents[2] / "shared" / "cases"
COLOR = 2
Order = Literal["<", ">"]
ORDERS: tuple[Order, ...] = ("<", ">")


def photo(side: int = 160) -> npt.NDArray[np.uint8]:
    """Noise that is smooth as a photo is: every code has something to say everywhere."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 225, (side // 8, side // 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(int)
    image += rng.integers(-9, 10, image.shape)
    image[0, 0], image[0, 1] = 0, 255
    return image.clip(0, 255).astype(np.uint8)


def encoded(image: Any, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if not isinstance(image, PilImage.Image):
        image = PilImage.fromarray(image)
    if form == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(buffer, quality=90)
    else:
        image.save(buffer, form, **options)
    return buffer.getvalue()


def tiff(samples: npt.NDArray[Any], *more: tuple[int, int], order: Order = "<") -> bytes:
    """An uncompressed TIFF of one page, gray or RGB, with further tags (number, value)."""
    return tiff_of([(samples, dict(more))], order)


def tiff_of(
    chain: list[tuple[npt.NDArray[Any], dict[int, int]]],
    order: Order = "<",
    below: tuple[npt.NDArray[Any], dict[int, int]] | None = None,
) -> bytes:
    """A TIFF of several pages, and one below the first (a SubIFD)."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 0))
    link = 4

    def add(samples: npt.NDArray[Any], tags: dict[int, int]) -> tuple[int, int]:
        pixels = len(data)
        data.extend(samples.astype(samples.dtype.newbyteorder(order)).tobytes())
        bands = samples.shape[2] if samples.ndim == 3 else 1
        bits = len(data)
        data.extend(struct.pack(f"{order}{bands}H", *[samples.itemsize * 8] * bands))
        depth = samples.itemsize * 8 if bands == 1 else bits
        kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
        height, width = samples.shape[:2]
        fields = {256: width, 257: height, 258: depth, 259: 1, 262: 1 if bands == 1 else COLOR}
        fields |= {273: pixels, 277: bands, 278: height, 279: samples.nbytes, 339: kind} | tags
        at = len(data) + len(data) % 2
        data.extend(bytes(at - len(data)) + struct.pack(f"{order}H", len(fields)))
        for tag, value in sorted(fields.items()):
            count = bands if tag == 258 else 1
            code = "H" if tag == 258 else "I"
            if tag == 258 and bands == 1:
                data.extend(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0))
            else:
                data.extend(struct.pack(f"{order}HHII", tag, 3 if code == "H" else 4, count, value))
        following = len(data)
        data.extend(bytes(4))
        return at, following

    sub = add(*below)[0] if below else 0
    for number, (samples, tags) in enumerate(chain):
        at, following = add(samples, tags | ({330: sub} if below and not number else {}))
        struct.pack_into(f"{order}I", data, link, at)
        link = following
    return bytes(data)


def deep(image: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint16]:
    return np.asarray(np.rint(image * ((2**bits - 1) / 255)), np.uint16)


def far(image: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    if truth.ndim == 2:
        truth = np.repeat(truth[..., None], 3, 2)
    assert image.shape == truth.shape
    return float(np.abs(image.astype(int) - truth).max())


def png16(samples: npt.NDArray[Any], significant: int | None = None) -> bytes:
    shown = samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    data = cv2.imencode(".png", shown)[1].tobytes()
    if significant is None:
        return data
    body = b"sBIT" + bytes([significant] * (1 if samples.ndim == 2 else samples.shape[2]))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_values_of_fewer_bits_than_their_type_are_at_their_range(bits: int) -> None:
    image, gray = photo(), photo()[..., 1]
    gray[0, :2] = 0, 255
    most = 2**bits - 1
    assert far(read_image(png16(deep(gray, bits))), gray) <= 1
    assert far(read_image(png16(deep(image, bits))), image) <= 1
    opaque = np.dstack([deep(image, bits), np.full(gray.shape, 65535, np.uint16)])
    assert far(read_image(png16(opaque)), image) <= 1
    for order in ORDERS:
        assert far(read_image(tiff(deep(gray, bits), order=order)), gray) <= 1
        assert far(read_image(tiff(deep(image, bits), order=order)), image) <= 1
        negative = (most - deep(gray, bits)).astype(np.uint16)
        assert far(read_image(tiff(negative, (262, 0), order=order)), gray) <= 1
    assert far(read_image(PilImage.fromarray(deep(gray, bits))), gray) <= 1
    assert far(read_image(PilImage.fromarray(deep(gray, bits).astype(np.int32))), gray) <= 1
    dark = deep(gray, bits) // 8
    assert far(read_image(tiff(dark, (281, most))), gray // 8) <= (1 if bits < 16 else 255)


def test_depth_that_a_png_states() -> None:
    gray = photo()[..., 0] // 8  # a dark image, whose maximum would suggest fewer bits
    raw = gray.astype(np.uint16) << 4
    raw[3, 3] |= 1  # not at full scale: the low bits are no copy of the high ones
    assert far(read_image(png16(raw, 12)), gray) <= 1
    assert far(read_image(png16(gray.astype(np.uint16) << 8, 8 + 4)), gray) <= 1


def test_other_kinds_of_numbers() -> None:
    gray = photo()[..., 0]
    gray[0, :2] = 0, 255
    assert far(read_image(tiff((gray * np.uint32(16843009)).astype(np.uint32))), gray) <= 1
    assert far(read_image(tiff((gray.astype(int) * 128).astype(np.int16))), gray) <= 1
    for scale in (1 / 255, 1.0, 257.0):
        floats = (gray * scale).astype(np.float32)
        assert far(read_image(tiff(floats)), gray) <= 1
        assert far(read_image(PilImage.fromarray(floats)), gray) <= 1
    color = (photo() / 255).astype(np.float32)
    assert far(read_image(tiff(color)), photo()) <= 1
    assert far(read_image(tiff((gray / 255).astype(np.float64))), gray) <= 1


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (photo()[..., 0].astype(np.float32) / 200, "float values of 0 to 1.27, so that white"),
        (photo()[..., 0].astype(np.float32) - 9, "so that white is undefined"),
        (np.full((9, 9), np.nan, np.float32), "float values of nan"),
        (photo().astype(np.uint32) << 24, "save it with 8 bits a channel"),
    ],
)
def test_values_without_a_white_level(samples: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read_image(tiff(samples))


def test_the_full_size_page_of_a_tiff_not_its_thumbnail() -> None:
    image = photo()
    small = np.ascontiguousarray(image[::4, ::4])
    reduced = {254: 1}
    assert far(read_image(tiff_of([(small, reduced), (image, {})])), image) == 0
    for order in ORDERS:
        below = tiff_of([(small, reduced)], order, below=(image, {254: 0}))
        assert far(read_image(below), image) == 0
    assert far(read_image(tiff_of([(image, {}), (small, reduced)])), image) == 0
    assert far(read_image(tiff_of([(image, {}), (image[::-1].copy(), {})])), image) == 0
    turned = tiff_of([(small, reduced | {274: 6})], below=(image, {254: 0}))
    assert far(read_image(turned), np.rot90(image, -1)) == 0
    assert main_page(io.BytesIO(b"II*\0\xff\xff\0\0")) is None


def test_raw_files_are_named() -> None:
    sensor = {262: 32803, 254: 0}
    gray = photo()[..., 0].copy()
    dng = tiff_of([(photo(32), {254: 1})], below=(gray, sensor))
    with pytest.raises(ImageError, match="raw file: export it as JPEG"):
        read_image(dng)
    with pytest.raises(ImageError, match="raw file"):
        read_image(tiff(gray, (262, 32803)))
    canon = b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)
    with pytest.raises(ImageError, match="raw file"):
        read_image(canon)


FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive": ("JPEG", {"quality": 90, "progressive": True}),
    "restarts": ("JPEG", {"quality": 90, "restart_marker_rows": 1}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 80}),
    "heic": ("HEIF", {}),
    "avif": ("AVIF", {"quality": 95, "speed": 9}),
    "lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "gif": ("GIF", {}),
}


def damaged(data: bytes, how: str, seed: int) -> bytes:
    broken, rng = bytearray(data), random.Random(seed)
    at = rng.randrange(len(data) // 3, len(data) // 2)
    if how == "zeros":
        broken[at : at + 512] = bytes(512)
    elif how == "missing":
        del broken[at : at + 512]
    elif how == "line ends":
        return data.replace(b"\n", b"\r\n")
    elif how == "half":
        broken[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    return bytes(broken)


def is_refused(data: bytes) -> bool:
    try:
        read_image(data)
    except ImageError:
        return True
    return False


#: The share of damage that is noticed, where that is not all; docs/images.md has more of it.
LEAST = {
    ("jpeg", "zeros"): 0.5,
    ("restarts", "zeros"): 0.5,
    ("heic", "zeros"): 0.0,
    ("avif", "zeros"): 0.0,
}


@pytest.mark.parametrize("how", ["zeros", "missing", "line ends", "half"])
@pytest.mark.parametrize("form", FORMATS)
def test_damage_in_the_middle_is_noticed(form: str, how: str) -> None:
    kind, options = FORMATS[form]
    data = encoded(photo(320), kind, **options)
    read_image(data)
    broken = {damaged(data, how, seed) for seed in range(10)} - {data}
    noticed = [is_refused(one) for one in broken]
    assert sum(noticed) >= LEAST.get((form, how), 1.0) * len(broken)


def test_rows_missing_from_a_png_whose_data_ends_well() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    rows = b"".join(b"\0" + row.tobytes() for row in photo())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 160, 160, 8, 2, 0, 0, 0))

    def png(pixels: bytes) -> bytes:
        body = chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + header + body

    assert far(read_image(png(rows)), photo()) == 0
    with pytest.raises(ImageError, match="rows are missing"):
        read_image(png(rows[: len(rows) // 2]))
    black = bytes(len(rows))
    assert read_image(png(black)).max() == 0
    whole = bytearray(png(rows))
    whole[-14] ^= 1  # the checksum of the pixels
    with pytest.raises(ImageError, match="a checksum is wrong"):
        read_image(bytes(whole))


def test_oddities_that_are_no_damage() -> None:
    data = encoded(photo(), "JPEG", quality=90)
    truth = read_image(data)
    for odd in (data[:-2], data + b"trailing bytes", data[:-2] + b"\0\0\xff\xd9"):
        assert np.array_equal(read_image(odd), truth)
    for value in (0, 128, 255):  # data that is all but zeros
        plain = np.full((600, 800, 3), value, np.uint8)
        for form, options in FORMATS.values():
            assert far(read_image(encoded(plain, form, **options)), plain) <= 6
        read_image(encoded(plain, "WEBP", lossless=True))
        read_image(encoded(plain, "JPEG", optimize=True))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\x0a" + bytes(90), "is a JPEG XL image: convert it to JPEG"),
        (b"8BPS\0\x01" + bytes(90), "is a Photoshop document"),
        (b"\0\0\x01\0\x01\0" + bytes(90), r"is an icon \(ICO\)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", r"is a PostScript drawing \(EPS\)"),
        (b"\0\0\0\x1cftypM4A \0\0\0\0" + bytes(90), "is a sound file"),
        (b"\0\0\0\x1cftypisom\0\0\0\0" + bytes(90), "is a video, not an image"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0" + bytes(90), "raw file"),
        (b"FUJIFILMCCD-RAW " + bytes(90), "raw file"),
        (bytes(2000), "nothing but zeros"),
        (b"<!DOCTYPE html><html><head>", "is a web page"),
        (b"<?xml version='1.0'?><svg width='3'>", "is an SVG drawing"),
        (b"name,age\n", "is a text file, not an image, despite its extension"),
        (encoded(photo(16), "TGA"), "is a TGA image"),
        (b"%PDF-1.7\n%\xe2\xe3", "is a document"),
    ],
)
def test_files_of_other_kinds_are_named_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=f"^a.jpg .*{words}"):
        read_image(data, name="a.jpg")


def test_a_jpeg_of_twelve_bits_is_named() -> None:
    data = bytearray(encoded(photo(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(ImageError, match="is a JPEG of 12 bits a channel: save it with 8 bits"):
        read_image(bytes(data))


@pytest.fixture
def default_limits() -> Iterator[None]:
    yield
    limits.allow(None)


@pytest.mark.usefixtures("default_limits")
def test_limits_before_memory() -> None:
    webp = bytearray(
        encoded(photo(16), "WEBP", save_all=True, append_images=[PilImage.new("L", (16, 16))])
    )
    webp[24:30] = (16382).to_bytes(3, "little") + (16382).to_bytes(3, "little")
    gif = bytearray(encoded(photo(16), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    for data in (webp, gif):
        with pytest.raises(ImageError, match=r"pixels, [\d,]+ in all, over the limit"):
            read_image(bytes(data))
    small = encoded(photo(), "PNG")
    limits.allow(25_599)
    with pytest.raises(ImageError, match=r"is 160 x 160 pixels, 25,600 in all.*--max-pixels"):
        read_image(small)
    with pytest.raises(VideoError, match=r"a\.mp4 is 160 x 160 pixels"):
        limits.check_frame_size("a.mp4", 160, 160)
    limits.allow(25_600)
    assert read_image(small).shape == (160, 160, 3)
    limits.allow(None)
    with pytest.raises(VideoError, match="over the limit of 65,535 pixels a side"):
        limits.check_frame_size("a.mp4", 65_536, 1)
    limits.check_frame_size("a.mp4", 7680, 4320)


def test_animated_images_are_videos(tmp_path: Path) -> None:
    other = [PilImage.fromarray(255 - photo())]
    path = tmp_path / "image"
    for form in ("GIF", "PNG", "WEBP", "AVIF"):
        path.write_bytes(encoded(photo(), form, save_all=True, append_images=other))
        assert kind_of(path) == "video"
        path.write_bytes(encoded(photo(), form))
        assert kind_of(path) == "image"
    path.write_bytes(encoded(photo(), "TIFF", save_all=True, append_images=other))
    assert kind_of(path) == "image"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collected cases are not here")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reports/damaged/crlf.jpg", "damaged in the middle"),
        ("reports/damaged/zero0.1_200.jpg", "damaged in the middle"),
        ("reports/damaged/webpprealloc.webp", "never written"),
        ("reports/damaged/heicprealloc.heic", "never written"),
        ("reports/pictures/jpeg_12bit.jpg", "a JPEG of 12 bits"),
        ("storm/half_zlib.png", "rows are missing"),
        ("storm/07654_png_huge_png1x178000000.png", "65,535 pixels a side"),
        ("storm/webp_canvas.webp", "over the limit"),
    ],
)
def test_collected_files_that_are_refused(name: str, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read_image(SHARED / name)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collected cases are not here")
def test_collected_files_that_are_read() -> None:
    from mien import EmotionAnalyzer

    analyzer = EmotionAnalyzer()
    names = ("grey_12_in_16.png", "rgb_12_in_16.tif", "grey16_white_is_zero.tif", "float01.tif")
    for name in names:
        result = analyzer(SHARED / "reports/pictures" / name)
        assert result.emotions == ("happiness",), name
    assert analyzer(SHARED / "reports/pictures/thumbnail_first.dng").size == (450, 600)
