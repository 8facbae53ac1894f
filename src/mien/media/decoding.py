"""Decodes videos with FFmpeg, frame by frame, each with the time at which a player shows it.

`probe` reads the properties of a video; `moments` iterates over its frames. Only selected frames
are converted to images, so that the others cost no more than their decoding.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import VideoError
from mien.media import limits
from mien.media.addresses import is_web, open_recording
from mien.media.frames import (
    Moment,
    VideoInfo,
    broken_off,
    check_file,
    lacks_bytes,
    lacks_trailer,
)
from mien.media.rendering import Renderer
from mien.media.signatures import is_text
from mien.media.timestamps import Clock, PendingStamps, frame_rate

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

#: A timestamp and its frame; None for a missing timestamp, or a frame that cannot be decoded.
_Stamped: TypeAlias = "tuple[int | None, VideoFrame | None]"

#: FFmpeg's threads per video, on the slices of one frame. Threads on several frames would be faster
#: on many cores, but 720p decodes in 2 ms, and they lose good frames before a damaged one.
THREADS = 2

#: Codecs of cover art and thumbnails, by FFmpeg's names.
_STILL_CODECS = ("mjpeg", "png", "bmp", "tiff", "webp")


def open_video(
    path: str, name: str, number: int | None = None
) -> tuple[InputContainer, VideoStream]:
    """Open a video and one of its streams, see `video_stream`; the caller closes the container.

    Raises:
        InputError: as `check_file`; `VideoError` if it is not a video, or its codec is unknown.
    """
    container = open_recording(path) if is_web(path) else _open_file(path, name)
    try:
        stream = video_stream(container, name, number)
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = THREADS
        stream.codec_context.options = {
            "max_pixels": str(limits.LIMITS.frame_pixels)
        }  # sizes can change midway
    except BaseException:
        container.close()
        raise
    return container, stream


def _open_file(path: str, name: str) -> InputContainer:
    import av

    head = check_file(path, name)
    try:  # "file:", as a colon in the name would end a protocol
        return av.open("file:" + path, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"{name} {_why_not(head)}.") from error


def _why_not(head: bytes) -> str:
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        why = "is cut off: its index, stored at the end, is missing"
        return f"{why}, copy or download it again"
    if is_text(head):
        return "is a text file, not a video, despite its extension"
    return "is not a video that can be read, or it is damaged or cut off"


def video_stream(container: InputContainer, name: str, number: int | None = None) -> VideoStream:
    """The video stream of a container to read, never cover art by default.

    Args:
        container: an open file.
        name: its name in error messages.
        number: which of its video streams, cover art included, counted from 0; None for the one
            that the file marks as its default, or else the largest.

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
        what = "holds only audio" if container.streams.audio else "holds no images"
        raise VideoError(f"{name} {what}, where a video is expected.")
    if number is not None:
        every = list(container.streams.video)
        if not number < len(every):
            raise VideoError(f"{name} has no video stream {number}: it has {len(every)}, from 0.")
        streams = [every[number]]
    from av.stream import Disposition

    # FFmpeg crashes on a stream without a context: unknown codec, or cut off too early.
    usable = [s for s in streams if s.codec_context is not None and s.codec_context.width > 0]
    if not usable:
        raise VideoError(f"{name} is cut off before its first image, or its codec is unknown.")
    best = max(usable, key=lambda s: (bool(s.disposition & Disposition.default), _pixels(s)))
    limits.check_frame_size(name, best.codec_context.width, best.codec_context.height)
    return best


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams without cover art, also that which is not marked as such."""
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    moving = [s for s in streams if s.frames != 1 and _codec(s) not in _STILL_CODECS]
    return moving or streams


def _codec(stream: VideoStream) -> str:
    return "" if stream.codec_context is None else stream.codec_context.codec.canonical_name


def _pixels(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height


def probe(path: str, name: str, width: int | None, number: int | None = None) -> VideoInfo:
    """Properties of a video from its header, and from its first frame for the upright size.

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
    """Iterate over a video, from its start or from the last key frame before `start`.

    Yields:
        Every frame in presentation order. One that cannot be decoded is a moment whose ``render``
        fails; if the video breaks off, a last one fails and says where.

    Raises:
        InputError: as `open_video`.
    """
    target = _seek_target(path, name, start, number) if start > 0 else None
    if target is not None:
        with suppress(_SeekError):
            yield from _walk(path, name, target, number)
            return
    yield from _walk(path, name, None, number)


