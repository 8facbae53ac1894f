"""What each action unit is worth: the table of docs/actions.md.

    python scripts/action_validity.py --data FERPLUS

Validation rows of FER+ (48 px, ten voters each) whose strict majority chose one expression. For
each unit: its mean over neutral faces, its 95th percentile over all, and for each expression that
FACS literature (EMFACS, Ekman and Friesen 1978) expects it in, the area under the ROC curve against
neutral faces: 0.5 tells nothing, 1 separates all. An area of the wrong side of 0.5 contradicts the
literature. A unit whose 95th percentile is below 0.02 never moves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import mien
from mien.datasets import load_ferplus
from mien.expressions.actions import ACTION_UNITS, UNMOVED_UNITS
from mien.labels import EMOTIONS
from mien.plugins import load_face_models
from mien.types import Faces, FloatArray

#: Units of the prototypes of EMFACS, and opened lips and jaw (25, 26) where they are usual.
EXPECTED = {
    "happiness": ("AU06", "AU12"),
    "surprise": ("AU01", "AU02", "AU05", "AU26"),
    "sadness": ("AU01", "AU04", "AU15", "AU17"),
    "anger": ("AU04", "AU05", "AU07", "AU10", "AU22", "AU24"),
    "disgust": ("AU09", "AU10", "AU15", "AU16", "AU17"),
    "fear": ("AU01", "AU02", "AU04", "AU05", "AU20", "AU26"),
    "contempt": ("AU14",),
}
_MOVING = 0.02


def auc(positive: FloatArray, negative: FloatArray) -> float:
    """The chance that a positive value is larger than a negative one; ties count half."""
    both = np.concatenate([positive, negative])
    _, place, count = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with validation.parquet")
    parser.add_argument("--every", type=int, default=1, help="only every n-th row")
    options = parser.parse_args()
    data = load_ferplus(options.data, "validation")
    (model,) = load_face_models(["actions"])
    # The images are the crops of a detector: the box is a little inside.
    whole = Faces(np.array([[3, 3, 45, 45]], np.float32))
    rows, names = [], []
    step = slice(None, None, options.every)
    for image, top in zip(data.images[step], data.majority[step], strict=True):
        if top >= 0:
            color = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
            rows.append({k: float(v[0]) for k, v in model.values(color, whole).measures.items()})
            names.append(EMOTIONS[top])
    labels = np.array(names)
    presence = np.array([row["mesh_presence"] for row in rows])
    trusted = presence >= 0.5
    print(f"{len(rows)} faces, mesh trusted in {trusted.mean():.1%}; {mien.__version__}\n")
    counts = {name: int(((labels == name) & trusted).sum()) for name in EMOTIONS}
    print(", ".join(f"{name} {count}" for name, count in counts.items()), "\n")
    print("| unit | shapes | neutral, mean | 95 % below | expected in, AUC against neutral |")
    print("|---|---|--:|--:|---|")
    for unit, shapes in sorted({**ACTION_UNITS, **UNMOVED_UNITS}.items()):
        values = np.array([[row[shape] for shape in shapes] for row in rows], np.float32)
        values = values.mean(axis=1)
        neutral = values[trusted & (labels == "neutral")]
        top = float(np.quantile(values[trusted], 0.95))
        areas = [
            f"{name} {auc(values[trusted & (labels == name)], neutral):.2f}"
            for name, units in EXPECTED.items()
            if unit in units
        ]
        note = "never moves" if top < _MOVING else ", ".join(areas) or "–"
        print(f"| {unit} | {', '.join(shapes)} | {neutral.mean():.2f} | {top:.2f} | {note} |")


if __name__ == "__main__":
    main()
