"""Labels and probabilities that do not flicker while a video plays, from past frames only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.drawing.overlay import Person, Reading
from mien.errors import UsageError
from mien.expressions.actions import USABLE_UNITS
from mien.labels import UNCERTAIN
from mien.types import FloatArray, IntArray

if TYPE_CHECKING:
    from mien.results.result import Result

_LEAD = 0.05  # by which another label must lead: little, so that video and table agree
#: Facial actions of the ``faces`` table and their names beside a live image: the units that
#: measurements support (docs/actions.md), the head's pose, the gaze.
READINGS: Mapping[str, str] = {
    **{unit: unit for unit in USABLE_UNITS},
    **{f"{angle}_deg": angle for angle in ("pitch", "yaw", "roll")},
    "gaze_pitch_deg": "gaze pitch",
    "gaze_yaw_deg": "gaze yaw",
}
_NUMBER_S = 0.25  # a number in a caption stays at least this long, so that it can be read


class Smoother:
    """Exponential smoothing of scores over time, with hysteresis of the label.

    Smoothing depends on time, not on the frame rate: after `seconds` a change has come through by
    63 %. The longer a person was absent, the less their old scores count. The label stays until
    another leads by `margin`; "uncertain" competes as a label that always scores
    `uncertain_below`.

    Args:
        seconds: the time constant.
        labels: the k names of the columns.
        uncertain_below: as in `EmotionAnalyzer`; ``-inf`` disables "uncertain", as needed for
            scores that are no probabilities.
        margin: lead that another label needs to replace the present one.

    Raises:
        UsageError: `seconds` or `margin` is negative.
    """

    def __init__(
        self,
        seconds: float = 0.4,
        *,
        labels: Sequence[str],
        uncertain_below: float = 0.5,
        margin: float = 0.1,
    ) -> None:
        if not seconds >= 0 or not margin >= 0:
            raise UsageError(f"seconds and margin must be at least 0, got {seconds} and {margin}.")
        self.seconds = seconds
        self.labels = tuple(labels)
        self.uncertain_below = uncertain_below
        self.margin = margin
        self._last: dict[int, tuple[float, FloatArray, int]] = {}

    def reset(self) -> None:
        """Forget everybody, as at the beginning of another video."""
        self._last.clear()

    def update(
        self, track_ids: npt.ArrayLike | None, values: npt.ArrayLike, time_s: float
    ) -> tuple[FloatArray, IntArray]:
        """Add the faces of one frame; time that runs backwards starts anew.

        Args:
            track_ids: ``(n,)`` ids, or None without tracking: nothing is smoothed.
            values: ``(n, k)`` scores.
            time_s: time of the frame; for live video, any clock in seconds.

        Returns:
            ``(n, k)`` float32 smoothed scores, and ``(n,)`` int64: the label's column, or k for
            "uncertain": ``(*labels, "uncertain")[i]``.

        Raises:
            UsageError: the shapes do not fit.
        """
        scores = np.array(values, np.float32).reshape(-1, len(self.labels))
        ids = [] if track_ids is None else np.asarray(track_ids).tolist()
        if track_ids is not None and len(ids) != len(scores):
            raise UsageError(f"{len(ids)} track ids do not fit {len(scores)} rows of scores.")
        leaders = np.array([self._leader(row) for row in scores], np.int64)
        for row, person in enumerate(ids):
            before = self._last.get(person)
            if before is not None and before[0] <= time_s:
                past, smoothed, label = before
                weight = math.exp(-(time_s - past) / self.seconds) if self.seconds else 0.0
                scores[row] += np.float32(weight) * (smoothed - scores[row])
                leaders[row] = self._keep(scores[row], label)
            self._last[person] = (time_s, scores[row].copy(), int(leaders[row]))
        horizon = time_s - max(10 * self.seconds, 1.0)  # beyond it, no weight is left
        self._last = {k: v for k, v in self._last.items() if horizon <= v[0] <= time_s}
        return scores, leaders

    def _leader(self, row: FloatArray) -> int:
        return int(np.argmax(np.append(row, self.uncertain_below)))

    def _keep(self, row: FloatArray, label: int) -> int:
        """The previous label, unless another leads it clearly."""
        extended = np.append(row, self.uncertain_below)
        leader = int(np.argmax(extended))
        return leader if extended[leader] > extended[label] + self.margin else label


def reading_names(result: Result) -> tuple[str, ...]:
    """The names of `READINGS`, where the result has facial actions; else ()."""
    return tuple(READINGS.values()) if set(USABLE_UNITS) <= set(result.scores.measures) else ()


def _read(result: Result) -> FloatArray:
    """``(n, m)``: the columns of `READINGS`; NaN where a mesh is not trusted."""
    quality = {"yaw_deg": result.quality.yaw_deg, "roll_deg": result.quality.roll_deg}
    columns = {**result.scores.measures, **quality}
    return np.stack([columns[name] for name in READINGS], axis=1).astype(np.float32)


def _readings(values: FloatArray) -> dict[str, Reading]:
    """The rows of one face, for ``(m,)`` numbers."""
    rows = {}
    for (column, name), value in zip(READINGS.items(), values.tolist(), strict=True):
        if math.isnan(value):
            rows[name] = Reading(math.nan, "-")
        elif column in USABLE_UNITS:
            rows[name] = Reading(min(max(value, 0.0), 1.0), f"{value:.2f}")
        else:
            rows[name] = Reading(math.nan, f"{value:.0f}°".replace("-0°", "0°"))
    return rows


def people_of(result: Result) -> list[Person]:
    """The people of one frame, without regard to other frames."""
    percents: list[int | None] = [None] * len(result)
    if result.scores.kind == "probability":
        percents = [round(100 * float(p)) for p in result.probabilities]
    rows = zip(result.emotions, percents, result.scores.values, strict=True)
    people = [_person(result, row, *shown) for row, shown in enumerate(rows)]
    if not reading_names(result):
        return people
    read = _read(result)
    return [replace(one, readings=_readings(read[row])) for row, one in enumerate(people)]


def _person(
    result: Result, row: int, emotion: str, percent: int | None, values: FloatArray
) -> Person:
    ids, face = result.faces.track_ids, (row, f"face {row}")
    key, name = face if ids is None else (int(ids[row]), f"person {ids[row]}")
    reason = str(result.quality.reason[row])
    return Person(key, name, result.faces.boxes[row], emotion, percent, values, reason)


class Stabilizer:
    """The people of frame after frame, with labels and bars that do not flicker.

    Results without track ids or without probabilities pass as they are.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._begin(None)

    def _begin(self, result: Result | None) -> None:
        self._source = None if result is None else result.source
        limit = 0.5 if result is None else result.uncertain_below
        self._smoother = Smoother(labels=self.labels, uncertain_below=limit, margin=_LEAD)
        self._numbers: dict[int, tuple[str, int, float]] = {}
        self._actions: dict[int, tuple[float, FloatArray]] = {}

    def people(self, result: Result) -> list[Person]:
        """The people of the next frame of the same video; another video starts anew."""
        if result.source != self._source:
            self._begin(result)
        ids, now = result.faces.track_ids, result.time_s
        if ids is None or now is None or result.scores.kind != "probability":
            return people_of(result)
        values, tops = self._smoother.update(ids, result.scores.values, now)
        read = self._smoothed(ids.tolist(), _read(result), now) if reading_names(result) else None
        people = []
        for row, key in enumerate(ids.tolist()):
            emotion = (*self.labels, UNCERTAIN)[tops[row]]
            share = float(values[row].max() if emotion == UNCERTAIN else values[row, tops[row]])
            percent = self._number(key, emotion, round(100 * share), now)
            person = _person(result, row, emotion, percent, values[row])
            people.append(
                person if read is None else replace(person, readings=_readings(read[row]))
            )
        self._numbers = {k: n for k, n in self._numbers.items() if now - n[2] < _NUMBER_S}
        return people

    def _smoothed(self, ids: Sequence[int], values: FloatArray, now: float) -> FloatArray:
        """Actions smoothed as the scores are; what is missing stays so, and what returns is new."""
        seconds = self._smoother.seconds
        for row, person in enumerate(ids):
            past, last = self._actions.get(person, (now, values[row]))
            weight = math.exp(-(now - past) / seconds) if past <= now else 0.0
            last = np.where(np.isfinite(last), last, values[row])
            values[row] += np.float32(weight) * (last - values[row])
        self._actions = {person: (now, values[row]) for row, person in enumerate(ids)}
        return values

    def _number(self, key: int, emotion: str, percent: int, now: float) -> int:
        """The number in a caption: the previous one, until it has stayed long enough."""
        last = self._numbers.get(key)
        if last is None or last[0] != emotion or not 0 <= now - last[2] < _NUMBER_S:
            last = self._numbers[key] = (emotion, percent, now)
        return last[1]
