"""Films as FFmpeg decodes them: frame by frame, each with the time a player would show it at.

`probe` says what a film is; `moments` walks through it. Pictures are made only of the frames that
are wanted, so that the others cost no more than their decoding.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import VideoError
from mien.media import limits
from mien.media.frames import (
    Moment,
    VideoInfo,
    broken_off,
    check_file,
    lacks_bytes,
    lacks_trailer,
)
from mien.media.rendering import Renderer
from mien.media.timestamps import Clock, Ledger, frame_rate

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

#: A frame and its stamp; None for a frame that cannot be decoded, or a stamp that is not there.
_Stamped: TypeAlias = "tuple[int | None, VideoFrame | None]"

#: FFmpeg's threads for one film, on the slices of one frame. Threads on several frames at once
#: would be faster on many cores, but 720p decodes in 2 ms, and they lose good frames before a bad.
THREADS = 2

#: Codecs of covers and thumbnails, by FFmpeg's names.
_STILL_CODECS = ("mjpeg", "png", "bmp", "tiff", "webp")


def open_video(
    path: str, name: str, number: int | None = None
) -> tuple[InputContainer, VideoStream]:
    """Open a video and one of its streams, see `video_stream`; the caller closes the container.

    Raises:
        InputError: as `check_file`; `VideoError` where it is no video, or in a code unknown here.
    """
    import av

    head = check_file(path, name)
    try:  # "file:" lest a colon in a name be taken for the end of a protocol's
        container = av.open("file:" + path, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"{name} {_why_not(head)}.") from error
    try:
        stream = video_stream(container, name, number)
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = THREADS
        stream.codec_context.options = {
            "max_pixels": str(limits.LIMITS.frame_pixels)
        }  # sizes can change
    except BaseException:
        container.close()
        raise
    return container, stream


def _why_not(head: bytes) -> str:
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        why = "is cut off: its index, which stands at the end, is missing"
        return f"{why}; copy or download it again"
    with suppress(UnicodeDecodeError):  # incrementally, as the last character may be cut in two
        if "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head):
            return "is a text file, not a video, despite its extension"
    return "is not a video that can be read, or it is damaged or cut off"


def video_stream(container: InputContainer, name: str, number: int | None = None) -> VideoStream:
    """The moving images of a container, and not its cover.

    Args:
        container: an open file.
        name: what to call it.
        number: which of its video streams, covers too, counted from 0; None for the one that the
            file marks as its default, or else the largest.

    Raises:
        VideoError: there is none, or none that can be decoded.
    """
    kind = container.format.name
    if kind == "image2" or kind.endswith("_pipe"):
        raise VideoError(
            f"{name} is an image, not a video: give the file to mien analyze, or to analyzer(...)."
        )
    streams = video_streams(container)
    if not streams:
        what = "holds sound only" if container.streams.audio else "holds no images"
        raise VideoError(f"{name} {what}, where a video is expected.")
    if number is not None:
        every = list(container.streams.video)
        if not number < len(every):
            raise VideoError(f"{name} has no video stream {number}: it has {len(every)}, from 0.")
        streams = [every[number]]
    from av.stream import Disposition

    # FFmpeg crashes on a stream without a context: its code is unknown, or cut off too early.
    usable = [s for s in streams if s.codec_context is not None and s.codec_context.width > 0]
    if not usable:
        raise VideoError(f"{name} is cut off before its first image, or its codec is unknown.")
    best = max(usable, key=lambda s: (bool(s.disposition & Disposition.default), _pixels(s)))
    limits.check_frame_size(name, best.codec_context.width, best.codec_context.height)
    return best


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of moving images: without covers, also those that are not marked as one."""
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    moving = [s for s in streams if s.frames != 1 and _codec(s) not in _STILL_CODECS]
    return moving or streams


def _codec(stream: VideoStream) -> str:
    return "" if stream.codec_context is None else stream.codec_context.codec.canonical_name


