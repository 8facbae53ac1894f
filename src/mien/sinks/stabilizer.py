"""Labels and probabilities that do not jump while a video plays; they look back only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.drawing.overlay import Person
from mien.errors import UsageError
from mien.labels import UNCERTAIN
from mien.types import FloatArray, IntArray

if TYPE_CHECKING:
    from mien.results.result import Result

_LEAD = 0.05  # by which another label must lead: less, so that film and table agree
_FIGURE_S = 0.25  # a figure in a caption stands at least this long, so that it can be read


class Steady:
    """Scores and labels that do not flicker, frame by frame, from the past alone.

    Each person's scores are smoothed exponentially by time, so that the frame rate does not
    matter: after `seconds` a change has come through by 63 %. A person unseen for a while is
    taken afresh, the sooner the longer. The label told stays until another leads by `margin`;
    "uncertain" takes part as if it were a label that always scores `uncertain_below`.

    Args:
        seconds: the time constant.
        labels: the k names of the columns.
        uncertain_below: as in `EmotionAnalyzer`; ``-inf`` never tells "uncertain", as it must be
            for scores that are no probabilities.
        margin: by how much another label must lead before it is told.

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
        self._known: dict[int, tuple[float, FloatArray, int]] = {}

    def reset(self) -> None:
        """Forget everybody, as at the beginning of another film."""
        self._known.clear()

    def update(
        self, track_ids: npt.ArrayLike | None, values: npt.ArrayLike, time_s: float
    ) -> tuple[FloatArray, IntArray]:
        """Take the faces of one frame; time that runs backwards begins afresh.

        Args:
            track_ids: ``(n,)`` ids, or None where people are not followed: nothing is smoothed.
            values: ``(n, k)`` scores.
            time_s: when; of a live view, any clock in seconds.

        Returns:
            ``(n, k)`` float32 smoothed scores, and ``(n,)`` int64: the column to tell, or k for
            "uncertain": ``(*labels, "uncertain")[i]``.

        Raises:
            UsageError: the shapes do not fit.
        """
        scores = np.array(values, np.float32).reshape(-1, len(self.labels))
        ids = [] if track_ids is None else np.asarray(track_ids).tolist()
        if track_ids is not None and len(ids) != len(scores):
            raise UsageError(f"{len(ids)} track ids do not fit {len(scores)} rows of scores.")
        told = np.array([self._leader(row) for row in scores], np.int64)
        for row, person in enumerate(ids):
            before = self._known.get(person)
            if before is not None and before[0] <= time_s:
                past, smoothed, label = before
                kept = math.exp(-(time_s - past) / self.seconds) if self.seconds else 0.0
                scores[row] += np.float32(kept) * (smoothed - scores[row])
                told[row] = self._keep(scores[row], label)
            self._known[person] = (time_s, scores[row].copy(), int(told[row]))
        horizon = time_s - max(10 * self.seconds, 1.0)  # who is past it has no weight left
        self._known = {k: v for k, v in self._known.items() if horizon <= v[0] <= time_s}
        return scores, told

    def _leader(self, row: FloatArray) -> int:
        return int(np.argmax(np.append(row, self.uncertain_below)))

    def _keep(self, row: FloatArray, label: int) -> int:
        """The label told before, unless another leads it clearly."""
        extended = np.append(row, self.uncertain_below)
        leader = int(np.argmax(extended))
        return leader if extended[leader] > extended[label] + self.margin else label


def people_of(result: Result) -> list[Person]:
    """The people of one frame as they were judged in it, without regard to other frames."""
    percents: list[int | None] = [None] * len(result)
    if result.scores.kind == "probability":
        percents = [round(100 * float(p)) for p in result.probabilities]
    reasons = _reasons(result)
    return [
        Person(*_called(result, row), result.faces.boxes[row], emotion, percent, values, reason)
        for row, (emotion, percent, values, reason) in enumerate(
            zip(result.emotions, percents, result.scores.values, reasons, strict=True)
        )
    ]


def _reasons(result: Result) -> list[str]:
    """Why each face is unfit to be judged, "" for those that are fit."""
    return [str(reason) for reason in result.quality.reason]


def _called(result: Result, row: int) -> tuple[int, str]:
    ids = result.faces.track_ids
    return (row, f"face {row}") if ids is None else (int(ids[row]), f"person {ids[row]}")


class Steadied:
    """The people of frame after frame, with labels and bars that do not flicker.

    Results without track numbers or without probabilities pass as they are.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._begin(None)

    def _begin(self, result: Result | None) -> None:
        self._source = None if result is None else result.source
        limit = 0.5 if result is None else result.uncertain_below
        self._steady = Steady(labels=self.labels, uncertain_below=limit, margin=_LEAD)
        self._told: dict[int, tuple[str, int, float]] = {}

    def people(self, result: Result) -> list[Person]:
        """The people of the next frame of the same film; another film begins anew."""
        if result.source != self._source:
            self._begin(result)
        ids, now = result.faces.track_ids, result.time_s
        if ids is None or now is None or result.scores.kind != "probability":
            return people_of(result)
        values, tops = self._steady.update(ids, result.scores.values, now)
        shown, reasons = [], _reasons(result)
        for row, key in enumerate(ids.tolist()):
            emotion = (*self.labels, UNCERTAIN)[tops[row]]
            share = float(values[row].max() if emotion == UNCERTAIN else values[row, tops[row]])
            percent = self._figure(key, emotion, round(100 * share), now)
            known = *_called(result, row), result.faces.boxes[row], emotion, percent
            shown.append(Person(*known, values[row], reasons[row]))
        self._told = {key: told for key, told in self._told.items() if now - told[2] < _FIGURE_S}
        return shown

    def _figure(self, key: int, emotion: str, percent: int, now: float) -> int:
        """The figure beside a name: the one before, where it has not stood long enough."""
        told = self._told.get(key)
        if told is None or told[0] != emotion or not 0 <= now - told[2] < _FIGURE_S:
            told = self._told[key] = (emotion, percent, now)
        return told[1]
