"""Coarse-to-fine sampling of frames: only as dense as the results change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

F = TypeVar("F")
T = TypeVar("T")

#: Frames between evaluated frames if nothing happens; a power of two.
STRIDE = 16


def coarse_to_fine(
    frames: Iterable[F],
    evaluate: Callable[[F], T],
    same: Callable[[T, T], bool],
    stride: int = STRIDE,
) -> Iterator[T]:
    """Evaluate frames with long strides, and with shorter ones where something changes.

    From the last evaluated frame, the one `stride` later is tried. If both results are the same,
    the frames in between are skipped; otherwise the stride is halved, down to the next frame.
    Results are cached, so no frame is evaluated twice, and changes are located to the frame. As in
    Savchenko's adaptive frame rate (CVPRW 2022), the cost grows with the activity in the video.

    Args:
        frames: in order; up to `stride` of them are held at once.
        evaluate: the expensive call.
        same: whether all frames between two with these results may be skipped.
        stride: the longest stride, a power of two.

    Yields:
        the results, in order; the first two frames, which give the duration of a frame, and the
        last are always evaluated.
    """
    upcoming = iter(frames)
    first = next(upcoming, None)
    if first is None:
        return
    last = evaluate(first)
    yield last
    ahead: deque[F] = deque()
    results: dict[int, T] = {}  # results of frames ahead, by index
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
        while (place := _next_place(at, last, results, same)) is None:
            target = (at + min(results)) // 2 if results else at + reach
            results[target] = evaluate(ahead[target - at - 1])
        for _ in range(place - at):
            ahead.popleft()
        at, last = place, results[place]
        results = {later: result for later, result in results.items() if later > at}
        yield last


def _next_place(
    at: int, last: T, results: dict[int, T], same: Callable[[T, T], bool]
) -> int | None:
    """The index to continue with after `at`; None if more frames must be evaluated first."""
    place = None
    for later in sorted(results):
        if not same(last, results[later]):
            return later if place is None and later == at + 1 else place
        place = later
    return place
