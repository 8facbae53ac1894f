"""Windows of frame features, measured in seconds, whatever the frame rate.

The features of a person are a step function: one vector from each frame's start to its end (see
`mien.timeline.tracks`), and nothing where the person is not visible. A window samples it at equally
spaced moments, so a video of 10 frames per second repeats vectors where one of 60 skips some.
Nothing is interpolated: a mean of neighbors would lower the standard deviation that the model
takes, the more the lower the frame rate.
"""

from __future__ import annotations

import numpy as np

from mien.types import FloatArray, Floats, IntArray

#: Where a person is visible for this share of a window or less, it has no value. More than half,
#: so that nobody counts twice in a window when the tracker gives them a new id.
LEAST_SEEN = 0.5


def window_starts(
    start_s: float, end_s: float, window_s: float, hop_s: float, steps: int
) -> Floats:
    """When the windows of a video begin, ``(w,)`` seconds; a video as long as a window has one.

    Args:
        start_s, end_s: beginning of the first frame, end of the last.
        window_s, hop_s: length of a window, and from one's start to the next's.
        steps: moments of a window; half a step may be missing at the end, for clocks are rounded.
    """
    room = end_s - start_s - window_s + window_s / steps / 2
    count = int(room // hop_s) + 1 if room >= 0 else 0
    return np.asarray(start_s + hop_s * np.arange(count), np.float64)


def shown(starts: Floats, ends: Floats, at: Floats) -> IntArray:
    """The row of a person's frame at each moment of `at`, or -1 for none.

    Args:
        starts, ends: ``(n,)`` seconds, ascending: from when to when each row is shown.
        at: moments, any shape.
    """
    if not len(starts):
        return np.full(at.shape, -1, np.int64)
    rows = np.searchsorted(starts, at, side="right") - 1
    there = (rows >= 0) & (at < ends[np.maximum(rows, 0)])
    return np.asarray(np.where(there, rows, -1), np.int64)


def moments(start_s: Floats, window_s: float, steps: int) -> Floats:
    """``(w, steps)``: the middle of each step of the windows that begin at `start_s`, ``(w,)``."""
    return np.asarray(start_s[:, None] + (np.arange(steps) + 0.5) * (window_s / steps))


def stretched(rows: IntArray, steps: int) -> IntArray:
    """`steps` rows, made of fewer: each repeated equally often, in order.

    The network has no order and weights moments by a softmax, so equal repetition leaves its
    output as it is for these moments alone.
    """
    return np.asarray(rows[np.arange(steps) * len(rows) // steps], np.int64)


def described(windows: FloatArray) -> FloatArray:
    """The network's input for windows ``(n, steps, d)``: ``(n, steps, 2 d)`` float32.

    First the standard deviation of each feature over the window, at every moment the same, then
    the features of the moment.
    """
    spread = np.broadcast_to(windows.std(axis=1, keepdims=True), windows.shape)
    return np.concatenate([spread, windows], axis=2, dtype=np.float32)
