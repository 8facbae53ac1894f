"""What a finished job has: tables, report page, annotated video, faces, and the video itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from mien.media.images import encode
from mien.reports import report_page
from mien.service.formats import (
    CSV,
    HTML,
    JSON,
    MP4,
    NDJSON,
    PARQUET,
    PNG,
    chosen,
    encoded_table,
)
from mien.service.jobs import Job, State
from mien.service.problems import PROBLEMS, ProblemError
from mien.service.state import service_of
from mien.service.videos import existing_job
from mien.service.worker import ANNOTATED, TABLE
from mien.timeline.smoothing import SMOOTH_S
from mien.timeline.timeline import Timeline

router: APIRouter = APIRouter(prefix="/v1/jobs/{job_id}", responses=PROBLEMS)
_ROWS, _MOST = 1000, 10_000  # of a page
#: The page's own small script may run, but it can reach nothing.
_PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'"
)


def _done(request: Request, job_id: str) -> tuple[Job, Path]:
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


def _timeline(folder: Path, smooth_s: float = 0.0) -> Timeline:
    timeline = Timeline.load(folder / TABLE)
    return timeline.smooth(smooth_s) if smooth_s else timeline


def _table(timeline: Timeline, name: str) -> pd.DataFrame:
    if name == "segments":
        return timeline.segments()
    if name == "summary":
        return timeline.summary()
    return timeline.images if name == "images" else timeline.faces


@router.get("/tables/{name}", summary="A table of a job")
def table(
    request: Request,
    job_id: str,
    name: Literal["faces", "images", "segments", "summary"],
    offset: Annotated[int, Query(ge=0, le=10**12)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _ROWS,
    smooth: Annotated[float, Query(ge=0, le=3600)] = 0.0,
) -> Response:
    """Rows of a table: by Accept, a page of them as JSON, or all as NDJSON, CSV or Parquet.

    Segments and summary are those of the timeline, smoothed over so many seconds.
    """
    _, folder = _done(request, job_id)
    media = chosen(request.headers.get("accept"), (JSON, NDJSON, CSV, PARQUET))
    timeline = _timeline(folder, smooth)
    rows = _table(timeline, name)
    if media == JSON:
        page = rows.iloc[offset : offset + limit].to_json(orient="records", double_precision=6)
        head = f'"total": {len(rows)}, "offset": {offset}'
        return Response(f'{{{head}, "rows": {page}}}', media_type=JSON)
    body = encoded_table(rows, media, timeline.settings.to_metadata(timeline.labels))
    return Response(body, media_type=media)


@router.get("/report", summary="The report page of a job")
def report(
    request: Request,
    job_id: str,
    smooth: Annotated[float, Query(ge=0, le=3600)] = SMOOTH_S,
) -> Response:
    """Curves, segments, faces and settings on one page, as ``mien report`` writes it."""
    _, folder = _done(request, job_id)
    page = report_page(_timeline(folder, smooth))
    return Response(page, media_type=HTML, headers={"Content-Security-Policy": _PAGE_POLICY})


@router.get("/annotated", summary="The annotated video of a job")
def annotated(request: Request, job_id: str) -> Response:
    """The video with boxes, names and expressions, where the job was begun with annotate=true."""
    _, folder = _done(request, job_id)
    if not (folder / ANNOTATED).is_file():
        raise ProblemError(404, "the job was begun without annotate=true.")
    return FileResponse(folder / ANNOTATED, media_type=MP4)


@router.get("/video", summary="The video of a job")
def video(request: Request, job_id: str) -> Response:
    """The video as it was uploaded."""
    job, folder = _done(request, job_id)
    path = Path(job.video)
    if path.parent != folder or not path.is_file():
        raise ProblemError(404, "the video was not uploaded, or is not there any more.")
    return FileResponse(path, media_type="application/octet-stream")


@router.get("/people/{track_id}/face", summary="A person's face")
def face(request: Request, job_id: str, track_id: int) -> Response:
    """The face of a person at the strongest moment, as PNG."""
    _, folder = _done(request, job_id)
    peaks = [peak for peak in _timeline(folder).counted_peaks if peak.track_id == track_id]
    if not peaks:
        raise ProblemError(404, "there is no face of that person.")
    best = max(peaks, key=lambda peak: peak.probability)
    return Response(encode(best.picture), media_type=PNG)
