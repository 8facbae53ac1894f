"""One self-contained page about a film: curves, segments, faces at their peaks, how it was made.

The page needs no network, no other file and no script; a little script adds reading off values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from mien.cards import METADATA_KEY, ModelCard
from mien.curves import (
    PersonCurve,
    picture_uri,
    round_times,
    time_text,
    timeline_plot,
    write_text,
)
from mien.errors import MienError, UsageError
from mien.labels import UNCERTAIN, color_of

if TYPE_CHECKING:
    import pandas as pd

    from mien.clips import Clip
    from mien.peaks import Peak
    from mien.timeline import Timeline

Clock = Callable[[float], str]

#: So many people are shown at once, those longest to be seen; the others are folded away.
PEOPLE = 8
#: So many segments are listed, and drawn for a person: the longest.
SEGMENTS = 300
_WIDE, _NARROW = 960, 358  # the curves for screens, and for telephones held upright
_NBSP = "\u00a0"  # between a number and its unit
_FACE = 128  # pixels a side, shown at half of it on fine screens
_SETTINGS = {
    "mien_version": "mien",
    "classifier": "expression model",
    "classifier_sha256": "its file (SHA-256)",
    "detector": "face detector",
    "detector_settings": "its settings",
    "without": "labels left out",
    "uncertain_below": "uncertain below",
    "smooth_s": "smoothed over",
}
_FIGURES = {
    "literature_test": "accuracy on the FER+ list that papers report on",
    "literature_test_without_twins": "the same without faces that have a twin in training data",
    "test_occlusion": "accuracy on partly covered faces",
    "test_pose30": "accuracy on faces turned by 30° and more",
    "test_pose45": "accuracy on faces turned by 45° and more",
    "fer2013": "accuracy on FER2013's own labels",
    "kl_votes": "mean KL divergence from the votes of viewers, nats",
    "ece_votes": "calibration error: gap between probability and share of viewers who agree",
    "ece_majority": "calibration error against the majority label, on faces where viewers agree",
}


def write_report(timeline: Timeline, path: str | Path, clips: Sequence[Clip] = ()) -> Path:
    """Write the page about a timeline to an ``.html`` file.

    It describes how faces look to viewers. Films of one table follow one another on the page;
    what has no times, such as photos, is left out and counted.

    Args:
        timeline: one film, or several.
        path: the page.
        clips: short films to show, as from `mien.clips.cut`; the page finds them by their names,
            so they belong beside it.

    Raises:
        UsageError: nothing in the timeline has a time, its scores are not probabilities, the
            name does not end in .html, or nothing can be written there.
    """
    return write_text(report_page(timeline, clips), path, (".html", ".htm"))


def report_page(timeline: Timeline, clips: Sequence[Clip] = ()) -> str:
    """The page of `write_report` as text."""
    from importlib import resources

    from jinja2 import Environment, StrictUndefined

    timed = set(timeline.images.loc[timeline.images["time_s"].notna(), "source"])
    films = [source for source in timeline.sources if source in timed]
    if not films:
        raise UsageError("a report is about a film, but nothing in this table has a time.")
    card, no_card = _card(timeline.settings)
    assets = resources.files("mien") / "assets"
    text = (assets / "report.html").read_text(encoding="utf-8")
    page = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.filters["percent"] = _percent
    return page.from_string(text).render(
        style=(assets / "page.css").read_text(encoding="utf-8"),
        title=_base(films[0]) if len(films) == 1 else f"{len(films)} films",
        films=[
            _film(timeline.film(source), [clip for clip in clips if clip.source == source])
            for source in films
        ],
        has_clips=any(clip.file is not None for clip in clips),
        untimed=len(timeline.sources) - len(films),
        settings=_settings(timeline.settings),
        threshold=_threshold(timeline),
        smooth_s=timeline.settings.get("smooth_s", ""),
        model=timeline.settings.get("classifier", ""),
        card=card,
        no_card=no_card,
        figures=_card_figures(card),
    )


def _film(film: Timeline, clips: Sequence[Clip]) -> dict[str, Any]:
    """What the page says of one film."""
    start = float(film.images["time_s"].min())
    span = (start, start + max(film.duration_s, 0.1))
    summary = film.summary()
    people = summary[summary["track_id"].notna()]
    longest = people.sort_values("visible_s", ascending=False, kind="stable")["track_id"]
    first = set(longest.iloc[:PEOPLE].astype(int))
    rows = {int(row["track_id"]): row for row in people.to_dict("records")}
    ids = [[i for i in rows if i in first], [i for i in rows if i not in first]]
    segments = film.segments() if rows else None

    def clock(seconds: float, step: float = 0.1) -> str:
        return time_text(seconds, step, span[1]) + (f"{_NBSP}s" if span[1] <= 60 else "")

    def coarse(seconds: float) -> str:
        return clock(seconds, 0.1 if span[1] <= 60 else 1)

    def card(person: int) -> dict[str, Any]:
        peaks = [peak for peak in _sure(film) if peak.track_id == person]
        return _person(film, rows[person], f"Person {person}", peaks, coarse)

    group = [] if len(ids[0]) == 1 else _group_curve(film)
    everyone = summary[summary["track_id"].isna()].to_dict("records")[0]
    return {
        "name": _base(film.sources[0]),
        "overview": _overview(film, coarse),
        "count": len(rows),
        "faces": len(film.faces),
        "point_s": round((span[1] - span[0]) / _WIDE, 1) if span[1] - span[0] > _WIDE / 2 else 0,
        "curves": [
            _drawings([*group, *_curves(film, ids[0])], span),
            _drawings(_curves(film, ids[1]), span),
        ],
        "strips": [[_strip(segments, i, span, clock, film.labels) for i in part] for part in ids],
        "ticks": _ticks(*span),
        "clips": [
            (quote(c.file.name), quote(c.poster.name), c, _color(c.emotion, film.labels))
            for c in clips
            if c.file and c.poster
        ],
        "clock": clock,
        "segments": _segment_rows(segments, clock, film.labels),
        "segments_total": 0 if segments is None else len(segments),
        "group": _person(film, everyone, "Everyone" if rows else "All faces", (), coarse)
        if group
        else None,
        "cards": [[card(i) for i in part] for part in ids],
    }


def _overview(film: Timeline, clock: Clock) -> list[tuple[str, str, str]]:
    """Value, what it counts, a note: the figures at the top."""
    images = film.images
    status = images["status"]
    done = images[status == "ok"]
    faceless = int((done["n_faces"] == 0).sum())
    failed, dropped = int((status == "error").sum()), int((status == "dropped").sum())
    spent = float(done["milliseconds"].mean()) if len(done) else math.nan
    share = f"{_percent(faceless / len(done))} of them" if faceless else ""
    speed = "–" if math.isnan(spent) else f"{spent:.0f} ms" if spent >= 10 else f"{spent:.1f} ms"
    return [
        (clock(film.duration_s), "duration", ""),
        (f"{len(film.track_ids):,}", "person" if len(film.track_ids) == 1 else "people", ""),
        (f"{len(done):,}", "frames analysed", ""),
        (f"{faceless:,}", "without a face", share),
        (f"{failed:,}", "failed", "could not be read" if failed else ""),
        (f"{dropped:,}", "dropped", "came too fast" if dropped else ""),
        (speed, "a frame", f"{1000 / spent:,.0f} a second" if spent > 0 else ""),
    ]


def _sure(film: Timeline) -> list[Peak]:
    """The kept faces of which viewers would agree on the label."""
    sure = _threshold(film)
    return [p for p in film.peaks if p.probability >= sure and math.isfinite(p.time_s)]


def _threshold(timeline: Timeline) -> float:
    return float(timeline.settings.get("uncertain_below") or 0.5)


def _curves(film: Timeline, people: Sequence[int]) -> list[PersonCurve]:
    found = []
    for i in people:
        rows = film.faces[(film.faces["track_id"] == i).fillna(False).astype(bool)]
        faces = [(p.time_s, p.label, p.picture) for p in _sure(film) if p.track_id == i]
        found.append(_curve(f"Person {i}", rows, film.labels, faces))
    return found


def _curve(
    name: str, rows: pd.DataFrame, labels: tuple[str, ...], faces: Sequence[Any] = ()
) -> PersonCurve:
    times = rows["time_s"].to_numpy(np.float64)
    return PersonCurve(name, times, rows[list(labels)].to_numpy(np.float64), labels, faces)


def _group_curve(film: Timeline) -> list[PersonCurve]:
    """The mean of all faces of each frame; nothing where there are none."""
    if not len(film.faces):
        return []
    means = film.faces.groupby("time_s", sort=True)[list(film.labels)].mean().reset_index()
    count = len(film.track_ids)
    name = f"Everyone: mean of up to {count} people" if count else "All faces: mean"
    return [_curve(name, means, film.labels)]


def _drawings(people: Sequence[PersonCurve], span: tuple[float, float]) -> list[tuple[str, str]]:
    """The curves for wide and for narrow screens; none without people."""
    if not people:
        return []
    widths = (("wide", _WIDE), ("narrow", _NARROW))
    return [(name, timeline_plot(people, span=span, width=width).svg) for name, width in widths]


def _strip(
    segments: pd.DataFrame | None,
    person: int,
    span: tuple[float, float],
    clock: Clock,
    labels: Sequence[str],
) -> dict[str, Any]:
    """A person's bars: places and lengths in percent of the film."""
    start, end = span
    assert segments is not None  # as there is a person
    rows = segments[segments["track_id"] == person].nlargest(SEGMENTS, "duration_s")
    bars = [
        {
            "label": row["emotion"],
            "color": _color(row["emotion"], labels),
            "left": round(100 * (row["start_s"] - start) / (end - start), 3),
            "width": round(100 * row["duration_s"] / (end - start), 3),
            "told": f"{row['emotion']}, {clock(row['start_s'])} to {clock(row['end_s'])}",
        }
        for row in rows.sort_values("start_s").to_dict("records")
    ]
    return {"name": f"Person {person}", "bars": bars}


