"""Detects damage in the middle of an image file, which most decoders ignore.

How much can be detected depends on the format, see docs/images.md: JPEG's decoder warns if the
coded data does not end with the image; PNG has checksums; a WebP needs its data to the last byte;
HEIC and AVIF never contain a long run of zeros, which an unfinished download leaves.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from mien.errors import ImageError
from mien.types import Image

#: libjpeg's messages about damage; its other warnings do not concern the pixels.
_JPEG_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file")
#: Spare bytes that some cameras write before the end marker; not damage.
_SPARE = re.compile(r"Corrupt JPEG data: [1-4] extraneous bytes before marker 0xd9")
_END = b"\xff\xd9"
_EIGHTH = {"min_height": 1, "min_width": 1, "min_factor": 8}
_PNG_HEADER = 8
_PASSES = (  # Adam7: first column and row, step between columns and rows
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
    (0, 1, 1, 2),
)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_BLOCK, _SECTOR = 4096, 512  # bytes of a disk, and of a download, that are missing together
_ZEROS = bytes(24)


def decode_jpeg(data: bytes, name: str, *, inks: bool = False) -> Image | None:
    """Decode a JPEG to ``(H, W, 3)`` RGB, and detect damage.

    Of CMYK (`inks`), only an eighth of the size is decoded, to detect damage.

    Returns:
        the pixels; None for files that Pillow has to decode: CMYK, and those that the interface of
        libjpeg-turbo does not accept.

    Raises:
        ImageError: bytes are missing, changed or in excess.
    """
    import simplejpeg

    colors, options = ("CMYK", _EIGHTH) if inks else ("RGB", {})
    try:
        pixels = simplejpeg.decode_jpeg(data, colors, **options)
    except ValueError as error:
        message = str(error)
        if message.startswith(_JPEG_DAMAGE):
            problem = _jpeg_problem(data, message, colors)
            if problem is not None:
                raise ImageError(f"{name} {problem}.") from error
        try:
            pixels = simplejpeg.decode_jpeg(data, colors, strict=False, **options)
        except ValueError:
            return None
    return None if inks else cast(Image, pixels)


def _jpeg_problem(data: bytes, message: str, colors: str) -> str | None:
    """The problem behind a message of libjpeg; None if the image is complete nevertheless."""
    import simplejpeg

    if _SPARE.fullmatch(message):
        return None
    if message.startswith("Premature end of JPEG file"):
        try:  # are only the two bytes of the end marker missing?
            simplejpeg.decode_jpeg(data + _END, colors, **_EIGHTH)
        except ValueError:
            return CUT_OFF
        return None
    return f"is damaged in the middle ({message.removeprefix('Corrupt JPEG data: ')}): {_AGAIN}"


_AGAIN = "copy or download it again"
CUT_OFF = f"is cut off: the file ends before the image does, {_AGAIN}"
_HOLLOW = f"is damaged: part of it was never written, {_AGAIN}"


class _Chunk(NamedTuple):
    kind: bytes
    data: bytes
    check: bytes


def check_png(file: BinaryIO, name: str, *, ends_black: bool) -> None:
    """Raise `ImageError` if a checksum of a PNG is wrong, or rows are missing.

    `ends_black` says that the last row was decoded as zeros, as missing rows are; then the rows are
    counted, which takes as long as decoding.
    """
    inflate = zlib.decompressobj()
    rows = 0
    header = b""
    for chunk in _png_chunks(file):
        if zlib.crc32(chunk.data, zlib.crc32(chunk.kind)) != int.from_bytes(chunk.check, "big"):
            raise ImageError(f"{name} is damaged in the middle (a checksum is wrong): {_AGAIN}.")
        if chunk.kind == b"IHDR":
            header = chunk.data
        elif chunk.kind == b"IDAT" and (ends_black or header[12]):
            rest = chunk.data
            while rest and not inflate.eof:
                rows += len(inflate.decompress(rest, 1 << 20))
                rest = inflate.unconsumed_tail
        elif chunk.kind == b"IEND":
            break
    if (ends_black or header[12]) and rows < _png_size(header):
        raise ImageError(f"{name} is damaged: rows are missing at its end, {_AGAIN}.")


def is_deep_png(file: BinaryIO) -> bool:
    """Whether the samples of a PNG have 16 bits."""
    file.seek(_PNG_HEADER + 16)
    return file.read(1) == b"\x10"


def significant_bits(file: BinaryIO) -> int | None:
    """Bits per sample by the sBIT chunk of a PNG, the maximum over its channels."""
    for chunk in _png_chunks(file):
        if chunk.kind == b"sBIT" and chunk.data:
            return max(chunk.data[:3])
        if chunk.kind == b"IDAT":
            break
    return None


def _png_chunks(file: BinaryIO) -> Iterator[_Chunk]:
    file.seek(_PNG_HEADER)
    while len(start := file.read(8)) == 8:
        data = file.read(int.from_bytes(start[:4], "big"))
        yield _Chunk(start[4:], data, file.read(4))


def _png_size(header: bytes) -> int:
    """Bytes of all rows of a PNG, uncompressed."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS[header[9]]
    passes = _PASSES if header[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def check_webp(data: bytes, name: str) -> None:
    """Raise `ImageError` if a still WebP can be decoded without its last bytes.

    Both codecs of WebP read without gaps, so an intact image needs its data to the end. Damage
    makes the data too short, an error of the decoder, or too long, which is detected here by
    decoding without the end. That costs a second decoding, so it is done only if a run of zeros or
    a wrong length suggests damage.
    """
    whole = 8 + int.from_bytes(data[4:8], "little")
    if len(data) - whole in (0, 1) and _ZEROS not in data:
        return
    shorter = _shortened(data)
    if shorter is None:
        return
    from PIL import Image as PilImage

    try:
        with PilImage.open(io.BytesIO(shorter), formats=("WEBP",)) as image:
            image.load()
    except Exception:  # noqa: BLE001 - it needs its last bytes: intact
        return
    raise ImageError(f"{name} {_HOLLOW}.")


def _shortened(data: bytes) -> bytes | None:
    """A still WebP without the last hundredth of its coded data; None for an animation."""
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            length = min(size, len(data) - at - 8)
            length -= 32 + length // 100
            if length < 32:
                return None
            body = data[12:at] + kind + length.to_bytes(4, "little")
            body += data[at + 8 : at + 8 + length] + b"\0" * (length % 2)
            return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body
        at += 8 + size + size % 2
    return None


def check_container(data: bytes, name: str) -> None:
    """Raise `ImageError` if the coded data of a HEIC or AVIF has a hole of zeros.

    HEVC never writes three zeros in a row, and AV1 no long run of them; only metadata, such as
    EXIF, may. A hole is a disk block, or an eighth of a small file.
    """
    hole = bytes(max(_SECTOR, min(_BLOCK, len(data) // 8)))
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        end = at + size if size >= 8 else len(data)  # 0: to the end of the file
        if data[at + 4 : at + 8] == b"mdat" and data.find(hole, at, end) >= 0:
            raise ImageError(f"{name} {_HOLLOW}.")
        at = end
