"""Whether facial actions add anything to a model's features: the figures of docs/heads.md.

    python scripts/head_inputs.py --data FERPLUS

Heads that learn the votes of FER+ from the features of ``mien-mobilenet``, from facial actions and
head pose, and from all together, with the same faces and settings. They learn once from faces of
train, which the model itself was trained on, and once from three quarters of validation, which it
was not; the round is chosen on (the rest of) validation, and the test faces are used once. Only
faces with a trusted mesh count, in every part.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from mien.datasets import load_faces
from mien.expressions.heads import INPUTS, Head, input_columns, ordered_inputs
from mien.expressions.onnx import OnnxClassifier
from mien.faces.pose import head_angles
from mien.labels import EMOTIONS, FEATURES
from mien.plugins import find_model, load_face_models
from mien.training.heads.alignment import LabeledFeatures
from mien.training.heads.features import features_of
from mien.training.heads.train import HeadRecipe, train_head
from mien.types import Faces, FloatArray

WHOLE = Faces(np.array([[3, 3, 45, 45]], np.float32))  # the images are crops of a detector
CHOICES = ((FEATURES,), INPUTS, ("actions", "pose"))


def read(data: Path, split: str, every: int) -> tuple[FloatArray, FloatArray]:
    """Features, actions and pose of the faces with a mesh, ``(n, d)``, and shares of votes."""
    faces = load_faces(data, split)
    faces = faces[np.arange(0, len(faces), every)]
    features = features_of(OnnxClassifier(find_model("mien-mobilenet"), threads=1), faces).values
    (model,) = load_face_models(["actions"], threads=1)
    rows = []
    for row in range(len(faces)):
        values = model.values(faces.image(row), WHOLE)
        assert values.mesh is not None
        _, yaw, roll = head_angles(values.mesh.rotations)
        columns = {**values.measures, "yaw_deg": yaw, "roll_deg": roll}
        rows.append([float(columns[name][0]) for name in input_columns(INPUTS)])
    both = np.concatenate([features, np.array(rows, np.float32)], axis=1)
    there = np.isfinite(both).all(axis=1)
    print(f"{split}: {len(faces)} faces, {there.mean():.1%} with a trusted mesh", flush=True)
    return both[there], faces.distribution[there]


def kl(truth: FloatArray, values: FloatArray) -> FloatArray:
    """``(n,)``: divergence of predictions from the votes, nats."""
    ratio = np.log(np.maximum(truth, 1e-9)) - np.log(np.maximum(values, 1e-9))
    return np.asarray((truth * ratio).sum(axis=1), np.float32)


def main() -> None:
    """Print a row for each choice of inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3, help="of train, only every n-th row")
    options = parser.parse_args()
    train, validation, test = (
        read(options.data, name, step)
        for name, step in (("train", options.every), ("validation", 1), ("test", 1))
    )
    later = np.arange(len(validation[0])) % 4 == 3
    split = tuple(part[~later] for part in validation), tuple(part[later] for part in validation)
    learned = (("train", train, validation), ("validation", *split))
    width = test[0].shape[1] - len(input_columns(INPUTS))
    for name, learn, choose in learned:
        parts = {"train": learn, "validation": choose, "test": test}
        splits = np.concatenate([[part] * len(own[0]) for part, own in parts.items()]).astype(
            object
        )
        inputs = np.concatenate([own[0] for own in parts.values()])
        votes = np.concatenate([own[1] for own in parts.values()])
        first: FloatArray | None = None
        for chosen in CHOICES:
            columns = [np.arange(width)] if FEATURES in chosen else []
            every = input_columns(INPUTS)
            columns.append(
                width + np.array([every.index(c) for c in input_columns(chosen)], np.int64)
            )
            kept = np.concatenate(columns)
            people = np.arange(len(inputs)).astype(str).astype(object)
            rows = LabeledFeatures(
                inputs[:, kept],
                votes.astype(np.float32),
                EMOTIONS,
                people,
                people,
                splits,
                np.full(len(inputs), np.nan),
                "mien-mobilenet",
                "",
                ordered_inputs(chosen),
            )
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "head.onnx"
                train_head(rows, HeadRecipe("regression"), path, lambda line: None)
                values = Head(path).values(test[0][:, kept])
            losses = kl(test[1], values)
            first = losses if first is None else first
            less = first - losses  # by the same faces
            error = 1.96 * float(less.std()) / len(less) ** 0.5
            r = [np.corrcoef(values[:, k], test[1][:, k])[0, 1] for k in range(len(EMOTIONS))]
            named = ", ".join(
                f"{label} {value:.3f}" for label, value in zip(EMOTIONS, r, strict=True)
            )
            print(
                f"{name} {len(learn[0])}, test {len(test[0])}, {'+'.join(chosen)}: "
                f"KL {losses.mean():.4f}, less by {less.mean():.4f} (+-{error:.4f}); r {named}",
                flush=True,
            )


if __name__ == "__main__":
    main()
