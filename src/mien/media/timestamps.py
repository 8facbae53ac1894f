"""Timestamps of a video: when a frame is shown, which is lost, whether the file is whole."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

#: A video that ends this many seconds before the end that its header promises is cut off.
MISSING_S = 0.5
#: A jump back in time by more than this is a new beginning; by less, an untidy stamp.
RESTART_S = 1.0
#: FFmpeg's AVFMT_NOTIMESTAMPS: of a format without a clock.
_NO_TIMESTAMPS = 0x80
#: A jump ahead by more than this, a day, is a broken stamp: what follows goes on from there.
LEAP_S = 86_400.0
#: Containers whose header says how long the film is, by FFmpeg's names; for others it guesses.
_PROMISING = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi", "asf")
#: Of these, some writers give the stamp of the end in place of the length, where stamps start late.
_ENDS_OR_LENGTHS = ("matroska,webm", "asf")


class Ledger:
    """The stamps of packets that went into the decoder, and have not come out as a frame.

    Decoders report damage late and out of order, and say not which packet they mean. But frames
    come out in the order of their stamps, so a stamp that is passed over will never come. It is
    only held for lost where the decoder reported damage: some packets hold no frame of their own.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._due: list[int] = []
        self._blind = False

    def enter(self, packet: Packet[Stream]) -> None:
        """Write down a packet that is about to be decoded."""
        if packet.pts is None:
            self._blind = True
        elif not packet.is_discard:
            heappush(self._due, packet.pts)

    def lost_before(self, pts: int | None) -> list[int | None]:
        """Strike out everything up to `pts`, None for all; the stamps of damaged frames therein."""
        passed: list[int | None] = []
        while self._due and (pts is None or self._due[0] <= pts):
            stamp = heappop(self._due)
            if stamp != pts:
                passed.append(stamp)
        if self._blind:  # there is nothing but the number of failures to go by
            passed = [None] * self.failures
        lost = passed[-self.failures :] if self.failures else []
        self.failures -= len(lost)
        return lost


def frame_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames a second, as the file says; None where it does not.

    A raw stream has no clock: there, FFmpeg's average is a constant, and its guess is the rate
    that the codec's own header gives, if it gives one.
    """
    if _is_raw(container):
        return stream.guessed_rate or stream.average_rate
    return stream.average_rate or stream.guessed_rate


def _is_raw(container: InputContainer) -> bool:
    return bool(container.format.flags & _NO_TIMESTAMPS)


class Clock:
    """Turns stamps into seconds since the video's beginning, and knows where its end should be.

    Zero is where the file's clock starts, which is what a player shows as 0: sound that starts
    before the pictures makes their first time larger than 0. Sound before the file's own zero is
    the run-up of an audio decoder and does not count.
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
        """The time of a stamp of the pictures' stream."""
        return float(stamp * self._tick) - self._origin

    def tell(self, pts: int | None, index: int) -> float:
        """The time of the next frame: never before the last, even where stamps start again."""
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
        """How long a frame is shown, from the duration of its packet; None where it has none.

        Never past the end of the file, as far as that is promised.
        """
        if not ticks or ticks < 0 or self._last is None:
            return None
        length = float(ticks * self._tick)
        if self.promised is None or self.promised <= self._last:
            return length
        return min(length, self.promised - self._last)

    def passes(self, packet: Packet[Stream]) -> None:
        """Note how far the file goes, images and sound."""
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._reached = max(self._reached, end - self._origin)

    @property
    def falls_short(self) -> bool:
        """Whether the video ended before its end."""
        if self.interrupted or self.promised is None:
            return self.interrupted or self._cut
        reached = max(self._reached, (self._last or 0.0) + self._step)
        slack = self._step / 2 if self._cut else self._step + MISSING_S
        return reached + slack < self.promised
