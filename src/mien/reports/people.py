"""One page about the people of a table: each person's faces, some from every video and track."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.people.identities import People
from mien.plots import image_uri, time_text, write_page
from mien.reports.html import NBSP, count, render
from mien.timeline.timeline import Timeline
from mien.types import Image

if TYPE_CHECKING:
    import pandas as pd

#: Number of people shown at once, those visible longest; the others are folded away.
PEOPLE = 60
#: Number of faces shown of one person, from the longest tracks.
FACES = 12
_FACE = 144  # side in pixels, displayed at two thirds of it on dense screens


def write_people_page(
    timeline: Timeline,
    who: People,
    path: str | Path,
    pictures: Mapping[int, Image] | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the page to an ``.html`` file. It contains faces: share it as you would share those.

    Args:
        timeline: tracks, not yet merged.
        who: as from ``timeline.identify()``.
        path: the page.
        pictures: faces ``(S, S, 3)`` uint8 RGB by row of ``who.tracks``, for tracks of which the
            timeline kept none (see `missing_faces`).
        overwrite: replace a file that mien did not write, too.

    Raises:
        UsageError: the name does not end in .html, or nothing can be written there.
    """
    text = people_page(timeline, who, pictures)
    return write_page(text, path, (".html", ".htm"), overwrite=overwrite)


def missing_faces(timeline: Timeline, who: People) -> list[int]:
    """Rows of ``who.tracks`` that the page would show, but without a stored face."""
    stored = {(peak.source, peak.track_id) for peak in timeline.peaks}
    return [
        row
        for number in who.names
        for row in _shown(who.tracks[who.tracks["person"] == number]).index.tolist()
        if _key(who.tracks, row) not in stored
    ]


def people_page(
    timeline: Timeline, who: People, pictures: Mapping[int, Image] | None = None
) -> str:
    """The page of `write_people_page` as text."""
    videos = short_names(timeline.sources)
    timed = timeline.images.groupby("source", sort=False)["time_s"].count() > 0
    inputs = _inputs(int(timed.sum()), int((~timed).sum()))
    faces = {**_peaks(timeline, who), **(pictures or {})}
    cards = [
        _card(row, who.tracks[who.tracks["person"] == row["person"]], faces, videos)
        for row in who.table.to_dict("records")
    ]
    longest = sorted(range(len(cards)), key=lambda i: -float(who.table["visible_s"].iloc[i]))
    first = set(longest[:PEOPLE])
    return render(
        "people.html",
        title=next(iter(videos.values())) if len(videos) == 1 else " and ".join(inputs),
        overview=[
            (f"{len(who):,}", "person" if len(who) == 1 else "people"),
            *(
                tuple(text.split(NBSP))
                for text in (
                    count(len(who.tracks), "track"),
                    *inputs,
                    count(len(who.numbers), "face"),
                )
            ),
        ],
        cards=[
            [c for i, c in enumerate(cards) if (i in first) is shown] for shown in (True, False)
        ],
        threshold=f"{who.threshold:g}",
        several=len(videos) > 1,
        absent=", ".join(who.absent),
        model=timeline.settings.classifier,
    )


def short_names(sources: Sequence[str]) -> dict[str, str]:
    """The last part of each path, with as many parts before it as make it unique."""
    parts = {source: source.replace("\\", "/").rstrip("/").split("/") for source in sources}
    short = {source: path[-1] for source, path in parts.items()}
    for length in range(2, max(map(len, parts.values()), default=0) + 1):
        names = list(short.values())
        repeated = [source for source, name in short.items() if names.count(name) > 1]
        if not repeated:
            break
        short |= {source: "/".join(parts[source][-length:]) for source in repeated}
    return {source: name or source for source, name in short.items()}


def _card(
    row: Mapping[Any, Any],
    tracks: pd.DataFrame,
    faces: Mapping[int, Image],
    videos: Mapping[str, str],
) -> dict[str, Any]:
    shown, name = _shown(tracks), str(row["name"])
    end = float(tracks["first_s"].max()) if tracks["first_s"].notna().any() else 0.0
    pictures = [
        {
            "picture": image_uri(faces[i], _FACE) if i in faces else "",
            "at": "" if math.isnan(start) else time_text(start, 1, max(end, 61)),
            "video": videos[source],
        }
        for i, start, source in zip(shown.index, shown["first_s"], shown["source"], strict=True)
    ]
    return {
        "name": name.capitalize() if name == f"person {row['person']}" else name,
        "visible": _visible(row, tracks),
        "faces": pictures,
        "more": len(tracks) - len(shown),
        "alike": _cosine(row["similarity"]),
        "nearest": "" if _none(row["nearest"]) else row["nearest"],
        "nearest_alike": _cosine(row["nearest_similarity"]),
        "known_alike": _cosine(row["known_similarity"]),
    }


def _visible(row: Mapping[Any, Any], tracks: pd.DataFrame) -> str:
    seconds, moving = float(row["visible_s"]), tracks[tracks["track_id"].notna()]
    videos, photos = moving["source"].nunique(), len(tracks) - len(moving)
    parts = []
    if seconds:
        long = seconds > 60
        parts.append(time_text(seconds, 1 if long else 0.1, seconds) + ("" if long else f"{NBSP}s"))
    if len(moving):
        parts.append(count(int(row["n_faces"]), "face"))
    if len(moving) > 1:
        parts.append(count(len(moving), "track"))
    return ", ".join([*parts, *_inputs(videos if videos + photos > 1 else 0, photos)])


def _inputs(videos: int, photos: int) -> list[str]:
    """The number of inputs of each kind."""
    return [count(n, noun) for n, noun in ((videos, "video"), (photos, "photo")) if n]


def _shown(tracks: pd.DataFrame) -> pd.DataFrame:
    """The tracks whose faces represent a person: the longest, in order."""
    return tracks.nlargest(FACES, ["visible_s", "n_faces"]).sort_index()


def _peaks(timeline: Timeline, who: People) -> dict[int, Image]:
    """For each track, the stored face with the most probable label."""
    best: dict[tuple[str, int], Any] = {}
    for peak in timeline.peaks:
        key = peak.source, peak.track_id
        if key not in best or peak.probability > best[key].probability:
            best[key] = peak
    rows = {row: _key(who.tracks, row) for row in range(len(who.tracks))}
    return {row: best[key].picture for row, key in rows.items() if key in best}


def _key(tracks: pd.DataFrame, row: int) -> tuple[str, int]:
    track = tracks["track_id"].iloc[row]
    return str(tracks["source"].iloc[row]), -1 if _none(track) else int(track)


def _none(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _cosine(value: Any) -> str:
    return "" if _none(value) else f"{float(value):.2f}"
