"""Shards on a Ray cluster: an actor a processor, each with a process that loads the networks once.

Actors take shards in turn, so that the fast ones do more; when processors join, there are more
actors, and a node that dies costs its unfinished shards only. The batch's folder must be one that
every node sees: a shared file system, or a store.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from mien.batch.folder import BatchFolder
from mien.batch.options import BatchOptions
from mien.batch.workers import Event, Workers
from mien.errors import MienError

_LOST = 5  # times that a shard may be lost with its node before the batch gives up


class _Shards:
    """What an actor does: one shard after the other, in a process of its own.

    So an input that ends the process ends neither actor nor batch, see `Workers`.
    """

    def __init__(self, root: str, options: BatchOptions) -> None:
        self._workers = Workers(BatchFolder(root), options, 1, threads=1)

    def do(self, shard: int) -> Event:
        """Do one shard; returns its last event."""
        last = Event(shard, 0)
        for event in self._workers.run([shard]):
            last = event
        return last


def on_ray(folder: BatchFolder, options: BatchOptions, shards: Iterable[int]) -> Iterator[Event]:
    """Do some shards on the cluster of RAY_ADDRESS, or on one that is started here.

    Raises:
        MienError: the folder cannot be written, a model does not work, or nodes die all the time.
        ImportError: Ray is not installed.
    """
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    resources: Any = ray.cluster_resources
    make: Any = ray.remote(num_cpus=1, max_restarts=0)(_Shards)
    waiting, lost = deque(shards), dict[int, int]()
    free: list[Any] = []
    busy: dict[Any, tuple[Any, int]] = {}
    try:
        while waiting or busy:
            actors = max(1, int(resources().get("CPU", 1)))
            while waiting and len(busy) < actors:
                actor = free.pop() if free else make.remote(str(folder), options)
                shard = waiting.popleft()
                busy[actor.do.remote(shard)] = actor, shard
            while free and not waiting:  # its processor may be what a new actor waits for
                ray.kill(free.pop())
            done, _ = ray.wait(list(busy), timeout=2.0)
            for reference in done:
                actor, shard = busy.pop(reference)
                try:
                    event: Event = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:  # its node has died, or its actor
                    lost[shard] = lost.get(shard, 0) + 1
                    if lost[shard] >= _LOST:
                        raise MienError(
                            f"shard {shard} was lost with its node {_LOST} times."
                        ) from error
                    waiting.appendleft(shard)
                else:
                    free.append(actor)
                    yield event
    finally:
        for actor in [*free, *(actor for actor, _ in busy.values())]:
            ray.kill(actor)
