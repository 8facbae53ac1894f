"""Background threads that end before the interpreter does.

A thread that returns from native code (ONNX Runtime, OpenCV) while Python shuts down aborts the
process, and unflushed output is lost.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from weakref import WeakSet

T = TypeVar("T")

#: Seconds that a stopped thread may still wait for an item of a user's iterator.
GRACE_S = 1.0
_POLL_S = 0.05


class Worker(threading.Thread):
    """A thread that can be stopped, and is stopped at the latest when the interpreter exits.

    Args:
        work: the function to run. Iterate over anything that may block for long with `awaited`.
        stop: asks `work` to return soon; called from other threads, possibly more than once.
        name: name of the thread, for debuggers.
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

        A thread that still waits for an item after `GRACE_S` is abandoned: it runs no native code,
        and ends when the item arrives.
        """
        self.ask()
        waited = 0.0
        if self is threading.current_thread():  # garbage collection closed it in its own thread
            return
        while self.is_alive() and waited < GRACE_S:
            started = time.monotonic()
            self.join(_POLL_S)
            waited = waited + time.monotonic() - started if self.waiting else 0.0


def awaited(items: Iterable[T]) -> Iterator[T]:
    """The items of an iterable that may block, such as a camera or a queue."""
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
