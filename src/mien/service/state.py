"""What the routes of one service share."""

from __future__ import annotations

import logging
from threading import Event, Thread

from starlette.requests import HTTPConnection

from mien.service.batching import Batcher
from mien.service.delivery import Delivery
from mien.service.jobs import JobStore
from mien.service.metrics import Metrics
from mien.service.options import AnalysisOptions, Analyzers
from mien.service.settings import ServiceSettings
from mien.service.webhooks import Webhooks

_log = logging.getLogger("mien.service")
_CARE_S = 2.0  # between two looks at the jobs


class Service:
    """Models, jobs, queue and counters of one service.

    Args:
        settings: see `ServiceSettings`.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.store: JobStore = JobStore(settings.data)
        self.delivery: Delivery = Delivery(settings)
        self.webhooks: Webhooks = Webhooks(self.store, settings.data, settings.webhook_hosts)
        self.analyzers: Analyzers = Analyzers()
        self.batcher: Batcher = Batcher(self.analyzers, waiting=settings.limits.waiting_images)
        self.streams = 0
        self.metrics: Metrics = Metrics(
            self.store, lambda: self.batcher.waiting, lambda: self.streams
        )
        self.ready: bool = False
        self._stopped = Event()

    def start(self) -> None:
        """Load the usual models, and look after the jobs from now on."""
        self.analyzers.get(AnalysisOptions())
        Thread(target=self._care, name="mien-jobs", daemon=True).start()
        Thread(
            target=self.webhooks.run, args=(self._stopped,), name="mien-webhooks", daemon=True
        ).start()
        self.ready = True

    def stop(self) -> None:
        """End the threads."""
        self.ready = False
        self._stopped.set()
        self.batcher.close()

    def _care(self) -> None:
        """Hand out again what a killed worker has left, and delete what is too old."""
        while not self._stopped.wait(_CARE_S):
            try:
                self.delivery.recover(self.store)
                self.store.expire(self.settings.keep_hours)
            except Exception as error:  # noqa: BLE001 - a full disk or a lost Redis passes
                _log.warning("jobs cannot be looked after now: %s", error)


def service_of(connection: HTTPConnection) -> Service:
    """The service that a request or stream came to."""
    service = connection.app.state.service
    assert isinstance(service, Service)
    return service
