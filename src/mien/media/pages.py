"""Selects the page of a TIFF that is the image: cameras and scanners put a thumbnail first.

A TIFF is a chain of directories (IFD), each an image, some with nested directories (SubIFDs).
TIFF 6.0 marks reduced copies by ``NewSubfileType``; in DNG and NEF files the first directory holds
only such a copy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
        width, height: pixels.
        is_reduced: it is a thumbnail, preview or mask of another page.
        is_raw: its pixels are raw sensor data.
        white_is_zero: small values are light.
        bits: of one sample.
        stated_bits: bits of the white level if the file declares them; a sample may be wider.
        is_planar: each channel is stored separately.
        is_signed: samples are signed integers.
        orientation: of EXIF, 1 to 8.
        nested: offsets of the directories inside it.
    """

    offset: int
    width: int
    height: int
    is_reduced: bool
    is_raw: bool
    white_is_zero: bool
    bits: int
    stated_bits: int | None
    is_planar: bool
    is_signed: bool
    orientation: int
    nested: tuple[int, ...]

    @classmethod
    def of(cls, offset: int, tags: Mapping[int, tuple[int, ...]]) -> Page:
        """The page with these integer fields, those in `_WANTED`."""

        def first(tag: int, default: int) -> int:
            return (tags.get(tag) or (default,))[0]

        bits = max(tags.get(_BITS) or (1,))
        most = max(tags.get(_MAX_SAMPLE) or (0,)).bit_length()
        return cls(
            offset,
            first(_WIDTH, 0),
            first(_HEIGHT, 0),
            is_reduced=bool(first(_NEW_SUBFILE_TYPE, 0) & (_REDUCED | _MASK)),
            is_raw=first(_PHOTOMETRIC, 1) in _RAW,
            white_is_zero=first(_PHOTOMETRIC, 1) == 0,
            bits=bits,
            stated_bits=most if 8 <= most < bits else bits if bits in (10, 12, 14) else None,
            is_planar=first(_PLANAR, 1) == 2,
            is_signed=first(_SAMPLE_FORMAT, 1) == 2,
            orientation=first(_ORIENTATION, 1),
            nested=tags.get(_SUB_IFDS, ()),
        )


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
        waiting.extend(page.nested)


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
    return Page.of(at, tags), following


def _unpack(file: BinaryIO, code: str) -> tuple[int, ...]:
    return struct.unpack(code, file.read(struct.calcsize(code)))
