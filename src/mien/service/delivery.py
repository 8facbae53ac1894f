"""The queue that hands jobs to workers: huey, in a file of the data folder or in Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import huey
from huey.api import Task
from huey.registry import Message
from huey.serializer import Serializer

from mien.service.jobs import JobStore
from mien.service.settings import ServiceSettings

_TASK = "analyze"


class _JsonSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON instead of pickles: who can write to the queue cannot run code."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        values = json.loads(data)
        if isinstance(values, list) and len(values) == len(Message._fields):
            return Message(*values)
        return values


class Delivery:
    """Puts jobs into the queue, and takes them out in workers.

    The queue may drop what a killed worker has taken, or deliver it again: see
    `mien.service.jobs` for why that loses nothing.

    Args:
        settings: where the queue is.
        work: what a worker does with the id of a job.
    """

    def __init__(
        self, settings: ServiceSettings, work: Callable[[str], None] = lambda _: None
    ) -> None:
        common: dict[str, Any] = {"results": False, "serializer": _JsonSerializer()}
        if settings.redis is not None:
            self._queue = huey.RedisHuey("mien", url=settings.redis, **common)
        else:
            file = str(settings.data / "queue.sqlite")
            self._queue = huey.SqliteHuey("mien", filename=file, fsync=True, **common)

        def analyze(job_id: str) -> None:
            work(job_id)

        self._task: type[Task] = self._queue.task(name=_TASK)(analyze).task_class

    def put(self, job_id: str) -> None:
        """Hand a job to whichever worker is free next."""
        self._queue.enqueue(self._task((job_id,), id=job_id))

    def recover(self, store: JobStore) -> None:
        """Put those jobs into the queue that are unfinished and neither there nor with a worker."""
        if unfinished := store.unfinished():
            waiting = {task.id for task in self._queue.pending()}
            for job in unfinished:
                if job.id not in waiting:
                    self.put(job.id)

    def is_reachable(self) -> bool:
        """Whether the queue answers."""
        try:
            self._queue.pending_count()
        except Exception:  # noqa: BLE001 - of SQLite, Redis or the network
            return False
        return True

    def consume(self) -> None:
        """Work on jobs, one at a time, until the process is told to stop."""
        consumer = self._queue.create_consumer(
            workers=1, periodic=False, initial_delay=0.05, backoff=1.3, max_delay=1.0
        )
        consumer.run()
