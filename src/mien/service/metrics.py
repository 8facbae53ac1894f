"""What ``/metrics`` shows, for Prometheus."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mien.results.result import Result
from mien.service.jobs import JobStore, State

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one service.

    Args:
        store: whose jobs are counted.
        waiting: how many images wait now.
        streams: how many live streams there are now.
    """

    def __init__(
        self, store: JobStore, waiting: Callable[[], int], streams: Callable[[], int]
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "mien_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "mien_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        kinds = ["status"]
        self._images = Counter("mien_images", "Images analyzed.", kinds, registry=self._registry)
        self._faces = Counter("mien_faces", "Faces found in them.", registry=self._registry)
        self._registry.register(_Now(store, waiting, streams))

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def add(self, results: Iterable[Result]) -> None:
        """Count results of images and live frames."""
        for result in results:
            self._images.labels(result.status).inc()
            self._faces.inc(len(result))

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _Now(Collector):
    """What is counted only when somebody asks."""

    def __init__(
        self, store: JobStore, waiting: Callable[[], int], streams: Callable[[], int]
    ) -> None:
        self._store, self._waiting, self._streams = store, waiting, streams

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        yield GaugeMetricFamily("mien_waiting_images", "Images that wait.", self._waiting())
        yield GaugeMetricFamily("mien_streams", "Live streams.", self._streams())
        jobs = GaugeMetricFamily("mien_jobs", "Jobs by state.", labels=["state"])
        counts = Count(job.state for job in self._store.jobs())
        for state in State:
            jobs.add_metric([state.value], counts[state])
        yield jobs
