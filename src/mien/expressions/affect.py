"""Valence and arousal derived from probabilities: the weighted mean of the labels' coordinates.

The plane is that of Russell 1980 ("A circumplex model of affect", Journal of Personality and
Social Psychology 39): x from unpleasant to pleasant, y from calm to excited, both from -1 to 1.
The coordinates are those of Russell and Mehrabian 1977 ("Evidence for a three-factor theory of
emotions", Journal of Research in Personality 11, 273-294), Table 4: mean ratings of pleasure and
arousal of 151 words for emotions. ``docs/affect.md`` says which of them could be verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.labels import MEASURES, known_as
from mien.types import FloatArray, Scores

if TYPE_CHECKING:
    import pandas as pd

#: The name by which an analyzer is asked for valence and arousal.
AFFECT = "affect"
#: The setting that says which columns are derived, and from what.
DERIVED = "derived"
_NOT_PROBABILITIES = "valence and arousal are derived from probabilities, and these are scores."
#: Short reference for the coordinates.
SOURCE = "Russell and Mehrabian 1977, Table 4"
#: Valence and arousal of each expression: the words happy, surprised, sad, angry, disgusted,
#: fearful and contemptuous; neutral is the middle of both scales, by convention.
COORDINATES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "neutral": (0.0, 0.0),
        "happiness": (0.81, 0.51),
        "surprise": (0.40, 0.67),
        "sadness": (-0.63, -0.27),
        "anger": (-0.51, 0.59),
        "disgust": (-0.60, 0.35),
        "fear": (-0.64, 0.60),
        "contempt": (-0.24, 0.31),
    }
)


def coordinates_of(labels: Sequence[str]) -> FloatArray:
    """``(k, 2)``: valence and arousal of each label.

    Raises:
        UsageError: a label is not in the vocabulary, so it has no coordinates.
    """
    names = [known_as(label) for label in labels]
    unknown = [label for label, name in zip(labels, names, strict=True) if name is None]
    if unknown:
        raise UsageError(
            f"valence and arousal cannot be derived for label {unknown[0]!r}: leave it out, or use "
            f"a model of {', '.join(COORDINATES)}."
        )
    return np.array([COORDINATES[name] for name in names if name], np.float32).reshape(-1, 2)


def affect(probabilities: npt.ArrayLike, labels: Sequence[str]) -> FloatArray:
    """The probability-weighted mean of the coordinates of the labels.

    Args:
        probabilities: ``(n, k)``, rows that sum to 1, smoothed or not: the mean is linear.
        labels: the k names of the columns, in any spelling that `mien.labels` accepts.

    Returns:
        ``(n, 2)`` float32: valence and arousal, -1 to 1.

    Raises:
        UsageError: a label has no coordinates, or the shapes do not fit.
    """
    coordinates = coordinates_of(labels)
    values = np.asarray(probabilities, np.float32)
    if values.ndim != 2 or values.shape[1] != len(coordinates):
        raise UsageError(f"{len(coordinates)} labels need (n, {len(coordinates)}) probabilities.")
    return np.asarray(values @ coordinates, np.float32)


def missing(measures: Sequence[str]) -> tuple[str, ...]:
    """Which of valence and arousal are not among the measures and have to be derived."""
    return tuple(name for name in MEASURES if name not in measures)


def provenance_note(names: Sequence[str]) -> str:
    """The text of the setting `DERIVED` for these columns; empty for none."""
    return f"{' and '.join(names)} from the probabilities, by {SOURCE}" if names else ""


def with_affect(scores: Scores) -> Scores:
    """The scores with valence and arousal added, unless the model itself predicts them.

    Raises:
        UsageError: the scores are not probabilities, or a label has no coordinates.
    """
    names = missing(tuple(scores.measures))
    if not names:
        return scores
    if scores.kind != "probability":
        raise UsageError(_NOT_PROBABILITIES)
    derived = dict(zip(MEASURES, affect(scores.values, scores.labels).T, strict=True))
    return replace(scores, measures={**scores.measures, **{n: derived[n] for n in names}})


def with_columns(faces: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """A ``faces`` table with the columns ``valence`` and ``arousal`` after the labels.

    Columns that the model predicted are left unchanged.

    Raises:
        UsageError: the scores are not probabilities, or a label has no coordinates.
    """
    names = missing(tuple(map(str, faces.columns)))
    values = faces[list(labels)].to_numpy(np.float32)
    if names and not np.allclose(values.sum(axis=1), 1, atol=1e-2):
        raise UsageError(_NOT_PROBABILITIES)
    table = faces.copy()
    for name, column in zip(MEASURES, affect(values, labels).T if names else (), strict=False):
        if name in names:
            first = name == MEASURES[0] or MEASURES[0] not in table
            after = labels[-1] if first else MEASURES[0]
            table.insert(list(table.columns).index(after) + 1, name, column)
    return table
