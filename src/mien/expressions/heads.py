"""Heads: small networks on the features of a model, each in a file of its own.

A head is trained on the input of the model's last layer (`mien.training.heads.train`), see
`mien.models.feature_model`. The model itself runs once, whatever the number of heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from mien.errors import MienError, ModelError, UsageError
from mien.expressions.base import Activations, ClassifierDescription
from mien.expressions.onnx import OnnxClassifier
from mien.labels import FEATURES
from mien.models.card import CropSpec, ModelCard, check_labels
from mien.models.feature_model import FeatureCard, FeatureModel
from mien.models.session import file_sha256
from mien.types import Crops, FloatArray, Scores

INPUT, OUTPUT = "features", "values"
#: Ends the name of the column that says whether something is present: "AU12_present".
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
class HeadCard(FeatureCard):
    """The card of a head.

    Attributes:
        task: one of `TASKS`.
        columns: names of the outputs; for "expression" the labels.
        thresholds: for "action-units" and "multilabel" the probability from which on a column
            counts as present, one for each column; () for the other tasks.
        name, size, model, model_sha256, training_data, licence, figures, protocol: see
            `FeatureCard`.
    """

    key = "mien.head"
    what = "a head"
    made_by = "mien train-head"
    renamed: ClassVar[Mapping[str, str]] = {"d": "size"}

    task: Task
    columns: tuple[str, ...]
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.columns, f"the head {self.name!r}")
        needed = len(self.columns) if self.task in ("action-units", "multilabel") else 0
        if len(self.thresholds) != needed:
            raise ModelError(
                f"the head {self.name!r} needs {needed} thresholds, got {len(self.thresholds)}."
            )

    @property
    def measures(self) -> tuple[str, ...]:
        """The columns that it adds to the ``faces`` table besides labels."""
        if self.task == "expression":
            return ()
        return (*self.columns, *(name + PRESENT for name in self.columns if self.thresholds))


class Head(FeatureModel[HeadCard]):
    """One head, opened from its file.

    Args:
        path: an ``.onnx`` file that ``mien train-head`` wrote.

    Raises:
        ModelError: the file is missing or broken, or is no head.
    """

    card_type = HeadCard
    mismatch: ClassVar[type[MienError]] = ModelError

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, threads=1)
        self._net.check((self.card.size,), {OUTPUT: len(self.card.columns)})

    @property
    def summary(self) -> dict[str, Any]:
        """The head in the settings of a table: name, SHA-256, task and thresholds by column."""
        least = dict(zip(self.card.columns, self.card.thresholds, strict=False))
        head = {"name": self.card.name, "sha256": self.sha256, "task": self.card.task}
        return head | ({"thresholds": least} if least else {})

    def values(self, features: FloatArray) -> FloatArray:
        """``(n, k)`` outputs for ``(n, d)`` features: a distribution, probabilities or numbers.

        Raises:
            ModelError: the features are not d long.
        """
        if features.ndim != 2 or features.shape[1] != self.card.size:
            raise ModelError(
                f"{self.path.name} takes {self.card.size} features of {self.card.model} for each "
                f"face, got {features.shape[-1]}."
            )
        if not len(features):
            return np.zeros((0, len(self.card.columns)), np.float32)
        return np.asarray(self._net.run([OUTPUT], features.astype(np.float32))[0], np.float32)

    def measures(self, features: FloatArray) -> dict[str, FloatArray]:
        """The columns that it adds, each ``(n,)``; {} for an expression head."""
        if self.card.task == "expression":
            return {}
        values = self.values(features)
        columns = dict(zip(self.card.columns, values.T, strict=True))
        for name, least in zip(self.card.columns, self.card.thresholds, strict=False):
            columns[name + PRESENT] = (columns[name] >= least).astype(np.float32)
        return columns

    def check(self, model: OnnxClassifier) -> None:
        """Make sure that this model's features are those that the head was trained on.

        Raises:
            ModelError: they are another model's, or it has none.
        """
        if not model.card.embedding:
            raise ModelError(f"{model.card.name} has no features output, so no head fits it.")
        self.check_features(model.card.name, file_sha256(model.path))


class HeadedClassifier:
    """A model with heads on its features: the plug `EmotionClassifier`.

    An expression head replaces the model's distribution and its labels. Every other head adds
    columns: numbers by their names; for what is present or absent its probability and, as
    ``NAME_present``, 1 where that reaches the threshold chosen in training, else 0 (as OpenFace
    has ``AU12_r`` and ``AU12_c``). A column that the model has too is replaced by the head's.

    Args:
        model: computes the features.
        heads: at most one for expressions, and no column twice.

    Raises:
        ModelError: a head was trained on the features of another model.
        UsageError: two heads have the same column.
    """

    def __init__(self, model: OnnxClassifier, heads: Sequence[Head]) -> None:
        for head in heads:
            head.check(model)
        names = [name for head in heads for name in head.card.measures]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"two heads have the column {twice!r}: leave one out.")
        of_expressions = [head for head in heads if head.card.task == "expression"]
        if len(of_expressions) > 1:
            both = " and ".join(head.card.name for head in of_expressions[:2])
            raise UsageError(f"{both} both predict expressions: leave one out.")
        self.heads: tuple[Head, ...] = tuple(heads)
        self._expression = of_expressions[0] if of_expressions else None
        self._model, self._also = model, model.also
        self._with_features = model.with_outputs(FEATURES)

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
        """The further outputs that the model was asked for."""
        return self._also

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
        """Side of the crops, pixels."""
        return self._model.input_size

    @property
    def crop(self) -> CropSpec:
        """How the crops are cut."""
        return self._model.crop

    @property
    def description(self) -> ClassifierDescription:
        """Of the model, with the heads' columns."""
        return replace(
            self._model.description,
            measures=self.measures,
            heads=tuple(head.summary for head in self.heads),
        )

    def __repr__(self) -> str:
        names = ", ".join(head.card.name for head in self.heads)
        return f"{type(self).__name__}({self._model!r}, heads: {names})"

    def classify(self, crops: Crops) -> Scores:
        """Classify ``(n, S, S, 3)`` uint8 RGB crops, in one pass of the model."""
        scores = self._with_features.classify(crops)
        features = scores.embeddings[FEATURES]
        measures = dict(scores.measures)
        for head in self.heads:
            measures |= head.measures(features)
        replacing = self._expression
        values = scores.values if replacing is None else replacing.values(features)
        embeddings = {name: v for name, v in scores.embeddings.items() if name in self._also}
        return Scores(values, self.labels, measures=measures, embeddings=embeddings)

    def activations(self, crops: Crops) -> Activations:
        """Those of the model itself, without the heads."""
        return self._model.activations(crops)
