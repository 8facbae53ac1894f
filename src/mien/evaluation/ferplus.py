"""Evaluation on FER+: figures with protocols.

Lists and rules: ``lists/literature_test.csv`` is the list that papers report on (3,137 rows; the
official majority rule on the test rows); the occlusion and pose lists are subsets of it by
Wang et al. 2020 (RAN). One crop, no flip, no ensemble. Labels are matched by name; a label that
the model does not have counts as an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.datasets import VotedFaces, load_ferplus, read_list
from mien.evaluation.intervals import Estimate
from mien.evaluation.metrics import BINS, calibration_error, divergence
from mien.evaluation.predictions import Progress, predict
from mien.expressions.base import EmotionClassifier
from mien.labels import EMOTIONS, canonical_labels
from mien.types import FloatArray

_KL = "mean KL to the votes, nats, test rows"
LISTS = ("literature_test", "test_occlusion", "test_pose30", "test_pose45")


def evaluate_ferplus(
    classifier: EmotionClassifier, folder: Path, progress: Progress | None = None
) -> list[Estimate]:
    """Predict the test rows of FER+ and compare with its lists and votes.

    The folder holds the three splits and ``lists/``, see `mien.datasets`.

    Raises:
        InputNotFoundError: a file of the data is missing.
    """
    test = load_ferplus(folder, "test")
    known = np.concatenate([load_ferplus(folder, name).groups for name in ("train", "validation")])
    scores = predict(classifier, test.images, progress)
    return [
        *_lists(scores, test, folder, np.isin(test.groups, known[known >= 0])),
        *_votes(scores, test),
        _fer2013(scores, test),
    ]


def _lists(
    scores: FloatArray, test: VotedFaces, folder: Path, twins: npt.NDArray[np.bool_]
) -> list[Estimate]:
    figures: list[Estimate] = []
    row_of: Mapping[str, int] = {name: row for row, name in enumerate(test.names)}
    for name in LISTS:
        truth_by_name = read_list(folder / "lists" / f"{name}.csv")
        rows = np.array([row_of[image] for image in truth_by_name])
        truth = np.array([EMOTIONS.index(label) for label in truth_by_name.values()])
        right = scores[rows].argmax(axis=1) == truth
        rule = f"lists/{name}.csv, accuracy, one crop, no flip"
        figures.append(_figure(name, float(right.mean()), len(rows), rule))
        if name != "literature_test":
            continue
        alone = ~twins[rows]
        rule = "the same without rows whose twin is in train or validation"
        value = float(right[alone].mean())
        figures.append(_figure(f"{name}_without_twins", value, int(alone.sum()), rule))
        for index, label in enumerate(EMOTIONS):
            of_label = truth == index
            share = float(right[of_label].mean())
            rule = f"recall of {label} on lists/{name}.csv"
            figures.append(_figure(f"recall_{label}", share, int(of_label.sum()), rule))
        confidence = scores[rows].max(axis=1)
        value = calibration_error(confidence, right.astype(np.float32))
        rule = "calibration error against the majority label on lists/literature_test.csv"
        figures.append(_figure("ece_majority", value, len(rows), rule, is_share=False))
    return figures


def _votes(scores: FloatArray, test: VotedFaces) -> list[Estimate]:
    shares = test.distribution
    confidence, top = scores.max(axis=1), scores.argmax(axis=1)
    agreed = shares[np.arange(len(top)), top]
    n = len(test)
    return [
        _figure("kl_votes", divergence(scores, shares), n, _KL, is_share=False),
        _figure(
            "ece_votes",
            calibration_error(confidence, agreed),
            n,
            f"top probability against the share of annotators who agree, {BINS} bins, test rows",
            is_share=False,
        ),
    ]


def _fer2013(scores: FloatArray, test: VotedFaces) -> Estimate:
    rows = np.flatnonzero(test.fer2013 != "")
    truth = np.array([EMOTIONS.index(label) for label in canonical_labels(test.fer2013[rows])])
    seven = np.delete(scores[rows], EMOTIONS.index("contempt"), axis=1)
    names = [label for label in EMOTIONS if label != "contempt"]
    predicted = np.array([EMOTIONS.index(label) for label in names])[seven.argmax(axis=1)]
    rule = "FER2013's own labels on the test rows, 7 classes, contempt left out before the softmax"
    return _figure("fer2013", float((predicted == truth).mean()), len(rows), rule)


def _figure(
    name: str, value: float, count: int, protocol: str, *, is_share: bool = True
) -> Estimate:
    return Estimate(value, name=name, count=count, protocol=protocol, is_share=is_share)