def _segment_rows(
    segments: pd.DataFrame | None, clock: Clock, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The longest segments, in order of time."""
    if segments is None:
        return []
    longest = segments.nlargest(SEGMENTS, "duration_s").sort_values(["start_s", "track_id"])
    return [
        {
            "person": f"Person {row['track_id']}",
            "label": row["emotion"],
            "color": _color(row["emotion"], labels),
            "start": clock(row["start_s"]),
            "end": clock(row["end_s"]),
            "seconds": f"{row['duration_s']:.1f}{_NBSP}s",
            "strength": _percent(row["strength"]),
        }
        for row in longest.to_dict("records")
    ]


def _person(
    film: Timeline, row: Mapping[Any, Any], name: str, peaks: Sequence[Peak], clock: Clock
) -> dict[str, Any]:
    """A card: what the summary says of a person or the group, and the faces that were kept."""
    shares = [
        (label, _color(label, film.labels), row[f"share_{label}"], row.get(f"mean_{label}"))
        for label in (*film.labels, UNCERTAIN)
    ]
    faces = [
        {
            "label": peak.label,
            "color": _color(peak.label, film.labels),
            "told": _percent(peak.probability),
            "at": clock(peak.time_s),
            "picture": picture_uri(peak.picture, _FACE),
        }
        for peak in sorted(peaks, key=lambda peak: -peak.probability)
    ]
    rate = float(row["changes_per_min"])
    return {
        "name": name,
        "seen": clock(float(row["visible_s"])),
        "changes": "" if math.isnan(rate) else f"{rate:.1f}",
        "shares": sorted(
            (share for share in shares if share[2] >= 0.005 or (share[3] or 0.0) >= 0.05),
            key=lambda share: -share[2],
        ),
        "faces": faces,
    }


def _ticks(start: float, end: float) -> list[tuple[float, str]]:
    """Place in percent and text of round times."""
    times = round_times(start, end, 11)
    step = times[1] - times[0] if len(times) > 1 else 0.1
    unit = f"{_NBSP}s" if end <= 60 else ""
    return [
        (
            round(100 * (at - start) / (end - start), 3),
            time_text(at, step, end) + (unit if at == times[-1] else ""),
        )
        for at in times
    ]


def _settings(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values as people read them; what is not known here is told as it is."""
    found = []
    order = [*_SETTINGS, *(key for key in settings if key not in _SETTINGS)]
    for key in order:
        told = value = settings.get(key, "")
        if key == "uncertain_below" and value:
            told = _percent(float(value))
        elif key == "smooth_s" and value:
            told = f"{value} s"
        elif key == "detector_settings":
            told = _told_json(value)
        elif key == "without" and key in settings:
            told = value.replace(",", ", ") or "none"
        if told:
            found.append((_SETTINGS.get(key, key.replace("_", " ")), told))
    return found


def _told_json(value: str) -> str:
    try:
        table = json.loads(value)
    except ValueError:
        return value
    if not isinstance(table, dict):
        return value
    known = {key.replace("_", " "): told for key, told in table.items() if told is not None}
    return ", ".join(f"{key} {told}" for key, told in known.items())


def _card(settings: Mapping[str, str]) -> tuple[ModelCard | None, str]:
    """The card of the model that made the table, if it is the one in this package, or why not."""
    from hashlib import sha256

    from mien.onnx import Session
    from mien.registry import CLASSIFIERS, model_path

    name = settings.get("classifier", "")
    if name not in CLASSIFIERS:
        return None, "This model does not come with mien, so its card is not at hand."
    try:
        path = model_path(name)
        if sha256(path.read_bytes()).hexdigest() != settings.get("classifier_sha256"):
            return None, "The model of this name in this mien is another version than was used."
        return ModelCard.from_json(Session(path, threads=1).metadata[METADATA_KEY]), ""
    except (MienError, KeyError):
        return None, "The model's file is not at hand, and its card with it."


def _card_figures(card: ModelCard | None) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each measured figure."""
    found = []
    for name, value in (card.accuracy if card else {}).items():
        plain = name.startswith(("kl_", "ece_"))
        recall = name.removeprefix("recall_")
        meaning = f"share of {recall} faces that it finds" if recall != name else ""
        told = f"{value:.3f}" if plain else f"{100 * value:.1f} %"
        found.append((name, told, meaning or _FIGURES.get(name, "")))
    return found


def _base(source: str) -> str:
    """The last part of a path or address, whichever way its slashes lean."""
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source


def _percent(share: float) -> str:
    if math.isnan(share):
        return "–"
    return f"<{_NBSP}1{_NBSP}%" if 0 < share < 0.005 else f"{100 * share:.0f}{_NBSP}%"


def _color(label: str, labels: Sequence[str]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color_of(label, labels))
