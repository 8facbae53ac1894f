"""Recognizes a file by its content: an image, a video, or neither.

Extensions can be wrong or missing, and videos have dozens of them, so the name decides only if the
content is not recognized: a damaged ``video.mp4`` is a damaged video.
"""

from __future__ import annotations

import os
import re
from typing import Literal, TypeAlias

from mien.errors import InputError
from mien.media.frames import ISO_BOXES
from mien.media.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mien.media.signatures import is_text

Kind: TypeAlias = 'Literal["image", "video"]'

_VIDEO_NAMES = VIDEO_SUFFIXES | {
    *(".ts", ".mts", ".m2ts", ".ogv", ".asf", ".vob", ".mxf", ".3g2", ".f4v", ".qt", ".divx"),
    *(".m2v", ".m1v", ".mpe", ".dv", ".nut", ".rm", ".rmvb", ".insv", ".h264", ".264", ".hevc"),
    *(".h265", ".265", ".mjpeg", ".mjpg", ".y4m", ".ivf", ".m3u8"),
}
#: Extensions of images, those of formats that are recognized but not read included.
_IMAGE_NAMES = IMAGE_SUFFIXES | {".j2k", ".j2c", ".jpf", ".jpx", ".jpm", ".jxl", ".tga", ".psd"}
#: Extensions of videos that TypeScript uses, too.
_PROGRAMS = (".ts", ".mts")
#: First bytes of images, those of formats that mien names but does not read included.
_IMAGES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"II*\0",  # TIFF, and the raw files of most cameras
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"IIRO",  # Olympus, Panasonic and Fujifilm raw files
    b"IIRS",
    b"IIU\0",
    b"FUJIFILMCCD-RAW",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000: in a container, and bare
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cJXL \r\n\x87\n",  # JPEG XL: in a container, and bare
    b"\xff\x0a",
    b"8BPS",  # Photoshop
    b"\0\0\x01\0",  # icon
    b"v/1\x01",  # OpenEXR
    b"qoif",
)
#: Major brands of ISO base media files that are images; all others hold video or audio.
_STILL_BRANDS = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"crx ")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")


def kind_of(path: str | os.PathLike[str]) -> Kind | None:
    """Whether a file is an image or a video; None for anything else.

    An image file with more than one frame (animated GIF, WebP, PNG, AVIF) is a video: its frames
    have times. A TIFF with several pages and a multi-picture JPEG are images. A file that is not
    recognized is judged by its extension.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the path contains a NUL.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        head = file.read(4096)
    if _is_image(head):
        return "video" if _is_animated(path, head) else "image"
    if _is_video(path, head):
        return "video"
    if is_text(head) and path.lower().endswith(_PROGRAMS):
        return None
    return kind_by_name(path)


def kind_by_name(path: str) -> Kind | None:
    """The kind of file that an extension stands for; None for any other extension."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _IMAGE_NAMES:
        return "image"
    return "video" if suffix in _VIDEO_NAMES else None


def _is_image(head: bytes) -> bool:
    if head.startswith(_IMAGES) or _is_webp(head):
        return True
    if head[:2] == b"BM":  # two letters are weak evidence: the header size must fit, too
        return int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    if head.startswith(b"%!PS-Adobe"):
        return b"EPSF" in head[:40]
    if re.match(rb"P[1-6](\s+#.*)*\s+\d+\s", head):  # PPM, PGM, PBM
        return True
    return head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_animated(path: str, head: bytes) -> bool:
    """Whether an image file has more than one frame; none is decoded."""
    if head[:3] == b"\xff\xd8\xff":
        return _is_mjpeg(path)
    if _is_webp(head):
        from mien.media import webp

        return webp.is_animated(path, head)
    form = "GIF" if head[:3] == b"GIF" else "PNG" if head[1:4] == b"PNG" else "AVIF"
    if form == "AVIF" and b"avis" not in head[8:64]:
        return False
    from PIL import Image as PilImage

    try:
        with PilImage.open(path, formats=(form,)) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - reading it reports the error
        return False


def _is_mjpeg(path: str) -> bool:
    """Whether a file is a series of JPEGs; two or three are an image with a preview or depth map.

    A ``.jpg`` is not searched, as that costs as much as reading it.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"):
        return False
    if suffix in (".mjpeg", ".mjpg"):
        return True
    with open(path, "rb") as file:
        return file.read(1 << 22).count(b"\xff\xd9\xff\xd8\xff") > 2


def _is_video(path: str, head: bytes) -> bool:
    if head[4:8] in ISO_BOXES and head[8:12] not in _SOUND_BRANDS:
        return True
    if not head or (is_text(head) and not head.startswith((b"#EXTM3U", b"YUV4MPEG2"))):
        return False  # FFmpeg opens text files, too
    from mien.media.decoding import open_video

    try:
        container, _ = open_video(path, path)
    except InputError:
        return False
    container.close()
    return True
