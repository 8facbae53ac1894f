"""The media types of results, and the choice among them by ``Accept``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pandas as pd

from mien.results.writer import encode_rows
from mien.service.problems import ProblemError

JSON, NDJSON = "application/json", "application/x-ndjson"
CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
JPEG, PNG, HTML, MP4 = "image/jpeg", "image/png", "text/html", "video/mp4"
VTT, EAF = "text/vtt", "application/xml"
#: Tables by media type, with the suffixes of `mien.results.files`.
TABLES = {CSV: ".csv", NDJSON: ".jsonl", PARQUET: ".parquet"}


def chosen(accept: str | None, offered: Sequence[str]) -> str:
    """The media type that a client prefers; the first where it does not say.

    Raises:
        ProblemError: it takes none of them.
    """
    best, found = 0.0, ""
    for media in offered:
        quality = _quality(accept or "*/*", media)
        if quality > best:
            best, found = quality, media
    if not found:
        raise ProblemError(
            406, f"this is available as {', '.join(offered)}; ask for one by Accept."
        )
    return found


def _quality(accept: str, media: str) -> float:
    """How much a client wants a media type, 0 to 1, by the most specific range that has it."""
    ranges = {media: 3, f"{media.split('/')[0]}/*": 2, "*/*": 1}
    best, quality = 0, 0.0
    for part in accept.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if ranges.get(name, 0) <= best:
            continue
        best, quality = ranges[name], 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "q":
                try:
                    quality = min(1.0, max(0.0, float(value)))
                except ValueError:
                    quality = 0.0
    return quality


def encoded_table(table: pd.DataFrame, media: str, metadata: Mapping[str, str]) -> bytes:
    """A table as CSV, JSON lines or Parquet."""
    out = io.BytesIO()
    encode_rows(out, TABLES[media], table, metadata)
    return out.getvalue()
