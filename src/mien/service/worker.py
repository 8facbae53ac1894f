"""A worker: analyzes the videos of jobs, one after another."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread
from typing import Any

from mien.errors import InputError, MienError
from mien.media.inputs import frames_setting
from mien.media.video import VideoSource
from mien.service.delivery import Delivery
from mien.service.jobs import Job, JobStore, State
from mien.service.options import Analyzers, FrameOptions
from mien.service.settings import Limits, ServiceSettings
from mien.sinks.tables import TableSink
from mien.sinks.video import VideoSink

TABLE, ANNOTATED = "faces.parquet", "annotated.mp4"
_EVERY_S = 0.5  # between two notes about the progress


class _CanceledError(Exception):
    """Somebody asked to stop the job."""


def _range(video: VideoSource, options: FrameOptions) -> tuple[float, float]:
    """Seconds of a video at which its analysis begins and ends; 0 and 0 where that is unknown."""
    duration_s = video.info.duration_s or 0.0
    return options.start or 0.0, min(options.end or duration_s, duration_s)


class _Progress:
    """Notes how far a job is, and stops it where it must not go on."""

    def __init__(
        self, store: JobStore, job: Job, limits: Limits, seconds: tuple[float, float]
    ) -> None:
        self._store, self._limits, self._range = store, limits, seconds
        self._started = self._noted = time.monotonic()
        self.job = job

    def add(self, time_s: float | None) -> None:
        """Count a result.

        Raises:
            InputError: the video is over a limit.
            _CanceledError: the client does not want it any more.
        """
        now = time.monotonic()
        self.job = replace(self.job, frames=self.job.frames + 1)
        if self.job.frames > self._limits.frames:
            raise self._over(f"has more than {self._limits.frames:,} frames")
        if now - self._noted < _EVERY_S:
            return
        self._noted, seconds = now, now - self._started
        if seconds > self._limits.job_seconds:
            raise self._over(f"took more than {self._limits.job_seconds:,.0f} s")
        if self._store.is_canceled(self.job.id):
            raise _CanceledError
        start, end = self._range
        if time_s is not None and end > start:
            share = min(max((time_s - start) / (end - start), 1e-6), 0.999)
            left = round(seconds * (1 - share) / share, 1)
            self.job = replace(self.job, share=round(share, 4), seconds_left=left)
        self._store.save(self.job)

    def _over(self, what: str) -> InputError:
        """The error of a video over a limit; how far its job came is noted."""
        self._store.save(self.job)
        return InputError(
            f"{self.job.source} {what}, the limit of this service: give fps, or start and end."
        )


class Worker:
    """Takes jobs from the queue and analyzes their videos.

    Args:
        settings: of the service that the jobs come from.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._store, self._limits = JobStore(settings.data), settings.limits
        self._analyzers = Analyzers()
        self._delivery = Delivery(settings, self.work)

    def run(self) -> None:
        """Work until the process is told to stop."""
        self._delivery.recover(self._store)
        self._delivery.consume()

    def work(self, job_id: str) -> None:
        """Do one job, unless it is done or another worker has it."""
        with self._store.claimed(job_id) as folder:
            job = None if folder is None else self._store.find(job_id)
            if folder is None or job is None or job.ended:
                return
            now = time.time()
            job = replace(job, state=State.running, attempt=job.attempt + 1, frames=0, share=None)
            job = self._store.save(replace(job, started_s=now, seconds_left=None))
            try:
                job = self._analyze(job, folder)
            except _CanceledError:
                self._store.clear(job)
                return
            except Exception as error:  # noqa: BLE001 - the job ends, the worker goes on
                known = isinstance(error, MienError)
                said = str(error) if known else f"unexpected: {type(error).__name__}: {error}"
                job = self._store.find(job_id) or job  # how far it came
                job = replace(job, state=State.failed, error=said)
            job = self._store.save(replace(job, ended_s=time.time(), seconds_left=None))
            if self._store.is_canceled(job_id):
                self._store.clear(job)

    def _analyze(self, job: Job, folder: Path) -> Job:
        options = FrameOptions(**job.options)
        analyzer = self._analyzers.get(options)
        video = VideoSource(job.video, name=job.source, **asdict(options.frames()))
        progress = _Progress(self._store, job, self._limits, _range(video, options))
        for path in folder.glob("*.partial*"):  # of an attempt that was killed
            path.unlink()
        frames = frames_setting(options.frames(), options.adaptive)
        with ExitStack() as stack:
            sinks: list[Any] = [
                TableSink(folder / TABLE, analyzer, keep_faces=True, overwrite=True, frames=frames)
            ]
            if options.annotate:
                drawn = folder / ANNOTATED
                sinks.append(VideoSink(drawn, audio_from=job.video, overwrite=True))
            for sink in sinks:
                stack.enter_context(sink)
            problem, read = "", False
            for result in analyzer.stream(video, keep=options.annotate, adaptive=options.adaptive):
                for sink in sinks:
                    sink.write(result)
                problem, read = result.error or problem, read or result.error is None
                progress.add(result.time_s)
            if not read:
                raise InputError(problem or f"{job.source} has no frames.")
        return replace(progress.job, state=State.done, share=1.0)


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that happens.

    The parent holds the other end of standard input, which the system closes with it.
    """

    def wait() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        os._exit(0)

    Thread(target=wait, name="mien-parent", daemon=True).start()
