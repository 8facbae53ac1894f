"""What a finished job has: tables, report page, annotated video, faces, and the video itself."""

from __future__ import annotations

import mimetypes
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from mien.media.images import encode
from mien.reports import report_page
from mien.service.done import DONE_PROBLEMS, done_job, raw_timeline
from mien.service.formats import (
    CSV,
    EAF,
    HTML,
    JSON,
    MP4,
    NDJSON,
    PARQUET,
    PNG,
    VTT,
    chosen,
    encoded_table,
)
from mien.service.people import edited, edits_of, with_names, without
from mien.service.problems import ProblemError, answered, described
from mien.service.worker import ANNOTATED
from mien.timeline.smoothing import SMOOTH_S
from mien.timeline.timeline import Timeline

router: APIRouter = APIRouter(prefix="/v1/jobs/{job_id}", responses=DONE_PROBLEMS)
_BYTES, _ANY = "(bytes)", "application/octet-stream"
_ROW = {
    "source": "interview.mp4",
    "frame": 0,
    "time_s": 0.0,
    "track_id": 1,
    "emotion": "happiness",
    "probability": 0.98,
}
_ROWS, _MOST = 1000, 10_000  # of a page
#: The page's own small script may run, but it can reach nothing.
_PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'"
)


def _timeline(folder: Path, smooth_s: float = 0.0) -> Timeline:
    """The timeline as a user has changed it: names, people, and those who are hidden."""
    timeline = without(*edited(raw_timeline(folder), edits_of(folder)))
    return timeline.smooth(smooth_s) if smooth_s else timeline


def _table(timeline: Timeline, name: str) -> pd.DataFrame:
    if name == "segments":
        return timeline.segments()
    if name == "summary":
        return timeline.summary()
    return timeline.images if name == "images" else timeline.faces


@router.get(
    "/tables/{name}",
    summary="A table of a job",
    responses=answered({"total": 1, "offset": 0, "rows": [_ROW]}, JSON, NDJSON, CSV, PARQUET)
    | described({406: "this is available as application/json, text/csv; ask for one by Accept."}),
)
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
    _, folder = done_job(request, job_id)
    media = chosen(request.headers.get("accept"), (JSON, NDJSON, CSV, PARQUET))
    timeline = _timeline(folder, smooth)
    rows = with_names(_table(timeline, name), timeline)
    if media == JSON:
        page = rows.iloc[offset : offset + limit].to_json(orient="records", double_precision=6)
        head = f'"total": {len(rows)}, "offset": {offset}'
        return Response(f'{{{head}, "rows": {page}}}', media_type=JSON)
    body = encoded_table(rows, media, timeline.settings.to_metadata(timeline.labels))
    return Response(body, media_type=media)


@router.get(
    "/report",
    summary="The report page of a job",
    responses=answered("<!doctype html>", HTML),
)
def report(
    request: Request,
    job_id: str,
    smooth: Annotated[float, Query(ge=0, le=3600)] = SMOOTH_S,
) -> Response:
    """Curves, segments, faces and settings on one page, as ``mien report`` writes it."""
    _, folder = done_job(request, job_id)
    page = report_page(_timeline(folder, smooth))
    return Response(page, media_type=HTML, headers={"Content-Security-Policy": _PAGE_POLICY})


@router.get("/annotated", summary="The annotated video of a job", responses=answered(_BYTES, MP4))
def annotated(request: Request, job_id: str) -> Response:
    """The video with boxes, names and expressions, where the job was begun with annotate=true."""
    _, folder = done_job(request, job_id)
    if not (folder / ANNOTATED).is_file():
        raise ProblemError(404, "the job was begun without annotate=true.")
    return FileResponse(folder / ANNOTATED, media_type=MP4)


@router.get("/video", summary="The video of a job", responses=answered(_BYTES, _ANY))
def video(request: Request, job_id: str) -> Response:
    """The video as it was uploaded."""
    job, folder = done_job(request, job_id)
    path = Path(job.video)
    if path.parent != folder or not path.is_file():
        raise ProblemError(404, "the video was not uploaded, or is not there any more.")
    kind = mimetypes.guess_type(job.source)[0] or ""
    media = kind if kind.startswith(("video/", "image/")) else _ANY
    return FileResponse(path, media_type=media)


@router.get(
    "/export/{form}",
    summary="Subtitles or ELAN of a job",
    responses=answered("WEBVTT", VTT, EAF),
)
def export(
    request: Request,
    job_id: str,
    form: Literal["vtt", "eaf"],
    smooth: Annotated[float, Query(ge=0, le=3600)] = SMOOTH_S,
) -> Response:
    """The segments of a job as WebVTT subtitles or an ELAN file."""
    _, folder = done_job(request, job_id)
    with tempfile.TemporaryDirectory() as temporary:
        path = _timeline(folder, smooth).export(Path(temporary) / f"segments.{form}")
        data = path.read_bytes()
    return Response(data, media_type=VTT if form == "vtt" else EAF)


@router.get("/people/{track_id}/face", summary="A person's face", responses=answered(_BYTES, PNG))
def face(
    request: Request,
    job_id: str,
    track_id: int,
    label: Annotated[str, Query(max_length=80, description="At its peak; any by default.")] = "",
) -> Response:
    """The face of a person at the strongest moment, as PNG."""
    _, folder = done_job(request, job_id)
    timeline, _ = edited(raw_timeline(folder), edits_of(folder))
    peaks = [peak for peak in timeline.counted_peaks if peak.track_id == track_id]
    peaks = [peak for peak in peaks if label in ("", peak.label)]
    if not peaks:
        raise ProblemError(404, "there is no face of that person.")
    best = max(peaks, key=lambda peak: peak.probability)
    return Response(encode(best.picture), media_type=PNG)
