"""Who was seen, as one page to look at: each person's faces, a few of every film and track."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.people.identities import People
from mien.plots import picture_uri, time_text, write_page
from mien.timeline.timeline import Timeline
from mien.types import Image

if TYPE_CHECKING:
    import pandas as pd

#: So many people are shown at once, those longest to be seen; the others are folded away.
PEOPLE = 60
#: So many faces of one person are shown, of the tracks longest to be seen.
FACES = 12
_NBSP = "\u00a0"
_FACE = 144  # pixels a side, shown at two thirds of it on fine screens


def write_gallery(
    timeline: Timeline,
    who: People,
    path: str | Path,
    pictures: Mapping[int, Image] | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the page to an ``.html`` file. It holds faces: pass it on as you would pass on those.

    Args:
        timeline: tracks, not yet merged.
        who: as from ``timeline.identify()``.
        path: the page.
        pictures: faces ``(S, S, 3)`` uint8 RGB by row of ``who.tracks``, for tracks of which the
            timeline kept none (see `missing`).
        overwrite: replace a file that mien did not write, too.

    Raises:
        UsageError: the name does not end in .html, or nothing can be written there.
    """
    text = gallery_page(timeline, who, pictures)
    return write_page(text, path, (".html", ".htm"), overwrite=overwrite)


def missing(timeline: Timeline, who: People) -> list[int]:
    """Rows of ``who.tracks`` that the page would show, but of which no face was kept."""
    kept = {(peak.source, peak.track_id) for peak in timeline.peaks}
    return [
        row
        for number in who.names
        for row in _shown(who.tracks[who.tracks["person"] == number]).index.tolist()
        if _key(who.tracks, row) not in kept
    ]


def gallery_page(
    timeline: Timeline, who: People, pictures: Mapping[int, Image] | None = None
) -> str:
    """The page of `write_gallery` as text."""
    from importlib import resources

    from jinja2 import Environment, StrictUndefined

    assets = resources.files("mien") / "assets"
    page = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    films = short_names(timeline.sources)
    timed = timeline.images.groupby("source", sort=False)["time_s"].count() > 0
    inputs = _inputs(int(timed.sum()), int((~timed).sum()))
    faces = {**_peaks(timeline, who), **(pictures or {})}
    cards = [
        _card(row, who.tracks[who.tracks["person"] == row["person"]], faces, films)
        for row in who.table.to_dict("records")
    ]
    longest = sorted(range(len(cards)), key=lambda i: -float(who.table["visible_s"].iloc[i]))
    first = set(longest[:PEOPLE])
    return page.from_string((assets / "people.html").read_text(encoding="utf-8")).render(
        style=(assets / "page.css").read_text(encoding="utf-8"),
        title=next(iter(films.values())) if len(films) == 1 else " and ".join(inputs),
        overview=[
            (f"{len(who):,}", "person" if len(who) == 1 else "people"),
            (f"{len(who.tracks):,}", "track" if len(who.tracks) == 1 else "tracks"),
            *(tuple(told.split(_NBSP)) for told in inputs),
            (f"{len(who.numbers):,}", "face" if len(who.numbers) == 1 else "faces"),
        ],
        cards=[
            [c for i, c in enumerate(cards) if (i in first) is shown] for shown in (True, False)
        ],
        threshold=f"{who.threshold:g}",
        several=len(films) > 1,
        absent=", ".join(who.absent),
        model=timeline.settings.classifier,
    )


def short_names(sources: Sequence[str]) -> dict[str, str]:
    """The last part of each path, with as many parts before it as it takes to tell them apart."""
    parts = {source: source.replace("\\", "/").rstrip("/").split("/") for source in sources}
    short = {source: path[-1] for source, path in parts.items()}
    for length in range(2, max(map(len, parts.values()), default=0) + 1):
        told = list(short.values())
        again = [source for source, name in short.items() if told.count(name) > 1]
        if not again:
            break
        short |= {source: "/".join(parts[source][-length:]) for source in again}
    return {source: name or source for source, name in short.items()}


def _card(
    row: Mapping[Any, Any],
    tracks: pd.DataFrame,
    faces: Mapping[int, Image],
    films: Mapping[str, str],
) -> dict[str, Any]:
    shown = _shown(tracks)
    end = float(tracks["first_s"].max()) if tracks["first_s"].notna().any() else 0.0
    pictures = [
        {
            "picture": picture_uri(faces[i], _FACE) if i in faces else "",
            "at": "" if math.isnan(start) else time_text(start, 1, max(end, 61)),
            "film": films[source],
        }
        for i, start, source in zip(shown.index, shown["first_s"], shown["source"], strict=True)
    ]
    return {
        "name": str(row["name"]).capitalize() if _unknown(row) else row["name"],
        "seen": _seen(row, tracks),
        "faces": pictures,
        "more": len(tracks) - len(shown),
        "alike": _cosine(row["similarity"]),
        "nearest": "" if _none(row["nearest"]) else row["nearest"],
        "nearest_alike": _cosine(row["nearest_similarity"]),
        "known_alike": _cosine(row["known_similarity"]),
    }


def _seen(row: Mapping[Any, Any], tracks: pd.DataFrame) -> str:
    seconds, moving = float(row["visible_s"]), tracks[tracks["track_id"].notna()]
    films, photos = moving["source"].nunique(), len(tracks) - len(moving)
    parts = []
    if seconds:
        long = seconds > 60
        parts.append(
            time_text(seconds, 1 if long else 0.1, seconds) + ("" if long else f"{_NBSP}s")
        )
    if len(moving):
        parts.append(_many(int(row["n_faces"]), "face"))
    if len(moving) > 1:
        parts.append(_many(len(moving), "track"))
    return ", ".join([*parts, *_inputs(films if films + photos > 1 else 0, photos)])


def _inputs(films: int, photos: int) -> list[str]:
    """How many of each kind there are."""
    counts = (films, "film"), (photos, "photo")
    return [_many(count, noun) for count, noun in counts if count]


def _shown(tracks: pd.DataFrame) -> pd.DataFrame:
    """The tracks whose faces stand for a person: the longest, in order."""
    return tracks.nlargest(FACES, ["visible_s", "n_faces"]).sort_index()


def _peaks(timeline: Timeline, who: People) -> dict[int, Image]:
    """For each track, the most telling of the faces that were kept."""
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


def _unknown(row: Mapping[Any, Any]) -> bool:
    return bool(row["name"] == f"person {row['person']}")


def _none(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _cosine(value: Any) -> str:
    return "" if _none(value) else f"{float(value):.2f}"


def _many(count: int, noun: str) -> str:
    return f"{count:,}{_NBSP}{noun}" + ("" if count == 1 else "s")
