"""Heads: small networks on the features of a model, each in a file of its own.

A head is trained on what the model's last layer sees (`mien.training.heads.train`) and fits that
one
model file: its card names it. The network in front of it runs once, whatever the number of heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mien.errors import ModelError, UsageError
from mien.expressions.base import Activations
from mien.expressions.onnx import OnnxClassifier
from mien.labels import FEATURES
from mien.models.card import Card, CropSpec, ModelCard, card_of, check_labels
from mien.models.session import Session, file_sha256
from mien.types import Crops, FloatArray, Scores

METADATA_KEY = "mien.head"
INPUT, OUTPUT = "features", "values"
#: What the second column of something that is there or not is called: "AU12_present".
PRESENT = "_present"

Task = Literal["expression", "valence-arousal", "action-units", "regression", "multilabel"]
TASKS: tuple[Task, ...] = (
    "expression",
    "valence-arousal",
    "action-units",
    "regression",
    "multilabel",
)


@dataclass(frozen=True)
class HeadCard(Card):
    """Everything about a head that its weights do not say.

    Attributes:
        name: what the head is called.
        task: one of `TASKS`.
        columns: names of the outputs; for "expression" the labels.
        model, model_sha256: name and SHA-256 of the model file whose features it takes; the hash
            is "" where it was not known.
        d: how many features there are.
        thresholds: for "action-units" and "multilabel" the probability from which on a column
            counts as present, one a column; () for the other tasks.
        training_data: what it was trained on, in words.
        licence: of the weights and of the labels behind them.
        figures: measured on rows that it did not learn from, by name.
        protocol: how they were measured, a sentence each.
    """

    what = "the head"

    name: str
    task: Task
    columns: tuple[str, ...]
    model: str
    model_sha256: str
    d: int
    thresholds: tuple[float, ...] = ()
    training_data: str = "unknown"
    licence: str = "unknown"
    figures: Mapping[str, float] = field(default_factory=dict)
    protocol: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.columns, f"the head {self.name!r}")
        if self.d < 1:
            raise ModelError(f"the head {self.name!r} takes {self.d} features: 1 is the least.")
        wanted = len(self.columns) if self.task in ("action-units", "multilabel") else 0
        if len(self.thresholds) != wanted:
            raise ModelError(
                f"the head {self.name!r} needs {wanted} thresholds, got {len(self.thresholds)}."
            )

    @property
    def measures(self) -> tuple[str, ...]:
        """The columns that it adds to the ``faces`` table besides labels."""
        if self.task == "expression":
            return ()
        return (*self.columns, *(name + PRESENT for name in self.columns if self.thresholds))


class Head:
    """One head, opened from its file.

    Args:
        path: an ``.onnx`` file that ``mien train-head`` wrote.

    Raises:
        ModelError: the file is missing or broken, or is no head.
    """

    def __init__(self, path: str | Path) -> None:
        self._net = Session(path, threads=1)
        text = self._net.metadata.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{path} is no head: mien train-head writes those.")
        with card_of(self.path):
            self.card = HeadCard.from_json(text)
        self._net.check((self.card.d,), {OUTPUT: len(self.card.columns)})
        self.sha256 = file_sha256(self.path)

    @property
    def path(self) -> Path:
        """The file."""
        return self._net.path

    @property
    def summary(self) -> dict[str, Any]:
        """What a table's settings keep of it: name, SHA-256, task and thresholds by column."""
        least = dict(zip(self.card.columns, self.card.thresholds, strict=False))
        told = {"name": self.card.name, "sha256": self.sha256, "task": self.card.task}
        return told | ({"thresholds": least} if least else {})

    def values(self, features: FloatArray) -> FloatArray:
        """``(n, k)`` outputs for ``(n, d)`` features: a distribution, probabilities or numbers.

        Raises:
            ModelError: the features are not d long.
        """
        if features.ndim != 2 or features.shape[1] != self.card.d:
            raise ModelError(
                f"{self.path.name} wants {self.card.d} features of {self.card.model} a face, "
                f"got {features.shape[-1]}."
            )
        if not len(features):
            return np.zeros((0, len(self.card.columns)), np.float32)
        return np.asarray(self._net.run([OUTPUT], features.astype(np.float32))[0], np.float32)

    def measures(self, features: FloatArray) -> dict[str, FloatArray]:
        """The columns that it adds, each ``(n,)``; {} for an expression head."""
        if self.card.task == "expression":
            return {}
        values = self.values(features)
        told = dict(zip(self.card.columns, values.T, strict=True))
        for name, least in zip(self.card.columns, self.card.thresholds, strict=False):
            told[name + PRESENT] = (told[name] >= least).astype(np.float32)
        return told

    def check(self, model: OnnxClassifier) -> None:
        """Make sure that this model's features are those that the head learned from.

        Raises:
            ModelError: they are another model's.
        """
        found = file_sha256(model.path)
        if self.card.model_sha256 not in ("", found):
            raise ModelError(
                f"{self.path.name} was trained on features of {self.card.model} "
                f"({self.card.model_sha256[:8]}), not of {model.card.name} ({found[:8]}): "
                "train it again on features of this model."
            )
        if not model.card.embedding:
            raise ModelError(f"{model.card.name} gives no features, so no head fits it.")


