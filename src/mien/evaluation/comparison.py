"""Two classifiers on the same faces: is one better, or was it luck?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.datasets import LabelledFaces
from mien.errors import UsageError
from mien.evaluation.evaluation import evaluate
from mien.evaluation.metrics import interval, mcnemar, resampled
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
        low, high: its 95 % interval, bootstrap over the same faces for both.
        only_one, only_other: faces that only this one gets right.
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
    """What `compare` found.

    Attributes:
        overall: over all faces.
        by_label: over the faces of each label.
        protocol: what was done, a sentence each.
    """

    overall: Difference
    by_label: dict[str, Difference]
    protocol: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "overall": vars(self.overall),
            "by_label": {label: vars(part) for label, part in self.by_label.items()},
            "protocol": list(self.protocol),
        }


def compare(
    one: EmotionClassifier,
    other: EmotionClassifier,
    faces: LabelledFaces,
    progress: Progress | None = None,
) -> Comparison:
    """Judge the same faces by two classifiers.

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
    told = [line for line in first.protocol if not line.startswith(("left out", "uncertain"))]
    left = int((faces.majority >= 0).sum() - len(truth))
    if left:
        told.append(f"{left:,} faces left out, whose label one of the models does not have")
    told.append("p: McNemar's exact test on the faces that only one of them gets right")
    return Comparison(_difference(first.right, second.right), by_label, tuple(told))


def _difference(one: Any, other: Any) -> Difference:
    pairs = (one & other, one & ~other, ~one & other, ~one & ~other)
    cells = np.array([pair.sum() for pair in pairs], np.int64).reshape(2, 2)
    drawn = resampled(cells)
    low, high = interval((drawn[:, 1, 0] - drawn[:, 0, 1]) / len(one))
    only_one, only_other = int(cells[0, 1]), int(cells[1, 0])
    return Difference(
        len(one),
        float(one.mean()),
        float(other.mean()),
        float(other.mean() - one.mean()),
        low,
        high,
        only_one,
        only_other,
        mcnemar(only_one, only_other),
    )
