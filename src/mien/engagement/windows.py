"""Windows of frame features, measured in seconds: the same whatever the frame rate.

The features of a person are taken for what they are: one vector from each frame's start to its end
(see `mien.timeline.tracks`), and nothing where the person is not seen. A window looks at this
signal at
equally spaced moments, so a film of 10 frames a second repeats vectors where one of 60 leaves some
out. Nothing is blended: a mean of neighbours would lower the standard deviation that the model
looks at, the more the lower the frame rate.
"""

from __future__ import annotations

import numpy as np

from mien.types import FloatArray, Floats, IntArray

#: A window of which a person is seen this share or less has no value. More than half, so that
#: nobody is counted twice in a window when the tracker loses and finds them.
LEAST_SEEN = 0.5


def window_starts(
    start_s: float, end_s: float, window_s: float, hop_s: float, steps: int
) -> Floats:
    """When the windows of a film begin, ``(w,)`` seconds; a film of just one window has one.

    Args:
        start_s, end_s: beginning of the first frame, end of the last.
        window_s, hop_s: length of a window, and from one's start to the next's.
        steps: moments of a window; half a step may be missing at the end, for clocks are rounded.
    """
    room = end_s - start_s - window_s + window_s / steps / 2
    count = int(room // hop_s) + 1 if room >= 0 else 0
    return np.asarray(start_s + hop_s * np.arange(count), np.float64)


def shown(starts: Floats, ends: Floats, at: Floats) -> IntArray:
    """Which of a person's frames is seen at each moment of `at`: its row, or -1 for none.

    Args:
        starts, ends: ``(n,)`` seconds, ascending: from when to when each row is seen.
        at: moments, any shape.
    """
    if not len(starts):
        return np.full(at.shape, -1, np.int64)
    rows = np.searchsorted(starts, at, side="right") - 1
    seen = (rows >= 0) & (at < ends[np.maximum(rows, 0)])
    return np.asarray(np.where(seen, rows, -1), np.int64)


def moments(start_s: Floats, window_s: float, steps: int) -> Floats:
    """``(w, steps)``: the middle of each step of the windows that begin at `start_s`, ``(w,)``."""
    return np.asarray(start_s[:, None] + (np.arange(steps) + 0.5) * (window_s / steps))


def stretched(rows: IntArray, steps: int) -> IntArray:
    """`steps` rows, for some that are seen: each repeated equally often, in order.

    The network knows no order and weighs moments by a softmax, so repeating all alike leaves its
    answer as if only these moments had been looked at.
    """
    return np.asarray(rows[np.arange(steps) * len(rows) // steps], np.int64)


def described(windows: FloatArray) -> FloatArray:
    """What the network sees of windows ``(n, steps, d)``: ``(n, steps, 2 d)`` float32.

    First the standard deviation of each feature over the window, at every moment the same, then
    the features of the moment.
    """
    spread = np.broadcast_to(windows.std(axis=1, keepdims=True), windows.shape)
    return np.concatenate([spread, windows], axis=2, dtype=np.float32)
