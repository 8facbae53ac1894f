"""Heads: small networks on the features of a model, each in a file of its own.

A head is trained on the input of the model's last layer (`mien.training.heads.train`), see
`mien.models.feature_model`; on facial actions and head pose, or on all of these together. The model
itself runs once, whatever the number of heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from mien.errors import ModelError, UsageError
from mien.expressions.actions import BLENDSHAPES
from mien.expressions.base import Activations, ClassifierDescription
from mien.expressions.onnx import OnnxClassifier
from mien.labels import ACTIONS, FEATURES
from mien.models.card import CropSpec, ModelCard, check_labels
from mien.models.feature_model import FeatureCard, FeatureModel
from mien.models.session import file_sha256
from mien.types import Crops, FloatArray, Scores

INPUT, OUTPUT = "features", "values"
POSE = "pose"
#: What a head may learn from besides a model's features: columns of the ``faces`` table. Action
#: units are means of blendshapes and would say nothing more.
INPUT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    ACTIONS: (*BLENDSHAPES, "eye_openness_left", "eye_openness_right", "mouth_openness"),
    POSE: ("pitch_deg", "yaw_deg", "roll_deg"),
}
#: All that a head may learn from, in the order of its input.
INPUTS = (FEATURES, *INPUT_COLUMNS)
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
        inputs: some of `INPUTS`: what its input consists of, in this order.
        filling: means of the columns of `INPUT_COLUMNS` among them, from training; an expression
            head takes them where a mesh is missing.
        thresholds: for "action-units" and "multilabel" the probability from which on a column
            counts as present, one for each column; () for the other tasks.
        name, size, model, model_sha256, training_data, licence, figures, protocol: see
            `FeatureCard`.
    """

    key = "mien.head"
    what = "a head"
    made_by = "mien train-head"
    renamed: ClassVar = {"d": "size"}

    task: Task
    columns: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    inputs: tuple[str, ...] = (FEATURES,)
    filling: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inputs != ordered_inputs(self.inputs) or not self.inputs:
            raise ModelError(f"the head {self.name!r} has unknown inputs: {self.inputs}.")
        if len(self.filling) != len(self.further_columns):
            raise ModelError(
                f"the head {self.name!r} needs {len(self.further_columns)} numbers for filling, "
                f"got {len(self.filling)}."
            )
        check_labels(self.columns, f"the head {self.name!r}")
        needed = len(self.columns) if self.task in ("action-units", "multilabel") else 0
        if len(self.thresholds) != needed:
            raise ModelError(
                f"the head {self.name!r} needs {needed} thresholds, got {len(self.thresholds)}."
            )

    @property
    def further_columns(self) -> tuple[str, ...]:
        """The columns of the ``faces`` table that it takes after the features."""
        return input_columns(self.inputs)

    @property
    def measures(self) -> tuple[str, ...]:
        """The columns that it adds to the ``faces`` table besides labels."""
        if self.task == "expression":
            return ()
        return (*self.columns, *(name + PRESENT for name in self.columns if self.thresholds))


def ordered_inputs(names: Sequence[str]) -> tuple[str, ...]:
    """Those of `INPUTS` that are named, in the order of a head's input."""
    return tuple(name for name in INPUTS if name in names)


def input_columns(inputs: Sequence[str]) -> tuple[str, ...]:
    """The columns of the ``faces`` table behind some of `INPUTS`."""
    return tuple(column for name in inputs for column in INPUT_COLUMNS.get(name, ()))


