"""Selects the page of a TIFF that is the image: cameras and scanners put a thumbnail first.

A TIFF is a chain of directories (IFD), each an image, some with nested directories (SubIFDs).
TIFF 6.0 marks reduced copies by ``NewSubfileType``; in DNG and NEF files the first directory holds
only such a copy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 254, 256, 257, 258, 262
_ORIENTATION, _MAX_SAMPLE, _PLANAR, _SUB_IFDS, _SAMPLE_FORMAT = 274, 281, 284, 330, 339
_WANTED = frozenset(
    {_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _MAX_SAMPLE}
    | {_PLANAR, _SUB_IFDS, _SAMPLE_FORMAT}
)
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # field types of whole numbers
_RAW = (32803, 34892)  # PhotometricInterpretation: color filter array, linear raw
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MOST = 256  # directories that are read


@dataclass(frozen=True)
class Page:
    """One directory of a TIFF.

    Attributes:
        offset: position in the file, bytes.
        tags: its integer fields, those in `_WANTED`.
    """

    offset: int
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def first(self, tag: int, default: int) -> int:
        """The first value of a field."""
        return (self.tags.get(tag) or (default,))[0]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.first(_WIDTH, 0)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.first(_HEIGHT, 0)

    @property
    def is_reduced(self) -> bool:
        """Whether it is a thumbnail, preview or mask of another page."""
        return bool(self.first(_NEW_SUBFILE_TYPE, 0) & (_REDUCED | _MASK))

    @property
    def is_raw(self) -> bool:
        """Whether its pixels are raw sensor data."""
        return self.first(_PHOTOMETRIC, 1) in _RAW

    @property
    def white_is_zero(self) -> bool:
        """Whether small values are light."""
        return self.first(_PHOTOMETRIC, 1) == 0

    @property
    def bits(self) -> int:
        """Bits of one sample."""
        return max(self.tags.get(_BITS) or (1,))

    @property
    def stated_bits(self) -> int | None:
        """Bits of the white level if the file declares them; a sample may be wider."""
        most = max(self.tags.get(_MAX_SAMPLE) or (0,)).bit_length()
        return most if 8 <= most < self.bits else self.bits if self.bits in (10, 12, 14) else None

    @property
    def is_planar(self) -> bool:
        """Whether each channel is stored separately."""
        return self.first(_PLANAR, 1) == 2

    @property
    def is_signed(self) -> bool:
        """Whether samples are signed integers."""
        return self.first(_SAMPLE_FORMAT, 1) == 2

    @property
    def orientation(self) -> int:
        """The EXIF orientation, 1 to 8."""
        return self.first(_ORIENTATION, 1)


def main_page(file: BinaryIO) -> tuple[Page, Page] | None:
    """The first page of a TIFF and the page that is the image, usually the same.

    The image is the first page if that is full size; or else the largest full-size page, nested
    ones included; or else the largest of all. None if the structure cannot be parsed, which the
    decoder reports.
    """
    try:
        form = _form(file)
        first = _page(file, form, form.first)[0]
        if not (first.width and first.height):
            return None
        if not first.is_reduced:
            return first, first
        pages = list(_pages(file, form))
        full = [page for page in pages if not page.is_reduced]
        raw = [page for page in full if page.is_raw]
        return first, max(raw or full or pages, key=lambda page: page.width * page.height)
    except (struct.error, ValueError, OverflowError, KeyError):
        return None


def moved_to(data: bytes, page: Page) -> bytes:
    """The bytes of a TIFF with `page` moved to the front."""
    at = 8 if data[2:4] in (b"+\0", b"\0+") else 4  # in a BigTIFF the offset has eight bytes
    offset = page.offset.to_bytes(at, "little" if data[:2] == b"II" else "big")
    return data[:at] + offset + data[2 * at :]


@dataclass(frozen=True)
class _Form:
    """Number formats of one file: byte order, widths of counts and offsets."""

    order: str
    count: str
    entry: str
    offset: str
    first: int


def _form(file: BinaryIO) -> _Form:
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    if struct.unpack_from(f"{order}H", head, 2)[0] == 43:  # BigTIFF
        return _Form(order, "Q", "HHQ", "Q", struct.unpack_from(f"{order}Q", head, 8)[0])
    return _Form(order, "H", "HHI", "I", struct.unpack_from(f"{order}I", head, 4)[0])


def _pages(file: BinaryIO, form: _Form) -> Iterator[Page]:
    """All pages, nested ones included, each once."""
    waiting, done = [form.first], set[int]()
    while waiting and len(done) < _MOST:
        at = waiting.pop()
        if at in done:
            continue
        done.add(at)
        page, following = _page(file, form, at)
        yield page
        if following:
            waiting.append(following)
        waiting.extend(page.tags.get(_SUB_IFDS, ()))


def _page(file: BinaryIO, form: _Form, at: int) -> tuple[Page, int]:
    """The directory at an offset, and the offset of the one after it (0 at the end)."""
    file.seek(at)
    (count,) = _unpack(file, form.order + form.count)
    if not 0 < count < 4096:
        raise ValueError(count)
    width = struct.calcsize("<" + form.offset)
    size = struct.calcsize("<" + form.entry) + width
    body = file.read(count * size)
    (following,) = _unpack(file, form.order + form.offset)
    tags = {}
    for number in range(count):
        tag, kind, values = struct.unpack_from(form.order + form.entry, body, number * size)
        if tag not in _WANTED or kind not in _CODES or not 0 < values <= _MOST:
            continue
        code = f"{form.order}{values}{_CODES[kind]}"
        place = number * size + size - width
        if struct.calcsize(code) <= width:
            tags[tag] = struct.unpack_from(code, body, place)
        else:
            file.seek(struct.unpack_from(form.order + form.offset, body, place)[0])
            tags[tag] = _unpack(file, code)
    return Page(at, tags), following


def _unpack(file: BinaryIO, code: str) -> tuple[int, ...]:
    return struct.unpack(code, file.read(struct.calcsize(code)))
