"""Processes that do shards on this machine, and what happens when one of them dies.

A process that dies takes its shard with it, never the batch: the shard is done again, an input at
a time, and the input at which a process dies a second time is left out and named.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, NamedTuple, Self

from mien.batch.folder import BatchFolder
from mien.batch.manifest import MANIFEST, Manifest
from mien.batch.options import BatchOptions
from mien.batch.shard import Record, ShardRun
from mien.errors import MienError

_EVERY_S = 0.2  # between two messages about the progress of a process
_STALLED_S = 900.0  # without any message, a process is taken for stuck
_STARTS = 3  # deaths before the first input until the batch gives up
_GB = 1 << 30


class Event(NamedTuple):
    """What a process says.

    Attributes:
        shard: the shard that it is about.
        results: images and frames of it so far.
        record: of the shard, when it is done.
    """

    shard: int
    results: int
    record: Record | None = None


@dataclass
class _Task:
    shard: int
    one_by_one: bool = False
    poisonous: dict[int, str] = field(default_factory=dict)
    deaths: int = 0


class Workers:
    """Processes that take shards in turn; they end with the block, or by `close`.

    Args:
        folder: of the batch.
        options: of the batch.
        count: how many; None for one per processor that this process may use.
        threads: of each network in each of them; None to share the processors.
    """

    def __init__(
        self,
        folder: BatchFolder,
        options: BatchOptions,
        count: int | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        cores = processors()
        self.count: int = count or cores
        threads = threads or max(1, cores // self.count)
        self._start = (str(folder), options, threads, memory_of(self.count))
        self._tasks: deque[_Task] = deque()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes at once: what they have not finished is done again."""
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def run(self, shards: Iterable[int]) -> Iterator[Event]:
        """Do some shards; yields what happens. What is done stays done when this is stopped.

        Raises:
            MienError: the folder cannot be written, or a model does not work.
        """
        self._tasks = deque(map(_Task, shards))
        while len(self._workers) < min(self.count, len(self._tasks)):
            self._workers.append(_Worker(self._start))
        for worker in self._workers:
            worker.take(self._tasks)
        while any(worker.task for worker in self._workers):
            ready = wait([worker.place for worker in self._workers if worker.task], timeout=1.0)
            for worker in self._workers:
                if worker.task is None:
                    continue
                if worker.place in ready:
                    yield from self._heard(worker)
                elif time.monotonic() - worker.heard > _STALLED_S:
                    worker.kill(f"did nothing for {_STALLED_S / 60:.0f} minutes")

    def _heard(self, worker: _Worker) -> Iterator[Event]:
        task = worker.task
        assert task is not None
        try:
            kind, value = worker.receive()
        except (EOFError, OSError):  # also in the middle of a message
            self._died(worker, worker.end())
            return
        if kind == "at":
            worker.at = value
        elif kind == "results":
            yield Event(task.shard, value)
        elif kind == "failed":
            raise value
        elif kind == "died":
            self._died(worker, value)
        else:
            worker.take(self._tasks)
            yield Event(task.shard, value.images + value.frames, value)

    def _died(self, worker: _Worker, reason: str) -> None:
        """Do the shard again, more carefully; the same with a new process for all others."""
        task = worker.task
        assert task is not None
        task.deaths += 1
        if worker.at < 0:
            if task.deaths >= _STARTS:
                raise MienError(f"the process of a worker {reason} before it read an input.")
        elif task.one_by_one:
            task.poisonous[worker.at] = (
                f"{worker.name_of(worker.at)} was left out: twice, the process {reason} at it."
            )
        task.one_by_one = task.one_by_one or worker.at >= 0
        self._tasks.appendleft(task)
        worker.restart()
        worker.take(self._tasks)


