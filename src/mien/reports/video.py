"""One self-contained page about a film: curves, segments, faces at their peaks, how it was made.

The page needs no network, no other file and no script; a little script adds reading off values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mien.errors import UsageError
from mien.labels import UNCERTAIN
from mien.plots import picture_uri, round_times, time_text, write_page
from mien.reports.drawings import WIDE, curves, drawn, group_curve, planes, sure, threshold
from mien.reports.html import NBSP, base, color, percent
from mien.reports.methods import card_figures, model_card, told_settings

if TYPE_CHECKING:
    import pandas as pd

    from mien.reports.highlights import Clip
    from mien.results.peaks import Peak
    from mien.timeline.timeline import Timeline

Clock = Callable[[float], str]

#: So many people are shown at once, those longest to be seen; the others are folded away.
PEOPLE = 8
#: So many segments are listed, and drawn for a person: the longest.
SEGMENTS = 300
_FACE = 128  # pixels a side, shown at half of it on fine screens


def write_report(
    timeline: Timeline,
    path: str | Path,
    clips: Sequence[Clip] = (),
    *,
    overwrite: bool = False,
) -> Path:
    """Write the page about a timeline to an ``.html`` file.

    It describes how faces look to viewers. Films of one table follow one another on the page;
    what has no times, such as photos, is left out and counted.

    Args:
        timeline: one film, or several.
        path: the page.
        clips: short films to show, as from `mien.reports.highlights.cut`; the page finds them by
        their names,
            so they belong beside it.
        overwrite: replace a file that mien did not write, too.

    Raises:
        UsageError: nothing in the timeline has a time, its scores are not probabilities, the
            name does not end in .html, or nothing can be written there.
    """
    text = report_page(timeline, clips)
    return write_page(text, path, (".html", ".htm"), overwrite=overwrite)


def report_page(timeline: Timeline, clips: Sequence[Clip] = ()) -> str:
    """The page of `write_report` as text."""
    from importlib import resources

    from jinja2 import Environment, StrictUndefined

    timed = set(timeline.images.loc[timeline.images["time_s"].notna(), "source"])
    films = [source for source in timeline.sources if source in timed]
    if not films:
        raise UsageError("a report is about a film, but nothing in this table has a time.")
    card, no_card = model_card(timeline.settings)
    described = [
        _film(timeline.source(source), [clip for clip in clips if clip.source == source])
        for source in films
    ]
    assets = resources.files("mien") / "assets"
    text = (assets / "report.html").read_text(encoding="utf-8")
    page = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.filters["percent"] = percent
    return page.from_string(text).render(
        style=(assets / "page.css").read_text(encoding="utf-8"),
        title=base(films[0]) if len(films) == 1 else f"{len(films)} videos",
        films=described,
        has_clips=any(clip.file is not None for clip in clips),
        untimed=len(timeline.sources) - len(films),
        settings=told_settings(timeline.settings),
        threshold=threshold(timeline),
        smooth_s=f"{timeline.settings.smooth_s:g}" if timeline.settings.smooth_s else "",
        all_faces=timeline.all_faces,
        model=timeline.settings.classifier,
        card=card,
        no_card=no_card,
        figures=card_figures(card),
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
    unfit = film.unfit() if rows else None

    def clock(seconds: float, step: float = 0.1) -> str:
        return time_text(seconds, step, span[1]) + (f"{NBSP}s" if span[1] <= 60 else "")

    def coarse(seconds: float) -> str:
        return clock(seconds, 0.1 if span[1] <= 60 else 1)

    def card(person: int) -> dict[str, Any]:
        peaks = [peak for peak in sure(film) if peak.track_id == person]
        return _person(film, rows[person], film.name_of(person), peaks, coarse)

    group = [] if len(ids[0]) == 1 else group_curve(film)
    everyone = summary[summary["track_id"].isna()].to_dict("records")[0]
    return {
        "name": base(film.sources[0]),
        "overview": _overview(film, everyone, coarse),
        "line": _line(film, everyone, coarse),
        "note": film.unfit_note,
        "counted": int(film.counted_faces["time_s"].notna().sum()),
        "count": len(rows),
        "faces": len(film.faces),
        "point_s": round((span[1] - span[0]) / WIDE, 1) if span[1] - span[0] > WIDE / 2 else 0,
        "curves": [
            drawn([*group, *curves(film, ids[0])], span),
            drawn(curves(film, ids[1]), span),
        ],
        "group_faces": group[0].counts is not None if group else False,
        "planes": planes(film, ids[0], span),
        "derived": film.settings.derived,
        "strips": [[_strip(film, segments, unfit, i, span, clock) for i in part] for part in ids],
        "ticks": _ticks(*span),
        "clips": _clips(film, clips, clock),
        "segments": _segment_rows(film, segments, clock),
        "segments_total": 0 if segments is None else len(segments),
        "group": _person(film, everyone, "Everyone" if rows else "All faces", (), coarse)
        if group
        else None,
        "cards": [[card(i) for i in part] for part in ids],
    }


def _clips(film: Timeline, clips: Sequence[Clip], clock: Clock) -> list[dict[str, str]]:
    """The clips that were cut, as the page shows them."""
    return [
        {
            "file": quote(clip.file.name),
            "poster": quote(clip.poster.name) if clip.poster else "",
            "label": clip.emotion,
            "color": color(clip.emotion, film.labels),
            "told": f"{film.name_of(clip.track_id)}, {clock(clip.start_s)} to "
            f"{clock(clip.end_s)}, mean {percent(clip.strength)}",
        }
        for clip in clips
        if clip.file
    ]


def _line(film: Timeline, everyone: Mapping[Any, Any], clock: Clock) -> dict[str, str]:
    """The row of the table at the top of a page about several videos."""
    shares = {label: everyone[f"share_{label}"] for label in (*film.labels, UNCERTAIN)}
    most = "–"
    if not any(math.isnan(share) for share in shares.values()):
        label = max(shares, key=lambda name: shares[name])
        most = f"{label} {percent(shares[label])}"
    return {
        "duration": clock(film.duration_s),
        "people": f"{len(film.track_ids):,}",
        "visible": clock(float(everyone["visible_s"])),
        "fit": percent(float(everyone["fit_share"])),
        "most": most,
    }


def _overview(
    film: Timeline, everyone: Mapping[Any, Any], clock: Clock
) -> list[tuple[str, str, str]]:
    """Value, what it counts, a note: the figures at the top."""
    images = film.images
    status = images["status"]
    done = images[status == "ok"]
    faceless = int((done["n_faces"] == 0).sum())
    failed, dropped = int((status == "error").sum()), int((status == "dropped").sum())
    spent = float(done["milliseconds"].mean()) if len(done) else math.nan
    share = f"{percent(faceless / len(done))} of them" if faceless else ""
    speed = "–" if math.isnan(spent) else f"{spent:.0f} ms" if spent >= 10 else f"{spent:.1f} ms"
    return [
        (clock(film.duration_s), "duration", ""),
        (f"{len(film.track_ids):,}", "person" if len(film.track_ids) == 1 else "people", ""),
        (f"{len(done):,}", "frames analysed", ""),
        (f"{faceless:,}", "without a face", share),
        (percent(float(everyone["fit_share"])), "fit to be judged", "of the visible time"),
        *[(f"{failed:,}", "failed", "could not be read")] * bool(failed),
        *[(f"{dropped:,}", "dropped", "came too fast")] * bool(dropped),
        (speed, "a frame", f"{1000 / spent:,.0f} a second" if spent > 0 else ""),
    ]


def _strip(
    film: Timeline,
    segments: pd.DataFrame | None,
    unfit: pd.DataFrame | None,
    person: int,
    span: tuple[float, float],
    clock: Clock,
) -> dict[str, Any]:
    """A person's bars: places and lengths in percent of the film."""
    start, end = span
    assert segments is not None  # as there is a person
    assert unfit is not None

    def bar(row: Mapping[Any, Any], label: str, color: str) -> dict[str, Any]:
        return {
            "label": label,
            "color": color,
            "left": round(100 * (row["start_s"] - start) / (end - start), 3),
            "width": round(100 * row["duration_s"] / (end - start), 3),
            "told": f"{label}, {clock(row['start_s'])} to {clock(row['end_s'])}",
        }

    def longest(table: pd.DataFrame) -> list[dict[Any, Any]]:
        rows = table[table["track_id"] == person].nlargest(SEGMENTS, "duration_s")
        return rows.sort_values("start_s").to_dict("records")

    bars = [] if film.all_faces else [bar(row, _unfit(row), "") for row in longest(unfit)]
    bars += [bar(r, r["emotion"], color(r["emotion"], film.labels)) for r in longest(segments)]
    return {"name": film.name_of(person), "bars": bars}


