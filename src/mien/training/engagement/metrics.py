"""How good an engagement model is, on clips of people that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.engagement import EngagementModel
from mien.evaluation.intervals import Estimate, jackknifed, refusal, share
from mien.training.engagement.data import LabeledClip, windows_of
from mien.types import IntArray

CUTS = (0.25, 0.5, 0.75)  # between the four levels, as in the literature


def groups_of(clips: Sequence[LabeledClip]) -> int:
    """How many people the clips are of."""
    return len({clip.group for clip in clips})


def measure(
    model: EngagementModel,
    trained: Sequence[LabeledClip],
    held_out: Sequence[LabeledClip],
) -> tuple[Estimate, ...]:
    """Figures on clips of people that a model was not trained on; none of fewer than 5 people.

    The value of a clip is the mean of its half-overlapping windows. Accuracy and UAR (mean recall
    of the levels that occur) are of four levels with the cuts .25, .5 and .75, or of two where the
    levels are just 0 and 1.

    Returns:
        ``mse``, ``mse_of_mean`` (of predicting for everybody the mean of the clips trained on),
        ``mse_gain`` (the share of that which the model saves), ``accuracy``,
        ``accuracy_of_commonest``, ``uar``, ``within_1`` and ``within_2``: shares of windows whose
        level lies within one and two uncertainties of their value (0.68 and 0.95 of a normal
        error). ``mse_gain`` and ``accuracy`` have 95 % intervals over people.
    """
    people = np.array([clip.group for clip in held_out])
    if refusal(groups_of(held_out)):
        return ()
    card = model.card
    values, near = [], []
    for clip in held_out:
        windows = model.predict(windows_of(clip, clip.grid(card.window_s, card.steps)))
        means = windows.mean(axis=1)
        values.append(float(means.mean()))
        uncertainty = np.hypot(windows.std(axis=1, ddof=1), card.residual or 0.0)
        errors = np.abs(means - clip.level) / uncertainty
        near.append([(errors <= 1).mean(), (errors <= 2).mean()])
    levels = np.array([clip.level for clip in held_out])
    known = np.array([clip.level for clip in trained])
    wrong = (np.array(values) - levels) ** 2
    plain = (known.mean() - levels) ** 2
    cuts = (0.5,) if set(levels) | set(known) <= {0.0, 1.0} else CUTS
    truth, predicted = np.digitize(levels, cuts), np.digitize(values, cuts)
    common = np.bincount(np.digitize(known, cuts)).argmax()

    def gain(rows: IntArray) -> float:
        return float(1 - wrong[rows].mean() / max(plain[rows].mean(), 1e-12))

    def figure(name: str, value: float, protocol: str) -> Estimate:
        is_share = not name.startswith("mse")
        return Estimate(
            float(value), name=name, count=len(levels), protocol=protocol, is_share=is_share
        )

    recalls = [(predicted[truth == k] == k).mean() for k in np.unique(truth)]
    within = np.mean(near, axis=0)
    return (
        figure("mse", wrong.mean(), "mean squared error of a clip's level"),
        figure("mse_of_mean", plain.mean(), "of predicting the mean of the clips trained on"),
        jackknifed(gain, people).named("mse_gain", "the share of that which the model saves"),
        share(truth == predicted, people).named("accuracy", f"of {len(cuts) + 1} levels"),
        figure("accuracy_of_commonest", (truth == common).mean(), "of the most common level"),
        figure("uar", float(np.mean(recalls)), "mean recall of the levels"),
        figure("within_1", within[0], "levels within one uncertainty; 68 % if it is right"),
        figure("within_2", within[1], "levels within two uncertainties; 95 % if it is right"),
    )
