"""How right a model of films is, on films that it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mien.evaluation.metrics import DRAWS, interval
from mien.training.videos.cross_validation import log_loss
from mien.types import Floats, IntArray

_FEW = 10  # groups below which there is no interval


@dataclass(frozen=True)
class Share:
    """A share of films with its 95 % interval.

    Attributes:
        value: NaN where there is no film.
        low, high: bootstrap over groups, percentiles; NaN below 10 groups.
        films: how many it is about.
    """

    value: float
    low: float
    high: float
    films: int


@dataclass(frozen=True)
class FilmFigures:
    """What was measured.

    Attributes:
        accuracy: of the films with an answer: the most probable label is theirs.
        everything: of all films that could be read; one without an answer is an error.
        baseline: accuracy of always saying the most common label of the films learned from.
        common: that label (the most common one of all films).
        recalls: by label, the share of its films with an answer that were told so.
        sure: share of the answers with a probability of 0.5 and more, and their accuracy.
        loss: mean negative log-probability of the true labels, nats.
        base_loss: that of always giving each label its share of the films learned from.
        protocol: how it was measured, a sentence each.
    """

    accuracy: Share
    everything: Share
    baseline: float
    common: str
    recalls: dict[str, Share]
    sure: tuple[float, float]
    loss: float
    base_loss: float
    protocol: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, float]:
        """The numbers of the card; what is not known is left out."""
        numbers = {
            "accuracy": self.accuracy.value,
            "accuracy_low": self.accuracy.low,
            "accuracy_high": self.accuracy.high,
            "films": float(self.accuracy.films),
            "accuracy_of_all": self.everything.value,
            "films_of_all": float(self.everything.films),
            "most_common_label": self.baseline,
            **{f"recall_{label}": share.value for label, share in self.recalls.items()},
            "log_loss": self.loss,
            "log_loss_of_shares": self.base_loss,
        }
        return {name: round(v, 5) for name, v in numbers.items() if math.isfinite(v)}


@dataclass(frozen=True, eq=False)
class Answers:
    """What was told of n films that were held out.

    Attributes:
        truth: ``(n,)`` numbers of labels.
        told: ``(n, k)`` probabilities.
        base: ``(n, k)`` shares of the labels in the films that were learned from.
        groups: ``(n,)``.
    """

    truth: IntArray
    told: Floats
    base: Floats
    groups: IntArray


def measure(
    answers: Answers,
    labels: Sequence[str],
    silent: IntArray,
    protocol: Sequence[str],
) -> FilmFigures:
    """The figures of some answers.

    Args:
        answers: of films with a face.
        labels: the k names.
        silent: groups of the further films, those without an answer.
        protocol: how the answers came about.
    """
    truth, groups = answers.truth, answers.groups
    told, top = answers.told.argmax(axis=1), answers.told.max(axis=1, initial=0)
    right = told == truth
    every = np.append(right, np.zeros(len(silent), bool))
    counts = np.bincount(truth, minlength=len(labels))
    sure = top >= 0.5
    known = len(truth) > 0
    return FilmFigures(
        accuracy=_share(right, groups),
        everything=_share(every, np.append(groups, silent)),
        baseline=float((answers.base.argmax(axis=1) == truth).mean()) if known else math.nan,
        common=labels[int(answers.base.sum(axis=0).argmax())],
        recalls={
            label: _share(right[truth == k], groups[truth == k])
            for k, label in enumerate(labels)
            if counts[k]
        },
        sure=(
            float(sure.mean()) if known else math.nan,
            float(right[sure].mean()) if sure.any() else math.nan,
        ),
        loss=log_loss(answers.told, truth) if known else math.nan,
        base_loss=log_loss(answers.base, truth) if known else math.nan,
        protocol=tuple(protocol),
    )


def _share(right: npt.NDArray[np.bool_], groups: IntArray) -> Share:
    """A mean, with groups drawn anew: films of one group are not independent."""
    if not len(right):
        return Share(math.nan, math.nan, math.nan, 0)
    names, place = np.unique(groups, return_inverse=True)
    hits, films = np.bincount(place, right), np.bincount(place)
    low = high = math.nan
    if len(names) >= _FEW:
        even = np.full(len(names), 1 / len(names))
        drawn = np.random.default_rng(0).multinomial(len(names), even, size=DRAWS)
        low, high = interval(drawn @ hits / (drawn @ films))
    return Share(float(right.mean()), low, high, len(right))