class _SeekTarget(NamedTuple):
    """A key frame to start at, and the timestamps of all frames up to `start`, to count them."""

    key: int
    seek_to: int
    stamps: npt.NDArray[np.int64]


class _SeekError(Exception):
    """Seeking did not arrive at the key frame."""


def _seek_target(path: str, name: str, start: float, number: int | None) -> _SeekTarget | None:
    """Find the last key frame at or before `start` by reading packets, without decoding.

    The number of frames before it is counted from their timestamps; frame rate times seconds would
    be wrong for variable frame rates.
    """
    import av

    container, stream = open_video(path, name, number)
    key = seek_to = None
    stamps: list[int] = []
    with container, suppress(av.FFmpegError):  # damage is reported by `_walk`
        clock = Clock(container, stream)
        for packet in container.demux(stream):
            if packet.pts is None or packet.dts is None:
                if packet.size:
                    return None  # no timestamps to count
                break
            if clock.seconds(packet.dts) > start:
                break
            if not packet.is_discard:
                stamps.append(packet.pts)
                if packet.is_keyframe and clock.seconds(packet.pts) <= start:
                    key, seek_to = packet.pts, min(packet.pts, packet.dts)
    if key is None or seek_to is None:
        return None
    return _SeekTarget(key, seek_to, np.sort(np.array(stamps, np.int64)))


def _walk(path: str, name: str, target: _SeekTarget | None, number: int | None) -> Iterator[Moment]:
    """See `moments`; raises `_SeekError`, before anything else, if `target` is not reached."""
    import av

    container, stream = open_video(path, name, number)
    with container:
        clock, renderer = (
            Clock(container, stream, cut=not is_web(path) and lacks_bytes(path)),
            Renderer(stream),
        )
        if target is not None:
            try:
                container.seek(target.seek_to, stream=stream)
            except av.FFmpegError as error:
                raise _SeekError from error
        index = 0
        lost: list[Moment] = []  # held back: at the end they mean that the video breaks off
        decoded = _decoded(container, stream, clock)
        if container.format.name == "gif" and not is_web(path) and lacks_trailer(path):
            decoded = _without_last(decoded)
        for pts, frame in decoded:
            if target is not None:
                if frame is None:
                    continue  # leading frames that belong to the group before
                if pts is None or pts > target.key:
                    raise _SeekError
                index, target = int(np.searchsorted(target.stamps, pts)), None
            time_s = clock.next_time(pts, index)
            if frame is None:
                problem = f"Frame {index} of {name} is damaged and cannot be decoded."
                lost.append(Moment.broken(index, time_s, problem))
            else:
                yield from lost
                lost.clear()
                duration_s = clock.duration(frame.duration)
                yield Moment(index, time_s, partial(renderer.render, frame), duration_s=duration_s)
            index += 1
        if target is not None:
            raise _SeekError
        if lost or clock.falls_short:
            index = lost[0].index if lost else index
            time_s = lost[0].time_s if lost else clock.next_time(None, index)
            problem = broken_off(name, time_s, clock.promised)
            yield Moment.broken(index, time_s, problem, final=True)


def _decoded(container: InputContainer, stream: VideoStream, clock: Clock) -> Iterator[_Stamped]:
    """Timestamps and frames in presentation order; None for damaged frames."""
    import av

    pending = PendingStamps()
    for packet in _packets(container, clock):
        if packet is not None and packet.stream.index != stream.index:
            continue  # audio counts only for where the video should end
        if packet is not None and packet.size:
            pending.add(packet)
        try:
            decoded = stream.decode(packet)
        except (av.FFmpegError, ValueError):
            pending.failures += 1
            continue
        for frame in decoded:
            for pts in pending.lost_before(frame.pts):
                yield pts, None
            yield frame.pts, None if frame.is_corrupt else frame
    for pts in pending.lost_before(None):
        yield pts, None


def _without_last(decoded: Iterator[_Stamped]) -> Iterator[_Stamped]:
    """Mark the last frame as damaged: of a GIF that is cut off, FFmpeg returns it half decoded."""
    held: _Stamped | None = None
    for item in decoded:
        if held is not None:
            yield held
        held = item
    if held is not None:
        yield held[0], None


def _packets(container: InputContainer, clock: Clock) -> Iterator[Packet[Stream] | None]:
    """All packets of a video, and None at the end, which flushes the decoder."""
    import av

    try:
        for packet in container.demux():
            if packet.size:
                clock.note(packet)
                yield packet
    except av.FFmpegError:
        clock.interrupted = True
    yield None
