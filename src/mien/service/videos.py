"""``POST /v1/videos`` and the jobs that come of it: state, events, cancellation."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from mien.errors import InputError, UsageError
from mien.service.images import safe_name
from mien.service.intake import (
    VideoOptions,
    begin_job,
    check_load,
    check_options,
    earlier_job,
    hand_over,
)
from mien.service.jobs import Job
from mien.service.problems import (
    CONTENT,
    CREATION,
    PROBLEMS,
    ProblemError,
    answered,
    described,
)
from mien.service.state import Service, service_of

router: APIRouter = APIRouter()
_CHUNK = 1 << 20
_PATH_BYTES = 10_000  # of a request that names a path
_EVENT_S, _HEARTBEAT_S = 0.5, 15.0
_JOB: dict[str, Any] = {
    "id": "0123456789abcdef0123456789abcdef",
    "source": "interview.mp4",
    "options": {"fps": 5, "affect": True},
    "state": "running",
    "attempt": 1,
    "frames": 120,
    "share": 0.4,
    "seconds_left": 12.5,
    "error": None,
    "created_s": 1764300000.0,
    "started_s": 1764300001.0,
    "ended_s": None,
}
_EXAMPLE: dict[str, Any] = {"content": {"application/json": {"example": _JOB}}}
EVENTS = "text/event-stream"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "video/*": _BINARY,
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"video": _BINARY["schema"]}}
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["path"],
                    "properties": {"path": {"type": "string"}},
                },
                "example": {"path": "study/interview.mp4"},
            },
        },
    }
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The job.",
        "headers": {
            "Location": {
                "schema": {"type": "string"},
                "example": "/v1/jobs/0123456789abcdef0123456789abcdef",
            }
        },
        **_EXAMPLE,
    },
    **described({404: "there is no such file in the folder of videos."}),
}
#: What routes of one job may answer.
JOB_PROBLEMS = PROBLEMS | described(
    {404: "there is no such job: it was deleted, or its id is wrong."}
)


@router.post(
    "/v1/videos",
    status_code=202,
    summary="Analyze a video",
    responses=PROBLEMS | CONTENT | CREATION | _ACCEPTED,
    openapi_extra=_BODY,
)
async def analyze_video(
    request: Request,
    options: Annotated[VideoOptions, Query()],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Response:
    """Begin a job for a video, and answer at once.

    The video is the body itself, or a file of a form, or a path below the folder that the service
    was started with. A repeated request with the same Idempotency-Key gets the job that the first
    one began.
    """
    service = service_of(request)
    await check_options(service, options)
    job_id = service.store.id_for(idempotency_key)
    job = await earlier_job(service, job_id, options)
    if job is None:
        service.store.folder(job_id).mkdir(mode=0o700, exist_ok=True)
        with service.store.claimed(job_id) as folder:
            if folder is None:
                raise ProblemError.busy(409, "this video is being uploaded by another request.", 1)
            job = service.store.find(job_id)  # that of a request that has just ended
            if job is None:
                await check_load(service)
                name, video = await _received(request, service, options, folder)
                job = await begin_job(service, job_id, video, name, options)
        await hand_over(service, job_id)
    return JSONResponse(job.public(), 202, {"Location": f"/v1/jobs/{job_id}"})


@router.get(
    "/v1/jobs",
    summary="List jobs",
    responses=PROBLEMS | answered({"jobs": [_JOB], "total": 1}),
)
def jobs(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The jobs of this service, the newest first."""
    found = service_of(request).store.jobs()
    return JSONResponse({"jobs": [job.public() for job in found[:limit]], "total": len(found)})


@router.get("/v1/jobs/{job_id}", summary="State of a job", responses=JOB_PROBLEMS | answered(_JOB))
def job_state(request: Request, job_id: str) -> Response:
    """State and progress of one job."""
    return JSONResponse(existing_job(service_of(request), job_id).public())


@router.delete("/v1/jobs/{job_id}", summary="Cancel a job", responses=JOB_PROBLEMS | answered(_JOB))
def cancel_job(request: Request, job_id: str) -> Response:
    """Stop a job, and delete its video and results."""
    service = service_of(request)
    return JSONResponse(service.store.cancel(existing_job(service, job_id)).public())


@router.get(
    "/v1/jobs/{job_id}/events",
    summary="Follow a job",
    responses=JOB_PROBLEMS | answered(f"event: end\ndata: {json.dumps(_JOB)}\n\n", EVENTS),
)
async def job_events(request: Request, job_id: str) -> Response:
    """Server-sent events: ``progress`` with the state of the job, and ``end`` with its last."""
    service = service_of(request)
    await run_in_threadpool(existing_job, service, job_id)
    return StreamingResponse(_events(service, job_id), media_type=EVENTS)


async def _events(service: Service, job_id: str) -> AsyncIterator[str]:
    last, said = None, time.monotonic()
    while service.ready:
        job = await run_in_threadpool(service.store.find, job_id)
        if job is None:
            return
        if job != last:
            event = "end" if job.ended else "progress"
            yield f"event: {event}\ndata: {json.dumps(job.public())}\n\n"
            last, said = job, time.monotonic()
        if job.ended:
            return
        if time.monotonic() - said > _HEARTBEAT_S:
            yield ": waiting\n\n"
            said = time.monotonic()
        await asyncio.sleep(_EVENT_S)


def existing_job(service: Service, job_id: str) -> Job:
    """The job of an id; raises `ProblemError` where there is none."""
    try:
        job = service.store.find(job_id)
    except InputError as error:
        raise ProblemError(404, str(error)) from error
    if job is None:
        raise ProblemError(404, "there is no such job: it was deleted, or its id is wrong.")
    return job


async def _received(
    request: Request, service: Service, options: VideoOptions, folder: Path
) -> tuple[str, Path]:
    """Name and path of a request's video, which was received, or found by its path."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    name, path = safe_name(options.name, "video"), folder / "video"
    if kind == "application/json":
        path = _named(await _path(request), service.settings.video_root)
        return path.name, path
    if kind == "multipart/form-data":
        return await _from_form(request, path, name), path
    with path.open("wb") as file:
        async for chunk in request.stream():
            await run_in_threadpool(file.write, chunk)
    return name, path


async def _from_form(request: Request, path: Path, name: str) -> str:
    """Write the file of a form to `path`; returns its name."""
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
            if not files:
                raise ProblemError(400, "the form has no file: send the video as a file of it.")
            with path.open("wb") as file:
                while chunk := await files[0].read(_CHUNK):
                    await run_in_threadpool(file.write, chunk)
            return safe_name(files[0].filename, name)
    except MultiPartException as error:
        raise ProblemError(400, f"the form cannot be read: {error.message}") from error


async def _path(request: Request) -> str:
    """The path that a request names."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _PATH_BYTES:
            break
    try:
        path = json.loads(body)["path"]
    except (ValueError, TypeError, KeyError, RecursionError):
        path = None
    if not isinstance(path, str):
        raise ProblemError(400, 'the body must be like {"path": "interview.mp4"}.')
    return path


def _named(path: str, root: Path | None) -> Path:
    """A video below the folder of videos, links resolved.

    Raises:
        UsageError: there is no such folder.
        ProblemError: the path leads out of it, or to nothing.
    """
    if root is None:
        raise UsageError("this service takes no paths: send the video itself.")
    try:
        found = (root / path).resolve()
        if found.is_relative_to(root.resolve()) and found.is_file():
            return found
    except (OSError, ValueError, RuntimeError):
        pass
    raise ProblemError(404, "there is no such file in the folder of videos.")
