"""Check the order of expressions by derived valence. The source of figures in docs/affect.md.

    python scripts/affect_check.py --data FERPLUS

Test rows of FER+, each with the votes of ten people. A row's group is the expression that more
than half of its voters chose: unpleasant (anger, sadness, disgust, fear), neutral, happiness; the
other rows do not take part. Printed is Spearman's rank correlation between group (0, 1, 2) and
valence, derived from the votes themselves and from what the model says, and the mean of each
expression. As ties in the group keep the correlation below 1, its highest possible value is
printed beside it: that of a valence which parts the three groups without a mistake.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.datasets import load_ferplus
from mien.evaluation import predict
from mien.expressions.affect import COORDINATES, affect
from mien.labels import EMOTIONS
from mien.plugins import load_classifier

ORDER = {"anger": 0, "sadness": 0, "disgust": 0, "fear": 0, "neutral": 1, "happiness": 2}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the correlations and a Markdown table of means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with test.parquet")
    parser.add_argument("--model", default="mien-mobilenet")
    options = parser.parse_args(arguments)
    faces = load_ferplus(options.data, "test")
    classifier = load_classifier(options.model)
    names = [EMOTIONS[i] if i >= 0 else "" for i in faces.majority]
    group = np.array([ORDER.get(name, -1) for name in names])
    rows = np.flatnonzero(group >= 0)
    best = spearman(group[rows], group[rows] + np.linspace(0, 0.1, len(rows)))
    samples = {
        "votes": affect(faces.distribution, EMOTIONS),
        options.model: affect(predict(classifier, faces.images), EMOTIONS),
    }
    print(
        f"{len(rows)} of {len(faces)} test rows; the highest possible correlation is {best:.3f}\n"
    )
    for name, found in samples.items():
        print(f"- {name}: rank correlation of valence {spearman(group[rows], found[rows, 0]):.3f}")
    between = spearman(*(found[:, 0] for found in samples.values()))
    alike = spearman(*(found[:, 1] for found in samples.values()))
    print(f"- votes and {options.model}, all rows: valence {between:.3f}, arousal {alike:.3f}\n")
    print("| majority | rows | place | votes: valence, arousal | model: valence, arousal |")
    print("|---|--:|--:|--:|--:|")
    for label in sorted(EMOTIONS, key=lambda name: COORDINATES[name][0]):
        own = [i for i, name in enumerate(names) if name == label]
        means = [found[own].mean(axis=0) for found in samples.values()]
        cells = " | ".join(f"{v:+.2f}, {a:+.2f}" for v, a in (COORDINATES[label], *means))
        print(f"| {label} | {len(own)} | {cells} |")


def spearman(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Pearson's correlation of the ranks; ties share the mean of their ranks."""
    import pandas as pd

    ranks = [pd.Series(np.asarray(values)).rank().to_numpy() for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


if __name__ == "__main__":
    main()
