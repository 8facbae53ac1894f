"""The application: all routes, guarded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from mien import hub
from mien.faces.detectors import BUILTIN
from mien.plugins import DEFAULT_DETECTOR
from mien.service import curves, images, job_results, people, stream, studio, uploads, videos
from mien.service.guard import Guard
from mien.service.problems import PROBLEMS, ProblemError, answered, described, handle_problems
from mien.service.settings import ServiceSettings
from mien.service.state import Service, service_of

router = APIRouter()
_DESCRIPTION = (
    "Apparent facial expressions in images, videos and live streams: how faces look to viewers, "
    "not what people feel. In the European Union, inferring emotions of people at work and in "
    "education is forbidden outside medical and safety uses (AI Act, Article 5(1)(f)). "
    "Live streams are at WS /v1/stream: JPEG images as binary messages in, results as JSON out."
)
_MODELS = {"detectors": ["yunet", "haar", "mtcnn"], "models": ["mien-mobilenet"]}


@router.get("/healthz", summary="Whether the service runs", responses=answered({"status": "ok"}))
def healthz() -> Response:
    """200 as long as the process answers."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    summary="Whether the service takes requests",
    responses=answered({"status": "ready"})
    | described({503: "the service is starting, or its queue is out of reach."}),
)
def readyz(request: Request) -> Response:
    """200 once models are loaded and the queue answers, else 503."""
    service = service_of(request)
    if not (service.ready and service.delivery.is_reachable()):
        raise ProblemError.busy(503, "the service is starting, or its queue is out of reach.", 1)
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    responses=PROBLEMS | answered('mien_images_total{status="ok"} 12.0', "text/plain"),
)
def metrics(request: Request) -> Response:
    """Requests, images, faces and jobs in Prometheus' text format."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/models", summary="Models to choose from", responses=PROBLEMS | answered(_MODELS))
def models() -> Response:
    """Names for the options detector and model, the default ones first."""
    fetched = [e.name for e in hub.ENTRIES if e.kind == "classifier" and hub.cached(e).is_file()]
    detectors = sorted(BUILTIN, key=lambda name: name != DEFAULT_DETECTOR)
    names = [*hub.PACKAGED, *fetched, *hub.own_models()]
    return JSONResponse({"detectors": detectors, "models": names})


def make_app(settings: ServiceSettings) -> FastAPI:
    """The application of a service.

    Args:
        settings: see `ServiceSettings`.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        yield
        service.stop()

    app = FastAPI(
        title="mien",
        version=metadata.version("mien"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
    )
    app.state.service = service
    rooms = (images, videos, uploads, job_results, people, curves, stream, studio)
    routers = [router, *(room.router for room in rooms)]
    for part in routers:
        app.include_router(part)
    handle_problems(app, [route for part in routers for route in part.routes])
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", *uploads.ASKED],
            expose_headers=["Location", "Retry-After", *uploads.ANSWERED],
        )
    app.add_middleware(Guard, settings=settings, observe=service.metrics.observe)
    return app
