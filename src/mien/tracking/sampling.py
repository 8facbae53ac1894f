"""Which frames of a film to look at: coarse to fine, until what lies between is sure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

F = TypeVar("F")
T = TypeVar("T")

#: Frames from one look to the next where nothing happens; a power of two.
STRIDE = 16


def coarse_to_fine(
    frames: Iterable[F],
    look: Callable[[F], T],
    same: Callable[[T, T], bool],
    stride: int = STRIDE,
) -> Iterator[T]:
    """Look at frame after frame with long strides, and with shorter ones where something changes.

    From the last frame that was looked at, the one `stride` later is tried. Where both say the
    same, what lies between is passed over; otherwise the stride is halved, down to the very next
    frame. What was seen on the way is kept, so no frame is looked at twice. In the end a change
    between two looks is known to the frame. As in Savchenko's adaptive frame rate (CVPRW 2022),
    a film costs the more the more happens in it.

    Args:
        frames: in order; up to `stride` of them are held at once.
        look: what is dear.
        same: whether all frames between two that looked like this may be passed over.
        stride: the longest, a power of two.

    Yields:
        what was seen, in order; the first two, which tell how long a frame is shown, and the last
        are always looked at.
    """
    upcoming = iter(frames)
    first = next(upcoming, None)
    if first is None:
        return
    last = look(first)
    yield last
    ahead: deque[F] = deque()
    known: dict[int, T] = {}  # what was seen of frames that lie ahead, by their place
    at, end = 0, False
    while True:
        while len(ahead) < stride and not end:
            frame = next(upcoming, None)
            end = frame is None
            if frame is not None:
                ahead.append(frame)
        if not ahead:
            return
        reach = min(stride, len(ahead)) if at else 1
        while (place := _sure(at, last, known, same)) is None:
            target = (at + min(known)) // 2 if known else at + reach
            known[target] = look(ahead[target - at - 1])
        for _ in range(place - at):
            ahead.popleft()
        at, last = place, known[place]
        known = {later: seen for later, seen in known.items() if later > at}
        yield last


def _sure(at: int, last: T, known: dict[int, T], same: Callable[[T, T], bool]) -> int | None:
    """The place to go on to from `at`; None where more must be seen first."""
    place = None
    for later in sorted(known):
        if not same(last, known[later]):
            return later if place is None and later == at + 1 else place
        place = later
    return place
