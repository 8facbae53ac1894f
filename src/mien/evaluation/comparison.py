"""Comparison of two classifiers on the same faces: is the difference significant?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.datasets import LabelledFaces
from mien.errors import UsageError
from mien.evaluation.evaluation import evaluate
from mien.evaluation.intervals import FEW, mcnemar, paired_difference
from mien.evaluation.predictions import Progress, vocabulary
from mien.expressions.base import EmotionClassifier
from mien.labels import EMOTIONS


@dataclass(frozen=True)
class Difference:
    """How two classifiers differ on some faces.

    Attributes:
        faces: how many.
        one, other: accuracy of each.
        difference: of the other from the one; above 0 the other is better.
        low, high: its 95 % interval, which holds 0 wherever p is 0.05 or more, and only there;
            NaN below 10 faces. See `mien.evaluation.intervals.paired_difference`.
        only_one, only_other: faces that only the one, or only the other, predicts right.
        p: of McNemar's exact test that both err equally often.
    """

    faces: int
    one: float
    other: float
    difference: float
    low: float
    high: float
    only_one: int
    only_other: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        overall: over all faces.
        by_label: over the faces of each label.
        protocol: how they were compared, a sentence each.
    """

    overall: Difference
    by_label: dict[str, Difference]
    protocol: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "overall": _known(self.overall),
            "by_label": {label: _known(part) for label, part in self.by_label.items()},
            "protocol": list(self.protocol),
        }


def compare(
    one: EmotionClassifier,
    other: EmotionClassifier,
    faces: LabelledFaces,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two classifiers on the same faces.

    Only faces count whose label both models have, and both choose among the labels that both
    have; labels are matched by name.

    Raises:
        UsageError: the models share fewer than two labels with the data.
        InputError: no face has a majority.
    """
    both = [label for label in vocabulary(one) if label in vocabulary(other)]
    shared = [label for label in faces.labels if label in both]
    if len(shared) < 2:
        raise UsageError(
            f"the two models and the data share {len(shared)} labels; at least 2 are needed."
        )
    kept = np.isin(faces.majority, [EMOTIONS.index(label) for label in shared])
    columns = [EMOTIONS.index(label) for label in shared]
    votes = np.zeros_like(faces.votes[kept])
    votes[:, columns] = faces.votes[kept][:, columns]
    common = replace(faces[kept], votes=votes)
    first, second = (evaluate(model, common, progress=progress) for model in (one, other))
    truth = common.majority[first.rows]
    by_label = {
        label: _difference(first.right[truth == place], second.right[truth == place])
        for label, place in zip(shared, columns, strict=True)
        if (truth == place).any()
    }
    lines = [
        line
        for line in first.protocol
        if not line.startswith(("left out", "uncertain", "intervals"))
    ]
    left = int((faces.majority >= 0).sum() - len(truth))
    if left:
        lines.append(f"{left:,} faces left out, whose label one of the models does not have")
    lines.append("p: McNemar's exact test on the faces that only one of them predicts right")
    lines.append(
        "intervals of the difference: 95 %, the wider of Tango's score interval and the exact one; "
        f"none below {FEW} faces"
    )
    return Comparison(_difference(first.right, second.right), by_label, tuple(lines))


def _difference(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> Difference:
    only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
    return Difference(
        len(one),
        float(one.mean()),
        float(other.mean()),
        float(other.mean() - one.mean()),
        *paired_difference(only_one, only_other, len(one)),
        only_one,
        only_other,
        mcnemar(only_one, only_other),
    )


def _known(part: Difference) -> dict[str, float | int | None]:
    """For JSON, which has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in vars(part).items()}
