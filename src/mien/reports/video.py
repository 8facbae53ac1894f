"""One self-contained page about a video: curves, segments, faces at their peaks, the method.

The page needs no network, no other file and no script; a small script adds reading off values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mien.errors import UsageError
from mien.labels import MEASURES, UNCERTAIN, color_of, hex_color
from mien.plots import image_uri, plane_plot, time_text, time_ticks, timeline_plot, write_page
from mien.reports.actions import actions_section
from mien.reports.html import NBSP, WIDTHS, base, both_widths, render, whole_percent
from mien.reports.methods import card_figures, changes_text, model_card, settings_text
from mien.timeline.actions import check_actions

if TYPE_CHECKING:
    import pandas as pd

    from mien.reports.highlights import Clip
    from mien.results.peaks import Peak
    from mien.timeline.timeline import Timeline

Clock = Callable[[float], str]

#: Number of people shown at once, those visible longest; the others are folded away.
PEOPLE = 8
#: Number of segments listed, and drawn for a person: the longest.
SEGMENTS = 300
_FACE = 128  # side in pixels, displayed at half of it on dense screens


def write_report(
    timeline: Timeline,
    path: str | Path,
    clips: Sequence[Clip] = (),
    *,
    actions: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write the page about a timeline to an ``.html`` file.

    It describes how faces look to viewers. Videos of one table follow one another on the page;
    inputs without times, such as photos, are left out and counted.

    Args:
        timeline: one video, or several.
        path: the page.
        clips: clips to show, as from `mien.reports.highlights.write_clip`; the page refers to
            them by their names, so they belong beside it.
        actions: units or blendshapes to draw, of a table with facial actions; by default
            `mien.Timeline.moving_actions`.
        overwrite: replace a file that mien did not write, too.

    Raises:
        UsageError: nothing in the timeline has a time, its scores are not probabilities, the
            name does not end in .html, nothing can be written there, or these actions are not in
            the table.
    """
    text = report_page(timeline, clips, actions)
    return write_page(text, path, (".html", ".htm"), overwrite=overwrite)


def report_page(timeline: Timeline, clips: Sequence[Clip] = (), actions: Sequence[str] = ()) -> str:
    """The page of `write_report` as text."""
    timed = set(timeline.images.loc[timeline.images["time_s"].notna(), "source"])
    videos = [source for source in timeline.sources if source in timed]
    if not videos:
        raise UsageError(
            "a report describes videos, but nothing in this table has a time; analyze a video."
        )
    if actions:
        check_actions(timeline.faces, actions)
    card, no_card = model_card(timeline.settings)
    return render(
        "report.html",
        title=base(videos[0]) if len(videos) == 1 else f"{len(videos)} videos",
        videos=[
            _video(timeline.source(source), [c for c in clips if c.source == source], actions)
            for source in videos
        ],
        has_clips=any(clip.file is not None for clip in clips),
        untimed=len(timeline.sources) - len(videos),
        settings=settings_text(timeline.settings),
        changed=changes_text(timeline.settings),
        threshold=timeline.settings.uncertain_below,
        smooth_s=f"{timeline.settings.smooth_s:g}" if timeline.settings.smooth_s else "",
        all_faces=timeline.all_faces,
        model=timeline.settings.classifier,
        card=card,
        no_card=no_card,
        figures=card_figures(card),
    )


def _peaks(video: Timeline, person: int) -> list[Peak]:
    """The stored faces of a person whose label is not uncertain, most probable first."""
    least = video.settings.uncertain_below
    peaks = [
        p
        for p in video.counted_peaks
        if p.track_id == person and p.probability >= least and math.isfinite(p.time_s)
    ]
    return sorted(peaks, key=lambda peak: -peak.probability)


def _color(label: str, labels: Sequence[str]) -> str:
    return hex_color(color_of(label, labels))