def _pixels(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height


def probe(path: str, name: str, width: int | None, number: int | None = None) -> VideoInfo:
    """What a video is: its header, and its first frame for the size that it has when upright.

    Raises:
        InputError: as `open_video`.
    """
    container, stream = open_video(path, name, number)
    with container:
        renderer, clock = Renderer(stream), Clock(container, stream)
        decoded = _decoded(container, stream, clock)
        first = next((frame for _, frame in decoded if frame is not None), None)
        across, down = renderer.size(first, width)
        fps = frame_rate(container, stream)
        seconds = container.duration / 1e6 if container.duration else None
        seconds = seconds if clock.promised is None else clock.promised
        count = stream.frames or (round(seconds * fps) if seconds and fps else None)
        return VideoInfo(
            source=name,
            width=across,
            height=down,
            fps=float(fps) if fps else None,
            duration_s=seconds,
            frames=count,
            codec=stream.codec_context.name,
            has_audio=bool(container.streams.audio),
            rotation=renderer.rotation(first),
            streams=len(video_streams(container)),
        )


def moments(
    path: str, name: str, start: float = 0.0, number: int | None = None
) -> Generator[Moment]:
    """Walk through a video, from its beginning or from the last key frame before `start`.

    Yields:
        Every frame in the order of presentation. One that cannot be decoded comes as a moment
        that fails; if the film breaks off, a last one fails and says where.

    Raises:
        InputError: as `open_video`.
    """
    landing = _landing(path, name, start, number) if start > 0 else None
    if landing is not None:
        with suppress(_MissedError):
            yield from _walk(path, name, landing, number)
            return
    yield from _walk(path, name, None, number)


class _Landing(NamedTuple):
    """A key frame to begin at, and the stamps of all frames up to `start`, to count by."""

    key: int
    seek_to: int
    stamps: npt.NDArray[np.int64]


class _MissedError(Exception):
    """Seeking did not lead to the key frame."""


def _landing(path: str, name: str, start: float, number: int | None) -> _Landing | None:
    """Find the last key frame at or before `start` by reading packets, without decoding.

    Only the stamps tell how many frames come before it; rate times seconds would be a guess, and
    wrong wherever the rate varies.
    """
    import av

    container, stream = open_video(path, name, number)
    key = seek_to = None
    stamps: list[int] = []
    with container, suppress(av.FFmpegError):  # damage is reported by the walk
        clock = Clock(container, stream)
        for packet in container.demux(stream):
            if packet.pts is None or packet.dts is None:
                if packet.size:
                    return None  # no stamps to count by
                break
            if clock.seconds(packet.dts) > start:
                break
            if not packet.is_discard:
                stamps.append(packet.pts)
                if packet.is_keyframe and clock.seconds(packet.pts) <= start:
                    key, seek_to = packet.pts, min(packet.pts, packet.dts)
    if key is None or seek_to is None:
        return None
    return _Landing(key, seek_to, np.sort(np.array(stamps, np.int64)))


def _walk(path: str, name: str, landing: _Landing | None, number: int | None) -> Iterator[Moment]:
    """See `moments`; raises `_MissedError`, before anything else, if `landing` is not reached."""
    import av

    container, stream = open_video(path, name, number)
    with container:
        clock, renderer = Clock(container, stream, cut=lacks_bytes(path)), Renderer(stream)
        if landing is not None:
            try:
                container.seek(landing.seek_to, stream=stream)
            except av.FFmpegError as error:
                raise _MissedError from error
        index = 0
        lost: list[Moment] = []  # held back: at the film's end they are its breaking off
        decoded = _decoded(container, stream, clock)
        if container.format.name == "gif" and lacks_trailer(path):
            decoded = _without_last(decoded)
        for pts, frame in decoded:
            if landing is not None:
                if frame is None:
                    continue  # leading pictures that belong to the scene before
                if pts is None or pts > landing.key:
                    raise _MissedError
                index, landing = int(np.searchsorted(landing.stamps, pts)), None
            time_s = clock.tell(pts, index)
            if frame is None:
                problem = f"Frame {index} of {name} is damaged and cannot be decoded."
                lost.append(Moment.broken(index, time_s, problem))
            else:
                yield from lost
                lost.clear()
                duration_s = clock.duration(frame.duration)
                yield Moment(index, time_s, partial(renderer.render, frame), duration_s=duration_s)
            index += 1
        if landing is not None:
            raise _MissedError
        if lost or clock.falls_short:
            index = lost[0].index if lost else index
            time_s = lost[0].time_s if lost else clock.tell(None, index)
            problem = broken_off(name, time_s, clock.promised)
            yield Moment.broken(index, time_s, problem, final=True)


def _decoded(container: InputContainer, stream: VideoStream, clock: Clock) -> Iterator[_Stamped]:
    """The stamps and frames of a film in the order of presentation; None for what is damaged."""
    import av

    ledger = Ledger()
    for packet in _packets(container, clock):
        if packet is not None and packet.stream.index != stream.index:
            continue  # sound is read only because its end, too, tells where the film should end
        if packet is not None and packet.size:
            ledger.enter(packet)
        try:
            decoded = stream.decode(packet)
        except (av.FFmpegError, ValueError):
            ledger.failures += 1
            continue
        for frame in decoded:
            for pts in ledger.lost_before(frame.pts):
                yield pts, None
            yield frame.pts, None if frame.is_corrupt else frame
    for pts in ledger.lost_before(None):
        yield pts, None


def _without_last(decoded: Iterator[_Stamped]) -> Iterator[_Stamped]:
    """Give up the last frame: of a GIF that is cut off, FFmpeg returns the upper half as good."""
    held: _Stamped | None = None
    for item in decoded:
        if held is not None:
            yield held
        held = item
    if held is not None:
        yield held[0], None


def _packets(container: InputContainer, clock: Clock) -> Iterator[Packet[Stream] | None]:
    """All packets of a film, and None at its end, for the decoder to give out what it still has."""
    import av

    try:
        for packet in container.demux():
            if packet.size:
                clock.passes(packet)
                yield packet
    except av.FFmpegError:
        clock.interrupted = True
    yield None
