"""``POST /v1/images``: faces and expressions of images."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from mien.errors import InputError
from mien.media.images import encode, read_image
from mien.results.collection import Results
from mien.results.result import Result
from mien.service.formats import CSV, JPEG, JSON, NDJSON, PARQUET, chosen, encoded_table
from mien.service.options import AnalysisOptions
from mien.service.problems import CONTENT, PROBLEMS, ProblemError, described
from mien.service.state import Service, service_of
from mien.types import Frame

router = APIRouter()
_OFFERED = (JSON, NDJSON, CSV, PARQUET, JPEG)
_NAME = 200  # characters of a file's name
_EXAMPLE = {
    "results": [
        {
            "source": "photo.jpg",
            "frame": 0,
            "time_s": None,
            "width": 512,
            "height": 512,
            "status": "ok",
            "error": None,
            "milliseconds": 21.4,
            "faces": [
                {
                    "face": 0,
                    "box": [166.1, 75.2, 287.0, 219.8],
                    "detection_score": 0.999,
                    "track_id": None,
                    "emotion": "happiness",
                    "probability": 0.98,
                    "probabilities": {"neutral": 0.01, "happiness": 0.98},
                }
            ],
        }
    ]
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One result per image, in order; an unreadable one has an error.",
        "content": {JSON: {"example": _EXAMPLE}, NDJSON: {}, CSV: {}, PARQUET: {}, JPEG: {}},
    },
    **described(
        {
            406: "this is available as application/json, text/csv; ask for one by Accept.",
            503: "too many images are waiting; try again in a second.",
        }
    ),
}


@router.post(
    "/v1/images",
    summary="Analyze images",
    responses=PROBLEMS | CONTENT | _RESPONSES,
    openapi_extra=_BODY,
)
async def analyze_images(
    request: Request, options: Annotated[AnalysisOptions, Query()]
) -> Response:
    """Detect the faces of one or more images and predict their expressions.

    Images are sent as files of a form, or one as the body itself. Accept chooses the answer: JSON,
    NDJSON, CSV, Parquet, or image/jpeg for the image with its faces drawn.
    """
    service = service_of(request)
    media = chosen(request.headers.get("accept"), _OFFERED)
    images = await _images(request, service)
    if media == JPEG and len(images) > 1:
        raise ProblemError(406, "an annotated image is made of one image only: send one at a time.")
    frames = [Frame(name, partial(read_image, data, name=name)) for name, data in images]
    results = await service.batcher.results(options, frames)
    service.metrics.add(results)
    if all(result.error is not None for result in results):
        raise InputError(results[0].error)
    return await run_in_threadpool(_response, results, media)


async def _images(request: Request, service: Service) -> list[tuple[str, bytes]]:
    """The names and bytes of the images of a request."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most = service.settings.limits.images
    if kind != "multipart/form-data":
        data = await request.body()
        if not data:
            raise ProblemError(400, "the request has no image: send one as its body, or in a form.")
        return [("image", data)]
    try:
        async with request.form(max_files=most, max_fields=most) as form:
            files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
            images = [(safe_name(file.filename), await file.read()) for file in files]
    except MultiPartException as error:
        raise ProblemError(400, f"the form cannot be read: {error.message}") from error
    if not images:
        raise ProblemError(400, "the form has no file: send each image as a file of it.")
    return images


def safe_name(name: str | None, default: str = "image") -> str:
    """The last part of a file's name, as a client gave it, without control characters."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable()).strip()[:_NAME] or default


def _response(results: list[Result], media: str) -> Response:
    """The results in a media type."""
    if media == JSON:
        body = ",".join(result.to_json() for result in results)
        return Response(f'{{"results": [{body}]}}', media_type=JSON)
    if media == NDJSON:
        body = "".join(f"{result.to_json()}\n" for result in results)
        return Response(body, media_type=NDJSON)
    if media == JPEG:
        return Response(encode(results[0].draw(), "JPEG", quality=92), media_type=JPEG)
    together = Results(results)
    settings = results[0].settings.to_metadata(together.labels)
    return Response(encoded_table(together.faces, media, settings), media_type=media)
