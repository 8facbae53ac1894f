"""How right is a classifier? Figures on FER+, each with its protocol.

Lists and rules: ``lists/literature_test.csv`` is the list that papers report on (3,137 rows; the
official majority rule on the test rows); the occlusion and pose lists are subsets of it by
Wang et al. 2020 (RAN). One crop, no flip, no ensemble. Labels are matched by name; a label that
the model does not have counts as an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.datasets import VotedFaces, load_ferplus, read_list
from mien.evaluation.metrics import BINS, calibration_error, divergence
from mien.evaluation.predictions import Progress, judge
from mien.expressions.base import EmotionClassifier
from mien.labels import EMOTIONS, canonical_labels
from mien.types import FloatArray

LISTS = ("literature_test", "test_occlusion", "test_pose30", "test_pose45")


@dataclass(frozen=True)
class Figure:
    """One measured number, on how many faces, by which rule.

    Attributes:
        name, value: what it is called, and the number.
        faces: how many it is about.
        protocol: the rule, in words.
        low, high: 95 % interval over people; NaN where there is none.
        people: how many people the faces are of; 0 where that is not known.
    """

    name: str
    value: float
    faces: int
    protocol: str
    low: float = math.nan
    high: float = math.nan
    people: int = 0


def evaluate_ferplus(
    classifier: EmotionClassifier, folder: Path, progress: Progress | None = None
) -> list[Figure]:
    """Judge the test rows of FER+ and compare with its lists and votes.

    Args:
        classifier: any expression classifier.
        folder: holds the three splits and ``lists/``, see `mien.datasets`.
        progress: wraps the loop over batches; gets it and the number of batches.

    Raises:
        InputNotFoundError: a file of the data is missing.
    """
    test = load_ferplus(folder, "test")
    known = np.concatenate([load_ferplus(folder, name).groups for name in ("train", "validation")])
    scores = judge(classifier, test.pictures, progress)
    return [
        *_lists(scores, test, folder, np.isin(test.groups, known[known >= 0])),
        *_votes(scores, test),
        _fer2013(scores, test),
    ]


def _lists(
    scores: FloatArray, test: VotedFaces, folder: Path, twins: npt.NDArray[np.bool_]
) -> list[Figure]:
    figures: list[Figure] = []
    row_of: Mapping[str, int] = {name: row for row, name in enumerate(test.names)}
    for name in LISTS:
        truth_by_name = read_list(folder / "lists" / f"{name}.csv")
        rows = np.array([row_of[picture] for picture in truth_by_name])
        truth = np.array([EMOTIONS.index(label) for label in truth_by_name.values()])
        right = scores[rows].argmax(axis=1) == truth
        rule = f"lists/{name}.csv, accuracy, one crop, no flip"
        figures.append(Figure(name, float(right.mean()), len(rows), rule))
        if name != "literature_test":
            continue
        alone = ~twins[rows]
        rule = "the same without rows whose twin is in train or validation"
        value = float(right[alone].mean())
        figures.append(Figure(f"{name}_without_twins", value, int(alone.sum()), rule))
        for index, label in enumerate(EMOTIONS):
            of_label = truth == index
            share = float(right[of_label].mean())
            rule = f"recall of {label} on lists/{name}.csv"
            figures.append(Figure(f"recall_{label}", share, int(of_label.sum()), rule))
        confidence = scores[rows].max(axis=1)
        value = calibration_error(confidence, right.astype(np.float32))
        rule = "calibration error against the majority label on lists/literature_test.csv"
        figures.append(Figure("ece_majority", value, len(rows), rule))
    return figures


def _votes(scores: FloatArray, test: VotedFaces) -> list[Figure]:
    shares = test.distribution
    confidence, top = scores.max(axis=1), scores.argmax(axis=1)
    agreed = shares[np.arange(len(top)), top]
    n = len(test)
    return [
        Figure("kl_votes", divergence(scores, shares), n, "mean KL to the votes, nats, test rows"),
        Figure(
            "ece_votes",
            calibration_error(confidence, agreed),
            n,
            f"top probability against the share of viewers who agree, {BINS} bins, test rows",
        ),
    ]


def _fer2013(scores: FloatArray, test: VotedFaces) -> Figure:
    known = np.flatnonzero(test.fer2013 != "")
    truth = np.array([EMOTIONS.index(label) for label in canonical_labels(test.fer2013[known])])
    seven = np.delete(scores[known], EMOTIONS.index("contempt"), axis=1)
    names = [label for label in EMOTIONS if label != "contempt"]
    found = np.array([EMOTIONS.index(label) for label in names])[seven.argmax(axis=1)]
    rule = "FER2013's own labels on the test rows, 7 classes, contempt left out before the softmax"
    return Figure("fer2013", float((found == truth).mean()), len(known), rule)
