"""Each person's own neutral: what a face looks like at rest, and values relative to that.

Some faces look sad, angry or amused to a model while they rest. With ``b`` what the model says of a
person's resting face, and ``q`` what it says of the typical neutral face, probabilities become
``p'(k)`` proportional to ``p(k) * q(k) / b(k)``: the resting face itself gets ``q``, others move by
the same odds, and rows still sum to 1. Facial actions become differences from the resting value;
they are not clipped, since less than at rest is an answer, too.

Two limits keep the correction from inventing expressions: ``b`` is mixed with ``q`` by the length
of the reference (`SHRINKAGE_S`), and no label is weighted by more than `MOST` or less than its
inverse. docs/baseline.md has what that was measured to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mien.errors import UsageError
from mien.expressions import affect
from mien.expressions.actions import ACTION_UNITS, BLENDSHAPES
from mien.expressions.base_rates import NEUTRAL_FACES, reweighted
from mien.labels import MEASURES, UNCERTAIN
from mien.results.files import SUFFIXES
from mien.results.peaks import Peak
from mien.results.result import Result
from mien.types import FloatArray, Floats, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from mien.timeline.base import TimelineTables

#: Largest factor by which a label's odds are changed.
MOST = 4.0
#: Seconds of reference that count as much as the typical neutral face does.
SHRINKAGE_S = 0.2
#: Seconds that one photo counts as.
PHOTO_S = 1.0
#: The shortest reference from a video.
SHORTEST_S = 0.5
#: ``auto`` takes this share of a person's time, that with the highest probability of neutral,
CALMEST = 0.25
#: after smoothing over this time, seconds,
CALM_SMOOTH_S = 1.0
#: and refuses where neutral is less probable than this even then, or the time is shorter than
#: `SHORTEST_S`: such a face is hardly ever seen at rest.
LEAST_NEUTRAL = 0.5
#: What the column of an unchanged value begins with.
RAW = "raw_"
_RAW_ACTIONS = frozenset(RAW + name for name in (*ACTION_UNITS, *BLENDSHAPES))
AUTO, NEUTRAL = "auto", "neutral"
_CLOCK = r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)"
_STRETCH = re.compile(rf"{_CLOCK}-{_CLOCK}")

Who = tuple[str, int | None]


@dataclass(frozen=True)
class Rest:
    """A person at rest.

    Attributes:
        values: median of each column; labels sum to 1.
        seconds: how long that was seen.
        origin: where, in words.
    """

    values: Mapping[str, float]
    seconds: float
    origin: str

    def weights(self, labels: Sequence[str], neutral: Mapping[str, float]) -> Floats:
        """``(k,)`` factors of the labels, at most `MOST` and at least its inverse."""
        typical = np.array([neutral[label] for label in labels])
        typical /= typical.sum()
        own = np.array([self.values[label] for label in labels])
        mixed = (self.seconds * own + SHRINKAGE_S * typical) / (self.seconds + SHRINKAGE_S)
        return np.clip(typical / mixed, 1 / MOST, MOST)


def stretch_of(text: str) -> tuple[float, float] | None:
    """Start and end in seconds of a text such as ``0:00-0:10``; None where it is none."""
    found = _STRETCH.fullmatch(text.strip())
    if found is None:
        return None
    parts = [float(part or 0) for part in found.groups()]
    start, end = (parts[i] * 3600 + parts[i + 1] * 60 + parts[i + 2] for i in (0, 3))
    if not start < end:
        raise UsageError(f"the baseline {text} ends before it begins: write START-END.")
    return start, end


def references_of(texts: Sequence[str]) -> dict[int | None, str]:
    """References by person from texts such as ``2=0:00-0:10``; without a number for everyone.

    Raises:
        UsageError: two are for the same person.
    """
    found: dict[int | None, str] = {}
    for text in texts:
        number, sign, rest = text.partition("=")
        person = int(number) if sign and number.strip().isdecimal() else None
        if person in found:
            who = "everyone" if person is None else f"person {person}"
            raise UsageError(f"there are two baselines of {who}: give one.")
        found[person] = rest if person is not None else text
    return found


def calibrated(
    timeline: TimelineTables, references: Mapping[int | None, Any], neutral: Mapping[str, float]
) -> dict[str, Any]:
    """The fields of a raw timeline that change when it is calibrated.

    Args:
        timeline: unsmoothed.
        references: by person; None for everyone who has none of their own.
        neutral: what the model says of the typical neutral face.

    Raises:
        UsageError: see `mien.Timeline.baseline`.
    """
    groups = _groups(timeline)
    references = {person: _opened(one) for person, one in references.items()}
    rests, without = _rests(timeline, groups, references)
    columns = _actions(timeline.faces)
    values = _weighted(timeline, groups, rests, columns, neutral)
    faces = _table(timeline, values, columns)
    text = "; ".join(dict.fromkeys(_described(who, rest) for who, rest in rests.items()))
    if without:
        text += f"; not {', '.join(_name(who) for who in without)}"
    settings = replace(timeline.settings, baseline=f"each person's own neutral: {text}")
    return {"faces": faces, "settings": settings, "peaks": _peaks(timeline.peaks, faces)}


def neutral_face(model: str, labels: Sequence[str]) -> Mapping[str, float]:
    """What a model says of the typical neutral face.

    Raises:
        UsageError: that was not measured, or its labels are others.
    """
    known = NEUTRAL_FACES.get(model, {})
    if not set(labels) <= set(known):
        raise UsageError(
            f"a baseline needs what {model or 'the model'} says of the typical neutral face, which "
            "is known of mien-mobilenet only: give neutral={label: share} (in Python)."
        )
    return known


def _opened(reference: Any) -> Any:
    """A reference with its text understood, and its table read."""
    if not isinstance(reference, str | Path):
        return reference
    stretch = stretch_of(str(reference))
    if stretch is not None or reference == AUTO:
        return stretch or AUTO
    if Path(reference).suffix.lower() in SUFFIXES:
        from mien.timeline.timeline import Timeline

        return Timeline.load(reference)
    if Path(reference).is_file():
        raise UsageError(f"analyze {reference} first: baseline(analyzer({str(reference)!r})).")
    raise UsageError(
        f"there is no baseline {str(reference)!r}: give auto, a stretch such as 0:00-0:10, a photo "
        "or a table."
    )


def _groups(timeline: TimelineTables) -> dict[Who, IntArray]:
    """Rows of each person; rows of photos are one person's where each photo has one face."""
    groups = cast("dict[Who, IntArray]", dict(timeline._presence.people))
    photos = np.flatnonzero(timeline.faces["time_s"].isna())
    if len(photos):
        groups["", None] = photos
    return groups


