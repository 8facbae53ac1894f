"""What the studio draws: curves of each person, thinned out, and boxes of a stretch of video."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from mien.labels import color_of, hex_color
from mien.service.done import DONE_PROBLEMS, done_job, raw_timeline
from mien.service.people import edited, edits_of
from mien.service.problems import answered
from mien.timeline.smoothing import SMOOTH_S
from mien.timeline.timeline import Timeline

router: APIRouter = APIRouter(prefix="/v1/jobs/{job_id}", responses=DONE_PROBLEMS)
_PEAK = 0.5  # probability of a moment that is shown
_STRETCH_S = 120.0  # most seconds of boxes in one answer
_ACTIONS = ("AU12", "AU04", "AU45", "pitch_deg", "yaw_deg", "mouth_openness")


_CURVES = {
    "source": "interview.mp4",
    "duration_s": 61.4,
    "fps": 25.0,
    "labels": ["neutral", "happiness"],
    "segments": [{"track_id": 1, "emotion": "happiness", "start_s": 2.1, "end_s": 5.8}],
    "peaks": [{"person": 1, "label": "happiness", "time_s": 3.2}],
}
_BOXES = {
    "start_s": 0.0,
    "end_s": 30.0,
    "size": [1280.0, 720.0],
    "frames": [0.0],
    "faces": {"time_s": [0.0], "person": [1], "emotion": ["happiness"], "x1": [166.1]},
}


@router.get("/curves", summary="Curves of a job", responses=answered(_CURVES))
def curves(
    request: Request,
    job_id: str,
    points: Annotated[int, Query(ge=10, le=10_000)] = 1500,
    smooth: Annotated[float, Query(ge=0, le=3600)] = SMOOTH_S,
) -> Response:
    """Each person's values over time, as means of so many stretches, and the segments.

    Faces that are unfit to be judged are gaps.
    """
    job, folder = done_job(request, job_id)
    timeline, hidden = edited(raw_timeline(folder), edits_of(folder))
    timeline = timeline.smooth(smooth) if smooth else timeline
    times = timeline.images["time_s"].to_numpy(np.float64)
    ends = timeline.images["duration_s"].to_numpy(np.float64)
    end = float(np.nanmax(times + np.nan_to_num(ends), initial=0.0))
    names = [n for n in (*timeline.labels, "valence", "arousal", *_ACTIONS) if n in timeline.faces]
    segments = timeline.segments()
    keep = ["track_id", "emotion", "start_s", "end_s", "strength", "peak_s"]
    return JSONResponse(
        {
            "source": job.source,
            "duration_s": end,
            "fps": _rate(times),
            "labels": list(timeline.labels),
            "colors": {
                n: hex_color(color_of(n, timeline.labels)) for n in (*timeline.labels, "uncertain")
            },
            "people": [
                {
                    "person": person,
                    "name": timeline.name_of(person),
                    "hidden": person in hidden,
                    **_thinned(timeline, person, names, end, points),
                }
                for person in timeline.track_ids
            ],
            "segments": _rows(segments[keep]) if len(segments) else [],
            "peaks": [
                {"person": peak.track_id, "label": peak.label, "time_s": round(peak.time_s, 3)}
                for peak in sorted(timeline.counted_peaks, key=lambda peak: peak.time_s)
                if peak.probability >= _PEAK
            ],
            "note": timeline.unfit_note,
        }
    )


@router.get("/boxes", summary="Boxes of a stretch of a job's video", responses=answered(_BOXES))
def boxes(
    request: Request,
    job_id: str,
    start: Annotated[float, Query(ge=0, le=1e6)] = 0.0,
    end: Annotated[float, Query(ge=0, le=1e6)] = 30.0,
) -> Response:
    """The faces from `start` on, by columns, at most two minutes of them."""
    _, folder = done_job(request, job_id)
    timeline, hidden = edited(raw_timeline(folder), edits_of(folder))
    faces, images = timeline.faces, timeline.images
    end = min(end, start + _STRETCH_S)
    rows = faces[(faces["time_s"] >= start) & (faces["time_s"] < end)]
    rows = rows[~rows["track_id"].isin(list(hidden))]
    columns: dict[str, Any] = {
        "time_s": rows["time_s"].round(4).tolist(),
        "person": [None if pd.isna(i) else int(i) for i in rows["track_id"]],
        "emotion": rows["emotion"].tolist(),
        "probability": rows["probability"].round(3).tolist(),
        "fit": rows["fit"].fillna(False).astype(bool).tolist(),
    }
    for name in ("x1", "y1", "x2", "y2"):
        columns[name] = rows[name].round(1).tolist()
    frames = images[(images["time_s"] >= start) & (images["time_s"] < end)]
    size = images.dropna(subset=["width"])[["width", "height"]].head(1).to_numpy().tolist()
    return JSONResponse(
        {
            "start_s": start,
            "end_s": end,
            "size": size[0] if size else None,
            "frames": frames["time_s"].round(4).tolist(),
            "faces": columns,
        }
    )


def _rate(times: np.ndarray[Any, Any]) -> float:
    steps = np.diff(times[np.isfinite(times)])
    return round(1 / float(np.median(steps)), 3) if len(steps) and np.median(steps) > 0 else 25.0


def _thinned(
    timeline: Timeline, person: int, names: list[str], end: float, points: int
) -> dict[str, Any]:
    """Means of a person's values in equal stretches of the video, and where there are none."""
    faces = timeline.faces
    own = faces[faces["track_id"] == person]
    first, last = float(own["time_s"].min()), float(own["time_s"].max())
    fit = own[own["fit"].fillna(False).astype(bool)]
    step = max(end / points, 1e-3)
    places = (fit["time_s"] / step).astype(int)
    means = fit[names].astype("float64").groupby(places).mean()
    known = means.index.to_numpy()
    # A gap is shown where a person is away for longer than between two frames.
    gap = max(1.0, 2.5 * float(np.median(np.diff(known)))) if len(known) > 1 else 1.0
    breaks = known[1:][np.diff(known) > gap] - 1
    means = means.reindex(np.union1d(known, breaks))
    return {
        "first_s": first,
        "last_s": last,
        "time_s": [round((at + 0.5) * step, 4) for at in means.index],
        "values": {n: [None if v != v else round(v, 4) for v in means[n]] for n in names},
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rounded = table.round(4)
    return [{str(key): value for key, value in row.items()} for row in rounded.to_dict("records")]
