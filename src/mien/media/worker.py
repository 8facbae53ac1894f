"""Background threads that end before the interpreter does.

While Python shuts down, a thread that returns from native code (ONNX Runtime, OpenCV) aborts the
process, and the output that a script has not flushed yet is lost with it.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from weakref import WeakSet

T = TypeVar("T")

#: Seconds that a stopped thread may still wait for an item of somebody else's iterator.
GRACE_S = 1.0
_POLL_S = 0.05


class Worker(threading.Thread):
    """A thread that can be stopped, and is stopped at the latest when the interpreter exits.

    Args:
        work: what it does. Whatever may block for long belongs into `awaited`.
        stop: asks `work` to return soon; called from other threads, more than once perhaps.
        name: the thread's, for debuggers.
    """

    def __init__(self, work: Callable[[], object], stop: Callable[[], object], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self.ask = stop
        self.waiting = False

    def start(self) -> None:
        """Start the thread."""
        _workers.add(self)
        super().start()

    def finish(self) -> None:
        """Ask the thread to end, and return when it has.

        A thread that waits for an item that does not come is left behind after `GRACE_S`: it runs
        no native code, and ends when the item comes.
        """
        self.ask()
        waited = 0.0
        if self is threading.current_thread():  # it ran the garbage collection that closed it
            return
        while self.is_alive() and waited < GRACE_S:
            started = time.monotonic()
            self.join(_POLL_S)
            waited = waited + time.monotonic() - started if self.waiting else 0.0


def awaited(items: Iterable[T]) -> Iterator[T]:
    """The items of an iterable that may keep a worker waiting, such as a camera or a queue."""
    upcoming = iter(items)
    thread = threading.current_thread()
    while True:
        if isinstance(thread, Worker):
            thread.waiting = True
        try:
            item = next(upcoming)
        except StopIteration:
            return
        finally:
            if isinstance(thread, Worker):
                thread.waiting = False
        yield item


_workers: WeakSet[Worker] = WeakSet()


@atexit.register
def _finish_all() -> None:
    workers = [worker for worker in _workers if worker.is_alive()]
    for worker in workers:
        worker.ask()
    for worker in workers:
        worker.finish()