def _rests(
    timeline: TimelineTables, groups: Mapping[Who, IntArray], references: Mapping[int | None, Any]
) -> tuple[dict[Who, Rest], list[Who]]:
    """Everyone's rest, and who has none."""
    unknown = [n for n in references if n is not None and all(n != who[1] for who in groups)]
    if unknown:
        known = ", ".join(str(who[1]) for who in groups if who[1] is not None) or "none"
        raise UsageError(f"there is no person {unknown[0]} for a baseline; there are: {known}.")
    rests, problems = {}, {}
    for who, rows in groups.items():
        reference = references.get(who[1], references.get(None))
        if reference is None:
            problems[who] = ""
            continue
        alone = len(groups) == 1 or who[1] in references
        try:
            rests[who] = _rest(timeline, who, rows, reference, alone=alone)
        except UsageError as error:
            if who[1] in references or isinstance(reference, Result | _tables()):
                raise
            problems[who] = str(error)
    if not rests:
        reasons = [reason for reason in problems.values() if reason]
        raise UsageError(reasons[0] if reasons else "there is no face to calibrate.")
    return rests, list(problems)


def _tables() -> type:
    from mien.timeline.base import TimelineTables

    return TimelineTables


def _rest(
    timeline: TimelineTables, who: Who, rows: IntArray, reference: Any, *, alone: bool
) -> Rest:
    """One person's rest by one reference."""
    if isinstance(reference, Result | _tables()):
        return _rest_of_other(timeline, who, rows, reference, alone=alone)
    if who[1] is None:
        raise UsageError("photos have no times: give a photo or a table as their baseline.")
    rows = rows[timeline._presence.counted[rows]]
    seconds = timeline._presence.seconds
    if reference == AUTO:
        rows = _calmest(timeline, who, rows)
        origin = "auto"
    elif isinstance(reference, tuple) and len(reference) == 2:
        start, end = map(float, reference)
        duration = float(np.nanmax(timeline._presence.frames[1], initial=0.0))
        if not 0 <= start < end or start >= duration:
            raise UsageError(
                f"the baseline {start:g} to {end:g} s is outside the video, which ends at "
                f"{duration:.1f} s."
            )
        times = timeline.faces["time_s"].to_numpy(np.float64)[rows]
        rows = rows[(times >= start) & (times < end)]
        origin = f"{start:g} to {end:g} s"
        if seconds[rows].sum() < SHORTEST_S:
            raise UsageError(
                f"{_name(who)} is not seen for {SHORTEST_S} s, with a fit face, in the baseline "
                f"{origin}: choose another."
            )
    else:
        raise UsageError(
            f"unknown baseline {str(reference)!r}: give auto, a stretch such as 0:00-0:10, a photo "
            "or a table."
        )
    return Rest(_median(timeline.faces.iloc[rows], timeline.labels), seconds[rows].sum(), origin)


