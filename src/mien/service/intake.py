"""How a video becomes a job: what may be asked for, what is refused, and what is kept."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool

from mien.errors import InputError
from mien.media.formats import kind_of
from mien.service.jobs import Job
from mien.service.options import FrameOptions
from mien.service.problems import ProblemError
from mien.service.state import Service


class VideoOptions(FrameOptions):
    """The options of a video, however it is sent."""

    name: Annotated[
        str, Field(max_length=200, description="Name of a video sent as the body itself.")
    ] = ""
    webhook: Annotated[
        str,
        Field(max_length=2000, description="Address to be called at the end of the job."),
    ] = ""

    def stored(self) -> dict[str, Any]:
        """What a job keeps, for the worker."""
        return self.model_dump(mode="json", exclude={"name", "webhook"})


async def check_options(service: Service, options: VideoOptions) -> None:
    """Make sure that the worker will be able to use them; wrong names fail now, not later.

    Raises:
        MienError: they are wrong.
        ProblemError: the webhook is not allowed.
    """
    options.frames()
    if options.webhook:
        service.webhooks.check(options.webhook)
    await run_in_threadpool(service.analyzers.get, options)


async def earlier_job(service: Service, job_id: str, options: VideoOptions) -> Job | None:
    """The job of an earlier request with the same ``Idempotency-Key``.

    Raises:
        ProblemError: that had other options.
    """
    job = await run_in_threadpool(service.store.find, job_id)
    if job is not None:
        check_same(options, job.options, job.webhook)
    return job


def check_same(options: VideoOptions, stored: dict[str, Any], webhook: str) -> None:
    """Make sure that a repeated request asks for the same as the first one.

    Raises:
        ProblemError: it does not.
    """
    if (options.stored(), options.webhook) != (stored, webhook):
        raise ProblemError(422, "this Idempotency-Key was used with other options: choose another.")


async def check_load(service: Service) -> None:
    """Make sure that another job may wait.

    Raises:
        ProblemError: too many jobs and uploads are unfinished.
    """
    if await run_in_threadpool(service.store.waiting) >= service.settings.limits.waiting_jobs:
        raise ProblemError.busy(429, "too many jobs are waiting; try again later.", 30)


async def begin_job(
    service: Service, job_id: str, video: Path, name: str, options: VideoOptions
) -> Job:
    """Save the job of a video that is there; only under its lock. `hand_over` follows.

    Raises:
        ProblemError: the video is empty.
        InputError: it is no video.
    """
    try:
        if not video.stat().st_size:
            raise ProblemError(400, "the request has no video: send it as the body, or in a form.")
        if await run_in_threadpool(kind_of, str(video)) != "video":  # no playlist of others, either
            raise InputError(f"{name} is not a video.")
    except (ProblemError, InputError):
        if video.parent == service.store.folder(job_id):
            video.unlink()
        raise
    webhook, now = options.webhook, time.time()
    job = Job(job_id, name, str(video), options.stored(), webhook=webhook, created_s=now)
    return await run_in_threadpool(service.store.save, job)


async def hand_over(service: Service, job_id: str) -> None:
    """Put a job into the queue; where that is out of reach, it is put there later."""
    with suppress(Exception):
        await run_in_threadpool(service.delivery.put, job_id)
