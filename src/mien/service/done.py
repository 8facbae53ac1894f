"""Jobs that are done, and their tables, read once for many requests."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fastapi import Request

from mien.service.jobs import Job, State
from mien.service.problems import ProblemError, described
from mien.service.state import service_of
from mien.service.videos import JOB_PROBLEMS, existing_job
from mien.service.worker import TABLE
from mien.timeline.timeline import Timeline

#: What routes of a job that is done may answer.
DONE_PROBLEMS = JOB_PROBLEMS | described(
    {
        409: "the job is not done: follow its events, or ask again.",
        410: "the job was canceled, and its files were deleted.",
    }
)
_KEPT = 4  # timelines in memory; one of an hour has some 50 MB


def done_job(request: Request, job_id: str) -> tuple[Job, Path]:
    """A job that is done, and its folder."""
    service = service_of(request)
    job = existing_job(service, job_id)
    if job.state is State.failed:
        raise ProblemError(409, f"the job has failed: {job.error}")
    if job.state is State.canceled:
        raise ProblemError(410, "the job was canceled, and its files were deleted.")
    if job.state is not State.done:
        raise ProblemError.busy(409, "the job is not done: follow its events, or ask again.", 1)
    return job, service.store.folder(job_id)


def raw_timeline(folder: Path) -> Timeline:
    """What the analysis found, without any change of a user."""
    table = folder / TABLE
    return _loaded(table, table.stat().st_mtime_ns)


@lru_cache(maxsize=_KEPT)
def _loaded(table: Path, _changed: int) -> Timeline:
    return Timeline.load(table)