def _calmest(timeline: TimelineTables, who: Who, rows: IntArray) -> IntArray:
    """The rows of the most neutral quarter of a person's time."""
    if NEUTRAL not in timeline.labels:
        raise UsageError("auto needs a label neutral: give a stretch such as 0:00-0:10.")
    smooth = timeline.smooth(CALM_SMOOTH_S).faces[NEUTRAL].to_numpy(np.float64)[rows]
    seconds = timeline._presence.seconds[rows]
    order = np.argsort(-smooth, kind="stable")
    passed = np.cumsum(seconds[order])
    count = int(np.searchsorted(passed, CALMEST * seconds.sum())) + 1
    chosen = order[:count]
    if seconds[chosen].sum() < SHORTEST_S or smooth[chosen].mean() < LEAST_NEUTRAL:
        raise UsageError(
            f"{_name(who)} is hardly ever neutral in {who[0]}, so that auto finds no baseline: "
            "give a stretch such as 0:00-0:10, or a photo."
        )
    return np.sort(rows[chosen])


def _rest_of_other(
    timeline: TimelineTables, who: Who, rows: IntArray, reference: Any, *, alone: bool
) -> Rest:
    """A rest from a photo or from another analysis, which are of one person."""
    if who[1] is None and timeline.faces.iloc[rows].duplicated(["source", "frame"]).any():
        raise UsageError("a baseline is of one person, and there is a photo of several people.")
    if not alone:
        raise UsageError(
            "this baseline is of one person, and there are several: say whose it is, as in "
            "2=neutral.jpg (in Python: baseline({2: ...}))."
        )
    settings, labels = reference.settings, tuple(reference.labels)
    if settings.baseline:
        raise UsageError("the baseline is calibrated itself: give one with raw values.")
    same = settings.classifier_sha256 == timeline.settings.classifier_sha256
    if not same or labels != tuple(timeline.labels) or settings.prior != timeline.settings.prior:
        raise UsageError(
            f"the baseline was made by {settings.classifier or 'another model'} with other "
            f"labels or settings than this table ({timeline.settings.classifier}): use the same."
        )
    if isinstance(reference, Result):
        faces, origin = reference.to_dataframe(), Path(reference.source).name
        if len(faces) != 1:
            count = "no face" if not len(faces) else f"{len(faces)} faces"
            raise UsageError(f"{reference.source} has {count}: a baseline photo has one.")
        return Rest(_median(faces, labels), PHOTO_S, origin)
    other = reference.raw
    people = _groups(other)
    if len(people) != 1 or other.faces.duplicated(["source", "frame"]).any():
        raise UsageError(f"the baseline is of {len(people)} people: give a table of one.")
    faces = other.faces[other._presence.counted]
    if not len(faces):
        raise UsageError("the baseline has no face that is fit to be judged.")
    timed = faces["time_s"].notna().all()
    counted = other._presence.counted
    seconds = float(other._presence.seconds[counted].sum()) if timed else PHOTO_S * len(faces)
    return Rest(_median(faces, labels), seconds, ", ".join(Path(s).name for s in other.sources[:3]))