def _unfit(row: Mapping[Any, Any]) -> str:
    """What is written where a face was unfit to be judged."""
    return f"unfit: {str(row['unfit_reason']).replace('_', ' ')}"


def _segment_rows(
    film: Timeline, segments: pd.DataFrame | None, clock: Clock
) -> list[dict[str, Any]]:
    """The longest segments, in order of time."""
    if segments is None:
        return []
    longest = segments.nlargest(SEGMENTS, "duration_s").sort_values(["start_s", "track_id"])
    return [
        {
            "person": film.name_of(row["track_id"]),
            "label": row["emotion"],
            "color": color(row["emotion"], film.labels),
            "start": clock(row["start_s"]),
            "end": clock(row["end_s"]),
            "seconds": f"{row['duration_s']:.1f}{NBSP}s",
            "strength": percent(row["strength"]),
        }
        for row in longest.to_dict("records")
    ]


def _person(
    film: Timeline, row: Mapping[Any, Any], name: str, peaks: Sequence[Peak], clock: Clock
) -> dict[str, Any]:
    """A card: what the summary says of a person or the group, and the faces that were kept."""
    shares = [
        (label, color(label, film.labels), row[f"share_{label}"], row.get(f"mean_{label}"))
        for label in (*film.labels, UNCERTAIN)
    ]
    faces = [
        {
            "label": peak.label,
            "color": color(peak.label, film.labels),
            "told": percent(peak.probability),
            "at": clock(peak.time_s),
            "picture": picture_uri(peak.picture, _FACE),
        }
        for peak in sorted(peaks, key=lambda peak: -peak.probability)
    ]
    rate, fit = float(row["changes_per_min"]), float(row["fit_share"])
    return {
        "name": name,
        "seen": clock(float(row["visible_s"])),
        "fit": "" if fit > 0.995 else percent(fit),
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
    unit = f"{NBSP}s" if end <= 60 else ""
    return [
        (
            round(100 * (at - start) / (end - start), 3),
            time_text(at, step, end) + (unit if at == times[-1] else ""),
        )
        for at in times
    ]
