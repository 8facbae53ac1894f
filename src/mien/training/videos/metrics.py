"""How right a model of films is, on films that it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mien.evaluation.intervals import Measured, refusal, share
from mien.training.videos.cross_validation import log_loss
from mien.types import Floats, IntArray


@dataclass(frozen=True)
class FilmFigures:
    """What was measured; NaN on fewer than 5 groups of films, which say nothing about others.

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

    accuracy: Measured
    everything: Measured
    baseline: float
    common: str
    recalls: dict[str, Measured]
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
            "films": float(self.accuracy.faces),
            "groups": float(self.accuracy.people),
            "accuracy_of_all": self.everything.value,
            "films_of_all": float(self.everything.faces),
            "most_common_label": self.baseline,
            **{f"recall_{label}": figure.value for label, figure in self.recalls.items()},
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
    known = not refusal(len(np.unique(groups)))
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
            float(right[sure].mean()) if known and sure.any() else math.nan,
        ),
        loss=log_loss(answers.told, truth) if known else math.nan,
        base_loss=log_loss(answers.base, truth) if known else math.nan,
        protocol=tuple(protocol),
    )


def _share(right: npt.NDArray[np.bool_], groups: IntArray) -> Measured:
    """A share of videos with its interval over groups; not given of fewer than 5 groups."""
    figure = share(right, groups)
    return replace(figure, value=math.nan) if refusal(figure.people) else figure
