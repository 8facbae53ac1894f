"""From labelled faces to what a network shall say of each: a `Lesson`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.datasets import VotedFaces
from mien.errors import InputError, UsageError
from mien.labels import EMOTIONS, canonical
from mien.training.expressions.recipe import Recipe

TARGETS = ("votes", "majority", "fer2013")


@dataclass(frozen=True, eq=False)
class Lesson:
    """n pictures and what to say of them.

    Attributes:
        names: ``(n,)`` the pictures' names.
        pictures: ``(n, h, w)`` uint8 grey or ``(n, 3, h, w)``.
        targets: ``(n, k)`` float32, rows sum to 1.
        weights: ``(n,)`` float32, how much a row counts.
        answers: ``(n,)`` int64, the label that counts as right; -1 where there is none.
    """

    names: npt.NDArray[np.str_]
    pictures: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    answers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def first(self, count: int) -> Lesson:
        """The same lesson, cut short."""
        return Lesson(
            self.names[:count],
            self.pictures[:count],
            self.targets[:count],
            self.weights[:count],
            self.answers[:count],
        )


def lesson(recipe: Recipe, faces: VotedFaces) -> Lesson:
    """What the recipe makes of the faces: votes as soft labels, or one label a face.

    Faces that say nothing for the recipe's labels are left out: with "majority" those on which
    viewers disagree, with "fer2013" those without the older label.

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
        # A face on which few of the ten named an emotion says less.
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
    return Lesson(
        faces.names[kept],
        faces.pictures[kept],
        targets[kept].astype(np.float32),
        weights[kept].astype(np.float32),
        answers[kept],
    )


def for_training(recipe: Recipe, told: Lesson) -> Lesson:
    """The lesson with the recipe's label smoothing and class weights."""
    targets, weights = told.targets, told.weights
    count = targets.sum(axis=0)
    if recipe.class_weights:
        share = np.maximum(count, 1) / len(targets) * targets.shape[1]
        rarity = targets @ (share**-recipe.class_weights)
        weights = weights * rarity / np.average(rarity, weights=weights)
    if recipe.label_smoothing:
        targets = (1 - recipe.label_smoothing) * targets
        targets = targets + recipe.label_smoothing / targets.shape[1]
    return Lesson(
        told.names,
        told.pictures,
        targets.astype(np.float32),
        weights.astype(np.float32),
        told.answers,
    )