def _video(video: Timeline, clips: Sequence[Clip], actions: Sequence[str]) -> dict[str, Any]:
    """The values of one video for the template."""
    start = float(video.images["time_s"].min())
    span = (start, start + max(video.duration_s, 0.1))
    point_s = (span[1] - span[0]) / WIDTHS["wide"]
    summary = video.summary()
    people = summary[summary["track_id"].notna()]
    longest = people.sort_values("visible_s", ascending=False, kind="stable")["track_id"]
    first = set(longest.iloc[:PEOPLE].astype(int))
    rows = {int(row["track_id"]): row for row in people.to_dict("records")}
    ids = [[i for i in rows if i in first], [i for i in rows if i not in first]]
    segments = video.segments() if rows else None
    unfit = video.unfit() if rows else None

    def clock(seconds: float, step: float = 0.1) -> str:
        return time_text(seconds, step, span[1]) + (f"{NBSP}s" if span[1] <= 60 else "")

    def coarse(seconds: float) -> str:
        return clock(seconds, 0.1 if span[1] <= 60 else 1)

    def card(person: int) -> dict[str, Any]:
        return _person(video, rows[person], video.name_of(person), _peaks(video, person), coarse)

    least, derived = video.settings.uncertain_below, video.settings.derived
    curves = [video.person_curves(part, least) if part else [] for part in ids]
    measured = bool(ids[0]) and set(MEASURES) <= set(video.faces.columns)
    paths = video.person_paths(ids[0]) if measured else []
    group = [] if len(ids[0]) == 1 else video.group_curves()
    everyone = summary[summary["track_id"].isna()].to_dict("records")[0]
    return {
        "name": base(video.sources[0]),
        "overview": _overview(video, everyone, coarse),
        "line": _line(video, everyone, coarse),
        "note": video.unfit_note,
        "counted": int(video.counted_faces["time_s"].notna().sum()),
        "count": len(rows),
        "faces": len(video.faces),
        "point_s": round(point_s, 1) if point_s > 0.5 else 0,
        "curves": [
            both_widths(timeline_plot, [*group, *curves[0]], span=span),
            both_widths(timeline_plot, curves[1], span=span),
        ],
        "group_faces": group[0].counts is not None if group else False,
        "actions": actions_section(video, ids[0], span, clock, actions),
        "planes": both_widths(plane_plot, paths, source=derived, span=span),
        "derived": derived,
        "strips": [[_strip(video, segments, unfit, i, span, clock) for i in part] for part in ids],
        "ticks": [
            (round(100 * (at - span[0]) / (span[1] - span[0]), 3), text)
            for at, text in time_ticks(*span, 11)
        ],
        "clips": _clips(video, clips, clock),
        "segments": _segment_rows(video, segments, clock),
        "segments_total": 0 if segments is None else len(segments),
        "group": _person(video, everyone, "Everyone" if rows else "All faces", (), coarse)
        if group
        else None,
        "cards": [[card(i) for i in part] for part in ids],
    }


def _clips(video: Timeline, clips: Sequence[Clip], clock: Clock) -> list[dict[str, str]]:
    """The clips for the template."""
    return [
        {
            "file": quote(clip.file.name),
            "poster": quote(clip.poster.name) if clip.poster else "",
            "label": clip.emotion,
            "color": _color(clip.emotion, video.labels),
            "caption": f"{video.name_of(clip.track_id)}, {clock(clip.start_s)} to "
            f"{clock(clip.end_s)}, mean probability {whole_percent(clip.strength)}"
            f"{_shown(clip, clock)}",
        }
        for clip in clips
        if clip.file
    ]


def _shown(clip: Clip, clock: Clock) -> str:
    """Which part of a long run its clip shows."""
    if clip.shown_s is None or clip.shown_s[1] - clip.shown_s[0] >= clip.duration_s:
        return ""
    return f"; the clip shows {clock(clip.shown_s[0])} to {clock(clip.shown_s[1])}"


def _line(video: Timeline, everyone: Mapping[Any, Any], clock: Clock) -> dict[str, str]:
    """The row of a video in the overview of several."""
    shares = {label: everyone[f"share_{label}"] for label in (*video.labels, UNCERTAIN)}
    most = "–"
    if not any(math.isnan(share) for share in shares.values()):
        label = max(shares, key=lambda name: shares[name])
        most = f"{label} {whole_percent(shares[label])}"
    return {
        "duration": clock(video.duration_s),
        "people": f"{len(video.track_ids):,}",
        "visible": clock(float(everyone["visible_s"])),
        "fit": whole_percent(float(everyone["fit_share"])),
        "most": most,
    }


