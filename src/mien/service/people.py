"""People of a job: what a user changed about them, and the tables with these changes.

Changes are kept as a list beside the results, which stay as they are: the list is applied whenever
results are read, so each change can be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mien.files import replacing
from mien.service.done import DONE_PROBLEMS, done_job, raw_timeline
from mien.service.problems import ProblemError, answered, described
from mien.timeline.timeline import Timeline

router: APIRouter = APIRouter(prefix="/v1/jobs/{job_id}/people", responses=DONE_PROBLEMS)
_EDITS, _MOST = "people.json", 10_000
_NOBODY = -1
_lock = Lock()  # of the one server: two changes at once must both be kept
_Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)]


class Edit(BaseModel):
    """One change: a name, people that are one, one that is two, or one that is not to be shown."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    change: Literal["name", "merge", "split", "hide", "show"]
    person: Annotated[int, Field(ge=0, description="Number of the person, its track_id.")]
    name: Annotated[_Name, Field(description="name: the new name; empty to remove it.")] = ""
    other: Annotated[
        int | None, Field(ge=0, description="merge: the person that this one becomes.")
    ] = None
    at_s: Annotated[
        float | None, Field(ge=0, description="split: from here on it is a new person, seconds.")
    ] = None


def edits_of(folder: Path) -> list[Edit]:
    """The changes of a job, in order."""
    try:
        return [Edit(**one) for one in json.loads((folder / _EDITS).read_text("utf-8"))]
    except FileNotFoundError:
        return []


def save_edits(folder: Path, edits: list[Edit]) -> None:
    """Write the changes of a job in one step."""
    with replacing(folder / _EDITS) as temporary:
        temporary.write_text(json.dumps([edit.model_dump() for edit in edits]), "utf-8")


def edited(timeline: Timeline, edits: Sequence[Edit]) -> tuple[Timeline, set[int]]:
    """A timeline with all changes but the hiding, and the people who are hidden."""
    if not edits:
        return timeline, set()
    faces = timeline.faces
    ids = faces["track_id"].fillna(_NOBODY).to_numpy(np.int64, copy=True)
    times = faces["time_s"].to_numpy(np.float64)
    peak_ids = np.array([peak.track_id for peak in timeline.peaks], np.int64)
    peak_times = np.array([peak.time_s for peak in timeline.peaks], np.float64)
    names, hidden = dict(timeline.names), set[int]()
    for edit in edits:
        if edit.change == "name":
            names[edit.person] = edit.name
        elif edit.change == "merge" and edit.other is not None:
            for one in (ids, peak_ids):
                one[one == edit.person] = edit.other
            name = names.pop(edit.person, "")
            names[edit.other] = names.get(edit.other) or name
            hidden.discard(edit.person)
        elif edit.change == "split" and edit.at_s is not None:
            new = int(ids.max(initial=0)) + 1
            for one, when in ((ids, times), (peak_ids, peak_times)):
                one[(one == edit.person) & (when >= edit.at_s)] = new
        elif edit.change == "hide":
            hidden.add(edit.person)
        elif edit.change == "show":
            hidden.discard(edit.person)
    column = pd.Series(ids, faces.index).astype("Int64").mask(ids == _NOBODY)
    peaks = tuple(
        replace(peak, track_id=int(person))
        for peak, person in zip(timeline.peaks, peak_ids, strict=True)
    )
    people = {number: name for number, name in names.items() if name}
    settings = replace(timeline.settings, people=people or None)
    return (
        replace(timeline, faces=faces.assign(track_id=column), peaks=peaks, settings=settings),
        hidden,
    )


def without(timeline: Timeline, hidden: set[int]) -> Timeline:
    """A timeline without some people."""
    if not hidden:
        return timeline
    faces, images = timeline.faces, timeline.images
    kept = faces[~faces["track_id"].isin(list(hidden))].reset_index(drop=True)
    counts = kept.groupby(["source", "frame"]).size()
    places = pd.MultiIndex.from_frame(images[["source", "frame"]])
    images = images.assign(n_faces=counts.reindex(places, fill_value=0).to_numpy(np.int64))
    peaks = tuple(peak for peak in timeline.peaks if peak.track_id not in hidden)
    return replace(timeline, faces=kept, images=images, peaks=peaks)


def with_names(rows: pd.DataFrame, timeline: Timeline) -> pd.DataFrame:
    """Rows of a table with a column ``person``, where people have names."""
    if not timeline.names or "track_id" not in rows:
        return rows
    known = rows["track_id"].map(timeline.names, na_action="ignore")
    return rows.assign(person=known.astype("string"))


_ANNA = {
    "person": 1,
    "name": "Anna",
    "hidden": False,
    "faces": 1530,
    "first_s": 0.0,
    "last_s": 61.2,
    "fit_share": 0.97,
}
_ANSWER = answered({"people": [_ANNA], "changes": 1})


@router.get("", summary="People of a job", responses=_ANSWER)
def people(request: Request, job_id: str) -> Response:
    """Everyone in the video, with names, times and how many changes can be taken back."""
    _, folder = done_job(request, job_id)
    return _people(folder)


@router.post(
    "",
    summary="Change people of a job",
    responses=_ANSWER | described({422: "merge needs another person: give its number as other."}),
)
def change(request: Request, job_id: str, edit: Edit) -> Response:
    """Name a person, merge two, split one at a moment, or hide or show one.

    Tables, report and exports follow at once; the changes can be taken back.
    """
    _, folder = done_job(request, job_id)
    with _lock:
        edits = edits_of(folder)
        timeline, _ = edited(raw_timeline(folder), edits)
        _check(edit, timeline)
        if len(edits) >= _MOST:
            raise ProblemError(409, f"a job takes {_MOST:,} changes, no more.")
        save_edits(folder, [*edits, edit])
    return _people(folder)


@router.delete("/last", summary="Take back the last change", responses=_ANSWER)
def undo(request: Request, job_id: str) -> Response:
    """Take back the last change."""
    _, folder = done_job(request, job_id)
    with _lock:
        save_edits(folder, edits_of(folder)[:-1])
    return _people(folder)


def _check(edit: Edit, timeline: Timeline) -> None:
    missing = [
        n for n in (edit.person, edit.other) if n is not None and n not in timeline.track_ids
    ]
    if missing:
        raise ProblemError(404, f"there is no person {missing[0]}.")
    if edit.change == "merge" and edit.other in (None, edit.person):
        raise ProblemError(422, "merge needs another person: give its number as other.")
    if edit.change == "split":
        times = timeline.faces.loc[timeline.faces["track_id"] == edit.person, "time_s"]
        if edit.at_s is None or not times.min() < edit.at_s <= times.max():
            raise ProblemError(422, "split needs a moment at_s at which the person is visible.")


def _people(folder: Path) -> Response:
    edits = edits_of(folder)
    timeline, hidden = edited(raw_timeline(folder), edits)
    faces = timeline.faces.dropna(subset=["track_id"])
    rows = []
    for number, own in faces.groupby("track_id", sort=True):
        person = int(own["track_id"].iloc[0])
        rows.append(
            {
                "person": int(str(number)),
                "name": timeline.names.get(person, ""),
                "hidden": person in hidden,
                "faces": len(own),
                "first_s": float(own["time_s"].min()),
                "last_s": float(own["time_s"].max()),
                "fit_share": round(float(own["fit"].fillna(False).mean()), 4),
            }
        )
    return JSONResponse({"people": rows, "changes": len(edits)})
