"""Images and targets to train a network on: `TrainingSet`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mien.datasets import VotedFaces
from mien.errors import InputError, UsageError
from mien.labels import EMOTIONS, canonical
from mien.training.expressions.recipe import Recipe

TARGETS = ("votes", "majority", "fer2013")


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """n images and their targets.

    Attributes:
        names: ``(n,)`` the images' names.
        images: ``(n, h, w)`` uint8 gray or ``(n, 3, h, w)``.
        targets: ``(n, k)`` float32, rows sum to 1.
        weights: ``(n,)`` float32, of the rows.
        answers: ``(n,)`` int64, the label; -1 where there is none.
        taught: ``(n, k)`` float32, the opinion of a teacher; None without one.
    """

    names: npt.NDArray[np.str_]
    images: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    answers: npt.NDArray[np.int64]
    taught: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def first(self, count: int) -> TrainingSet:
        """The first rows."""
        return TrainingSet(
            self.names[:count],
            self.images[:count],
            self.targets[:count],
            self.weights[:count],
            self.answers[:count],
            None if self.taught is None else self.taught[:count],
        )


def training_set(recipe: Recipe, faces: VotedFaces) -> TrainingSet:
    """The faces with the recipe's targets: votes as soft labels, or one label for each face.

    Faces without any are left out: with "majority" those on which annotators disagree, with
    "fer2013" those without the older label.

    Raises:
        UsageError: an unknown label or kind of target.
        InputError: no face is left.
    """
    labels = tuple(canonical(label) for label in recipe.labels)
    columns = [EMOTIONS.index(label) for label in labels]
    place = np.full(len(EMOTIONS) + 1, -1)
    place[columns] = np.arange(len(columns))
    votes = faces.votes[:, columns]
    answers = place[faces.majority]
    if recipe.targets == "votes":
        kept = votes.sum(axis=1) > 0
        # A face for which few of the ten named an emotion counts less.
        targets, weights = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9), votes.sum(1)
        weights = weights / 10
    elif recipe.targets in TARGETS:
        if recipe.targets == "fer2013" and (faces.fer2013 != "").any():
            numbers = [EMOTIONS.index(canonical(n)) if n else -1 for n in faces.fer2013]
            answers = place[np.array(numbers, np.int64)]
        kept = answers >= 0
        targets = np.eye(len(labels))[np.maximum(answers, 0)]
        weights = np.ones(len(faces))
    else:
        raise UsageError(f"targets are {', '.join(TARGETS)}, got {recipe.targets!r}.")
    if not kept.any():
        raise InputError(f"no face has one of the labels {', '.join(labels)}.")
    return TrainingSet(
        faces.names[kept],
        faces.images[kept],
        targets[kept].astype(np.float32),
        weights[kept].astype(np.float32),
        answers[kept],
    )


def for_training(recipe: Recipe, data: TrainingSet) -> TrainingSet:
    """The data with the recipe's label smoothing and class weights."""
    targets, weights = data.targets, data.weights
    count = targets.sum(axis=0)
    if recipe.class_weights:
        share = np.maximum(count, 1) / len(targets) * targets.shape[1]
        rarity = targets @ (share**-recipe.class_weights)
        weights = weights * rarity / np.average(rarity, weights=weights)
    if recipe.label_smoothing:
        targets = (1 - recipe.label_smoothing) * targets
        targets = targets + recipe.label_smoothing / targets.shape[1]
    return replace(data, targets=targets.astype(np.float32), weights=weights.astype(np.float32))
