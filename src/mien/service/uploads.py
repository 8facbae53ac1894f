"""``/v1/uploads``: large videos in parts, by the protocol tus 1.0 (https://tus.io).

An upload lies in the folder of the job that it becomes, and has its id. Its offset is the size of
the file there: so it survives the end of client and server, however that happens. (tuspyserver, the
library for it, notes the offset at the end of a request only, and waits for locks in the event
loop.)
"""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import asdict, dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mien.errors import InputError
from mien.files import replacing, sync
from mien.service.images import safe_name
from mien.service.intake import (
    VideoOptions,
    begin_job,
    check_load,
    check_options,
    check_same,
    earlier_job,
    hand_over,
)
from mien.service.jobs import UNFINISHED_S, UPLOAD, Job
from mien.service.problems import CONTENT, CREATION, PROBLEMS, ProblemError, described
from mien.service.state import Service, service_of

VERSION = "1.0.0"
#: Headers of requests and responses, for pages of other origins.
ASKED = ("Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset")
ANSWERED = (*ASKED, "Upload-Expires", "Tus-Version", "Tus-Extension", "Tus-Max-Size")
_EXTENSIONS = "creation,creation-with-upload,expiration,termination"
_PART = "application/offset+octet-stream"
_DESCRIPTION = (
    "Send a large video in parts, by the protocol tus 1.0 (https://tus.io): any client of it works."
)


@dataclass(frozen=True)
class Upload:
    """A video that is being sent.

    Attributes:
        id: that of the job to be.
        length: bytes of the whole video.
        name: of the video, in the tables.
        options: as `mien.service.intake.VideoOptions` takes them.
        webhook: as in `mien.service.jobs.Job`.
    """

    id: str
    length: int
    name: str
    options: dict[str, Any]
    webhook: str = ""


def check_version(
    tus_resumable: Annotated[str | None, Header(json_schema_extra={"enum": [VERSION]})] = None,
) -> None:
    """Make sure that a client speaks this version of tus."""
    if tus_resumable != VERSION:
        raise ProblemError(
            412, f"uploads need the header Tus-Resumable: {VERSION}.", {"Tus-Version": VERSION}
        )