class _Worker:
    """One process, and the task that it has."""

    def __init__(self, start: tuple[Any, ...]) -> None:
        self._arguments = start
        self.task: _Task | None = None
        self.at, self._reason = -1, ""
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.place, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, *self._arguments), daemon=True)
        with _no_main():
            self._process.start()
        other.close()
        self.heard = time.monotonic()

    def take(self, tasks: deque[_Task]) -> None:
        """Begin the next task; without one, the process waits for its end."""
        self.at = -1
        self.task = tasks.popleft() if tasks else None
        if self.task is not None:
            self.heard = time.monotonic()
            with suppress(OSError):  # it has just died, which `wait` will tell
                self.place.send((self.task.shard, self.task.poisonous, self.task.one_by_one))

    def receive(self) -> tuple[str, Any]:
        """The next message."""
        message: tuple[str, Any] = self.place.recv()
        self.heard = time.monotonic()
        return message

    def name_of(self, number: int) -> str:
        """The name of an input of the task's shard."""
        assert self.task is not None
        folder = BatchFolder(self._arguments[0])
        with folder.local(MANIFEST) as path:
            return Manifest(path).items(self.task.shard)[number].name

    def end(self) -> str:
        """How the process ended, in words."""
        self._process.join(5)
        code = self._process.exitcode
        if self._reason:
            return self._reason
        if code is not None and code < 0:
            names = {-s.value: s.name for s in signal.Signals}
            why = " (perhaps for want of memory)" if code == -9 else ""
            return f"was ended by {names.get(code, f'signal {-code}')}{why}"
        return f"ended with code {code}"

    def kill(self, reason: str) -> None:
        """End the process by force; its pipe tells."""
        self._reason = reason
        self._process.kill()

    def restart(self) -> None:
        """Replace a process that died."""
        self.stop()
        self._reason = ""
        self._start()

    def stop(self) -> None:
        """End the process at once: what it has not finished is done again."""
        self.place.close()
        self._process.kill()
        self._process.join(5)


@contextmanager
def _no_main() -> Iterator[None]:
    """A process that starts now does not run the caller's script again, as `spawn` would.

    Its script may have no ``if __name__ == "__main__"``, or be a notebook or standard input.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def processors() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_of(workers: int) -> int:
    """How many bytes a process may take, so that one input cannot take the machine's memory."""
    free = 0
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":") for line in file)
        free = 1024 * int(lines["MemAvailable"].split()[0])
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            free = min(free, int(file.read()))
    except (OSError, ValueError, KeyError):  # another system, or a container without a limit
        pass
    return max(2 * _GB, int(0.9 * free / workers)) if free else 0


def _work(place: Connection, root: str, options: BatchOptions, threads: int, memory: int) -> None:
    """The life of a process: do what comes through the pipe, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _limit(memory)
    try:
        _serve(place, root, options, threads)
    except (EOFError, BrokenPipeError, ConnectionError):
        pass
    except MienError as error:
        place.send(("failed", error))
    except BaseException as error:  # noqa: BLE001 - MemoryError, or whatever an input provoked
        place.send(("died", f"failed with {type(error).__name__} ({str(error)[:200]})"))
    os._exit(0)  # threads may still be at work for what nobody waits for


def _serve(place: Connection, root: str, options: BatchOptions, threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)
    folder = BatchFolder(root)
    with folder.local(MANIFEST) as path:
        manifest = Manifest(path)
        run = ShardRun(folder, options, threads)
        while True:
            shard, poisonous, one_by_one = place.recv()
            said = 0.0

            def report(item: int, results: int) -> None:
                nonlocal said
                if item >= 0:
                    if one_by_one or said == 0.0:  # noqa: B023 - used before the next round
                        place.send(("at", item))
                    said = said or 1e-9
                elif time.monotonic() - said > _EVERY_S:
                    said = time.monotonic()
                    place.send(("results", results))

            record = run(
                shard, manifest.items(shard), report, poisonous=poisonous, one_by_one=one_by_one
            )
            place.send(("done", record))


def _limit(memory: int) -> None:
    if not memory or sys.platform == "win32":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
