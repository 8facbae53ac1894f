"""Training, validation and test for data that comes as one set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mien.datasets.duplicates import join, root, twin_groups
from mien.datasets.faces import LabelledFaces
from mien.errors import InputError, UsageError
from mien.types import IntArray


def split_faces(
    faces: LabelledFaces,
    validation: float = 0.15,
    test: float = 0.15,
    *,
    together: str | None = None,
    seed: int = 0,
) -> LabelledFaces:
    """The same faces with `splits` filled: "train", "validation" and "test".

    Every label is divided by the same shares, as far as its number allows. Twins (see
    `mien.datasets.duplicates`) stay in one split, and so do rows with the same value in the column
    `together`: name the column with the person, or the model is tested on faces that it knows.

    Args:
        faces: rows of all labels.
        validation, test: shares of the rows, 0 or more; the rest is for training.
        together: a column of `faces`, or None.
        seed: the same seed and the same faces give the same splits.

    Raises:
        UsageError: shares that leave nothing for training, or a column that does not exist.
        InputError: a split would be empty, because too many of the faces must stay together.
    """
    shares = {"train": 1 - validation - test, "validation": validation, "test": test}
    if validation < 0 or test < 0 or shares["train"] <= 0:
        raise UsageError(
            f"validation {validation:g} and test {test:g} must be 0 or more and leave some of the"
            " faces for training."
        )
    units = _units(faces, together)
    strata = faces.distribution.argmax(axis=1)
    rng = np.random.default_rng(seed)
    names = np.array([name for name, share in shares.items() if share > 0])
    # A unit counts for the label of its first row; the largest go first, to be evened out later.
    _, heads, sizes = np.unique(units, return_index=True, return_counts=True)
    places = np.zeros(len(heads), np.int64)
    for label in np.unique(strata):
        own = rng.permutation(np.flatnonzero(strata[heads] == label))
        own = own[np.argsort(-sizes[own], kind="stable")]
        open_ = np.array([shares[name] for name in names]) * sizes[own].sum()
        for unit in own:
            places[unit] = open_.argmax()
            open_[places[unit]] -= sizes[unit]
    splits = names[places[units]]
    for name in names.tolist():
        if name not in splits and shares[name] * len(faces) >= 1 and len(sizes) < len(faces):
            same = f" or have the same {together}" if together else ""
            raise InputError(
                f"the faces cannot be split, nothing is left for {name!r}: "
                f"{sizes[sizes > 1].sum():,} of {len(faces):,} are near-duplicates of each other"
                f"{same}, and those stay in one split; add faces that differ."
            )
    return replace(faces, splits=splits)


def _units(faces: LabelledFaces, together: str | None) -> IntArray:
    """``(n,)``: rows that must stay together share a number, 0 to the number of units."""
    groups = twin_groups(faces.thumbnails)
    alone = groups < 0
    groups[alone] = groups.max(initial=-1) + 1 + np.arange(alone.sum())
    if together is None:
        return _renumbered(groups)
    if together not in faces.columns:
        known = ", ".join(faces.columns) or "none"
        raise UsageError(f"the data has no column {together!r} to keep together; it has {known}.")
    parent = np.arange(len(faces))
    for keys in (groups, _renumbered(faces.columns[together])):
        heads = np.unique(keys, return_index=True)[1]
        for row, head in enumerate(heads[_renumbered(keys)].tolist()):
            join(parent, row, head)
    return _renumbered(np.array([root(parent, row) for row in range(len(parent))]))


def _renumbered(values: npt.NDArray[np.generic]) -> IntArray:
    return np.asarray(np.unique(values, return_inverse=True)[1].ravel(), np.int64)