class HeadedClassifier:
    """A model with heads on its features: the plug `EmotionClassifier`.

    An expression head replaces the model's distribution and its labels. Every other head adds
    columns: numbers by their names, and for what is there or not its probability and, as
    ``NAME_present``, 1 where that reaches the threshold chosen in training, else 0 (as OpenFace
    gives ``AU12_r`` and ``AU12_c``: a threshold that no table shows is not used). A column that
    the model gives too is the head's.

    Args:
        model: gives the features.
        heads: at most one for expressions, and no column twice.

    Raises:
        ModelError: a head was trained on the features of another model.
        UsageError: two heads give the same.
    """

    def __init__(self, model: OnnxClassifier, heads: Sequence[Head]) -> None:
        for head in heads:
            head.check(model)
        names = [name for head in heads for name in head.card.measures]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"two heads give the column {twice!r}: leave one out.")
        told = [head for head in heads if head.card.task == "expression"]
        if len(told) > 1:
            raise UsageError(
                f"{told[0].card.name} and {told[1].card.name} both tell expressions: leave one out."
            )
        self.heads = tuple(heads)
        self._expression = told[0] if told else None
        self._model, self._asked = model, model.also
        self._seeing = model.asked(FEATURES)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._model.card

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._model.path

    @property
    def also(self) -> tuple[str, ...]:
        """What the model was asked for besides."""
        return self._asked

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of the distribution."""
        head = self._expression
        return self._model.labels if head is None else head.card.columns

    @property
    def measures(self) -> tuple[str, ...]:
        """The further columns: the model's, then the heads'."""
        added = [name for head in self.heads for name in head.card.measures]
        return tuple(dict.fromkeys((*self._model.measures, *added)))

    @property
    def input_size(self) -> int:
        """Side of the squares, pixels."""
        return self._model.input_size

    @property
    def crop(self) -> CropSpec:
        """How the squares are cut."""
        return self._model.crop

    def classify(self, crops: Crops) -> Scores:
        """Judge ``(n, S, S, 3)`` uint8 RGB squares, in one pass of the model."""
        scores = self._seeing.classify(crops)
        features = scores.embeddings[FEATURES]
        measures = dict(scores.measures)
        for head in self.heads:
            measures |= head.measures(features)
        told = self._expression
        values = scores.values if told is None else told.values(features)
        kept = {name: v for name, v in scores.embeddings.items() if name in self._asked}
        return Scores(values, self.labels, measures=measures, embeddings=kept)

    def activations(self, crops: Crops) -> Activations:
        """Those of the model itself, without the heads."""
        return self._model.activations(crops)
