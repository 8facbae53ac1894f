"""Measure other base rates (`--prior`). The source of figures in docs/evaluating.md.

    python scripts/prior_check.py --data FERPLUS

Printed are the base rates of the training rows (mean share of the votes), and for several exponents
tau what the weights for balanced base rates do on the validation rows, on which tau is chosen, and
on ``lists/literature_test.csv``: accuracy, mean recall over the labels, calibration error of the
top probability against the label, the same where each label counted equally often, as the prior
assumes, calibration error against the share of viewers who agree, and KL divergence from the votes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.datasets import VotedFaces, load_ferplus, read_list
from mien.evaluation import predict
from mien.evaluation.metrics import calibration_error, divergence
from mien.expressions.base_rates import load_prior
from mien.labels import EMOTIONS
from mien.plugins import load_classifier
from mien.types import FloatArray, Floats, IntArray

Bools = npt.NDArray[np.bool_]
MODEL = "mien-mobilenet"
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
BINS = 15


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the base rates and two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    train = load_ferplus(options.data, "train")
    rates = zip(EMOTIONS, train.distribution.mean(axis=0), strict=True)
    print(f"{len(train)} training faces:", ", ".join(f"{n} {v:.4f}" for n, v in rates))
    validation, test = (load_ferplus(options.data, name) for name in ("validation", "test"))
    rows = np.flatnonzero(validation.majority >= 0)
    measured("validation", validation, rows, validation.majority[rows])
    listed = read_list(options.data / "lists" / "literature_test.csv")
    row_of = {name: row for row, name in enumerate(test.names)}
    rows = np.array([row_of[name] for name in listed])
    measured("literature_test", test, rows, np.array([EMOTIONS.index(n) for n in listed.values()]))


def measured(name: str, faces: VotedFaces, rows: IntArray, truth: IntArray) -> None:
    """Print one table."""
    classifier = load_classifier(MODEL)
    scores = predict(classifier, faces.images[rows])
    votes = faces.distribution[rows]
    counts = np.bincount(truth, minlength=len(EMOTIONS))
    print(f"\n{name}: {len(rows)} faces ({', '.join(map(str, counts))})\n")
    print(
        "| tau | accuracy | mean recall | ECE | ECE, balanced | ECE, votes | KL | recall of each |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|---|")
    for tau in TAUS:
        new = load_prior("balanced", classifier, tau).values(scores, EMOTIONS)
        top = new.argmax(axis=1)
        right = top == truth
        recalls = [right[truth == label].mean() for label in range(len(EMOTIONS))]
        confidence = new.max(axis=1)
        agreed = votes[np.arange(len(top)), top]
        cells = [
            f"{100 * right.mean():.1f} %",
            f"{100 * np.mean(recalls):.1f} %",
            f"{calibration_error(confidence, right.astype(np.float32)):.3f}",
            f"{weighted_error(confidence, right, 1 / counts[truth]):.3f}",
            f"{calibration_error(confidence, agreed):.3f}",
            f"{divergence(new, votes):.3f}",
            " ".join(f"{100 * recall:.0f}" for recall in recalls),
        ]
        print(f"| {tau:g} | {' | '.join(cells)} |")


def weighted_error(confidence: FloatArray, right: Bools, weights: Floats) -> float:
    """The calibration error where each face counts as much as its weight."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, weights * (confidence - right), BINS)
    return float(np.abs(gaps).sum() / weights.sum())


if __name__ == "__main__":
    main()
