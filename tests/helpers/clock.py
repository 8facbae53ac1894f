"""A clock that moves only when a test moves it, in place of a module's `time`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class FakeTime:
    """Stands in for the module `time`: sleeping takes no time and moves the clock.

    Args:
        now: seconds that `monotonic` gives at first.

    Example:
        ``monkeypatch.setattr("mien.media.camera.time", FakeTime())``
    """

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += max(seconds, 0.0)
            self.slept.append(seconds)
        time.sleep(0)  # let other threads run

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return once something is so; the time is the limit of a hanging test, never a measure."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
