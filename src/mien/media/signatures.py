"""File signatures: names the format of a file that is not read, for the error message."""

from __future__ import annotations

import codecs

_CONVERT = "convert it to JPEG or PNG first"
RAW = "is a camera's raw file: export it as JPEG first"
_VIDEO = 'is a video, not an image: use analyzer.video(path) or "mien analyze"'
_AUDIO = "is a sound file, not an image"
_DOCUMENT = "is a document, not an image: export its pages as images first"

_STARTS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\x0a", f"is a JPEG XL image: {_CONVERT}"),
    (0, b"\0\0\0\x0cJXL \r\n", f"is a JPEG XL image: {_CONVERT}"),
    (0, b"8BPS", f"is a Photoshop document: {_CONVERT}"),
    (0, b"\0\0\x01\0", f"is an icon (ICO): {_CONVERT}"),
    (0, b"icns", f"is an icon (ICNS): {_CONVERT}"),
    (0, b"%!PS", f"is a PostScript drawing (EPS): {_CONVERT}"),
    (0, b"\xc5\xd0\xd3\xc6", f"is a PostScript drawing (EPS): {_CONVERT}"),
    (0, b"%PDF", _DOCUMENT),
    (0, b"gimp xcf", f"is a GIMP document: {_CONVERT}"),
    (0, b"qoif", f"is a QOI image: {_CONVERT}"),
    (0, b"DDS ", f"is a DDS texture: {_CONVERT}"),
    (0, b"v/1\x01", f"is an OpenEXR image: {_CONVERT}"),
    (0, b"#?RADIANCE", f"is a Radiance HDR image: {_CONVERT}"),
    (0, b"SIMPLE  =", f"is a FITS image: {_CONVERT}"),
    (128, b"DICM", f"is a DICOM image: {_CONVERT}"),
    (8, b"CR\x02", RAW),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIRS", RAW),
    (0, b"MMOR", RAW),
    (0, b"IIU\0", RAW),
    (0, b"FOVb", RAW),
    (0, b"\0MRM", RAW),
    (4, b"ftypcrx ", RAW),
    (4, b"ftypM4A", _AUDIO),
    (4, b"ftypM4B", _AUDIO),
    (0, b"ID3", _AUDIO),
    (0, b"fLaC", _AUDIO),
    (8, b"WAVE", _AUDIO),
    (4, b"ftyp", _VIDEO),
    (4, b"moov", _VIDEO),
    (4, b"mdat", _VIDEO),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (8, b"AVI ", _VIDEO),
    (0, b"OggS", _VIDEO),
    (0, b"FLV", _VIDEO),
    (0, b"\0\0\x01\xba", _VIDEO),
    (0, b"\0\0\x01\xb3", _VIDEO),
    (0, b"\x30\x26\xb2\x75", _VIDEO),
    (0, b"PK\x03\x04", "is a ZIP archive: unpack it first"),
    (0, b"\x1f\x8b", "is a gzip archive: unpack it first"),
)

#: ISO brands, after ``ftyp``, of formats that are read: such a file fails only if it is broken.
_IMAGE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_JPEG_KINDS = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a lossless JPEG",
    0xF7: "a JPEG-LS image",
}


def describe(head: bytes, tail: bytes = b"") -> str | None:
    """Describe a file that cannot be read as an image, and what to do; None if unknown.

    Of `head`, 4096 bytes suffice for all but JPEG; `tail`, the last 18, may hold the signature of a
    TGA.
    """
    if not head:
        return "is empty: it has 0 bytes"
    if head[:3] == b"\xff\xd8\xff":
        return _jpeg(head)
    if head[4:8] == b"ftyp" and head[8:12] in _IMAGE_BRANDS:
        return None
    for at, start, what in _STARTS:
        if head[at : at + len(start)] == start:
            return what
    if tail[-18:-1] == b"TRUEVISION-XFILE." or _is_tga(head):
        return f"is a TGA image: {_CONVERT}"
    if is_text(head):
        return _text(head)
    if not any(head):
        return "holds nothing but zeros, like an unfinished download: download it again"
    return None


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Canvas width and height of a WebP file, from its first 30 bytes."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = head[26:28], head[28:30]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF


def _jpeg(head: bytes) -> str | None:
    """The kind of JPEG, if its frame header is one that no decoder here supports."""
    at = 2
    while at + 5 <= len(head) and head[at] == 0xFF:
        kind, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        if kind in _JPEG_KINDS:
            return f"is {_JPEG_KINDS[kind]}, which is not read: save it as an ordinary JPEG"
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            if head[at + 4] == 8:
                return None
            return f"is a JPEG of {head[at + 4]} bits a channel: save it with 8 bits, or as PNG"
        at += 2 + length
    return None


def _is_tga(head: bytes) -> bool:
    """Whether this may be an old TGA, which has no signature: its header is plausible."""
    if len(head) < 18:
        return False
    plain = head[1] == 0 and head[2] in (2, 3, 10, 11) and not any(head[3:8])
    return plain and head[16] in (8, 16, 24, 32) and any(head[12:14]) and any(head[14:16])


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are UTF-8 text."""
    try:  # incrementally: the last character may be split
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False


def _text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start[:1000]:
        return f"is an SVG drawing: {_CONVERT}"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not an image, despite its extension: download the image itself"
    if start.startswith(b"version https://git-lfs"):
        return 'is a Git LFS pointer, not the image itself: fetch it with "git lfs pull"'
    return "is a text file, not an image, despite its extension"
