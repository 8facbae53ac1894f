"""How good an engagement model is on clips of people that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.engagement import EngagementModel
from mien.evaluation.intervals import jackknifed, refusal, share
from mien.training.engagement.data import LabelledClip, windows_of
from mien.types import IntArray

CUTS = (0.25, 0.5, 0.75)  # between the four levels, as in the literature


def groups_of(clips: Sequence[LabelledClip]) -> int:
    """How many people the clips are of."""
    return len({clip.group for clip in clips})


def measure(
    judge: EngagementModel,
    learned: Sequence[LabelledClip],
    held_out: Sequence[LabelledClip],
) -> dict[str, float]:
    """Figures on clips of people that a model did not learn from.

    The value of a clip is the mean of its half-overlapping windows. Accuracy and UAR (mean recall
    of the levels that occur) are of four levels with the cuts .25, .5 and .75, or of two where the
    levels are just 0 and 1.

    Returns:
        ``clips``, ``people``, and of 5 people and more (fewer say nothing about others): ``mse``,
        ``mse_of_mean`` (of predicting the mean of those learned from for everybody), ``mse_gain``
        (its share that the model saves), ``accuracy``, ``accuracy_of_commonest``, ``uar``,
        ``within_1`` and ``within_2``: shares of windows whose level lies within one and two
        uncertainties of their value (0.68 and 0.95 of a normal error). ``mse_gain`` and
        ``accuracy`` have 95 % intervals over people, ``_low`` and ``_high``; NaN below 10 clips.
    """
    people = np.array([clip.group for clip in held_out])
    counts = {"clips": float(len(held_out)), "people": float(groups_of(held_out))}
    if refusal(groups_of(held_out)):
        return counts
    card = judge.card
    values, near = [], []
    for clip in held_out:
        told = judge.judge(windows_of(clip, clip.grid(card.window_s, card.steps)))
        means = told.mean(axis=1)
        values.append(float(means.mean()))
        error = np.hypot(told.std(axis=1, ddof=1), card.residual or 0.0)
        far = np.abs(means - clip.level) / error
        near.append([(far <= 1).mean(), (far <= 2).mean()])
    levels = np.array([clip.level for clip in held_out])
    known = np.array([clip.level for clip in learned])
    wrong = (np.array(values) - levels) ** 2
    plain = (known.mean() - levels) ** 2
    cuts = (0.5,) if set(levels) | set(known) <= {0.0, 1.0} else CUTS
    truth, answer = np.digitize(levels, cuts), np.digitize(values, cuts)
    common = np.bincount(np.digitize(known, cuts)).argmax()
    right = share(truth == answer, people)

    def gain(rows: IntArray) -> float:
        return float(1 - wrong[rows].mean() / max(plain[rows].mean(), 1e-12))

    saved = jackknifed(gain, people)
    return counts | {
        "mse": float(wrong.mean()),
        "mse_of_mean": float(plain.mean()),
        "mse_gain": saved.value,
        "mse_gain_low": saved.low,
        "mse_gain_high": saved.high,
        "accuracy": right.value,
        "accuracy_low": right.low,
        "accuracy_high": right.high,
        "accuracy_of_commonest": float((truth == common).mean()),
        "uar": float(np.mean([(answer[truth == k] == k).mean() for k in np.unique(truth)])),
        "within_1": float(np.mean([n[0] for n in near])),
        "within_2": float(np.mean([n[1] for n in near])),
    }
