"""Images of all clients, analyzed together in small batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread

from mien.results.result import Result
from mien.service.options import AnalysisOptions, Analyzers
from mien.service.problems import ProblemError
from mien.types import Frame


@dataclass(eq=False)
class _Waiting:
    """An image that waits, and who waits for it."""

    options: AnalysisOptions
    frame: Frame
    future: Future[Result] = field(default_factory=Future)


class Batcher:
    """Analyzes whatever waits at once: batches grow with the load and never wait for it.

    Args:
        analyzers: loads the models.
        waiting: images that may wait, before further ones are refused.
        most: images of a batch.
        threads: batches at once, so that one is detected while another is classified.
    """

    def __init__(
        self, analyzers: Analyzers, *, waiting: int, most: int = 4, threads: int = 2
    ) -> None:
        self._analyzers, self._limit, self._most = analyzers, waiting, most
        self._images: deque[_Waiting] = deque()
        self._changed = Condition()
        self._closed = False
        for number in range(threads):
            Thread(target=self._run, name=f"mien-batch-{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Images that no thread has taken yet."""
        return len(self._images)

    async def results(self, options: AnalysisOptions, frames: Sequence[Frame]) -> list[Result]:
        """A result for each image, in order.

        Raises:
            ProblemError: too many images wait already.
            MienError: the options are wrong, or a model failed.
        """
        images = [_Waiting(options, frame) for frame in frames]
        with self._changed:
            if len(self._images) + len(images) > self._limit:
                raise ProblemError.busy(
                    503, "too many images are waiting; try again in a second.", 1
                )
            self._images.extend(images)
            self._changed.notify()
        try:
            return list(await asyncio.gather(*(asyncio.wrap_future(i.future) for i in images)))
        finally:
            for image in images:  # of a client that has gone
                image.future.cancel()

    def close(self) -> None:
        """End the threads once they are done with what they have."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while batch := self._take():
            running = [image for image in batch if image.future.set_running_or_notify_cancel()]
            try:
                if running:
                    self._analyze(running)
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
                for image in running:
                    if not image.future.done():
                        image.future.set_exception(error)

    def _take(self) -> list[_Waiting]:
        """The next image and those that can be analyzed with it; empty when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._images or self._closed)
            batch: list[_Waiting] = []
            others: deque[_Waiting] = deque()
            while self._images and len(batch) < self._most:
                image = self._images.popleft()
                same = not batch or image.options == batch[0].options
                (batch if same else others).append(image)
            self._images.extendleft(reversed(others))
            if self._images:
                self._changed.notify()
            return batch

    def _analyze(self, batch: Sequence[_Waiting]) -> None:
        analyzer = self._analyzers.get(batch[0].options)
        results = analyzer.analyze([image.frame for image in batch])
        for image, result in zip(batch, results, strict=False):
            image.future.set_result(result)
