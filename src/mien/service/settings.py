"""How the service runs: where its files lie, who may call it, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may take.

    Attributes:
        image_bytes: of a request with images.
        video_bytes: of an uploaded video.
        images: in one request.
        waiting_images: in all requests together, before the service answers 503.
        waiting_jobs: unfinished jobs, before the service answers 429.
        frames: of one video, after which its job fails.
        job_seconds: of one job, after which it fails.
        streams: live streams at once.
        stall_seconds: without a further byte of a request, before the service answers 408.
    """

    image_bytes: int = 64 * _MEGABYTE
    video_bytes: int = 2_000 * _MEGABYTE
    images: int = 64
    waiting_images: int = 256
    waiting_jobs: int = 100
    frames: int = 1_000_000
    job_seconds: float = 6 * 3600.0
    streams: int = 4
    stall_seconds: float = 30.0


@dataclass(frozen=True)
class ServiceSettings:
    """The options of ``mien serve``.

    Attributes:
        data: folder of jobs and queue; nothing outside it is written.
        token: that callers must present; None for none.
        host: address that the server listens on.
        origins: web pages of other origins that may call the service.
        video_root: folder whose videos may be named by path; None for none.
        redis: address of a Redis server that holds the queue; None for a file in `data`.
        keep_hours: after their end, jobs and their videos are deleted.
        limits: see `Limits`.
        webhook_hosts: servers that may be called at the end of a job, see
            `mien.service.webhooks.Webhooks`.
    """

    data: Path
    token: str | None = None
    host: str = "127.0.0.1"
    origins: tuple[str, ...] = ()
    video_root: Path | None = None
    redis: str | None = None
    keep_hours: float = 24.0
    limits: Limits = Limits()
    webhook_hosts: tuple[str, ...] = ()