router: APIRouter = APIRouter(tags=["uploads"])
_VERSIONED = [Depends(check_version)]
_OFFSET = {"Upload-Offset": {"schema": {"type": "integer"}, "example": 8_388_608}}
_UNTIL = {
    "Upload-Expires": {"schema": {"type": "string"}, "example": "Sun, 29 Nov 2026 10:00:00 GMT"}
}
_MISSING = "there is no such upload: it ended, expired, or its id is wrong."
_TUS = PROBLEMS | described({412: "uploads need the header Tus-Resumable: 1.0.0."})
_ONE = _TUS | described({404: _MISSING, 423: "another request is sending a part of this upload."})
_APPENDED = (
    _ONE
    | CONTENT
    | described(
        {
            409: "8388608 bytes have arrived: go on there.",
            415: f"a part needs the header Content-Type: {_PART}.",
        }
    )
    | {204: {"description": "It has arrived.", "headers": _OFFSET | _UNTIL}}
)
_PART_BODY = {
    "requestBody": {
        "required": True,
        "content": {_PART: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.options(
    "/v1/uploads",
    summary="What uploads can do",
    status_code=204,
    responses=PROBLEMS
    | {
        204: {
            "description": "In headers.",
            "headers": {
                "Tus-Version": {"schema": {"type": "string"}, "example": VERSION},
                "Tus-Extension": {"schema": {"type": "string"}, "example": _EXTENSIONS},
                "Tus-Max-Size": {"schema": {"type": "integer"}, "example": 2_000_000_000},
            },
        }
    },
)
def abilities(request: Request) -> Response:
    """Version, extensions and largest video, as tus asks for them."""
    most = service_of(request).settings.limits.video_bytes
    headers = {"Tus-Version": VERSION, "Tus-Extension": _EXTENSIONS, "Tus-Max-Size": str(most)}
    return Response(None, 204, headers)


@router.post(
    "/v1/uploads",
    status_code=201,
    summary="Begin an upload",
    dependencies=_VERSIONED,
    description=f"{_DESCRIPTION} Options are query parameters, as for POST /v1/videos. A repeated "
    "request with the same Idempotency-Key gets the upload, or the job, of the first one.",
    responses=_TUS
    | CONTENT
    | CREATION
    | {
        201: {
            "description": "The upload; the job will have its id.",
            "headers": {
                "Location": {
                    "schema": {"type": "string"},
                    "example": "/v1/uploads/0123456789abcdef0123456789abcdef",
                },
                **_OFFSET,
                **_UNTIL,
            },
        }
    },
)
async def begin(
    request: Request,
    options: Annotated[VideoOptions, Query()],
    upload_length: Annotated[int, Header(ge=1, le=10**15)],
    upload_metadata: Annotated[str, Header(max_length=4000)] = "",
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Response:
    """Make the folder of an upload, and take the first part if there is one."""
    service = service_of(request)
    most = service.settings.limits.video_bytes
    if upload_length > most:
        raise ProblemError(413, f"the video has more than {most:,} bytes, the limit here.")
    name = safe_name(_file_name(upload_metadata) or options.name, "video")
    await check_options(service, options)
    job_id = service.store.id_for(idempotency_key)
    if await earlier_job(service, job_id, options) is None:
        new = Upload(job_id, upload_length, name, options.stored(), options.webhook)
        upload = await run_in_threadpool(_find, service, job_id)
        if upload is None:
            await check_load(service)
            upload = await run_in_threadpool(_make, service, new)
        check_same(options, upload.options, upload.webhook)
        if upload.length != upload_length:
            raise ProblemError(422, "this Idempotency-Key was used for a video of another length.")
    offset, _ = await _progress(service, job_id)
    if not offset and _kind(request) == _PART:
        offset = await _receive(request, service, job_id, 0)
    headers = {"Location": f"/v1/uploads/{job_id}", **_state(service, job_id, offset)}
    return Response(None, 201, headers)


@router.head(
    "/v1/uploads/{upload_id}",
    summary="How much of an upload has arrived",
    dependencies=_VERSIONED,
    responses=_ONE | {200: {"description": "Offset and length.", "headers": _OFFSET | _UNTIL}},
)
async def progress(request: Request, upload_id: str) -> Response:
    """Offset and length; equal once the job has begun."""
    service = service_of(request)
    offset, length = await _progress(service, upload_id)
    headers = {"Upload-Length": str(length), **_state(service, upload_id, offset)}
    return Response(None, 200, headers)


@router.patch(
    "/v1/uploads/{upload_id}",
    status_code=204,
    summary="Send a part",
    dependencies=_VERSIONED,
    openapi_extra=_PART_BODY,
    responses=_APPENDED,
)
async def append(
    request: Request, upload_id: str, upload_offset: Annotated[int, Header(ge=0, le=10**15)]
) -> Response:
    """Add bytes to an upload; after the last ones the job begins, which has the same id."""
    service = service_of(request)
    if _kind(request) != _PART:
        raise ProblemError(415, f"a part needs the header Content-Type: {_PART}.")
    arrived, length = await _progress(service, upload_id)
    if arrived == length:
        raise ProblemError(409, "the whole video has arrived, and its job has begun.", _at(arrived))
    offset = await _receive(request, service, upload_id, upload_offset)
    return Response(None, 204, _state(service, upload_id, offset))


@router.delete(
    "/v1/uploads/{upload_id}",
    status_code=204,
    summary="Give an upload up",
    dependencies=_VERSIONED,
    responses=_ONE | {204: {"description": "It is deleted."}},
)
async def give_up(request: Request, upload_id: str) -> Response:
    """Delete an upload; where the job has begun, cancel that."""
    service = service_of(request)
    await _progress(service, upload_id)
    job = await run_in_threadpool(service.store.find, upload_id)
    if job is not None:
        await run_in_threadpool(service.store.cancel, job)
    elif not await run_in_threadpool(service.store.remove, upload_id):
        raise _locked()
    return Response(None, 204)


@router.post(
    "/v1/uploads/{upload_id}",
    status_code=204,
    summary="Send a part or give up, where PATCH and DELETE do not pass",
    dependencies=_VERSIONED,
    openapi_extra=_PART_BODY,
    responses=_APPENDED | described({405: "send a part by PATCH."}),
)
async def override(
    request: Request,
    upload_id: str,
    x_http_method_override: Annotated[str, Header()] = "",
    upload_offset: Annotated[int, Header(ge=0, le=10**15)] = 0,
) -> Response:
    """The other methods, for clients behind proxies that let only GET and POST pass."""
    if x_http_method_override == "PATCH":
        return await append(request, upload_id, upload_offset)
    if x_http_method_override == "DELETE":
        return await give_up(request, upload_id)
    raise ProblemError(405, "send a part by PATCH.", {"Allow": "HEAD, PATCH, DELETE"})


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _file_name(metadata: str) -> str:
    """The name among the pairs of ``Upload-Metadata``: keys, and values in Base64."""
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        if key in ("filename", "name"):
            try:
                return base64.b64decode(value, validate=True).decode()
            except ValueError as error:
                raise ProblemError(400, f"Upload-Metadata: {key} is not text in Base64.") from error
    return ""


def _locked() -> ProblemError:
    return ProblemError.busy(423, "another request is sending a part of this upload.", 1)


def _state(service: Service, upload_id: str, offset: int) -> dict[str, str]:
    """The headers that say how far an upload is."""
    found = {"Upload-Offset": str(offset)}
    if not (service.store.folder(upload_id) / UPLOAD).is_file():
        return found
    return found | {"Upload-Expires": formatdate(time.time() + UNFINISHED_S, usegmt=True)}


def _find(service: Service, upload_id: str) -> Upload | None:
    try:
        return Upload(**json.loads((service.store.folder(upload_id) / UPLOAD).read_text("utf-8")))
    except (FileNotFoundError, InputError):
        return None


def _make(service: Service, upload: Upload) -> Upload:
    """Make the folder of an upload, unless another request was quicker: then it is that one's."""
    service.store.folder(upload.id).mkdir(mode=0o700, exist_ok=True)
    with service.store.claimed(upload.id) as folder:
        if folder is None:
            raise _locked()
        if (found := _find(service, upload.id)) is not None:
            return found
        (folder / "video").write_bytes(b"")
        with replacing(folder / UPLOAD) as temporary:
            temporary.write_text(json.dumps(asdict(upload)), "utf-8")
    return upload


async def _progress(service: Service, upload_id: str) -> tuple[int, int]:
    """How many bytes have arrived of how many; begins the job where only that is left to do.

    Raises:
        ProblemError: there is no such upload.
    """
    upload = await run_in_threadpool(_find, service, upload_id)
    if upload is None:
        raise ProblemError(404, _MISSING)
    if await run_in_threadpool(service.store.find, upload_id) is not None:
        return upload.length, upload.length
    size = await run_in_threadpool(_size, service.store.folder(upload_id) / "video")
    if size == upload.length:  # a request ended by force before it could begin the job
        with service.store.claimed(upload_id) as folder:
            if folder is not None and service.store.find(upload_id) is None:
                await _finish(service, upload, folder)
        await hand_over(service, upload_id)
    return size, upload.length


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


async def _receive(request: Request, service: Service, upload_id: str, offset: int) -> int:
    """Add the body of a request to an upload; returns the new offset."""
    with service.store.claimed(upload_id) as folder:
        upload = None if folder is None else await run_in_threadpool(_find, service, upload_id)
        if folder is None or upload is None:
            raise _locked()
        path = folder / "video"
        size = await run_in_threadpool(_size, path)
        if size != offset:
            raise ProblemError(409, f"{size} bytes have arrived: go on there.", _at(size))
        try:
            with path.open("ab") as file:
                async for part in request.stream():
                    if file.tell() + len(part) > upload.length:
                        raise ProblemError(413, "the part goes beyond the Upload-Length.")
                    await run_in_threadpool(file.write, part)
        except ClientDisconnect:
            await run_in_threadpool(sync, path)
            raise
        await run_in_threadpool(sync, path)
        size = await run_in_threadpool(_size, path)
        if size == upload.length:
            await _finish(service, upload, folder)
    if size == upload.length:
        await hand_over(service, upload_id)
    return size


def _at(offset: int) -> dict[str, str]:
    return {"Upload-Offset": str(offset)}


async def _finish(service: Service, upload: Upload, folder: Path) -> Job:
    """Begin the job of a whole upload, or delete what is no video; only under its lock."""
    options = VideoOptions(**upload.options, webhook=upload.webhook)
    try:
        return await begin_job(service, upload.id, folder / "video", upload.name, options)
    except (ProblemError, InputError):
        os.unlink(folder / UPLOAD)
        raise
