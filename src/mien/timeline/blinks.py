"""Blinks and closed eyes over time, from the openness of the eyes.

A blink takes 0.1 to 0.4 s (Schiffman 2001), so that frames must follow one another fast enough: at
10 frames per second many fall between two frames, and none is reported below that rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import UsageError
from mien.timeline.smoothing import runs
from mien.timeline.tracks import Presence
from mien.types import Floats

if TYPE_CHECKING:
    import pandas as pd

#: Seconds: eyes that are closed for longer are closed, and do not blink.
LONGEST_BLINK_S = 0.5
#: Seconds from frame to frame, beyond which blinks are missed: 10 frames per second, whose times
#: may be rounded to milliseconds.
MAX_STEP_S = 0.101
#: Closed: less than this share of how far a person opens the eyes otherwise.
_CLOSED = 0.5
_OPEN_QUANTILE = 0.8  # robust for people whose eyes are closed for most of a video
_EYES = ["eye_openness_left", "eye_openness_right"]
_EVENTS = {
    "source": "string",
    "track_id": "int64",
    "start_s": "float64",
    "end_s": "float64",
    "duration_s": "float64",
    "blink": "bool",
    "openness": "float64",
}
_RATES = {
    "source": "string",
    "track_id": "int64",
    "observed_s": "float64",
    "blinks": "Int64",
    "blinks_per_min": "float64",
    "median_blink_s": "float64",
    "closed_share": "float64",
}


def blinks(presence: Presence, faces: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every time that a person closes the eyes, and the rates per person.

    Args:
        presence: of the table.
        faces: the same table, unsmoothed.

    Returns:
        as `mien.Timeline.blinks` and `mien.Timeline.blink_rates` document.

    Raises:
        UsageError: the table has no openness of eyes, no times or no people.
    """
    import pandas as pd

    presence.need_people()
    if not set(_EYES) <= set(faces.columns):
        raise UsageError("this table has no openness of the eyes: analyze again with --actions.")
    openness = faces[_EYES].to_numpy(np.float64).mean(axis=1)
    starts, ends = presence.spans
    events: list[dict[str, Any]] = []
    rates: list[dict[str, Any]] = []
    for (source, person), everything in presence.judged.items():
        rows = everything[np.isfinite(openness[everything])]
        own = {"source": source, "track_id": person}
        closed = _closures(starts[rows], ends[rows], openness[rows])
        events += [own | event for event in closed]
        rates.append(own | _rates(starts[rows], ends[rows], closed))
    tables = (
        pd.DataFrame(events, columns=list(_EVENTS)),
        pd.DataFrame(rates, columns=list(_RATES)),
    )
    return tables[0].astype(_EVENTS), tables[1].astype(_RATES)


def _closures(starts: Floats, ends: Floats, openness: Floats) -> list[dict[str, Any]]:
    """When one person's eyes are closed; not across gaps, nor where a gap may hide the end."""
    if not len(starts):
        return []
    limit = _CLOSED * float(np.quantile(openness, _OPEN_QUANTILE))
    return [
        {
            "start_s": run.start_s,
            "end_s": run.end_s,
            "duration_s": run.length,
            "blink": run.length <= LONGEST_BLINK_S,
            "openness": float(openness[run.first : run.stop].min()),
        }
        for run in runs(openness < limit, starts, ends, 0.0)
        if run.state
    ]


def _rates(starts: Floats, ends: Floats, closed: list[dict[str, Any]]) -> dict[str, Any]:
    observed = float((ends - starts).sum())
    lengths = [event["duration_s"] for event in closed]
    short = [event["duration_s"] for event in closed if event["blink"]]
    fast = len(starts) > 1 and float(np.median(np.diff(starts))) <= MAX_STEP_S
    return {
        "observed_s": observed,
        "blinks": len(short) if fast else None,
        "blinks_per_min": 60 * len(short) / observed if fast and observed else np.nan,
        "median_blink_s": float(np.median(short)) if fast and short else np.nan,
        "closed_share": sum(lengths) / observed if observed else np.nan,
    }