def _overview(
    video: Timeline, everyone: Mapping[Any, Any], clock: Clock
) -> list[tuple[str, str, str]]:
    """The figures at the top: value, name, note."""
    images = video.images
    status = images["status"]
    done = images[status == "ok"]
    faceless = int((done["n_faces"] == 0).sum())
    failed, dropped = int((status == "error").sum()), int((status == "dropped").sum())
    spent = float(done["milliseconds"].mean()) if len(done) else math.nan
    share = f"{whole_percent(faceless / len(done))} of them" if faceless else ""
    speed = "–" if math.isnan(spent) else f"{spent:.0f} ms" if spent >= 10 else f"{spent:.1f} ms"
    return [
        (clock(video.duration_s), "duration", ""),
        (f"{len(video.track_ids):,}", "person" if len(video.track_ids) == 1 else "people", ""),
        (f"{len(done):,}", "frames analyzed", ""),
        (f"{faceless:,}", "without a face", share),
        (whole_percent(float(everyone["fit_share"])), "fit to be judged", "of the visible time"),
        *[(f"{failed:,}", "failed", "could not be read")] * bool(failed),
        *[(f"{dropped:,}", "dropped", "came too fast")] * bool(dropped),
        (speed, "per frame", f"{1000 / spent:,.0f} frames/s" if spent > 0 else ""),
    ]


def _strip(
    video: Timeline,
    segments: pd.DataFrame | None,
    unfit: pd.DataFrame | None,
    person: int,
    span: tuple[float, float],
    clock: Clock,
) -> dict[str, Any]:
    """A person's segments as bars: positions and lengths in percent of the video."""
    start, end = span
    assert segments is not None  # as there is a person
    assert unfit is not None

    def bar(row: Mapping[Any, Any], label: str, color: str) -> dict[str, Any]:
        return {
            "label": label,
            "color": color,
            "left": round(100 * (row["start_s"] - start) / (end - start), 3),
            "width": round(100 * row["duration_s"] / (end - start), 3),
            "caption": f"{label}, {clock(row['start_s'])} to {clock(row['end_s'])}",
        }

    def longest(table: pd.DataFrame) -> list[dict[Any, Any]]:
        rows = table[table["track_id"] == person].nlargest(SEGMENTS, "duration_s")
        return rows.sort_values("start_s").to_dict("records")

    left_out = [] if video.all_faces else longest(unfit)
    reasons = [str(row["unfit_reason"]).replace("_", " ") for row in left_out]
    bars = [bar(row, f"unfit: {why}", "") for row, why in zip(left_out, reasons, strict=True)]
    bars += [bar(r, r["emotion"], _color(r["emotion"], video.labels)) for r in longest(segments)]
    return {"name": video.name_of(person), "bars": bars}


def _segment_rows(
    video: Timeline, segments: pd.DataFrame | None, clock: Clock
) -> list[dict[str, Any]]:
    """The longest segments, in order of time."""
    if segments is None:
        return []
    longest = segments.nlargest(SEGMENTS, "duration_s").sort_values(["start_s", "track_id"])
    return [
        {
            "person": video.name_of(row["track_id"]),
            "label": row["emotion"],
            "color": _color(row["emotion"], video.labels),
            "start": clock(row["start_s"]),
            "end": clock(row["end_s"]),
            "seconds": f"{row['duration_s']:.1f}{NBSP}s",
            "strength": whole_percent(row["strength"]),
        }
        for row in longest.to_dict("records")
    ]


def _person(
    video: Timeline, row: Mapping[Any, Any], name: str, peaks: Sequence[Peak], clock: Clock
) -> dict[str, Any]:
    """The card of a person or of the group: their row of the summary, and stored faces."""
    shares = [
        (label, _color(label, video.labels), row[f"share_{label}"], row.get(f"mean_{label}"))
        for label in (*video.labels, UNCERTAIN)
    ]
    faces = [
        {
            "label": peak.label,
            "color": _color(peak.label, video.labels),
            "probability": whole_percent(peak.probability),
            "at": clock(peak.time_s),
            "picture": image_uri(peak.picture, _FACE),
        }
        for peak in peaks
    ]
    rate, fit = float(row["changes_per_min"]), float(row["fit_share"])
    return {
        "name": name,
        "visible": clock(float(row["visible_s"])),
        "fit": "" if fit > 0.995 else whole_percent(fit),
        "changes": "" if math.isnan(rate) else f"{rate:.1f}",
        "shares": sorted(
            (share for share in shares if share[2] >= 0.005 or (share[3] or 0.0) >= 0.05),
            key=lambda share: -share[2],
        ),
        "faces": faces,
    }
