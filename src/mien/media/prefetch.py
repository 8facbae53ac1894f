"""Runs a generator ahead in a thread, up to a fixed amount of memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import closing
from functools import partial
from typing import Generic, TypeVar

from mien.media.worker import Worker

T = TypeVar("T")

#: Size of the queue in bytes: 5 images of 720p, one of 1080p or more.
LIMIT_BYTES = 16_000_000
#: Length of the queue, whatever the size of the items.
LIMIT_ITEMS = 64


def prefetched(
    items: Generator[tuple[T, int] | None], name: str, most: int = LIMIT_ITEMS
) -> Generator[T]:
    """Run `items` in its own thread and yield what it yields, in order.

    The thread starts with the first ``next`` and waits while `LIMIT_BYTES` or `most` items are
    ready. It ends with the iterator, whether exhausted, closed, abandoned in the middle of a loop
    or interrupted, or at the latest with the interpreter; `items` is then closed, in the thread
    that ran it. `items` yields each item with its size in bytes, or None while it searches for
    one, so that it can be stopped there.

    Raises:
        BaseException: whatever `items` raised, after everything that it had yielded.
        RuntimeError: the interpreter is shutting down.
    """
    channel: _Channel[T] = _Channel(most)
    worker = Worker(partial(channel.fill, items), channel.stop, name)
    worker.start()
    try:
        while (ready := channel.take()) is not None:
            yield ready[0]
    finally:
        worker.finish()
    if channel.error is not None:
        raise channel.error


class _Channel(Generic[T]):
    """A bounded queue between two threads, which either end can close."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.error: BaseException | None = None
        self._waiting: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._finished = self._stopped = False
        self._changed = threading.Condition()

    def fill(self, items: Generator[tuple[T, int] | None]) -> None:
        """Put in everything that `items` yields, until it ends, fails, or the consumer stops."""
        try:
            with closing(items):
                for item in items:
                    if not self._put(item):
                        return
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are used
            self.error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def take(self) -> tuple[T, int] | None:
        """The next item, waiting for it; None at the end."""
        with self._changed:
            while not (self._waiting or self._finished or self._stopped):
                self._changed.wait()
            if self._stopped:
                raise RuntimeError("no more items: the interpreter is shutting down.")
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._bytes -= item[1]
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Discard the queue and stop the producer."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def _put(self, item: tuple[T, int] | None) -> bool:
        with self._changed:
            while item is not None and self._full(item[1]) and not self._stopped:
                self._changed.wait()
            if self._stopped or item is None:
                return not self._stopped
            self._waiting.append(item)
            self._bytes += item[1]
            self._changed.notify_all()
            return True

    def _full(self, more: int) -> bool:
        over = self._bytes + more > LIMIT_BYTES or len(self._waiting) >= self.most
        return bool(self._waiting) and over
