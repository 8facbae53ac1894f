"""The sound of a video, carried over into an annotated one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputNotFoundError, VideoError
from mien.media.addresses import is_web, open_recording

if TYPE_CHECKING:
    from av.container import OutputContainer

#: Codecs that every player takes inside ``.mp4``, by FFmpeg's names; others become AAC.
_COPIED = ("aac", "mp3", "opus")
_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


class Soundtrack:
    """The first audio stream of a video, shifted so that its second `start_s` comes at 0.

    Codecs that players of ``.mp4`` know (AAC, MP3, Opus) are copied, exact to a packet of some
    20 ms; other sound becomes AAC. Where the file is damaged, the sound ends.

    Attributes:
        video_end_s: end of the video stream, seconds on its own clock, or None.

    Raises:
        InputNotFoundError: there is no file at that path.
    """

    def __init__(self, path: str | Path, start_s: float) -> None:
        import av

        web = is_web(str(path))
        if not web and not Path(path).is_file():
            raise InputNotFoundError(f"there is no file {path} to take the sound from.")
        self._start = start_s
        self._waiting: Any = None
        self._container: Any = None
        self._stream: Any = None
        self.video_end_s: float | None = None
        try:
            self._container = (
                open_recording(str(path))
                if web
                else av.open(f"file:{path}", metadata_errors="replace")
            )
        except (
            av.FFmpegError,
            OSError,
            ValueError,
            VideoError,
        ):  # then the annotated video is silent
            return
        self._zero_s = self._zero()
        self.video_end_s = self._video_end()
        sounds = [s for s in self._container.streams.audio if s.codec_context is not None]
        self._stream = sounds[0] if sounds else None

    def _zero(self) -> float:
        """Where the times of `mien.media.video.VideoSource` count from, on the file's clock."""
        begin = (self._container.start_time or 0) / 1e6
        for stream in self._container.streams.video:
            if stream.start_time is not None:
                return min(max(begin, 0.0), float(stream.start_time * stream.time_base))
        return begin

    def _video_end(self) -> float | None:
        for stream in self._container.streams.video:
            if stream.duration and stream.time_base:
                start = stream.start_time or 0
                return float((start + stream.duration) * stream.time_base) - self._zero_s
        return None

    def attach(self, video: OutputContainer) -> None:
        """Add a stream to a video before its first packet is written."""
        if self._stream is None:
            return
        context = self._stream.codec_context
        copied = context.name in _COPIED or context.codec.canonical_name in _COPIED
        if copied and (context.name == "aac" or video.format.name != "mov"):
            self._out = video.add_stream_from_template(self._stream)
            self._packets = self._copied()
        else:
            rate = min(_RATES, key=lambda r: (r < context.rate, abs(r - context.rate)))
            self._out = video.add_stream("aac", rate=rate)
            self._out.codec_context.layout = "mono" if context.channels == 1 else "stereo"
            self._packets = self._coded()

    def mux(self, video: OutputContainer, until_s: float) -> None:
        """Write the sound before `until_s`, seconds of the new video."""
        while self._stream is not None:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            packet = self._waiting
            if packet is None or _middle(packet) >= until_s:
                return
            packet.stream = self._out
            video.mux_one(packet)
            self._waiting = None

    def close(self) -> None:
        """Close the file that the sound comes from."""
        if self._container is not None:
            self._container.close()

    def _demuxed(self) -> Iterator[Any]:
        """Packets from a little before the start; an error in the file ends them."""
        import av

        try:
            if self._start > 1:
                self._container.seek(int((self._start + self._zero_s - 1) * 1e6))
            for packet in self._container.demux(self._stream):
                if packet.pts is not None:
                    yield packet
        except (av.FFmpegError, OSError, ValueError):
            return

    def _shift(self, base: Fraction) -> int:
        """Ticks between the clocks of the old and the new video."""
        return round((self._zero_s + self._start) / base)

    def _copied(self) -> Iterator[Any]:
        for packet in self._demuxed():
            shift = self._shift(packet.time_base)
            # one packet from before the start: the decoder needs it, the player skips it
            if packet.pts + (packet.duration or 0) >= shift:
                packet.pts -= shift
                packet.dts = packet.pts
                yield packet

    def _coded(self) -> Iterator[Any]:
        import av

        for packet in self._demuxed():
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):  # a damaged packet is a gap in the sound
                continue
            for frame in frames:
                if frame.pts is None or frame.time_base is None:
                    continue
                frame.pts -= self._shift(frame.time_base)
                if frame.pts * frame.time_base + Fraction(frame.samples, frame.rate) > 0:
                    yield from self._out.encode(frame)
        yield from self._out.encode(None)


def _middle(packet: Any) -> float:
    """The middle of a packet, seconds of the new video."""
    return float((packet.pts + (packet.duration or 0) / 2) * packet.time_base)
