"""Timestamps of a video: display times, lost frames, and whether the file is complete."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

#: A video is cut off if it ends this many seconds before the end declared in its header.
MISSING_S = 0.5
#: A jump back by more than this is a restart of the clock; by less, an inaccurate timestamp.
RESTART_S = 1.0
#: FFmpeg's AVFMT_NOTIMESTAMPS: a format without timestamps.
_NO_TIMESTAMPS = 0x80
#: A jump ahead by more than this, a day, is a broken timestamp: later times continue without it.
LEAP_S = 86_400.0
#: Containers that declare the duration in the header, by FFmpeg's names; for others it guesses.
_PROMISING = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi", "asf")
#: For these, some writers declare the end time instead of the duration if timestamps start late.
_ENDS_OR_LENGTHS = ("matroska,webm", "asf")


class PendingStamps:
    """Timestamps of packets that were sent to the decoder and have not come back as a frame.

    Decoders report damage late, out of order, and without naming the packet. But frames come out in
    timestamp order, so a timestamp that was skipped will never come. It counts as lost only if the
    decoder reported damage: some packets hold no frame of their own.
    """

    def __init__(self) -> None:
        self.failures: int = 0
        self._due: list[int] = []
        self._blind = False

    def add(self, packet: Packet[Stream]) -> None:
        """Register a packet that is about to be decoded."""
        if packet.pts is None:
            self._blind = True
        elif not packet.is_discard:
            heappush(self._due, packet.pts)

    def lost_before(self, pts: int | None) -> list[int | None]:
        """Drop everything up to `pts`, None for all; returns the timestamps of damaged frames."""
        skipped: list[int | None] = []
        while self._due and (pts is None or self._due[0] <= pts):
            stamp = heappop(self._due)
            if stamp != pts:
                skipped.append(stamp)
        if self._blind:  # only the number of failures is known
            skipped = [None] * self.failures
        lost = skipped[-self.failures :] if self.failures else []
        self.failures -= len(lost)
        return lost


def frame_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames per second by the file; None if unknown.

    A raw stream has no timestamps: there, FFmpeg's average is a constant, and its guess is the rate
    in the header of the codec, if there is one.
    """
    if _is_raw(container):
        return stream.guessed_rate or stream.average_rate
    return stream.average_rate or stream.guessed_rate


def _is_raw(container: InputContainer) -> bool:
    return bool(container.format.flags & _NO_TIMESTAMPS)


class Clock:
    """Converts timestamps to seconds since the start of the video, and checks its duration.

    Zero is the start of the file's clock, which a player shows as 0: if audio starts before the
    images, the first image is later than 0. Audio before the file's own zero is the priming of an
    audio decoder and does not count.

    Attributes:
        promised: declared end, seconds on this clock; None if unknown.
        interrupted: set when reading the file failed.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, *, cut: bool = False
    ) -> None:
        self.interrupted = False
        self._cut, self._raw = cut, _is_raw(container)
        self._tick = stream.time_base or Fraction(1)
        self._step = 1 / float(frame_rate(container, stream) or 25)
        begin = (container.start_time or 0) / 1e6
        own = begin if stream.start_time is None else float(stream.start_time * self._tick)
        self._origin = min(max(begin, 0.0), own)
        self._shift = 0.0
        self._last: float | None = None
        self._reached = 0.0
        self.promised: float | None = None
        if container.format.name == "avi" and stream.frames:  # its duration is guessed from bytes
            self.promised = stream.frames * self._step
        elif container.format.name in _PROMISING and container.duration:
            self.promised = begin + container.duration / 1e6 - self._origin
            if container.format.name in _ENDS_OR_LENGTHS and self.promised > begin > MISSING_S:
                end = container.duration / 1e6 - self._origin
                self.promised = end if end > 0 else self.promised

    def seconds(self, stamp: int) -> float:
        """The time of a timestamp of the video stream."""
        return float(stamp * self._tick) - self._origin

    def next_time(self, pts: int | None, index: int) -> float:
        """The time of the next frame: never before the last, even if timestamps restart."""
        if pts is None or self._raw:
            time_s = index * self._step if self._last is None else self._last + self._step
        else:
            time_s = self.seconds(pts) + self._shift
        if self._last is not None:
            if not self._last - RESTART_S <= time_s <= self._last + LEAP_S:
                self._shift += self._last + self._step - time_s
                time_s = self._last + self._step
            time_s = max(time_s, self._last)
        self._last = time_s
        return time_s

    def duration(self, ticks: int | None) -> float | None:
        """Display duration of a frame by its packet, seconds; None if unknown.

        Never past the declared end of the file.
        """
        if not ticks or ticks < 0 or self._last is None:
            return None
        length = float(ticks * self._tick)
        if self.promised is None or self.promised <= self._last:
            return length
        return min(length, self.promised - self._last)

    def note(self, packet: Packet[Stream]) -> None:
        """Record how far the file reaches, images and audio."""
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._reached = max(self._reached, end - self._origin)

    @property
    def falls_short(self) -> bool:
        """Whether the video ended before its declared end."""
        if self.interrupted or self.promised is None:
            return self.interrupted or self._cut
        reached = max(self._reached, (self._last or 0.0) + self._step)
        slack = self._step / 2 if self._cut else self._step + MISSING_S
        return reached + slack < self.promised