def _median(faces: pd.DataFrame, labels: Sequence[str]) -> dict[str, float]:
    """The median of each label, normalized, and of each facial action; NaN where none is known."""
    shares = np.median(faces[list(labels)].to_numpy(np.float64), axis=0)
    values = dict(zip(labels, (shares / shares.sum()).tolist(), strict=True))
    return values | {name: float(faces[name].median()) for name in _actions(faces)}


def _actions(faces: pd.DataFrame) -> list[str]:
    """The columns of facial actions; angles and openness have zeros of their own."""
    return [name for name in (*ACTION_UNITS, *BLENDSHAPES) if name in faces]


def _weighted(
    timeline: TimelineTables,
    groups: Mapping[Who, IntArray],
    rests: Mapping[Who, Rest],
    columns: Sequence[str],
    neutral: Mapping[str, float],
) -> dict[str, FloatArray]:
    """The changed columns."""
    labels = timeline.labels
    shares = timeline.faces[list(labels)].to_numpy(np.float32, copy=True)
    actions = timeline.faces[list(columns)].to_numpy(np.float32, copy=True)
    for who, rest in rests.items():
        rows = groups[who]
        shares[rows] = reweighted(shares[rows], rest.weights(labels, neutral))
        at_rest = np.array([rest.values.get(name, np.nan) for name in columns], np.float32)
        actions[rows] -= at_rest
    return dict(zip((*labels, *columns), (*shares.T, *actions.T), strict=True))


def _table(
    timeline: TimelineTables, values: Mapping[str, FloatArray], columns: Sequence[str]
) -> pd.DataFrame:
    """The table with new values, the raw ones at the end, and what follows from them."""
    import pandas as pd

    labels, old = list(timeline.labels), timeline.faces
    shares = np.column_stack([values[label] for label in labels])
    top = shares.max(axis=1, initial=-np.inf)
    names = np.array([*labels, UNCERTAIN], dtype=object)
    best = shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)
    best = np.where(top >= timeline._uncertain_below, best, len(labels))
    derived = [name for name in MEASURES if name in timeline.settings.derived.split(" from ")[0]]
    faces = old.assign(**values, probability=top, emotion=names[best]).astype({"emotion": "string"})
    if derived:
        again = affect.affect(shares, labels)
        faces = faces.assign(**{n: again[:, MEASURES.index(n)] for n in derived})
    raw = old[[*labels, *columns]].astype("float32").add_prefix(RAW)
    return pd.concat([faces, raw], axis=1).copy()  # in one piece


def _peaks(peaks: Sequence[Peak], faces: pd.DataFrame) -> list[Peak]:
    """The kept crops under their calibrated labels, one for each person and label."""
    raw = [name for name in faces.columns if name.startswith(RAW)]
    labels = [name.removeprefix(RAW) for name in raw if name not in _RAW_ACTIONS]
    rows = faces.dropna(subset=["track_id"])
    keys = zip(rows["source"], rows["track_id"], rows["frame"], strict=True)
    place = {key: number for number, key in enumerate(keys)}
    shares = rows[labels].to_numpy(np.float64)
    best: dict[tuple[str, int, str], Peak] = {}
    for peak in peaks:
        number = place.get((peak.source, peak.track_id, peak.frame))
        if number is not None:
            top = int(shares[number].argmax())
            probability = float(shares[number, top])
            peak = replace(peak, label=labels[top], probability=probability)
        key = peak.source, peak.track_id, peak.label
        if key not in best or peak.probability > best[key].probability:
            best[key] = peak
    return list(best.values())


def _name(who: Who) -> str:
    return "the photos" if who[1] is None else f"person {who[1]}"


def _described(who: Who, rest: Rest) -> str:
    return f"{_name(who)} by {rest.origin} ({rest.seconds:.1f} s)"
