"""Valence and arousal from a whole distribution: the mean place of its words in a plane.

The plane is that of Russell 1980 ("A circumplex model of affect", Journal of Personality and
Social Psychology 39): unpleasant to pleasant across, calm to excited upwards, both from -1 to 1.
Where each word lies in it is taken from Russell and Mehrabian 1977 ("Evidence for a three-factor
theory of emotions", Journal of Research in Personality 11, 273-294), Table 4: 151 words for
emotions, the mean pleasure and arousal that people gave to each. See ``docs/affect.md`` for what
of that could be checked.
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

#: What an analyzer is asked for to get valence and arousal where its model does not measure them.
AFFECT = "affect"
#: The setting that says which columns are derived, and from what.
DERIVED = "derived"
#: Where the places come from, in short.
SOURCE = "Russell and Mehrabian 1977, Table 4"
#: Valence and arousal of each expression: the words happy, surprised, sad, angry, disgusted,
#: fearful and contemptuous; neutral is the middle of both scales, by choice.
PLACES: Mapping[str, tuple[float, float]] = MappingProxyType(
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


def places(labels: Sequence[str]) -> FloatArray:
    """``(k, 2)``: valence and arousal of each label.

    Raises:
        UsageError: a label is none of the vocabulary, so nobody knows its place.
    """
    known = [known_as(label) for label in labels]
    strange = [label for label, name in zip(labels, known, strict=True) if name is None]
    if strange:
        raise UsageError(
            f"valence and arousal cannot be derived: nobody has measured where {strange[0]!r} "
            f"lies; leave it out, or use a model of {', '.join(PLACES)}."
        )
    return np.array([PLACES[name] for name in known if name], np.float32).reshape(-1, 2)


def affect(probabilities: npt.ArrayLike, labels: Sequence[str]) -> FloatArray:
    """The mean place under each distribution.

    Args:
        probabilities: ``(n, k)``, rows that sum to 1; or smoothed ones, as the mean of places is
            the place of the mean.
        labels: the k names of the columns, in any spelling that `mien.labels` knows.

    Returns:
        ``(n, 2)`` float32: valence and arousal, -1 to 1.

    Raises:
        UsageError: a label has no place, or the shapes do not fit.
    """
    coordinates = places(labels)
    values = np.asarray(probabilities, np.float32)
    if values.ndim != 2 or values.shape[1] != len(coordinates):
        raise UsageError(f"{len(coordinates)} labels need (n, {len(coordinates)}) probabilities.")
    return np.asarray(values @ coordinates, np.float32)


def missing(measures: Sequence[str]) -> tuple[str, ...]:
    """Which of valence and arousal are not among the measures, so that they are to be derived."""
    return tuple(name for name in MEASURES if name not in measures)


def told(names: Sequence[str]) -> str:
    """The text of the setting `DERIVED` for these columns; empty for none."""
    return f"{' and '.join(names)} from the probabilities, by {SOURCE}" if names else ""


def with_affect(scores: Scores) -> Scores:
    """The same scores with valence and arousal; what the model measured itself stays.

    Raises:
        UsageError: they are no probabilities, or a label has no place.
    """
    names = missing(tuple(scores.measures))
    if not names:
        return scores
    if scores.kind != "probability":
        raise UsageError("valence and arousal are derived from probabilities; these are none.")
    found = dict(zip(MEASURES, affect(scores.values, scores.labels).T, strict=True))
    return replace(scores, measures={**scores.measures, **{n: found[n] for n in names}})


def with_columns(faces: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """A ``faces`` table with the columns ``valence`` and ``arousal`` behind the labels.

    Measured columns stay as they are.

    Raises:
        UsageError: the scores are no probabilities, or a label has no place.
    """
    names = missing(tuple(map(str, faces.columns)))
    values = faces[list(labels)].to_numpy(np.float32)
    if names and not np.allclose(values.sum(axis=1), 1, atol=1e-2):
        raise UsageError("valence and arousal are derived from probabilities; these are none.")
    found = faces.copy()
    for name, column in zip(MEASURES, affect(values, labels).T if names else (), strict=False):
        if name in names:
            before = name == MEASURES[0] or MEASURES[0] not in found
            behind = labels[-1] if before else MEASURES[0]
            found.insert(list(found.columns).index(behind) + 1, name, column)
    return found
