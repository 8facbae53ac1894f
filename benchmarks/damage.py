"""Detection rate of damage to image files, and false alarms on valid files.

Encodes images with several encoders and settings, reads every file, damages each in several
ways with a fixed seed, and reads those. Docs: docs/images.md.

    python benchmarks/damage.py --photos ../shared/media/photos [--more FOLDER]
"""

from __future__ import annotations

import argparse
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image as PilImage
from PIL import ImageFile

from mien.errors import ImageError
from mien.media.images import IMAGE_SUFFIXES, read_image

ImageFile.MAXBLOCK = 1 << 24  # Pillow's buffer is too small for noise of the best quality
SIDE = 400  # pixels of the longer side of what is encoded
Damage = Callable[[bytearray, int, random.Random], None]


def by_pillow(image: PilImage.Image, form: str, **options: Any) -> bytes:
    """A file made by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def by_opencv(image: PilImage.Image, suffix: str, *options: int) -> bytes:
    """A file made by OpenCV."""
    pixels = np.asarray(image.convert("RGB"))[..., ::-1]
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def by_ffmpeg(image: PilImage.Image, quality: int) -> bytes:
    """A JPEG made by FFmpeg."""
    import av

    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height = image.width, image.height
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    context.options = {"qmin": str(quality), "qmax": str(quality)}
    frame = av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), "rgb24")
    packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def by_heif(image: PilImage.Image, quality: int) -> bytes:
    """A HEIC file."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=quality)
    return buffer.getvalue()


def encodings(image: PilImage.Image) -> Iterator[tuple[str, bytes]]:
    """The same image in every format, by several encoders and with several settings."""
    gray = image.convert("L")
    for quality in (5, 30, 60, 75, 85, 92, 95, 100):
        yield "JPEG", by_pillow(image, "JPEG", quality=quality)
        yield "JPEG", by_pillow(image, "JPEG", quality=quality, subsampling=0, optimize=True)
        yield "JPEG", by_pillow(gray, "JPEG", quality=quality, restart_marker_blocks=7)
        yield "JPEG", by_opencv(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)
        yield "JPEG progressive", by_pillow(image, "JPEG", quality=quality, progressive=True)
        yield "WebP", by_pillow(image, "WEBP", quality=quality, method=quality % 7)
        yield "WebP", by_opencv(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, quality)
    for quality in (2, 8, 20):
        yield "JPEG", by_ffmpeg(image, quality)
    yield "JPEG", by_pillow(image.convert("CMYK"), "JPEG", quality=80)
    for quality in (30, 70, 95):
        yield "AVIF", by_pillow(image, "AVIF", quality=quality, speed=9)
        yield "HEIC", by_heif(image, quality)
    for level in (1, 6, 9):
        yield "PNG", by_pillow(image, "PNG", compress_level=level)
        yield "PNG", by_opencv(image, ".png", cv2.IMWRITE_PNG_STRATEGY, level % 5)
        yield "WebP lossless", by_pillow(image, "WEBP", lossless=True, quality=10 * level)
    yield "PNG", by_pillow(image.quantize(32), "PNG")
    yield "PNG", by_pillow(image.convert("RGBA"), "PNG")
    yield "WebP", by_pillow(image.convert("RGBA"), "WEBP", quality=80)
    yield "GIF", by_pillow(image, "GIF")
    yield "TIFF LZW", by_pillow(image, "TIFF", compression="tiff_lzw")
    yield "TIFF deflate", by_pillow(image, "TIFF", compression="tiff_adobe_deflate")
    yield "TIFF plain", by_pillow(image, "TIFF")
    yield "BMP", by_pillow(image, "BMP")
    yield "JPEG 2000", by_pillow(image, "JPEG2000", quality_mode="rates", quality_layers=[20])


def made_up() -> Iterator[PilImage.Image]:
    """Images without a photo's noise, whose coded data is all but empty."""
    rng = np.random.default_rng(0)
    for value in (0, 128, 255):
        yield PilImage.new("RGB", (640, 480), (value, value, value))
    ramp = np.linspace(0, 255, 600).astype(np.uint8)
    yield PilImage.fromarray(np.broadcast_to(ramp[None, :, None], (400, 600, 3)).copy())
    dots = (rng.random((500, 500, 1)) < 0.01) * np.uint8(255)
    yield PilImage.fromarray(dots.repeat(3, 2).astype(np.uint8))
    yield PilImage.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8))


def _zeros(length: int) -> Damage:
    def damage(data: bytearray, at: int, _: random.Random) -> None:
        data[at : at + length] = bytes(len(data[at : at + length]))

    return damage


def _missing(length: int) -> Damage:
    def damage(data: bytearray, at: int, _: random.Random) -> None:
        del data[at : at + length]

    return damage


def _second_half(data: bytearray, _at: int, _rng: random.Random) -> None:
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)


def _line_ends(data: bytearray, _at: int, _rng: random.Random) -> None:
    data[:] = data.replace(b"\n", b"\r\n")


def _random(data: bytearray, at: int, rng: random.Random) -> None:
    data[at : at + 64] = rng.randbytes(len(data[at : at + 64]))


def _one_bit(data: bytearray, at: int, rng: random.Random) -> None:
    data[at] ^= 1 << rng.randrange(8)


DAMAGES: dict[str, Damage] = {
    "second half zeros": _second_half,
    "4096 zeros": _zeros(4096),
    "512 zeros": _zeros(512),
    "64 zeros": _zeros(64),
    "512 missing": _missing(512),
    "1 missing": _missing(1),
    "line ends": _line_ends,
    "64 random": _random,
    "1 bit": _one_bit,
}


def problem(data: bytes) -> str | None:
    """What is said of a file that is not read."""
    try:
        read_image(data)
    except ImageError as error:
        return str(error)
    return None


def main() -> None:
    """Print the counts, and the shares as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="folders of valid files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    images = list(made_up())
    photos = len(images)
    for path in sorted(options.photos.iterdir()):
        image = PilImage.open(path).convert("RGB")
        image.thumbnail((SIDE, SIDE))
        images.append(image)
    valid: Counter[str] = Counter()
    alarms: list[str] = []
    tries: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for number, image in enumerate(images):
        for kind, data in encodings(image):
            valid[kind] += 1
            complaint = problem(data)
            if complaint:
                alarms.append(f"{kind} of image {number}: {complaint}")
            if number < photos or rng.random() < 0.6:
                continue
            for name, damage in DAMAGES.items():
                broken = bytearray(data)
                damage(broken, rng.randrange(len(data) // 4, len(data) - 600), rng)
                if broken != data:
                    tries[kind, name] += 1
                    hits[kind, name] += problem(bytes(broken)) is not None
    for folder in options.more:
        for path in folder.rglob("*"):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                valid["found"] += 1
                complaint = problem(path.read_bytes())
                if complaint:
                    alarms.append(f"{path}: {complaint}")
    print(f"{sum(valid.values())} valid files, {len(alarms)} called damaged", dict(valid))
    print(*alarms, sep="\n")
    print("\n| format | " + " | ".join(DAMAGES) + " |\n|---" + "|--:" * len(DAMAGES) + "|")
    for kind in dict.fromkeys(kind for kind, _ in tries):
        cells = [f"{hits[kind, name]}/{tries[kind, name]}" for name in DAMAGES]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
