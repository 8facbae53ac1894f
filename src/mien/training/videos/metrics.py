"""How accurate a video model is, on videos that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.evaluation.intervals import Estimate, refusal, share
from mien.training.videos.cross_validation import log_loss
from mien.types import Floats, IntArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was predicted of n videos that were held out.

    Attributes:
        truth: ``(n,)`` numbers of labels.
        probabilities: ``(n, k)``.
        prior: ``(n, k)`` shares of the labels in the videos that the model was trained on.
        groups: ``(n,)``.
    """

    truth: IntArray
    probabilities: Floats
    prior: Floats
    groups: IntArray


def measure(
    found: Predictions, labels: Sequence[str], silent: IntArray
) -> tuple[tuple[Estimate, ...], dict[str, int]]:
    """Figures with intervals over groups of videos, and how many videos and groups they are of.

    Args:
        found: predictions of videos with a face.
        labels: the k names.
        silent: groups of the further videos, those without a prediction.

    Returns:
        No figures of fewer than 5 groups, which say nothing about others; else ``accuracy``,
        ``accuracy_of_all`` (a video without a prediction is an error), ``most_common_label`` (the
        accuracy of always predicting it), ``recall_LABEL``, ``share_confident`` and
        ``accuracy_confident`` (of predictions with a probability of 0.5 or more), ``log_loss`` and
        ``log_loss_of_shares`` (of predicting each label's share), nats.
    """
    truth, groups, n = found.truth, found.groups, len(found.truth)
    right = found.probabilities.argmax(axis=1) == truth
    confident = found.probabilities.max(axis=1, initial=0) >= 0.5
    people = len(np.unique(groups))
    counts = {"films": n, "groups": people, "films_of_all": n + len(silent)}
    if refusal(people):
        return (), counts

    def plain(name: str, value: float, protocol: str, count: int = n) -> Estimate:
        is_share = not name.startswith("log_loss")
        return Estimate(value, name=name, count=count, protocol=protocol, is_share=is_share)

    everything = share(np.append(right, np.zeros(len(silent), bool)), np.append(groups, silent))
    base = found.prior.argmax(axis=1) == truth
    common = labels[int(found.prior.sum(axis=0).argmax())]
    figures = [
        share(right, groups).named("accuracy", "the most probable label is the video's"),
        everything.named("accuracy_of_all", "the same, a video without a prediction is an error"),
        plain("most_common_label", float(base.mean()), f"always predicting {common}"),
    ]
    for number, label in enumerate(labels):
        own = truth == number
        if own.any():
            recall = share(right[own], groups[own])
            if not refusal(recall.people):
                figures.append(recall.named(f"recall_{label}", f"of the videos labeled {label}"))
    sure = float(confident.mean())
    figures.append(plain("share_confident", sure, "top probability 0.5 or more"))
    if confident.any():
        accuracy, count = float(right[confident].mean()), int(confident.sum())
        figures.append(plain("accuracy_confident", accuracy, "of those videos", count))
    loss = log_loss(found.probabilities, truth)
    figures.append(plain("log_loss", loss, "of the true label, nats"))
    loss = log_loss(found.prior, truth)
    figures.append(plain("log_loss_of_shares", loss, "of predicting each label's share, nats"))
    return tuple(figures), counts