class Head(FeatureModel[HeadCard]):
    """One head, opened from its file.

    Args:
        path: an ``.onnx`` file that ``mien train-head`` wrote.

    Raises:
        ModelError: the file is missing or broken, or is no head.
    """

    card_type = HeadCard
    mismatch = ModelError

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, threads=1)
        self._net.check((self.card.size,), {OUTPUT: len(self.card.columns)})

    @property
    def summary(self) -> dict[str, Any]:
        """The head in the settings of a table: name, SHA-256, task and thresholds by column."""
        least = dict(zip(self.card.columns, self.card.thresholds, strict=False))
        head: dict[str, Any] = {"name": self.card.name, "sha256": self.sha256}
        head["task"] = self.card.task
        if self.card.further_columns:
            head["inputs"] = list(self.card.inputs)
        return head | ({"thresholds": least} if least else {})

    def inputs(
        self, features: FloatArray | None, columns: Mapping[str, FloatArray], n: int
    ) -> FloatArray:
        """``(n, size)``: the input for n faces; NaN where a face has no mesh.

        Args:
            features: ``(n, d)``; None where the model has none.
            columns: of the ``faces`` table, each ``(n,)``; one that is missing is NaN.
            n: number of faces.
        """
        missing = np.full(n, np.nan, np.float32)
        further = [columns.get(name, missing) for name in self.card.further_columns]
        parts = [np.array(further, np.float32).reshape(len(further), n).T]
        if FEATURES in self.card.inputs and features is not None:
            parts.insert(0, features)
        return np.concatenate(parts, axis=1)

    def values(self, inputs: FloatArray) -> FloatArray:
        """``(n, k)`` outputs for ``(n, size)`` inputs: a distribution, probabilities or numbers.

        Where a face has no mesh, and the head needs one, they are NaN; an expression head takes
        the means from its training instead, since a distribution has no missing values.

        Raises:
            ModelError: the inputs are not that long.
        """
        card = self.card
        if inputs.ndim != 2 or inputs.shape[1] != card.size:
            further = len(card.further_columns)
            also = f" and {further} of {' and '.join(card.inputs)}" if further else ""
            raise ModelError(
                f"{self.path.name} takes {card.size - further} features of {card.model}{also} for "
                f"each face, got {inputs.shape[-1]}."
            )
        if not len(inputs):
            return np.zeros((0, len(card.columns)), np.float32)
        lost = ~np.isfinite(inputs).all(axis=1)
        if lost.any() and card.filling:
            inputs = inputs.copy()
            inputs[lost, -len(card.filling) :] = np.array(card.filling, np.float32)
        values = np.array(self._net.run([OUTPUT], inputs.astype(np.float32))[0], np.float32)
        if card.task != "expression":
            values[lost] = np.nan
        return values

    def measures(self, inputs: FloatArray) -> dict[str, FloatArray]:
        """The columns that it adds, each ``(n,)``; {} for an expression head."""
        if self.card.task == "expression":
            return {}
        values = self.values(inputs)
        columns = dict(zip(self.card.columns, values.T, strict=True))
        for name, least in zip(self.card.columns, self.card.thresholds, strict=False):
            present = np.where(np.isnan(columns[name]), np.nan, columns[name] >= least)
            columns[name + PRESENT] = present.astype(np.float32)
        return columns

    def check(self, model: OnnxClassifier) -> None:
        """Make sure that this model's features are those that the head was trained on.

        Raises:
            ModelError: they are another model's, or it has none.
        """
        if FEATURES not in self.card.inputs:
            return
        if not model.card.embedding:
            raise ModelError(f"{model.card.name} has no features output, so no head fits it.")
        self.check_features(model.card.name, file_sha256(model.path))


class HeadedClassifier:
    """A model with heads on its features: the plug `EmotionClassifier`.

    An expression head replaces the model's distribution and its labels. Every other head adds
    columns: numbers by their names; for what is present or absent its probability and, as
    ``NAME_present``, 1 where that reaches the threshold chosen in training, else 0 (as OpenFace
    has ``AU12_r`` and ``AU12_c``). A column that the model has too is replaced by the head's.

    Heads that also take facial actions or head pose need `completed`, which `mien.EmotionAnalyzer`
    calls; of crops alone their columns are missing.

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
        self.heads = tuple(heads)
        self._expression = of_expressions[0] if of_expressions else None
        self._model, self._also = model, model.also
        needed = any(FEATURES in head.card.inputs for head in heads)
        self._with_features = model.with_outputs(FEATURES) if needed else model

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

    @property
    def needs_mesh(self) -> bool:
        """Whether a head takes facial actions or head pose."""
        return any(head.card.further_columns for head in self.heads)

    def classify(self, crops: Crops) -> Scores:
        """Classify ``(n, S, S, 3)`` uint8 RGB crops, in one pass of the model."""
        scores = self._headed(self.heads, self._with_features.classify(crops), {})
        # `completed` takes the features once more.
        return scores if self.needs_mesh else self._as_requested(scores)

    def completed(
        self, classified: Scores, scores: Scores, columns: Mapping[str, FloatArray]
    ) -> Scores:
        """`scores` with the columns of all heads, once facial actions and head pose are known.

        Args:
            classified: what `classify` gave.
            scores: the same with the measures of further networks, which replaced columns of heads
                that have the same name.
            columns: head pose of the same faces, each ``(n,)``.
        """
        own = {name for head in self.heads for name in head.card.measures}
        kept = {name: column for name, column in classified.measures.items() if name in own}
        scores = replace(scores, measures={**scores.measures, **kept})
        late = [head for head in self.heads if head.card.further_columns]
        return self._as_requested(self._headed(late, scores, {**scores.measures, **columns}))

    def _headed(
        self, heads: Sequence[Head], scores: Scores, columns: Mapping[str, FloatArray]
    ) -> Scores:
        """`scores` with what some heads make of the features and of `columns`."""
        features, n = scores.embeddings.get(FEATURES), len(scores)
        measures, values = dict(scores.measures), scores.values
        for head in heads:
            inputs = head.inputs(features, columns, n)
            measures |= head.measures(inputs)
            if head is self._expression:
                values = head.values(inputs)
        return replace(scores, values=values, labels=self.labels, measures=measures)

    def _as_requested(self, scores: Scores) -> Scores:
        """`scores` without the features that only heads needed."""
        if FEATURES in self._also or FEATURES not in scores.embeddings:
            return scores
        kept = {name: v for name, v in scores.embeddings.items() if name != FEATURES}
        return replace(scores, embeddings=kept)

    def activations(self, crops: Crops) -> Activations:
        """Those of the model itself, without the heads."""
        return self._model.activations(crops)
